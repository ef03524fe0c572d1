"""Tables of runs: a recipe a row, over seeds."""
