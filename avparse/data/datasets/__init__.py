"""Published data sets, listed by name: readers of their annotations, and sources of their features."""

from collections.abc import Callable

from avparse.data.datasets.ave import AVE
from avparse.data.datasets.dataset import Dataset
from avparse.data.datasets.llp import LLP
from avparse.data.datasets.tables import Tables

DATASETS: dict[str, Callable[..., Dataset]] = {
    "ave": AVE,
    "llp": LLP,
    "tables": Tables,
}

__all__ = ["DATASETS"]
