"""Teachers that look at and listen to the videos of a store."""
