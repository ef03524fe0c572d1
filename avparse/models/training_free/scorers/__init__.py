"""Class scorers, one file for each kind."""
