"""LLP as it is published: folders of features, one file a video, and tables of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avparse.data.datasets.llp import write_llp
from avparse.data.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("Speech", "Dog"))
FOLDERS = {"audio": ("vggish", 128), "frames": ("res152", 2048), "clips": ("r2plus1d_18", 512)}


def video_name(number: int) -> str:
    return f"id-{number:08d}_0_10"


def published(
    folder: Path, videos: int, per_segment: int = 8, segments: int = 10, vocabulary: Vocabulary = VOCABULARY
) -> tuple[Path, Path]:
    """Write feature folders and tables as they are published; return both."""
    random = np.random.default_rng(videos)
    splits = [("train", "val", "test")[n % 3] for n in range(videos)]
    dense = random.random((2, videos, segments, len(vocabulary))) < 0.3
    names = [video_name(n) for n in range(videos)]
    write_llp(
        folder / "tables", vocabulary, names, splits, weak=dense.any(axis=(0, 2)), audio=dense[0], visual=dense[1]
    )
    for name, dimension in FOLDERS.values():
        (folder / "features" / name).mkdir(parents=True)
        rows = segments * per_segment if name == "res152" else segments
        for video in names:
            features = random.standard_normal((rows, dimension), dtype=np.float32)
            np.save(folder / "features" / name / f"{video[:11]}.npy", features)
    return folder / "features", folder / "tables"
