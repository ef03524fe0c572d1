"""Training: recipes, denoisers, the loop, checkpoints, run folders.

The denoisers register themselves here, before any recipe is read.
"""

from avparse.training import denoisers as denoisers
