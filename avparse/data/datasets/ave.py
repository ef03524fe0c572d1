"""AVE (Tian et al.: Audio-Visual Event Localization in Unconstrained Videos, ECCV 2018), as it was published.

``Annotations.txt`` has a row ``category&YouTube id&quality&start&end`` (seconds, end exclusive) for each of 4,143
samples of ten seconds; copies with the header line of later projects are read as well. The number of a row is that of
the sample in the HDF5 files. Which samples train, validate and test is told by ``trainSet.txt``, ``valSet.txt`` and
``testSet.txt``, which repeat the rows, or else by ``train_order.h5``, ``val_order.h5`` and ``test_order.h5``, which
number them.

An event of AVE is both heard and seen. The dense truth of both modalities is therefore that of the event; what is only
heard or only seen is not annotated. Class names become those of the other data sets: no commas, underscores for spaces.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal, NamedTuple

from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.datasets.feature_arrays import FeatureArray, read_array
from avparse.data.store.block import check_id
from avparse.data.timeline import Event
from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.foundation.reading import read_text
from avparse.foundation.rows import seconds
from avparse.foundation.settings import PartConfig

ANNOTATIONS = "Annotations.txt"
SPLITS = ("train", "val", "test")
_HEADER = "Category&VideoID&Quality&StartTime&EndTime"
_BOTH = "an event is both heard and seen, so the truth of audio and of visual is the same"
_KEY = "avadataset"


class AVE:
    """The published AVE: its text files, and its HDF5 files of VGGish and VGG-19 features."""

    class Config(PartConfig):
        """Settings: none."""

        name: Literal["ave"] = "ave"

    origin = "AVE"
    description = "imported from the published AVE features"

    def __init__(self, config: Config) -> None:
        self.config = config

    def read(self, folder: Path) -> Annotations:
        """Read ``Annotations.txt`` and the official split of a folder.

        A YouTube id that has several rows is several samples, which may be in several splits: the id of the first is
        the YouTube id, and the others have ``_2``, ``_3`` behind it.

        Raises:
            UserError: a file is missing or has a bad row (file and line are named), or the split does not fit the rows.
        """
        rows = _read_rows(folder / ANNOTATIONS)
        vocabulary = Vocabulary(tuple(dict.fromkeys(row.category for row in rows)))
        names = _names(rows)
        videos: dict[str, AnnotatedVideo] = {}
        for split, numbers in _read_splits(folder, rows).items():
            for number in numbers:
                row = rows[number]
                events = tuple(Event(row.category, modality, row.onset, row.offset) for modality in MODALITIES)
                weak = vocabulary.encode([row.category])
                videos[names[number]] = AnnotatedVideo(split, weak, events, str(number))
        notes = [f"{ANNOTATIONS}: {_BOTH} ({len(rows)} rows)"]
        repeated = sum(name != row.video for name, row in zip(names, rows, strict=True))
        if repeated:
            notes.append(f"{ANNOTATIONS}: a YouTube id that was there before gets a number ({repeated} rows)")
        if len(videos) < len(rows):
            notes.append(f"{ANNOTATIONS}: a row in no split is left out ({len(rows) - len(videos)} rows)")
        return Annotations(vocabulary, videos, notes=tuple(notes))

    def sources(self, features: Path) -> tuple[FeatureArray, ...]:
        """Return the arrays of VGGish vectors and of VGG-19 maps, seven by seven cells a segment."""
        return (
            FeatureArray("audio", "audio_feature.h5", _KEY, 128),
            FeatureArray("frames", "visual_feature.h5", _KEY, 512, per_segment=49),
        )


class _Row(NamedTuple):
    """One sample: its class, YouTube id, and the start and end of its event in seconds."""

    category: str
    video: str
    onset: float
    offset: float


def _read_rows(path: Path) -> list[_Row]:
    rows = [
        _read_row(line, f"{path}:{number}")
        for number, line in enumerate(read_text(path, mend="check --annotations").splitlines(), 1)
        if line.strip() and line.strip() != _HEADER
    ]
    if not rows:
        raise UserError(f"{path}: holds no row 'category&id&quality&start&end'; download it again")
    return rows


def _read_row(line: str, where: str) -> _Row:
    cells = line.strip().split("&")
    if len(cells) != len(_HEADER.split("&")):
        raise UserError(f"{where}: {len(cells)} cells, not category&id&quality&start&end; mend the row")
    category, video = cells[0].replace(",", "").replace(" ", "_"), cells[1]
    check_id(video, where)
    onset, offset = seconds(cells[3], f"{where}: start"), seconds(cells[4], f"{where}: end")
    if not category or not 0 <= onset <= offset:
        raise UserError(f"{where}: needs a category and 0 <= start <= end; mend the row")
    return _Row(category, video, onset, offset)


def _names(rows: list[_Row]) -> list[str]:
    """Return the id of each sample: its YouTube id, with a number behind it where that was there before."""
    count: Counter[str] = Counter()
    names: list[str] = []
    for row in rows:
        count[row.video] += 1
        names.append(row.video if count[row.video] == 1 else f"{row.video}_{count[row.video]}")
    return names


def _read_splits(folder: Path, rows: list[_Row]) -> dict[str, list[int]]:
    """Return the numbers of the rows of each split, in the official order."""
    texts = {split: folder / f"{split}Set.txt" for split in SPLITS}
    orders = {split: folder / f"{split}_order.h5" for split in SPLITS}
    if all(path.is_file() for path in texts.values()):
        waiting: dict[_Row, list[int]] = {}  # row -> its numbers, of which equal rows have several
        for number, row in enumerate(rows):
            waiting.setdefault(row, []).append(number)
        splits = {split: _numbers(path, waiting) for split, path in texts.items()}
    elif all(path.is_file() for path in orders.values()):
        splits = {split: read_array(path, "order").reshape(-1).astype(int).tolist() for split, path in orders.items()}
    else:
        wanted = ", ".join(f"{split}Set.txt" for split in SPLITS)
        raise UserError(f"{folder}: the official split is missing; put {wanted} there, or the three SPLIT_order.h5")
    numbers = Counter(number for split in splits.values() for number in split)
    wrong = next((number for number, times in numbers.items() if times > 1 or not 0 <= number < len(rows)), None)
    if wrong is not None:
        reason = "is in two splits" if numbers[wrong] > 1 else f"is none of the {len(rows)} of {ANNOTATIONS}"
        raise UserError(f"{folder}: row {wrong} of the official split {reason}; download the files again")
    return splits


def _numbers(path: Path, waiting: dict[_Row, list[int]]) -> list[int]:
    """Return the numbers of the rows that a text file repeats, and take them from those that wait for a split."""
    found: list[int] = []
    for row in _read_rows(path):
        if not waiting.get(row):
            raise UserError(
                f"{path}: '{row.video}' of class {row.category} is no row of {ANNOTATIONS}, or taken before"
            )
        found.append(waiting[row].pop(0))
    return found
