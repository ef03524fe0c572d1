"""Refined labels as a Parquet table with one row per video, class and modality.

Columns of the file: ``video, class, modality, given_label, suggested_label, target, quality_score, reason``. There is a
row wherever the weak label is given or the target is above zero; all other classes are certainly absent. A given label
has two rows, one per modality. The ids of all videos, including those without a row, are in the file's metadata under
``videos``; without that entry (another tool has rewritten the file) the videos are those of the rows.

A CSV table of the same columns serves as well, and has no place for a video without a row. Training reads ``target``;
``suggested_label`` repeats it and may be left out.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from avparse.data.vocabulary import MODALITIES, Vocabulary
from avparse.foundation.arrays import BoolArray, Float32Array, IntArray
from avparse.foundation.errors import UserError, nearest
from avparse.labels.columns import SCHEMA, read_label_columns, write_label_columns
from avparse.media.video_ids import video_id


@dataclass(frozen=True, eq=False, repr=False)
class RefinedLabels:
    """Labels of some videos after refinement, with their quality and the reasons.

    Attributes:
        videos: ids of the N videos.
        classes: names of the C classes.
        given: weak labels ``[N, C]``.
        audio, visual: targets ``[N, C]`` in [0, 1]; above zero without a given label where a label was repaired. The
            suggested label is ``target >= 0.5``.
        quality_audio, quality_visual: confidence ``[N, C]`` in [0, 1] that the given label is right in that modality; 1
            is certain. Where nothing is given and the target is zero it is set to 1.
        reason_audio, reason_visual: text ``[N, C]`` that explains each change, or empty.

    Example:
        >>> vocabulary = Vocabulary(("Speech", "Dog", "Car"))  # doctest: +SKIP
        >>> labels = RefinedLabels.load("labels.parquet", vocabulary)  # doctest: +SKIP
        >>> labels.audio[labels.videos.index("my_video")]  # doctest: +SKIP
        array([1., 0., 0.], dtype=float32)
    """

    videos: tuple[str, ...]
    classes: tuple[str, ...]
    given: BoolArray
    audio: Float32Array
    visual: Float32Array
    quality_audio: Float32Array
    quality_visual: Float32Array
    reason_audio: npt.NDArray[Any]
    reason_visual: npt.NDArray[Any]

    def __post_init__(self) -> None:
        shape = (len(self.videos), len(self.classes))
        for field in fields(self)[2:]:
            array = getattr(self, field.name)
            if array.shape != shape:
                raise UserError(f"refined labels: '{field.name}' has shape {array.shape}, expected {shape}")
        if len(set(self.videos)) < len(self.videos):
            raise UserError("refined labels: a video is named twice; keep one of the two")
        for modality in MODALITIES:
            target, quality = (values.astype(np.float32, copy=False) for values in self.side(modality)[:2])
            if not all(((values >= 0) & (values <= 1)).all() for values in (target, quality)):
                raise UserError(f"refined labels: a target or quality of {modality} is outside [0, 1]")
            listed = self.given | (target > 0)
            reason = np.where(listed, self.side(modality)[2].astype(object), "")
            object.__setattr__(self, modality, target)
            object.__setattr__(self, f"quality_{modality}", np.where(listed, quality, np.float32(1)))
            object.__setattr__(self, f"reason_{modality}", reason)

    def __str__(self) -> str:
        lines, given = [], self.given.sum()
        for modality in MODALITIES:
            suggested = self.side(modality)[0] >= 0.5
            removed, added = (self.given & ~suggested).sum(), (suggested & ~self.given).sum()
            line = f"{modality}: {removed} of {given} labels removed ({100 * removed / max(given, 1):.1f} %)"
            lines.append(line + (f", {added} added" if added else ""))
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"RefinedLabels of {len(self.videos)} videos, {len(self.classes)} classes\n{self}"

    def side(self, modality: str) -> tuple[Float32Array, Float32Array, npt.NDArray[Any]]:
        """Return targets, quality and reasons, each ``[N, C]``, of a modality."""
        return getattr(self, modality), getattr(self, f"quality_{modality}"), getattr(self, f"reason_{modality}")

    def equals(self, other: RefinedLabels) -> bool:
        """Whether both tables have the same videos, classes and targets.

        Quality scores and reasons are ignored, because training does not read them.
        """
        if (self.videos, self.classes) != (other.videos, other.classes):
            return False
        mine, theirs = ((t.given, t.audio, t.visual) for t in (self, other))
        return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def rows(self, videos: Sequence[str], weak: BoolArray) -> IntArray:
        """Return the positions ``[N]`` of the table's videos among those of a store.

        Args:
            videos: ids of the store's videos, in order.
            weak: weak labels ``[M, C]`` of the store.

        Raises:
            UserError: the store lacks a video, or the table was made for other weak labels.
        """
        at = {video_id(name): position for position, name in enumerate(videos)}
        mine = [video_id(name) for name in self.videos]
        unknown = next((name for name in mine if name not in at), None)
        if unknown is not None:
            raise UserError(f"refined labels: the data have no video '{unknown}'; use labels that were made for them")
        rows = np.array([at[name] for name in mine], dtype=np.int64)
        for row in np.flatnonzero((weak[rows] != self.given).any(axis=1)):
            raise UserError(
                f"refined labels: the weak labels of video '{self.videos[row]}' differ in the data; refine these"
            )
        return rows

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table atomically, as CSV where ``path`` ends in ``.csv``, otherwise as Parquet.

        Rows are in the order of videos, classes and modalities.

        Raises:
            UserError: the file cannot be written.
        """
        target, quality, reason = (np.stack(pair, axis=-1) for pair in zip(*map(self.side, MODALITIES), strict=True))
        listed = np.nonzero(self.given[..., None] | (target > 0))
        video, name, modality = listed
        columns = {
            "video": pa.array(self.videos, pa.string()).take(pa.array(video)),
            "class": pa.array(self.classes, pa.string()).take(pa.array(name)),
            "modality": pa.array(MODALITIES, pa.string()).take(pa.array(modality)),
            "given_label": self.given[video, name],
            "suggested_label": target[listed] >= 0.5,
            "target": target[listed],
            "quality_score": quality[listed],
            "reason": pa.array(reason[listed].tolist(), pa.string()),
        }
        write_label_columns(path, pa.table(columns, schema=SCHEMA), self.videos)

    @classmethod
    def load(cls, path: str | os.PathLike[str], vocabulary: Vocabulary) -> RefinedLabels:
        """Read a table; ``classes`` are those of ``vocabulary``, in its order. Further columns are ignored.

        Raises:
            UserError: the file is not such a table, or has an unknown class or modality (the nearest one is offered), a
                repeated row, a value outside [0, 1], or columns that contradict each other; the message names the row,
                counted from 1.
        """
        table, listed_videos = read_label_columns(path)
        videos = tuple(dict.fromkeys([*listed_videos, *table["video"].to_pylist()]))
        where = (
            _positions(path, table, "video", videos),
            _positions(path, table, "class", vocabulary.names),
            _positions(path, table, "modality", MODALITIES),
        )
        values = {name: table[name].to_numpy() for name in SCHEMA.names[3:]}
        shape = (len(videos), len(vocabulary), len(MODALITIES))
        _check(path, np.ravel_multi_index(where, shape), values)
        arrays = {}
        for name, empty in (("given_label", False), ("target", 0.0), ("quality_score", 1.0), ("reason", "")):
            arrays[name] = np.full(shape, empty, dtype=values[name].dtype)
            arrays[name][where] = values[name]
        given, other = np.moveaxis(arrays["given_label"], -1, 0)
        for video, position in np.argwhere(given != other):
            what = f"label '{vocabulary.names[position]}' of video '{videos[video]}'"
            raise UserError(f"{path}: {what} is given in one modality only; it needs a row with given_label for both")
        sides = [np.moveaxis(arrays[name], -1, 0) for name in ("target", "quality_score", "reason")]
        return cls(videos, vocabulary.names, given, *(np.ascontiguousarray(a) for side in sides for a in side))


def _positions(path: str | os.PathLike[str], table: pa.Table, column: str, names: tuple[str, ...]) -> IntArray:
    composed = pa.array([unicodedata.normalize("NFC", name) for name in names], pa.string())
    found = pc.index_in(pc.utf8_normalize(table[column], "NFC"), value_set=composed)
    if found.null_count:
        row = pc.index(found.is_null(), True).as_py()
        name = table[column][row].as_py()
        raise UserError(f"{path}: row {row + 1}: unknown {column} '{name}'{nearest(name, names)}")
    positions: IntArray = found.to_numpy().astype(np.int64)
    return positions


def _check(path: str | os.PathLike[str], keys: IntArray, values: dict[str, npt.NDArray[Any]]) -> None:
    """Refuse repeated rows (equal ``keys``), values outside [0, 1] and a suggestion that contradicts its target.

    Whoever edits only one of the two columns is told, because either may be what is meant.
    """
    repeated = np.ones(len(keys), dtype=bool)
    repeated[np.unique(keys, return_index=True)[1]] = False
    target, quality = values["target"], values["quality_score"]
    problems = (
        (repeated, "repeats a video, class and modality; keep one of the rows"),
        (~((target >= 0) & (target <= 1)), "has a target outside [0, 1]; mend it"),
        (~((quality >= 0) & (quality <= 1)), "has a quality_score outside [0, 1]; mend it"),
    )
    for wrong, problem in problems:
        if wrong.any():
            raise UserError(f"{path}: row {int(np.argmax(wrong)) + 1} {problem}")
    contradicts = values["suggested_label"] != (target >= 0.5)
    if contradicts.any():
        row = int(np.argmax(contradicts))
        said, meant = str(values["suggested_label"][row]).lower(), str(target[row] >= 0.5).lower()
        raise UserError(
            f"{path}: row {row + 1} has target {target[row]:g} and suggested_label {said}; training reads the target: "
            f"set suggested_label to {meant} if it is meant, or mend it, or remove the column suggested_label"
        )
