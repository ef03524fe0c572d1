"""Training: recipes, the loop, checkpoints, run folders."""
