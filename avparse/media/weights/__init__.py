"""Weights of published networks: where they come from, where they are kept, and that they are the published ones.

What is in a file of weights, :func:`avparse.foundation.tensors.read_tensors` reads.
"""

from avparse.media.weights.cache import find_weights
from avparse.media.weights.table import WEIGHTS, NetworkWeights

__all__ = ["WEIGHTS", "NetworkWeights", "find_weights"]
