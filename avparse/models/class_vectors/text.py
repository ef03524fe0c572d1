"""Class vectors of pretrained text encoders; the libraries are loaded only when a source is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from avparse.foundation.arrays import Float32Array
from avparse.foundation.extras import library
from avparse.media.towers.pretrained import find_checkpoint, find_folder
from avparse.media.towers.tower import embed_texts
from avparse.models.class_vectors.config import ClassVectorConfig, scaled, unreadable, words

_AT_A_TIME = 32  # prompts


class _PromptedConfig(ClassVectorConfig):
    model: str
    prompt: str


class _PromptedVectors:
    """The projected text vectors of a two-tower model from ``transformers``; only their direction is kept."""

    networks: ClassVar[Mapping[str, str]]  # a model type -> its class in transformers

    def __init__(self, config: _PromptedConfig) -> None:
        self.config = config

    def __call__(self, classes: Sequence[str]) -> Float32Array:
        """Return the vectors ``[C, dimension]`` of the prompts.

        Raises:
            UserError: ``transformers`` is not installed, the model cannot be loaded, or a prompt is too long for the
                model.
        """
        library("transformers", "teachers", "CLIP and CLAP")  # checked before anything is downloaded
        model = self.config.model
        found = find_checkpoint(model, *self.networks)
        encoder, tokenizer = found.load(self.networks[found.model_type]), found.part("AutoTokenizer")
        prompts = [self.config.prompt.replace("{}", " ".join(words(name))) for name in classes]
        directions = embed_texts(encoder, tokenizer, prompts, _AT_A_TIME, torch.device("cpu"), model)
        return scaled(directions.astype(np.float64))


class CLIPVectors(_PromptedVectors):
    """Text vectors of a CLIP model."""

    networks = MappingProxyType({"clip": "CLIPModel", "clip_text_model": "CLIPTextModelWithProjection"})

    class Config(_PromptedConfig):
        """Settings of the source ``clip``.

        Attributes:
            model: local folder, or name of a published model.
            prompt: sentence that is encoded, with ``{}`` in place of the class name.
        """

        name: Literal["clip"] = "clip"
        prompt: str = "a photo of {}"
        dimension: int = Field(768, ge=1)


class CLAPVectors(_PromptedVectors):
    """Text vectors of a CLAP model."""

    networks = MappingProxyType({"clap": "ClapModel", "clap_text_model": "ClapTextModelWithProjection"})

    class Config(_PromptedConfig):
        """Settings of the source ``clap``; the fields are those of :class:`CLIPVectors`."""

        name: Literal["clap"] = "clap"
        prompt: str = "this is a sound of {}"
        dimension: int = Field(512, ge=1)


class SentenceVectors:
    """Vectors of a sentence-transformers model; only their direction is kept."""

    class Config(ClassVectorConfig):
        """Settings of the source ``sentence``: ``model`` is a local folder or the name of a published model."""

        name: Literal["sentence"] = "sentence"
        model: str
        dimension: int = Field(384, ge=1)

    def __init__(self, config: Config) -> None:
        self.config = config

    def __call__(self, classes: Sequence[str]) -> Float32Array:
        """Return the vectors ``[C, dimension]``.

        Raises:
            UserError: ``sentence-transformers`` is not installed, or the model cannot be loaded.
        """
        sentences = library("sentence_transformers", "sentence", "class vectors of sentences")
        folder = find_folder(self.config.model)
        with torch.random.fork_rng():
            try:
                only_safe = {"use_safetensors": True}
                model = sentences.SentenceTransformer(
                    str(folder), device="cpu", model_kwargs=only_safe, local_files_only=True
                )
            except Exception as error:  # the library raises exceptions of many kinds on bad files
                raise unreadable(self.config.model, error, "a sentence model") from None
            vectors = np.asarray(model.encode([" ".join(words(name)) for name in classes], show_progress_bar=False))
        return scaled(vectors.astype(np.float64))
