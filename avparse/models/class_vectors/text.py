"""Vectors of pretrained text encoders, by libraries that are loaded only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from avparse.media.towers.pretrained import find_checkpoint, find_folder, library
from avparse.media.towers.tower import embed_texts
from avparse.models.class_vectors.source import LabelConfig, Vectors, scaled, unreadable, words

_AT_A_TIME = 32  # prompts


class CLIPLabels:
    """The projected text vectors of a CLIP model, by ``transformers``; only their direction is kept."""

    class Config(LabelConfig):
        """Settings.

        Attributes:
            model: a local folder, or the name of a published model.
            prompt: the sentence, with ``{}`` where the class is named.
        """

        name: Literal["clip"] = "clip"
        model: str
        prompt: str = "a photo of {}"
        dimension: int = Field(768, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, classes: Sequence[str]) -> Vectors:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: ``transformers`` is not installed, the model cannot be loaded, or a name is longer than it reads.
        """
        networks = {"clip": "CLIPModel", "clip_text_model": "CLIPTextModelWithProjection"}
        return _projected(networks, self.config, classes)


class CLAPLabels:
    """The projected text vectors of a CLAP model, by ``transformers``; only their direction is kept."""

    class Config(LabelConfig):
        """Settings; see :class:`CLIPLabels`."""

        name: Literal["clap"] = "clap"
        model: str
        prompt: str = "this is a sound of {}"
        dimension: int = Field(512, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, classes: Sequence[str]) -> Vectors:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: ``transformers`` is not installed, the model cannot be loaded, or a name is longer than it reads.
        """
        networks = {"clap": "ClapModel", "clap_text_model": "ClapTextModelWithProjection"}
        return _projected(networks, self.config, classes)


class SentenceLabels:
    """Vectors of a sentence-transformers model; only their direction is kept."""

    class Config(LabelConfig):
        """Settings: ``model`` is a local folder or the name of a published model."""

        name: Literal["sentence"] = "sentence"
        model: str
        dimension: int = Field(384, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, classes: Sequence[str]) -> Vectors:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: ``sentence-transformers`` is not installed, or the model cannot be loaded.
        """
        sentences = library("sentence_transformers", "sentence", "label vectors of sentences")
        folder = find_folder(self.config.model)
        with torch.random.fork_rng():
            try:
                only_safe = {"use_safetensors": True}
                model = sentences.SentenceTransformer(
                    str(folder), device="cpu", model_kwargs=only_safe, local_files_only=True
                )
            except Exception as error:  # the library raises what it likes at bad files
                raise unreadable(self.config.model, error, "a sentence model") from None
            vectors = np.asarray(model.encode([" ".join(words(name)) for name in classes], show_progress_bar=False))
        return scaled(vectors.astype(np.float64))


def _projected(
    networks: Mapping[str, str], config: CLIPLabels.Config | CLAPLabels.Config, classes: Sequence[str]
) -> Vectors:
    """Return what a text tower makes of the prompts; ``networks`` is type of model -> its class in ``transformers``."""
    library("transformers")  # asked for before anything is downloaded
    found = find_checkpoint(config.model, *networks)
    encoder, tokenizer = found.load(networks[found.model_type]), found.part("AutoTokenizer")
    prompts = [config.prompt.replace("{}", " ".join(words(name))) for name in classes]
    directions = embed_texts(encoder, tokenizer, prompts, _AT_A_TIME, torch.device("cpu"), config.model)
    return scaled(directions.astype(np.float64))
