"""What is odd in a folder of examples: confused classes, files that look mislabelled, classes with few files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avparse.data.examples.folder import NONE, ExampleFolder
from avparse.data.examples.head import ExampleHead
from avparse.data.judged import SENSES
from avparse.foundation.arrays import BoolArray, Float64Array

_TELLS = 0.5  # logit beyond which a head is taken at its word


@dataclass(frozen=True)
class ClassRow:
    """How well the files of a class are known by heads that did not see them.

    Attributes:
        name: name of the class, or of the folder of none.
        files: number of its files with the modality.
        known: number of files in which the class was found; of no class, in which nothing was.
        taken_for: number of files in which another class was found, by class, most frequent first.
    """

    name: str
    files: int
    known: int
    taken_for: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class OddFile:
    """A file that another class fits better than its own.

    Attributes:
        path: path of the file.
        modality: modality in which it does.
        own: classes of the folders that it is in; none for a file of no class.
        other: the class that fits best.
        probabilities: probability of the own class (of several, the best) and of the other, by heads without the file.
    """

    path: Path
    modality: str
    own: tuple[str, ...]
    other: str
    probabilities: tuple[float, float]

    def __str__(self) -> str:
        own, other = self.probabilities
        named = " and ".join(self.own) or "no class"
        mine = f"{named} {own:.2f}" if self.own else "it is a file of no class"
        return f"{self.path}: {SENSES[self.modality]}, it looks like {self.other} ({self.other} {other:.2f}, {mine})"


@dataclass(frozen=True)
class ExamplesReport:
    """What leave-one-file-out says of a folder of examples.

    Attributes:
        folder: path of the folder.
        extractor: extractor of the features.
        tables: rows of the classes, by modality.
        unjudged: classes that have too few files of a modality for a head, by modality.
        odd: files that look mislabelled, the oddest first.
        few: number of files of each class that has few.
        notes: irregularities of the folder.
    """

    folder: Path
    extractor: str
    tables: dict[str, tuple[ClassRow, ...]]
    unjudged: dict[str, tuple[str, ...]]
    odd: tuple[OddFile, ...]
    few: dict[str, int]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.folder}: each file judged by heads that did not see it, on features of '{self.extractor}'"]
        for modality, rows in self.tables.items():
            lines += ["", *_table(SENSES[modality], rows)]
            if self.unjudged[modality]:
                lines.append(f"not judged, under two files: {', '.join(self.unjudged[modality])}")
        lines += ["", "files that look mislabelled:" if self.odd else "no file looks mislabelled"]
        lines += [f"  {one}" for one in self.odd]
        if self.few:
            named = ", ".join(f"{name} ({count})" for name, count in self.few.items())
            lines.append(f"classes with few files, five are a start: {named}")
        return "\n".join([*lines, *self.notes])


def check_examples(folder: ExampleFolder, heads: Sequence[ExampleHead], extractor: str) -> ExamplesReport:
    """Return what the held-out scores of all files say.

    Args:
        folder: files and their classes.
        heads: heads of each modality, fitted on these files.
        extractor: name of the extractor of their features.
    """
    odd = [one for head in heads for one in _odd_files(folder, head)]
    return ExamplesReport(
        folder=folder.path,
        extractor=extractor,
        tables={head.modality: _rows(folder, head) for head in heads if head.judges.any()},
        unjudged={
            h.modality: tuple(c for c, able in zip(folder.classes, h.judges, strict=True) if not able) for h in heads
        },
        odd=tuple(sorted(odd, key=lambda one: one.probabilities[0] - one.probabilities[1])),
        few=folder.few(),
        notes=folder.notes,
    )


def _rows(folder: ExampleFolder, head: ExampleHead) -> tuple[ClassRow, ...]:
    found: BoolArray = np.greater(head.held_out, 0)  # NaN is not
    present: BoolArray = np.asarray(np.isfinite(head.held_out).any(axis=1))
    rows = []
    for name in [*(c for c, able in zip(folder.classes, head.judges, strict=True) if able), NONE]:
        column = folder.classes.index(name) if name != NONE else None
        mine = present & (~folder.labels.any(axis=1) if column is None else folder.labels[:, column])
        if not mine.any():
            continue
        known = ~found[mine].any(axis=1) if column is None else found[mine, column]
        wrong = found[mine] & ~folder.labels[mine]
        counts = Counter({c: int(n) for c, n in zip(folder.classes, wrong.sum(axis=0), strict=True) if n})
        rows.append(ClassRow(name, int(mine.sum()), int(known.sum()), tuple(counts.most_common())))
    return tuple(rows)


def _odd_files(folder: ExampleFolder, head: ExampleHead) -> list[OddFile]:
    odd = []
    for path, labels, logits in zip(folder.files, folder.labels, head.held_out, strict=True):
        own, others = logits[labels & head.judges], np.where(labels, -np.inf, np.nan_to_num(logits, nan=-np.inf))
        if (labels.any() and not len(own)) or not np.isfinite(logits).any():
            continue
        best, mine = int(others.argmax()), float(own.max(initial=-np.inf))
        if others[best] > _TELLS and mine < -_TELLS:
            names = tuple(c for c, of_it in zip(folder.classes, labels, strict=True) if of_it)
            told = _sigmoid(np.array([mine, others[best]]))
            odd.append(OddFile(path, head.modality, names, folder.classes[best], (float(told[0]), float(told[1]))))
    return odd


def _sigmoid(logits: Float64Array) -> Float64Array:
    probabilities: Float64Array = 1.0 / (1.0 + np.exp(-logits))
    return probabilities


def _table(title: str, rows: Sequence[ClassRow]) -> list[str]:
    width = max(len(title), *(len(row.name) for row in rows))
    lines = [f"{title:<{width}}  files  known  taken for"]
    for row in rows:
        others = ", ".join(f"{name} {count}" for name, count in row.taken_for) or "-"
        lines.append(f"{row.name:<{width}}  {row.files:>5}  {row.known:>5}  {others}")
    return lines
