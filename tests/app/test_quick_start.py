"""Parsing a file loads only what it uses; the modules that it must not load are named here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import avparse
from avparse.media.extractors import make_streams
from tests.clips import colours, tone, write_clip
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=1"]
UNUSED = (
    *("avparse.training", "avparse.losses", "avparse.labels", "avparse.evaluation", "avparse.data.store"),
    *("lightning_fabric", "torchmetrics", "torchvision", "transformers", "sentence_transformers"),
    *("matplotlib", "tensorboard", "scipy", "pandas", "pyarrow", "sympy", "torch._dynamo"),
)
PROGRAM = """
import sys
from avparse.app import cli
sys.argv = ["avparse", *sys.argv[1:]]
try:
    cli.main()
finally:
    print("loaded:", *sys.modules, file=sys.stderr)
"""


def _loaded(*arguments: str | Path) -> set[str]:
    """The modules that a command of the program loads, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    return set(done.stderr.rpartition("loaded:")[2].split())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    dimensions = {name: stream.dimension for name, stream in make_streams("light").items()}
    store = toy_store(folder / "store", videos=40, dimensions=dimensions, extractor="light")
    return avparse.train(avparse.load_recipe("han", SMALL), store, folder / "run", device="cpu").path


def test_parsing_a_file_loads_no_training_code_and_no_library_that_it_does_not_use(run: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", sound=tone(), picture=colours, seconds=2.0)
    loaded = _loaded("parse", clip, "--run", run, "-o", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("a.json", "events.csv", "index.csv", "report.html")
    ]
    assert "torch" in loaded
    assert not loaded & set(UNUSED)


def test_help_loads_no_library_of_the_work() -> None:
    loaded = _loaded("--help")
    assert "typer" in loaded
    assert not loaded & {"torch", "numpy", "av", "yaml", "tqdm", *UNUSED}


@pytest.mark.slow
def test_training_loads_no_library_that_it_does_not_use() -> None:
    code = "import sys, avparse.training.train; print(*sys.modules); import torchmetrics; torchmetrics.MeanMetric"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "lightning_fabric" in loaded
    assert not loaded & {"torchmetrics", "torchvision", "transformers", "scipy", "pandas", "matplotlib", "tensorboard"}


def test_a_process_that_decodes_loads_no_torch() -> None:
    code = "import sys, avparse.media.pipeline; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
