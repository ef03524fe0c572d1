"""Residual networks of torchvision, without the layer that names classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from avparse.foundation.extras import library
from avparse.media.networks.loading import load_network


def load_residual(name: str, path: Path) -> nn.Module:
    """Return a network that ends with its pooled features.

    Args:
        name: ``resnet152`` (He et al., CVPR 2016), of pictures ``[n, 3, 224, 224]`` to ``[n, 2048]``; or
            ``r2plus1d_18`` (Tran et al., CVPR 2018), of clips ``[n, 3, frames, 112, 112]`` to ``[n, 512]``.
        path: path of its published weights.

    Raises:
        UserError: ``torchvision`` is not installed, or the file does not hold these weights.
    """
    models = library("torchvision", "teachers", "the networks of the extractor 'published'").models
    network: Any = load_network(getattr(models, name, None) or getattr(models.video, name), path)
    network.fc = nn.Identity()
    return network  # type: ignore[no-any-return]
