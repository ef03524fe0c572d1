"""Labels: where training targets come from and how they are refined.

Refiners that act inside the training loop are listed here by name.
"""

from avparse.labels.jomold import JoMoLD
from avparse.labels.refiner import Refiner

REFINERS: dict[str, type[Refiner]] = {"jomold": JoMoLD}
