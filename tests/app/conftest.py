"""A run trained within seconds on a few clips, for commands that parse."""

from __future__ import annotations

from pathlib import Path

import pytest

from avparse.app.extracting import extract_store, read_labels
from avparse.data.store import FeatureStore
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.clips import tone, write_clip


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was trained for one epoch on eight sounds of one second."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "videos").mkdir()
    for number in range(8):
        write_clip(folder / "videos" / f"v{number}.wav", sound=tone(), seconds=1.0)
    rows = [f"v{n},{'Dog' if n % 2 else 'Cat'},{'train' if n < 4 else 'val'}" for n in range(8)]
    (folder / "labels.csv").write_text("\n".join(["video,labels,split", *rows]))
    (folder / "classes.txt").write_text("Cat\nDog\n")
    events = [f"v{n},{'Dog' if n % 2 else 'Cat'},audio,0,1" for n in range(8)]
    (folder / "events.csv").write_text("\n".join(["video,class,modality,onset,offset", *events]))
    labels = read_labels(folder / "labels.csv", folder / "classes.txt", folder / "events.csv")
    extract_store(folder / "videos", labels, folder / "store", workers=0)
    zero = {f"decoding.{name}=0" for name in ("segment_threshold", "audio_gate_threshold", "visual_gate_threshold")}
    changes = ["training.epochs=1", "denoiser=null", "training.batch_size=4", *sorted(zero)]
    train(load_recipe("demo", changes), FeatureStore.open(folder / "store"), folder / "run", device="cpu")
    return folder / "run"
