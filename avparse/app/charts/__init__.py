"""Charts: learning curves, and metrics of every class."""
