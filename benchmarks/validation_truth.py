"""How much validation truth does a denoiser need? Label quality and scores of its parser, on simulated LLP.

    python -m benchmarks.validation_truth -o OUT [--store STORE] [--videos 25 50 100 200 400 649] [--draws N]
        [--methods NAME ...] [--set KEY=VALUE] [--labels-only]

Only some of the validation videos count as annotated, drawn anew for each of ``--draws``, which is the seed of the
training, too. ``OUT.csv`` has a row for each method, number of videos and draw: the share of the kept visual labels
that are wrong and that of the right ones that are kept, and the scores of a parser trained on the labels, its last
epoch, on test, on the annotated validation videos and on the other ones. Rows that are there are not made again.
``OUT.svg`` draws the test scores. With ``--labels-only`` no parser is trained on the labels. Without ``--store``, LLP
is simulated with 2,500 training videos.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from avparse.app.charts.style import COLOURS, Figure, about_data, chart_style, save
from avparse.data.batching import Indices
from avparse.data.simulation.simulate import simulate
from avparse.data.store import FeatureStore
from avparse.evaluation.comparison import validation_metrics
from avparse.foundation.files import write_text
from avparse.foundation.progress import showing
from avparse.foundation.settings import build
from avparse.training.denoisers import DENOISERS, Denoiser
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.workspace import Workspace

METHODS = {
    "JoMoLD": "jomold",
    "class prior": "class-prior",
    "validation classifier": "validation-classifier",
    "RLLD": "rlld",
    "RLLD, joint": "rlld-joint",
    "RLLD-plus": "rlld-plus",
}
COLUMNS = (
    *("method", "videos", "draw", "wrong_visual", "right_visual_kept"),
    *("segment_type", "event_type", "segment_type_annotated", "segment_type_other"),
)
Row = dict[str, float | str]


@dataclass(frozen=True)
class PartlyAnnotated(Workspace):
    """A workspace in which only some of the validation videos are there.

    Attributes:
        annotated: positions of these videos in the store.
    """

    annotated: Indices | None = None

    @property
    def val(self) -> Indices:
        """Positions of the validation videos that count."""
        assert self.annotated is not None
        return self.annotated


class Experiment:
    """Runs methods on one store; what does not depend on the annotated videos is made once for each draw.

    Args:
        store: simulated data.
        settings: changes of every recipe.
        folder: folder for parsers on the way.
        labels_only: whether to leave out the training on the labels, and the scores.
    """

    def __init__(self, store: FeatureStore, settings: Sequence[str], folder: Path, labels_only: bool) -> None:
        self.store, self.folder, self.labels_only = store, folder, labels_only
        self.settings = ["training.select=last", "training.precision=float32", *settings]

    def run(self, method: str, videos: int, draw: int) -> Row:
        """Return the row of one method, number of annotated videos and draw."""
        some = np.sort(np.random.default_rng(draw).permutation(self.store.select("val"))[:videos])
        recipe = self._recipe(METHODS[method])
        assert recipe.denoiser is not None
        denoiser: Denoiser = build(DENOISERS, recipe.denoiser)
        place, shared = Path(tempfile.mkdtemp(dir=self.folder)), self.folder / f"shared-{method}-{draw}"
        if shared.is_dir():
            shutil.copytree(shared, place, dirs_exist_ok=True)
        workspace = PartlyAnnotated(recipe, self.store, place, seed=draw, annotated=some)
        prepared = denoiser.prepare(workspace)
        if not shared.is_dir():
            shared.mkdir()
            for path in (*place.glob("unimodal*"), *place.glob("warm.*")):
                (shutil.copytree if path.is_dir() else shutil.copy)(path, shared / path.name)
        row: Row = {"method": method, "videos": videos, "draw": draw}
        row |= dict(zip(("wrong_visual", "right_visual_kept"), visual_quality(workspace, prepared), strict=True))
        row |= dict.fromkeys(COLUMNS[5:], np.nan) if self.labels_only else self._scores(workspace, prepared)
        shutil.rmtree(place)
        return row

    def _recipe(self, name: str) -> Recipe:
        """Return a recipe with all changes but those of a denoiser's setting that it does not have."""
        denoiser = load_recipe(name).denoiser
        assert denoiser is not None
        known = {f"denoiser.{field}" for field in type(denoiser).model_fields}
        return load_recipe(
            name, [x for x in self.settings if not x.startswith("denoiser.") or x.split("=")[0] in known]
        )

    def _scores(self, workspace: PartlyAnnotated, prepared: Prepared) -> dict[str, float]:
        """Train a parser on what a denoiser returned, unless one was trained on the same, and return its scores."""
        store, recipe = self.store, workspace.recipe.plain()
        groups = {"": store.select("test"), "_annotated": workspace.val}
        groups["_other"] = np.setdiff1d(store.select("val"), workspace.val)
        key = hashlib.sha256(f"{recipe.as_yaml()} {workspace.seed}".encode())
        for what in () if prepared.labels is None else (prepared.labels.audio, prepared.labels.visual):
            key.update(what.tobytes())
        if prepared.refiners and prepared.val is not None:  # it reads the annotated videos while the parser learns
            key.update(workspace.val.tobytes())
        final = replace(workspace, folder=self.folder)
        parser = final.fit(f"final-{key.hexdigest()[:16]}", recipe, replace(prepared, val=workspace.val))
        found: dict[str, float] = {}
        for group, videos in groups.items():
            scores = {"segment_type": np.nan, "event_type": np.nan}
            if len(videos):
                scores = validation_metrics(recipe.decoding.reading(parser), workspace.table(), videos, recipe.decoding)
            found[f"segment_type{group}"] = scores["segment_type"]
            if not group:
                found["event_type"] = scores["event_type"]
        return found


def visual_quality(workspace: PartlyAnnotated, prepared: Prepared) -> tuple[float, float]:
    """Return the share of wrong ones among the kept visual labels and that of kept among the right ones, percent.

    Both are NaN for a denoiser that returns no table of labels.
    """
    labels = prepared.labels
    if labels is None:
        return np.nan, np.nan
    kept = torch.from_numpy(labels.side("visual")[0] >= 0.5) & torch.from_numpy(labels.given)
    right = workspace.modality_truth(workspace.train)[1] & torch.from_numpy(labels.given)
    return 100 * float((kept & ~right).sum() / kept.sum()), 100 * float((kept & right).sum() / right.sum())


def as_csv(rows: Iterable[Row]) -> str:
    """Return the rows as CSV; an empty cell is a figure that does not exist."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: "" if v != v else f"{v:.2f}" if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a CSV file; none where there is no file."""
    if not path.is_file():
        return []
    kinds: dict[str, Callable[[str], float | str]] = {"method": str, "videos": int, "draw": int}
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: kinds.get(k, _figure)(v) for k, v in line.items()} for line in csv.DictReader(file)]


def _figure(cell: str) -> float:
    return float(cell or "nan")


def spread(rows: Sequence[Row], method: str, videos: int, column: str) -> tuple[float, float, int]:
    """Return mean, sample deviation and number of the draws of one figure."""
    found = [float(r[column]) for r in rows if (r["method"], r["videos"]) == (method, videos)]
    if not found:
        return np.nan, np.nan, 0
    return float(np.mean(found)), float(np.std(found, ddof=1)) if len(found) > 1 else np.nan, len(found)


def markdown(rows: Sequence[Row]) -> str:
    """Return the table: means and sample deviations over the draws."""
    columns = COLUMNS[3:]
    lines = [f"| method | videos | draws | {' | '.join(columns)} |", "|---|--:|--:|" + "---:|" * len(columns)]
    for method, videos in dict.fromkeys((str(r["method"]), int(r["videos"])) for r in rows):
        cells = [spread(rows, method, videos, column) for column in columns]
        shown = ["" if m != m else f"{m:.1f}" if s != s else f"{m:.1f} ± {s:.1f}" for m, s, _ in cells]
        lines.append(f"| {method} | {videos} | {cells[0][2]} | {' | '.join(shown)} |")
    return "\n".join(lines)


def draw(rows: Sequence[Row], title: str) -> Figure:
    """Return a chart of segment Type on test over the number of annotated videos."""
    counts = sorted({int(r["videos"]) for r in rows})
    with chart_style():
        sheet = Figure(figsize=(7.5, 4.5), layout="constrained")
        panel = sheet.subplots()
        for number, method in enumerate(dict.fromkeys(str(r["method"]) for r in rows)):
            colour = COLOURS[number % len(COLOURS)]
            known = [(c, *spread(rows, method, c, "segment_type")[:2]) for c in counts]
            x, mean, deviation = np.array([k for k in known if k[1] == k[1]]).T
            if len(x) == 1:
                panel.axhline(mean[0], color=colour, linestyle="--", label=f"{method} (needs no truth)")
                continue
            panel.errorbar(x, mean, np.nan_to_num(deviation), color=colour, marker="o", capsize=3, label=method)
        panel.set_xscale("log")
        panel.set_xticks(counts, [str(c) for c in counts])
        panel.minorticks_off()
        panel.set_xlabel("annotated validation videos")
        panel.set_ylabel("segment Type on test, F (%)")
        panel.legend(fontsize="small")
        sheet.suptitle(title)
    return sheet


def main() -> None:
    """Make the rows that are missing, and write table and figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--videos", type=int, nargs="+", default=[25, 50, 100, 200, 400, 649])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--labels-only", action="store_true")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, showing("bar"):
        path = arguments.store or Path(name) / "store"
        if arguments.store is None:
            simulate(path, seed=0, train=2500)
        store = FeatureStore.open(path)
        experiment = Experiment(store, arguments.settings, Path(name), arguments.labels_only)
        file = arguments.out.with_suffix(".csv")
        rows = read_rows(file)
        for number in range(arguments.draws):
            for videos in sorted(arguments.videos, reverse=True):
                for method in arguments.methods:
                    if method == "JoMoLD" and videos != max(arguments.videos):  # reads no truth
                        continue
                    if not any((r["method"], r["videos"], r["draw"]) == (method, videos, number) for r in rows):
                        rows.append(experiment.run(method, videos, number))
                        write_text(file, as_csv(rows))
        print(markdown(rows))
    if arguments.labels_only:
        return
    png, _ = save(
        draw(rows, about_data("Validation truth", [store.manifest.description])), arguments.out.with_suffix("")
    )
    png.unlink()


if __name__ == "__main__":
    main()
