"""Labels under review: what a person may decide about, in which order, and what is still wrong afterwards."""
