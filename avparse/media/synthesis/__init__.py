"""Small real videos made from nothing: sounds and drawings of LLP classes, rendered to H.264/AAC files."""
