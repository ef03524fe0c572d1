"""Training: recipes, denoisers, the training loop, checkpoints and run folders.

The denoisers are registered here, before any recipe is read.
"""

from avparse.training import denoisers as denoisers
