"""A bench does each run once, whatever becomes of the launcher, and tells what failed."""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from avparse.app import cli
from avparse.app.bench.job import Attempts
from avparse.app.bench.launcher import bench
from avparse.app.bench.plan import PlannedRun, Table, plan
from avparse.app.bench.table import MEASURED, RunResult, System, as_csv, as_markdown, noise_left
from avparse.data.scores import load_scores
from avparse.data.store import FeatureStore
from avparse.evaluation.parsing import METRICS
from avparse.foundation.errors import UserError
from avparse.labels.table import RefinedLabels
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests.toy import toy_store

SMALL = ["parser.stem.width=24", "parser.encoder.feedforward=24", "training.batch_size=16", "training.epochs=2"]
TABLES = Path(__file__).parents[2] / "tables"
PUBLISHED = [60.1, 52.9, 48.9, 54.0, 55.4, 51.3, 48.9, 43.0, 47.7, 48.0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy")


def _write(path: Path, store: FeatureStore, **changes: object) -> Path:
    rows = [{"name": "HAN", "recipe": "han", "published": PUBLISHED}, {"name": "Class prior", "recipe": "class-prior"}]
    table = {"title": "Toys", "data": str(store.path), "seeds": [0, 1], "set": SMALL, "rows": rows}
    path.write_text(yaml.safe_dump(table | changes))
    return path


def _plan(table: Path, store: FeatureStore, out: Path) -> list[PlannedRun]:
    settings = Table.load(table)
    return plan(settings, settings.recipes(table), out, store.fingerprint)


def _do(runs: list[PlannedRun], store: FeatureStore) -> None:
    for run in runs:
        train(run.recipe, store, run.path, seed=run.seed)


def _csv(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "table.csv").open(newline="")))


def test_thresholds_are_tuned_after_the_training(store: FeatureStore, tmp_path: Path) -> None:
    """A table that asks for it needs no other runs, and shows what a recipe that tunes would have got."""
    out, asked = tmp_path / "out", {"metric": "segment_type", "candidates": [0.2, 0.5]}
    rows = [{"name": "HAN", "recipe": "han"}]
    plain = _write(tmp_path / "plain.yaml", store, rows=rows)
    (first, second) = _plan(plain, store, out)
    _do([first, second], store)
    bench(plain, out)
    before = _csv(out)
    tuned = _write(tmp_path / "tuned.yaml", store, rows=rows, tuning=asked)
    report, _ = bench(tuned, out)
    assert _csv(out)[0] == before[0]
    row = _csv(out)[1]
    assert row["source"].endswith("thresholds tuned on validation")
    assert "| HAN, thresholds tuned on validation | 2 |" in report
    expected = []
    for seed in (0, 1):
        recipe = load_recipe("han", [*SMALL, f"tuning={json.dumps(asked)}"])
        run = train(recipe, store, tmp_path / f"tuned{seed}", seed=seed)
        expected.append(json.loads((run.path / "results.json").read_text())["scores"]["parser"])
    assert expected[0] != expected[1]
    for name in METRICS:
        assert float(row[name]) == pytest.approx(np.mean([scores[name] for scores in expected]))
    kept = first.beside(".tuned.json")
    former = kept.read_text().replace('"metric"', '"figure"')
    kept.write_text(former)
    assert bench(tuned, out)[0] == report
    assert kept.read_text() == former  # read under its former name, not made again
    kept.write_text(former[:40])  # half a file is made again
    assert bench(tuned, out)[0] == report
    other = _write(tmp_path / "other.yaml", store, rows=rows, tuning={"candidates": [0.9]})
    assert bench(other, out)[0] != report


def test_table_of_finished_runs(store: FeatureStore, tmp_path: Path) -> None:
    table = _write(tmp_path / "toys.yaml", store)
    out = tmp_path / "out"
    runs = _plan(table, store, out)
    assert [(run.row.name, run.seed) for run in runs] == [
        ("HAN", 0), ("Class prior", 0), ("HAN", 1), ("Class prior", 1),
    ]  # fmt: skip
    _do(runs, store)
    report, failures = bench(table, out)
    assert failures == []
    assert report == (out / "table.md").read_text()
    han, published, prior = _csv(out)
    scores = [
        json.loads((r.path / "results.json").read_text())["scores"]["parser"] for r in runs if r.row.name == "HAN"
    ]
    for name in METRICS:
        values = [s[name] for s in scores]
        assert float(han[name]) == pytest.approx(np.mean(values))
        assert float(han[f"{name}_sd"]) == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    assert [float(published[name]) for name in METRICS] == PUBLISHED
    assert (published["source"], published["seeds"]) == ("published, real LLP", "")
    assert (han["seeds"], han["noise_of"]) == ("2", "weak labels")
    assert prior["noise_of"] == "refined labels"
    assert han["seconds"] == ""  # these runs were not launched by a bench
    lines = report.splitlines()
    assert lines[0].startswith("**Toys**")
    assert "simulated" not in lines[0]
    cells = [re.split(r" *\| *", line.strip("| ")) for line in lines if line.startswith("|")]
    assert {len(row) for row in cells if "published" not in row[0]} == {16}
    mean, deviation = (
        np.mean([s["segment_audio"] for s in scores]),
        np.std([s["segment_audio"] for s in scores], ddof=1),
    )
    assert cells[2][2] == f"{mean:.1f} ± {deviation:.1f}"
    assert "*HAN: published, real LLP*" in cells[3][0]


def test_noise_left_is_counted_on_the_truth(store: FeatureStore, tmp_path: Path) -> None:
    train_videos = store.select("train")
    audio, visual = (t.any(axis=1) for t in store.dense_truth(train_videos)[:2])
    weak = store.weak[train_videos]
    expected = [100 * (weak & ~truth).sum() / weak.sum() for truth in (audio, visual)]
    assert list(noise_left(tmp_path, store).values()) == pytest.approx(expected)
    order = np.random.default_rng(0).permutation(len(train_videos))  # a table need not be in the order of the store
    ones, none = np.ones(weak.shape, np.float32), np.full(weak.shape, "")
    RefinedLabels(
        tuple(store.videos[train_videos[i]] for i in order), store.vocabulary.names, weak[order],
        audio[order].astype(np.float32), weak[order].astype(np.float32), ones, ones, none, none,
    ).save(tmp_path / "labels.parquet")  # fmt: skip
    assert list(noise_left(tmp_path, store).values()) == pytest.approx([0.0, expected[1]])


def test_deviation_and_ratio() -> None:
    def system(name: str, *metrics: tuple[float, float], seeds: int) -> System:
        results = [RunResult(dict.fromkeys(METRICS, f) | {"seconds": s}, refined=False) for f, s in metrics]
        return System(name, seeds, results=results)

    first = system("first", (50.0, 60.0), (53.0, 120.0), seeds=2)
    other = system("other", (40.0, 180.0), seeds=3)
    nothing = system("nothing", seeds=2)
    text = as_markdown([first, other, nothing], "caption", ["a remark"])
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert rows[1][1:3] + rows[1][-2:] == ["2", "51.5 ± 2.1", "1.5 ± 0.7", "1.00"]
    assert rows[2][1:3] + rows[2][-2:] == ["1 of 3", "40.0 ± –", "3.0 ± –", "2.00"]
    assert rows[3] == ["nothing", "0 of 2", *["–"] * 14]
    assert text.endswith("- a remark\n")
    parsed = list(csv.DictReader(as_csv([first, other, nothing], "measured, simulated").splitlines()))
    assert [row["ratio"] for row in parsed] == ["1.0", "2.0", ""]
    assert [row["segment_type_sd"] for row in parsed][1:] == ["", ""]
    assert float(parsed[0]["segment_type_sd"]) == pytest.approx(3 / 2**0.5)
    assert set(MEASURED) < set(parsed[0])


def test_a_changed_recipe_is_another_run(store: FeatureStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = _plan(_write(tmp_path / "a.yaml", store), store, out)
    _do(before[:2], store)
    changed = _plan(_write(tmp_path / "b.yaml", store, set=[*SMALL, "training.epochs=3"]), store, out)
    assert not {run.path for run in before} & {run.path for run in changed}
    assert not any(run.finished for run in changed)
    other_data = _plan(_write(tmp_path / "c.yaml", store), toy_store(tmp_path / "other", seed=4), out)
    assert not {run.path for run in before} & {run.path for run in other_data}
    renamed = _plan(_write(tmp_path / "d.yaml", store, set=[*SMALL, "title=Another title"]), store, out)
    assert [run.path for run in renamed[:2]] == [run.path for run in before[:2]]
    # A setting that recipes gained after the run, with a default, does not cost it.
    recipe = before[0].path / "recipe.yaml"
    values = yaml.safe_load(recipe.read_text())
    assert values["training"].pop("clip_norm", 0) is None
    recipe.write_text(yaml.safe_dump(values))
    folder = before[0].path.rename(before[0].path.with_name("HAN-seed0-00000000"))
    assert _plan(tmp_path / "a.yaml", store, out)[0].path == folder


@pytest.mark.slow
def test_a_failing_run_is_told_and_stops_no_other(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {"name": "Bad", "recipe": "han", "set": ["parser.stem.audio=[sound]"], "seeds": [0]}
    rows = [bad, {"name": "HAN", "recipe": "han"}]
    table = _write(tmp_path / "toys.yaml", store, rows=rows, seeds=[0])
    out = tmp_path / "out"
    _do(_plan(table, store, out)[1:], store)
    monkeypatch.setattr(sys, "argv", ["avparse", "bench", str(table), "-o", str(out), "--device", "cpu"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 3
    (failure,) = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("failed: Bad, seed 0: exit code 2 (")
    ]
    assert failure.endswith(_last_line(next((out / "attempts").glob("Bad-*.log"))))
    assert "sound" in failure
    assert "failed: Bad, seed 0" in (out / "table.md").read_text()
    assert [(row["system"], row["seeds"]) for row in _csv(out)] == [("Bad", "0"), ("HAN", "1")]


def _last_line(log: Path) -> str:
    return log.read_text().strip().splitlines()[-1].strip()


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "avparse", *map(str, arguments)]


def _wait(what: Callable[[], object], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _locked(log: Path) -> bool:
    with open(log, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _epochs(run: PlannedRun) -> list[int]:
    log = run.path / "metrics.jsonl"
    lines = log.read_text().splitlines(keepends=True) if log.is_file() else []
    return [json.loads(line)["epoch"] for line in lines if line.endswith("\n")]


@pytest.fixture
def launch() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start launchers that do not outlive the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(_command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait()


@pytest.mark.slow
def test_interrupted_and_killed_launchers_lose_and_repeat_nothing(
    store: FeatureStore, tmp_path: Path, launch: Callable[..., subprocess.Popen[bytes]]
) -> None:
    table = _write(tmp_path / "toys.yaml", store, set=[*SMALL, "training.epochs=120"])
    out = tmp_path / "out"
    runs = _plan(table, store, out)
    bench_it = ("bench", table, "-o", out, "--jobs", "2", "--device", "cpu")

    first = launch(*bench_it)
    _wait(lambda: len(_epochs(runs[0])) > 5)
    first.send_signal(signal.SIGTERM)
    assert first.wait() == 128 + signal.SIGTERM
    assert not any(_locked(log) for log in (out / "attempts").glob("*.log"))  # no process was left behind
    assert not runs[0].finished
    assert (runs[0].path / "checkpoints" / "last").is_file()
    stopped_at = len(_epochs(runs[0]))

    second = launch(*bench_it)
    _wait(lambda: len(_epochs(runs[0])) > stopped_at + 2)
    second.kill()
    second.wait()
    assert _locked(runs[0].beside(".log"))  # it goes on without its launcher

    third = launch(*bench_it)
    assert third.wait() == 0
    assert sorted(p.name for p in (out / "runs").iterdir()) == sorted(run.path.name for run in runs)
    assert all(_epochs(run) == list(range(120)) for run in runs)
    attempts = [Attempts.load(run) for run in runs]
    assert len(attempts[0].attempts) == 2  # the third launcher waited for the orphan
    assert all(a.seconds is not None and 0 < a.seconds < 600 for run in attempts for a in run.attempts)
    measured = [row for row in _csv(out) if row["source"] != "published, real LLP"]
    assert [(row["system"], row["seeds"]) for row in measured] == [("HAN", "2"), ("Class prior", "2")]
    expected = np.mean([attempts[0].seconds, attempts[2].seconds])  # type: ignore[list-item]
    assert float(measured[0]["seconds"]) == pytest.approx(expected)
    before = {run.path: (run.path / "results.json").stat().st_mtime_ns for run in runs}
    report, failures = bench(table, out)
    assert not failures
    assert "| HAN | 2 |" in report
    assert before == {run.path: (run.path / "results.json").stat().st_mtime_ns for run in runs}


def test_an_attempt_without_end_lasted_until_its_last_sign_of_life(store: FeatureStore, tmp_path: Path) -> None:
    run = _plan(_write(tmp_path / "toys.yaml", store), store, tmp_path / "out")[0]
    assert Attempts.load(run).seconds is None
    run.beside(".json").parent.mkdir(parents=True)
    times = [{"begun": 100.0, "seconds": 7.0, "conditions": "a"}, {"begun": 1000.0, "seconds": None, "conditions": "b"}]
    run.beside(".json").write_text(json.dumps({"attempts": times}))
    run.beside(".log").write_text("...")
    os.utime(run.beside(".log"), (1030.0, 1030.0))
    assert Attempts.load(run).seconds == pytest.approx(37.0)
    run.beside(".json").write_text("{")
    with pytest.raises(UserError, match=r"HAN-seed0-.*json: not JSON"):
        Attempts.load(run)


@pytest.mark.slow
def test_the_simulated_store_is_made_once(tmp_path: Path) -> None:
    source = Table.read(
        {
            "title": "t", "data": {"simulate": {"train": 30, "val": 10, "test": 10}}, "seeds": [0],
            "rows": [{"name": "HAN", "recipe": "han"}],
        },
        "t.yaml",
    ).data  # fmt: skip
    store = source.open(tmp_path, tmp_path / "out")
    assert store.path.parent == tmp_path / "out" / "data"
    assert "simulated" in store.manifest.description
    made = (store.path / "manifest.json").stat().st_mtime_ns
    again = source.open(tmp_path, tmp_path / "out")
    assert (again.path / "manifest.json").stat().st_mtime_ns == made


@pytest.mark.slow
def test_teachers_of_the_simulated_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def table(**teachers: object) -> Table:
        data = {"simulate": {"train": 30, "val": 10, "test": 10, **({"teachers": teachers} if teachers else {})}}
        valor = [f"pseudo_labels.{m}={{teacher: simulated, score: logit, threshold: 20}}" for m in ("audio", "visual")]
        rows = [{"name": "VALOR", "recipe": "valor", "set": [*valor, "parser.stem.width=8", "training.epochs=1"]}]
        return Table.read({"title": "t", "data": data, "seeds": [0], "rows": rows}, "t.yaml")

    out = tmp_path / "out"
    plain, taught, other = table(), table(simulated={"seed": 1}), table(simulated={"seed": 2})
    stores = [settings.data.open(tmp_path, out) for settings in (plain, taught, other)]
    assert len({store.path for store in stores}) == 3
    assert len({store.fingerprint for store in stores}) == 1
    # A table without teachers has the data that it had before there were any.
    sizes = {"seed": 0, "train": 30, "val": 10, "test": 10, "segments": 10, "annotations": None, "dtype": "float32"}
    assert stores[0].path.name == hashlib.sha256(json.dumps(sizes, sort_keys=True).encode()).hexdigest()[:8]
    assert not (stores[0].path / "teachers").exists()
    scores = [load_scores(store, "simulated", "visual") for store in stores[1:]]
    assert '"seed":1' in scores[0].info.checkpoint
    assert not np.array_equal(scores[0].segments, scores[1].segments)
    # The runs of other scores are other runs, though the store's fingerprint is the same.
    runs = []
    for settings, store in zip((taught, other), stores[1:], strict=True):
        version = settings.data.version(store.fingerprint, store.path)
        runs += plan(settings, settings.recipes(tmp_path / "t.yaml"), out, version)
    assert runs[0].path != runs[1].path
    _do(runs[:1], stores[1])
    version = taught.data.version(stores[1].fingerprint, stores[1].path)
    again = plan(taught, taught.recipes(tmp_path / "t.yaml"), out, version)
    assert again[0].path == runs[0].path
    assert again[0].finished

    def refuse(*_: object, **__: object) -> None:
        raise UserError("the teacher is ill")

    monkeypatch.setattr("avparse.app.bench.plan.run_teacher", refuse)
    with pytest.raises(UserError, match="ill"):
        table(simulated={"seed": 3}).data.open(tmp_path, out)
    assert len(list((out / "data").iterdir())) == 3  # no store without what its teachers say


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"title": None}, "'title' is None"),
        ({"sedes": [1]}, "unknown key 'sedes'; did you mean 'seeds'"),
        ({"seeds": []}, "'seeds' is []"),
        ({"seeds": [-1]}, "'seeds.0' is -1"),
        ({"rows": []}, "'rows' is []"),
        ({"rows": [{"name": "A", "recpe": "han"}]}, "row 'A': unknown key 'recpe'; did you mean 'recipe'"),
        ({"rows": [{"name": "A", "recipe": "hann"}]}, "row 'A': unknown recipe 'hann'; did you mean 'han'"),
        ({"rows": [{"name": "A", "recipe": "a.yaml"}]}, "row 'A': "),
        ({"rows": [{"name": "A|B", "recipe": "han"}]}, "'name' is 'A|B'"),
        ({"rows": [{"name": "A", "recipe": "han", "published": [1.0]}]}, "'published' is [1.0]"),
        ({"rows": [{"name": n, "recipe": "han"} for n in ("A b", "a-b")]}, "'A b' and 'a-b' are too alike"),
        ({"set": ["training.epoch=3"]}, "row 'HAN': han: unknown key 'training.epoch'; did you mean 'epochs'"),
        ({"data": "nowhere"}, "nowhere"),
        ({"data": {"simulat": {}}}, "unknown key 'data.simulat'; did you mean 'simulate'"),
        ({"data": {"simulate": {"trian": 3}}}, "unknown key 'trian'; did you mean 'train'"),
        (
            {"data": {"simulate": {"teachers": {"simulatd": {}}}}},
            "unknown teacher 'simulatd'; did you mean 'simulated'",
        ),
        ({"data": {"simulate": {"teachers": {"simulated": {"sead": 1}}}}}, "unknown key 'sead'; did you mean 'spread'"),
        ({"data": {}}, "data: give the path of a feature store"),
    ],
)
def test_bad_tables_are_refused_in_one_line(
    store: FeatureStore, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    table = _write(tmp_path / "bad.yaml", store, **changes)
    with pytest.raises(UserError) as error:
        bench(table, tmp_path / "out")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"missing.yaml: cannot be read"):
        bench(tmp_path / "missing.yaml", tmp_path / "out")
    (tmp_path / "bad.yaml").write_text("a: [1,")
    with pytest.raises(UserError, match=r"bad.yaml: not YAML"):
        bench(tmp_path / "bad.yaml", tmp_path / "out")
    (tmp_path / "list.yaml").write_text("- 1")
    with pytest.raises(UserError, match=r"list.yaml: expected a table of settings"):
        bench(tmp_path / "list.yaml", tmp_path / "out")


@pytest.mark.parametrize("path", sorted(TABLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_table_is_valid(path: Path) -> None:
    table = Table.load(path)
    assert table.recipes(path).keys() == {row.name for row in table.rows}
