"""Settings that teachers share, and the prompts of classes and of label subsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, field_validator, model_validator

from avparse.data.prompt_styles import prompt_style, subsets_of
from avparse.data.store import FeatureStore
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.arrays import BoolArray
from avparse.foundation.errors import UserError
from avparse.foundation.reading import read_yaml
from avparse.foundation.settings import PartConfig
from avparse.media.towers.tower import Device

_DEFAULT_STYLE = "valor"
_MOST_LABELS = 10  # of a video, because all subsets of its labels get a prompt


class TeacherConfig(PartConfig):
    """Settings that CLIP and CLAP have in common.

    Attributes:
        style: method whose checkpoint, frames and prompts are taken where others are not given: the name of a style of
            ``prompt_styles.yaml``, or a YAML file with one.
        teacher: name of the scores in recipes; None for that of the style.
        checkpoint: local folder, or name of a published model.
        prompts: path of a YAML file ``class: text`` with other prompts for some classes.
        subsets: whether to make a prompt for every subset of every video's labels too, as LSLD does.
        videos: path of the folder of the videos, each named as in the store, or by its id.
        embeddings: path of a folder of published embeddings, one ``ID.npy`` per video, that are read instead of the
            videos.
        batch_size: number of pictures, sounds or prompts that the network processes at once.
        device: device to compute on.
    """

    style: str = _DEFAULT_STYLE
    teacher: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,64}$")
    checkpoint: str
    prompts: str | None = None
    subsets: bool = False
    videos: str | None = None
    embeddings: str | None = None
    batch_size: int = Field(32, ge=1)
    device: Device = "auto"

    @field_validator("style")
    @classmethod
    def _known_style(cls, style: str) -> str:
        prompt_style(style)
        return style

    @model_validator(mode="before")
    @classmethod
    def _styled(cls, values: Any) -> Any:
        """Fill in what the style implies for this teacher and the settings do not say themselves."""
        if not isinstance(values, Mapping):
            return values
        style = values.get("style", _DEFAULT_STYLE)
        try:
            implied = prompt_style(str(style)).teachers.get(cls.model_fields["name"].default, {})
        except UserError:  # told with the field
            implied = {}
        return {"teacher": Path(str(style)).stem, **implied, **values}


def worded_classes(config: TeacherConfig, modality: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Return the text of each class.

    Raises:
        UserError: the file of prompts cannot be read, or names an unknown class.
    """
    texts = dict(zip(vocabulary, prompt_style(config.style).prompts(modality).class_prompts(vocabulary), strict=True))
    if config.prompts is not None:
        for name, text in _read_prompts(Path(config.prompts)).items():
            vocabulary.index(name, config.prompts)
            texts[name] = text
    return tuple(texts.values())


def worded_subsets(config: TeacherConfig, modality: str, store: FeatureStore) -> tuple[tuple[str, ...], BoolArray]:
    """Return the texts of every subset of any video's labels, and the classes ``[P, C]`` of each; none unless wanted.

    Raises:
        UserError: a video has too many labels.
    """
    if not config.subsets:
        return (), np.zeros((0, len(store.vocabulary)), dtype=bool)
    many = int(store.weak.sum(axis=1).argmax()) if len(store) else 0
    if len(store) and store.weak[many].sum() > _MOST_LABELS:
        raise UserError(
            f"{store.path}: video '{store.videos[many]}' has {int(store.weak[many].sum())} labels, too many to word "
            f"all their subsets; use a style without them, or at most {_MOST_LABELS} labels a video"
        )
    subsets = subsets_of(np.flatnonzero(labels).tolist() for labels in np.unique(store.weak, axis=0))
    members = np.zeros((len(subsets), len(store.vocabulary)), dtype=bool)
    for row, subset in zip(members, subsets, strict=True):
        row[list(subset)] = True
    return prompt_style(config.style).prompts(modality).subset_prompts(store.vocabulary.names, subsets), members


def _read_prompts(path: Path) -> dict[str, str]:
    given = read_yaml(path)
    if not isinstance(given, dict):
        raise UserError(f"{path}: prompts are a table 'class: text', one class a line")
    bad: Sequence[Any] = [name for name, text in given.items() if not isinstance(text, str) or not text.strip()]
    if bad:
        raise UserError(f"{path}: the prompt of '{bad[0]}' is no text; write it in quotes")
    return {str(name): text for name, text in given.items()}
