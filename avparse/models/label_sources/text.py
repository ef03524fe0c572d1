"""Vectors of pretrained text encoders, by libraries that are loaded only here."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from avparse.foundation.errors import UserError
from avparse.models.label_sources.source import LabelConfig, Vectors, scaled, unreadable, words


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
            UserError: ``transformers`` is not installed, or the model cannot be loaded.
        """
        return _projected("CLIPTextModelWithProjection", self.config.model, self.config.prompt, classes)


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
            UserError: ``transformers`` is not installed, or the model cannot be loaded.
        """
        return _projected("ClapTextModelWithProjection", self.config.model, self.config.prompt, classes)


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
        sentences = _optional("sentence_transformers")
        with torch.random.fork_rng():
            try:
                only_safe = {"use_safetensors": True}
                model = sentences.SentenceTransformer(self.config.model, device="cpu", model_kwargs=only_safe)
            except (OSError, ValueError) as error:
                raise unreadable(self.config.model, error, "a sentence model") from None
            vectors = np.asarray(model.encode([" ".join(words(name)) for name in classes], show_progress_bar=False))
        return scaled(vectors.astype(np.float64))


def _projected(tower: str, model: str, prompt: str, classes: Sequence[str]) -> Vectors:
    """Return what a text tower of ``transformers`` makes of the prompts."""
    transformers = _optional("transformers")
    prompts = [prompt.replace("{}", " ".join(words(name))) for name in classes]
    with torch.random.fork_rng(), torch.no_grad():  # making a model must not shift the run's random stream
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(model)
            # Weights are read from safetensors or not at all: other files are pickles.
            encoder, report = getattr(transformers, tower).from_pretrained(
                model, use_safetensors=True, output_loading_info=True
            )
        except (OSError, ValueError) as error:
            raise unreadable(model, error, "a text model") from None
        if report["missing_keys"]:  # the library would fill them with random numbers
            raise UserError(f"{model}: the weights lack '{min(report['missing_keys'])}'; check that it is a {tower}")
        vectors = encoder.eval()(**tokenizer(prompts, padding=True, return_tensors="pt")).text_embeds
    return scaled(vectors.double().numpy())


def _optional(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.replace("_", "-")
        raise UserError(f"labels: this source of vectors needs '{package}'; install it or name another") from None
