"""The 1000 names of ImageNet, seen by EfficientNet-Lite0."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from avparse.data.class_names import NameList
from avparse.foundation.settings import lookup
from avparse.media.extractors import EXTRACTORS, Stream
from avparse.media.networks.efficientnet_lite0 import imagenet_classes, load_classifier
from avparse.media.weights import find_weights

_WEIGHTS = "efficientnet-lite0"


class ImagenetTagger:
    """The classifier of the network whose features are the stream ``pictures`` of the extractor ``compact``.

    The features of a segment are the mean over its frames, so the outputs are the mean of the frames' outputs.

    Raises:
        UserError: there is no copy of the weights and it cannot be fetched, or torchvision is not installed.
    """

    modality: Literal["audio", "visual"] = "visual"
    extractor, stream = "compact", "pictures"
    title = "EfficientNet-Lite0, ImageNet"

    def __init__(self) -> None:
        path = find_weights(_WEIGHTS)
        self.names = NameList("imagenet", imagenet_classes(), exclusive=True)
        self.identity = f"{self.title}, {path.name}"
        self._classifier = load_classifier(path)

    def made(self) -> Stream:
        """Return the stream of features."""
        return lookup(EXTRACTORS, self.extractor, "extractor")().streams[self.stream]

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs ``[T, 1000]`` of features ``[T, 1280]``."""
        found: Tensor = self._classifier(features)
        return found
