"""Networks that judge classes without training, one file each, listed by name from the best to the smallest."""

from collections.abc import Callable

from avparse.models.training_free.networks.audioset import Audioset
from avparse.models.training_free.networks.clip_clap import ClipClap
from avparse.models.training_free.networks.compact import Compact
from avparse.models.training_free.networks.network import Network
from avparse.models.training_free.networks.pe_av import PeAv

NETWORKS: dict[str, Callable[[], Network]] = {
    "pe-av": PeAv,
    "clip-clap": ClipClap,
    "audioset": Audioset,
    "compact": Compact,
}

__all__ = ["NETWORKS", "Network"]
