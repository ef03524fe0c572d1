"""Charts: learning curves of runs, and precision, recall and F of every class."""
