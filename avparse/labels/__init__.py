"""Labels: where training targets come from and how they are refined."""
