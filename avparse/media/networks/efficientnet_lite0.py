"""EfficientNet-Lite0: a picture as 1280 features, and as logits of ImageNet's 1000 classes.

Tan and Le, EfficientNet, ICML 2019; the Lite variants leave out squeeze-and-excitation, use ReLU6 and do not scale the
stem and the head. Weights: ``efficientnet-lite0`` of :mod:`avparse.media.weights`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from avparse.foundation.arrays import UInt8Array
from avparse.foundation.extras import library
from avparse.foundation.tensors import read_tensors
from avparse.media.networks.loading import filled

SIZE, FEATURES, CLASSES = 224, 1280, 1000
_MEAN, _DEVIATION = 0.498, 0.502  # of all channels, which lie in [0, 1]
_STEM, _EPSILON = 32, 1e-3
# Of each stage: expansion, channels, blocks, stride of the first block, kernel.
_STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5))
_LAST = (6, 320, 1, 1, 3)
_PARTS = {"expand_conv": "expand.conv", "depthwise_conv": "depthwise.conv", "project_conv": "project.conv"}
_NORMS = {"bn0": "expand.norm", "bn1": "depthwise.norm", "bn2": "project.norm"}
_ENDS = {
    "conv_stem": "stem.conv",
    "bn0": "stem.norm",
    "conv_head": "head.conv",
    "bn1": "head.norm",
    "fc": "classifier",
}


class EfficientNetLite0(nn.Module):
    """The network, from normalised pictures ``[N, 3, 224, 224]`` to features ``[N, 1280]``.

    Attributes:
        classifier: linear layer from features to the logits of ImageNet's classes; the logits of a mean of features are
            the mean of the logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Unit(3, _STEM, 3, stride=2)
        blocks, channels = [], _STEM
        for expansion, width, count, stride, kernel in (*_STAGES, _LAST):
            for number in range(count):
                blocks.append(_Block(channels, width, expansion, kernel, stride if number == 0 else 1))
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = _Unit(channels, FEATURES, 1)
        self.classifier = nn.Linear(FEATURES, CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features ``[N, 1280]`` of pictures ``[N, 3, H, W]``: means over all places."""
        maps: Tensor = self.head(self.blocks(self.stem(pictures)))
        return maps.mean(dim=(2, 3))


class _Unit(nn.Module):
    """A convolution, batch normalisation and ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, linear: bool = False
    ) -> None:
        super().__init__()
        margin = kernel // 2 if stride == 1 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, margin, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=_EPSILON)
        self._linear = linear

    def forward(self, maps: Tensor) -> Tensor:
        if self.conv.stride[0] > 1:
            maps = nn.functional.pad(maps, self._margins(*maps.shape[2:]))
        maps = self.norm(self.conv(maps))
        return maps if self._linear else nn.functional.relu6(maps, inplace=not maps.requires_grad)

    def _margins(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Return the zeros left, right, above and below: an odd one comes last, as in TensorFlow, where it learned."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        across, down = (max(0, (-(-n // stride) - 1) * stride + kernel - n) for n in (width, height))
        return across // 2, across - across // 2, down // 2, down - down // 2

    def fold(self) -> None:
        """Put the normalisation into the convolution, which is then as fast as one without."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv, self.norm = fuse_conv_bn_eval(self.conv, self.norm), nn.Identity()


class _Block(nn.Module):
    """An inverted bottleneck: wider, each channel by itself, narrower; added to its input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _Unit(inputs, wide, 1) if expansion > 1 else nn.Identity()
        self.depthwise = _Unit(wide, wide, kernel, stride=stride, groups=wide)
        self.project = _Unit(wide, outputs, 1, linear=True)
        self._adds = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        made: Tensor = self.project(self.depthwise(self.expand(maps)))
        return maps + made if self._adds else made


def load_efficientnet_lite0(path: Path) -> EfficientNetLite0:
    """Return the network with the weights of a released file, frozen.

    Raises:
        UserError: the file cannot be read, or its tensors are not those of the network.
    """
    network = filled(EfficientNetLite0(), read_tensors(path), _renamed, path)
    for part in network.modules():
        if isinstance(part, _Unit):
            part.fold()
    return network.to(memory_format=torch.channels_last)  # half the time for several pictures at once


def load_classifier(path: Path) -> nn.Linear:
    """Return the layer from features ``[..., 1280]`` to the logits ``[..., 1000]`` of ImageNet's classes, frozen.

    Raises:
        UserError: the file cannot be read, or its tensors are not those of the layer.
    """
    ours = {"_fc.weight": "weight", "_fc.bias": "bias"}
    return filled(nn.Linear(FEATURES, CLASSES), read_tensors(path), ours.get, path)


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, in the order of the logits.

    Raises:
        UserError: torchvision, whose metadata has them, is not installed.
    """
    names: tuple[str, ...] = tuple(_listed_names())
    if not names:
        models = library("torchvision", "teachers", "names of ImageNet's classes").models
        names = tuple(models.ResNet50_Weights.IMAGENET1K_V1.meta["categories"])
    return names


def _listed_names() -> Sequence[str]:
    """Return the names from torchvision's file of them alone: the package loads compilers, which takes longest of all.

    None are returned where torchvision is not installed, or keeps them elsewhere.
    """
    package = importlib.util.find_spec("torchvision")
    file = Path(package.origin or "").parent / "models" / "_meta.py" if package is not None else None
    spec = importlib.util.spec_from_file_location("torchvision_names", file) if file and file.is_file() else None
    if spec is None or spec.loader is None:
        return ()
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, "_IMAGENET_CATEGORIES", ())


def normalised(pictures: UInt8Array) -> Tensor:
    """Return what the network reads, float32 ``[N, 3, H, W]``, of RGB pictures ``[N, H, W, 3]``."""
    channels = torch.from_numpy(pictures).movedim(-1, -3)
    return (channels.float() / 255 - _MEAN) / _DEVIATION


def _renamed(name: str) -> str:
    """Return the name in :class:`EfficientNetLite0` of a released tensor."""
    block = re.fullmatch(r"_blocks\.(\d+)\._(\w+)\.(\w+)", name)
    if block is not None:
        number, part, rest = block.groups()
        # The first block expands nothing and numbers its norms as the others do, from 1.
        return f"blocks.{number}.{(_PARTS | _NORMS).get(part, part)}.{rest}"
    part, _, rest = name.removeprefix("_").partition(".")
    return f"{_ENDS.get(part, part)}.{rest}"
