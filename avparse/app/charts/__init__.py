"""Charts: learning curves, and figures of every class."""
