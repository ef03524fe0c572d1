"""How close the extractor 'published' comes to the published features, as far as that can be measured without them.

``python -m benchmarks.published_features [FOLDER]``: with the folder that holds ``frames_8fps`` and the clip it was
made of, the likeness of our pictures to the official ones; then the largest difference of each network, with random
weights at its real size, to another forward, as a share of the largest output, and processor seconds a segment.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.transforms import functional

from avparse.media.decoding.chunks import read_chunks
from avparse.media.decoding.views import PictureView
from avparse.media.extractors.published_pictures import CLIPS, FRAMES
from avparse.media.networks.loading import load_network
from avparse.media.networks.residual import load_residual
from avparse.media.networks.vggish import VGGish
from tests.plain_vggish import plain_vggish
from tests.random_weights import random_state


def likeness(folder: Path) -> None:
    """Print the PSNR of our pictures to the official ones, prepared by torchvision for each stream."""
    official = [Image.open(path).convert("RGB") for path in sorted((folder / "frames_8fps").glob("*.jpg"))]
    places = np.round(np.linspace(0, len(official) - 1, 80)).astype(int)
    (clip,) = folder.glob("*.mp4")
    whole = PictureView(official[0].size, per_segment=8, picked="spread")
    crop = PictureView((224, 224), per_segment=8, shorter_side=256, scaling="bilinear", picked="spread")
    squash = PictureView((112, 112), per_segment=8, scaling="bilinear", picked="spread")
    prepared: dict[str, tuple[PictureView, Callable[[Image.Image], Image.Image]]] = {
        "whole": (whole, lambda picture: picture),
        "frames": (crop, lambda picture: functional.center_crop(functional.resize(picture, 256), 224)),
        "clips": (squash, lambda picture: functional.resize(picture, [112, 112])),
    }
    chunks = list(read_chunks(clip, [view for view, _ in prepared.values()]))
    for name, (view, prepare) in prepared.items():
        ours = np.concatenate([chunk.pictures[view] for chunk in chunks]).reshape(80, *view.size[::-1], 3)
        theirs = np.stack([np.asarray(prepare(official[place]), dtype=np.float64) for place in places])
        ratios = 10 * np.log10(255**2 / np.square(ours - theirs).mean(axis=(1, 2, 3)))
        print(f"{name}: PSNR {ratios.min():.1f} to {ratios.max():.1f} dB, mean {ratios.mean():.1f}")


def differences() -> None:
    """Print the largest difference of each network to another forward."""
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        path = Path(folder) / "weights.pth"
        state = random_state(VGGish)
        torch.save(state, path)
        picture = torch.randn(1, 96, 64, generator=draw)
        _compare("VGGish", load_network(VGGish, path), picture, plain_vggish(state, picture[0].numpy()))
        for about, build in (
            (FRAMES, torchvision.models.resnet152),
            (CLIPS, torchvision.models.video.r2plus1d_18),
        ):
            torch.save(random_state(build), path)
            network = build(weights=None)
            network.load_state_dict({name: value.float() for name, value in torch.load(path).items()})
            pixels = torch.randn(8, 3, about.side, about.side, generator=draw)
            given = pixels.transpose(0, 1)[None] if about.of_clips else pixels
            own = nn.Sequential(*list(network.eval().children())[:-1])(given).flatten(1)
            _compare(about.name, load_residual(about.name, path), given, own.numpy())


def _compare(name: str, network: nn.Module, given: torch.Tensor, expected: np.ndarray) -> None:
    begun = time.process_time()
    made = network(given).numpy()
    spent_s = time.process_time() - begun
    difference = float(np.abs(made - expected).max() / np.abs(expected).max())
    print(f"{name}: largest difference {difference:.1e}, {spent_s:.2f} s a segment")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        likeness(Path(sys.argv[1]))
    differences()
