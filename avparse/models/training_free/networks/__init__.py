"""Networks that judge classes without training, one file each, listed by name from the best to the smallest."""

from collections.abc import Callable

from avparse.models.training_free.networks.clip_clap import ClipClap
from avparse.models.training_free.networks.compact import Compact
from avparse.models.training_free.networks.network import Network

NETWORKS: dict[str, Callable[[], Network]] = {"clip-clap": ClipClap, "compact": Compact}

__all__ = ["NETWORKS", "Network"]
