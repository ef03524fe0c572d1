"""Reading what a teacher left beside a store, whichever its form."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from avparse.data.scores.embeddings import Subsets, TeacherScores
from avparse.data.scores.logits import ScoreTable
from avparse.data.scores.stored import SegmentScores, TeacherInfo, scores_digest, scores_path
from avparse.data.store import FeatureStore
from avparse.foundation.errors import UserError, nearest
from avparse.foundation.reading import RECORDS, check_file, parse_json


def load_scores(store: FeatureStore, teacher: str, modality: str) -> SegmentScores:
    """Read what a teacher said of a store: its embeddings or its logits.

    Args:
        store: feature store that the teacher was run on.
        teacher: name of the teacher in recipes.
        modality: "audio" or "visual".

    Raises:
        UserError: the teacher was not asked (the nearest that was is offered), the file is damaged, or it was made for
            other classes or other segments than the store has.
    """
    path = scores_path(store, teacher, modality)
    if not path.is_file():
        known = sorted(p.name.removesuffix(f".{modality}.safetensors") for p in path.parent.glob(f"*.{modality}.*"))
        raise UserError(
            f"{store.path}: no teacher '{teacher}' of {modality} there; run: avparse teach {store.path} "
            f"--teacher {teacher}" + (nearest(teacher, known) if known else "")
        )
    check_file(path)
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
        seal = about.pop("sha256", "")
        if scores_digest(arrays, about) != seal:
            raise UserError(f"{path}: its checksum is wrong, so it was changed; ask the teacher again")
        told, videos = (parse_json(about[name], str(path), RECORDS) for name in ("about", "videos"))
        info = TeacherInfo.read(told, str(path))
        found = _scores(info, tuple(videos), arrays)
        sources = parse_json(about["sources"], str(path), RECORDS) if "sources" in about else None
    except (OSError, SafetensorError, KeyError) as error:
        reason = str(error).splitlines()[0][:120]
        raise UserError(f"{path}: cannot be read as a teacher's scores ({reason}); ask the teacher again") from None
    found.check(store, path, sources)
    return found


def _scores(info: TeacherInfo, videos: tuple[str, ...], arrays: dict[str, npt.NDArray[Any]]) -> SegmentScores:
    if "logits" in arrays:
        return ScoreTable(info, videos, arrays["lengths"], arrays["logits"])
    subsets = Subsets(arrays["subset_members"], arrays["subset_texts"]) if "subset_texts" in arrays else None
    return TeacherScores(info, videos, arrays["lengths"], arrays["segments"], arrays["texts"], subsets)
