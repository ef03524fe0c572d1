"""Data sets as others publish them: their tables, annotations and folders of features."""
