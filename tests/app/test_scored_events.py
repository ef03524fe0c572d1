"""'avparse evaluate --events': truth from a table, such as corrections of what 'parse' wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from avparse.app.scoring import evaluate
from avparse.data.store import FeatureStore
from avparse.data.timeline import runs
from avparse.data.vocabulary import MODALITIES
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests.conftest import Command
from tests.toy import toy_store

HEAD = "video,class,modality,onset,offset\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[FeatureStore, Run]:
    folder = tmp_path_factory.mktemp("scored")
    store = toy_store(folder / "store", videos=60)
    small = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.epochs=1", "training.batch_size=16"]
    return store, train(load_recipe("han", small), store, folder / "run", device="cpu")


def _rows(store: FeatureStore, split: str) -> list[str]:
    """The truth of a split as rows of a table; a video without any event has none."""
    rows = []
    for video in store.select(split):
        for modality, truth in zip(MODALITIES, store.dense_truth(video.reshape(1)), strict=False):
            for c, name in enumerate(store.vocabulary):
                rows += [f"{store.videos[video]}.mp4,{name},{modality},{a},{b}" for a, b in runs(truth[0, :, c])]
    return rows


def test_the_same_events_score_the_same_and_others_do_not(
    made: tuple[FeatureStore, Run], tmp_path: Path, command: Command
) -> None:
    store, run = made
    before = {path: path.read_bytes() for path in store.path.iterdir()}
    left_out = store.videos[int(store.select("test")[0])]
    rows = [row for row in _rows(store, "test") if not row.startswith(f"{left_out}.")]
    named = {row.split(".")[0] for row in rows}
    table = tmp_path / "events.csv"
    table.write_text(HEAD + "\n".join(rows))
    whole, given = evaluate(run, store), evaluate(run, store, events=table)
    for system, scores in whole.scores.items():
        kept = [k for k, video in enumerate(store.select("test")) if store.videos[video] in named]
        assert 0 < len(kept) < len(scores.per_video)
        assert given.scores[system].per_video.tolist() == scores.per_video[kept].tolist()
    assert f"{len(named)} test videos of {table}" in given.caption
    table.write_text(HEAD + "\n".join(row.replace(",visual,", ",audio,") for row in rows))
    code, text, _ = command("evaluate", "--run", run.path, "--data", store.path, "--events", table, "--device", "cpu")
    assert code == 0
    assert f"{len(named)} test videos of {table}" in text
    assert evaluate(run, store, events=table).scores["parser"].as_dict() != given.scores["parser"].as_dict()
    assert {path: path.read_bytes() for path in store.path.iterdir()} == before


def test_a_table_that_does_not_fit_is_refused(made: tuple[FeatureStore, Run], tmp_path: Path, command: Command) -> None:
    store, run = made
    table, first = tmp_path / "events.csv", store.videos[int(store.select("test")[0])]
    for row, told in (
        (f"{store.videos[0]},Bell,audio,0,1", "none of its 1 videos is among the test videos"),
        (f"{first},Bel,audio,0,1", "did you mean 'Bell'"),
        (f"{first},Bell,audio,0,700", f"{table}:2"),
    ):
        table.write_text(f"{HEAD}{row}\n")
        code, _, err = command("evaluate", "--run", run.path, "--data", store.path, "--events", table)
        assert code == 2
        assert told in err
