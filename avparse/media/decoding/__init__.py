"""From a file to aligned segments of sound and pictures."""
