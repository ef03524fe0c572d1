"""How much of what is seen does the ImageNet classifier find, without training? On clips made of real pictures.

    pip download --no-deps -d WHEELS scikit-image==0.26.0 scikit-learn==1.9.1 gradio==6.31.0 ultralytics==8.4.190
    python -m benchmarks.real_pictures WHEELS [--clips 24] [--seed 0]

The pictures are read out of the wheels and never imported: ten of eight classes and twelve of none of them. A clip has
ten seconds; for two to four seconds it shows one picture, through a frame that wanders over it, with another
brightness each time. The table has precision, recall and F over all seconds and classes, at the default threshold and
at others.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageEnhance

import avparse
from avparse.foundation.arrays import BoolArray, Float32Array
from avparse.models.training_free.networks.compact import SEEN_CUT

PICTURES = {  # member of a wheel -> class, or empty for none
    "skimage/data/chelsea.png": "Cat",
    "skimage/data/coffee.png": "Coffee",
    "skimage/data/motorcycle_left.png": "Motorcycle",
    "skimage/data/rocket.jpg": "Rocket",
    "sklearn/datasets/images/china.jpg": "Palace",
    "gradio/media_assets/images/cheetah.jpg": "Cheetah",
    "gradio/media_assets/images/cheetah1.jpg": "Cheetah",
    "gradio/test_data/cheetah2.jpg": "Cheetah",
    "gradio/media_assets/images/lion.jpg": "Lion",
    "ultralytics/assets/bus.jpg": "Bus",
    **dict.fromkeys(
        [
            *(f"skimage/data/{name}.png" for name in ("brick", "camera", "clock_motion", "coins", "grass", "gravel")),
            *(f"skimage/data/{name}.png" for name in ("horse", "moon", "page", "cell")),
            "sklearn/datasets/images/flower.jpg",
            "gradio/media_assets/images/tower.jpg",
        ],
        "",
    ),
}
CLASS_MAP = """\
Coffee: {imagenet: [espresso, cup, coffee mug]}
Rocket: {imagenet: [missile, projectile, space shuttle]}
Palace: {imagenet: [palace, monastery, stupa, boathouse]}
Bus: {imagenet: [minibus, school bus, trolleybus]}
"""
CLASSES = tuple(dict.fromkeys(filter(None, PICTURES.values())))
SECONDS, RATE, SIZE = 10, 8, (320, 240)


def read_pictures(wheels: Path) -> dict[str, Image.Image]:
    """Return the pictures by the name of their member."""
    found = {}
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in set(archive.namelist()) & set(PICTURES):
                found[name] = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
    absent = set(PICTURES) - set(found)
    if absent:
        raise SystemExit(f"{wheels}: no wheel there has {sorted(absent)[0]}; see the command above")
    return found


def shots(picture: Image.Image, seconds: int, random: np.random.Generator) -> Iterator[Image.Image]:
    """Yield the frames of a picture that is seen through a wandering frame of three to five fifths of it."""
    share, brightness = random.uniform(0.6, 1), random.uniform(0.7, 1.3)
    width = int(min(picture.width, picture.height * SIZE[0] / SIZE[1]) * share)
    height = int(width * SIZE[1] / SIZE[0])
    ends = random.uniform(0, 1, (2, 2)) * (picture.width - width, picture.height - height)
    bright = ImageEnhance.Brightness(picture).enhance(brightness)
    for place in np.linspace(0, 1, seconds * RATE):
        left, top = (ends[0] * (1 - place) + ends[1] * place).astype(int)
        yield bright.resize(SIZE, box=(left, top, left + width, top + height))


def write_clip(path: Path, pictures: dict[str, Image.Image], random: np.random.Generator) -> BoolArray:
    """Write a clip and return its truth ``[SECONDS, C]``."""
    truth = np.zeros((SECONDS, len(CLASSES)), dtype=bool)
    second = 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        frames = 0
        while second < SECONDS:
            name = str(random.choice(list(PICTURES)))
            count = min(int(random.integers(2, 5)), SECONDS - second)
            if PICTURES[name]:
                truth[second : second + count, CLASSES.index(PICTURES[name])] = True
            for shot in shots(pictures[name], count, random):
                frame = av.VideoFrame.from_ndarray(np.asarray(shot), format="rgb24")
                frame.pts, frame.time_base = frames, Fraction(1, RATE)
                container.mux(stream.encode(frame))
                frames += 1
            second += count
        container.mux(stream.encode())
    return truth


def measure(truth: BoolArray, probabilities: Float32Array, cut: float) -> str:
    """Return precision, recall and F of a cut as cells of a table."""
    on = probabilities >= cut
    right = (on & truth).sum()
    precision, recall = right / max(on.sum(), 1), right / max(truth.sum(), 1)
    return f"{precision:.2f} | {recall:.2f} | {2 * right / max(on.sum() + truth.sum(), 1):.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheels", type=Path)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pictures, random = read_pictures(arguments.wheels), np.random.default_rng(arguments.seed)
    truths, found = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "map.yaml").write_text(CLASS_MAP, encoding="utf-8")
        paths = [folder / f"{number:02}.mp4" for number in range(arguments.clips)]
        truths = [write_clip(path, pictures, random) for path in paths]
        for timeline in avparse.parse(
            paths, classes=CLASSES, networks="compact", class_map=folder / "map.yaml", workers=0, progress=None
        ):
            if isinstance(timeline, avparse.Failed):
                raise SystemExit(timeline.reason)
            seen = timeline.segments["visual"]
            assert seen is not None
            found.append(seen)
    # Back from what timelines hold, where the default cut lies at one half, to the classifier's own probability.
    shown = np.concatenate(found).clip(1e-6, 1 - 1e-6)
    odds = shown / (1 - shown) * SEEN_CUT / (1 - SEEN_CUT)
    truth, seen = np.concatenate(truths), (odds / (1 + odds)).astype(np.float32)
    print("| probability | precision | recall | F |\n|---|---|---|---|")
    for cut in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8):
        print(f"| {cut:g}{' (default)' if cut == SEEN_CUT else ''} | {measure(truth, seen, cut)} |")
    for place, name in enumerate(CLASSES):
        print(f"| {name}, default | {measure(truth[:, [place]], seen[:, [place]], SEEN_CUT)} |")


if __name__ == "__main__":
    main()
