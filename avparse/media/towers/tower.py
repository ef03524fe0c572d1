"""What frozen two-tower networks have in common: one tower for segments, one for text, and one space for both."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from avparse.foundation.arrays import Float32Array, IntArray
from avparse.foundation.errors import UserError
from avparse.media.towers.pretrained import Checkpoint

Device = Literal["auto", "cpu", "cuda", "mps"]


@dataclass(frozen=True, eq=False)
class Piece:
    """Some consecutive segments of one file, ready for a network.

    Attributes:
        segments: number of segments.
        rows: numbers ``[n]`` of the segments that have the modality.
        content: float32 ``[n, ...]`` what the network reads of each.
    """

    segments: int
    rows: IntArray
    content: Float32Array


class Tower(Protocol):
    """A frozen network that puts segments of one modality, and texts, into one space of ``dimension``.

    Decoding and preparing (``pieces``) need no network and may run on another thread than ``embed``.

    Attributes:
        identity: checkpoint, digest of its weights, and every setting that changes what is made of a segment.
        logit_scale: factor from the product of two embeddings to the logit that the network was trained with.
        logit_bias: number added to that.
        unit_length: whether embeddings have length one, so that the product is a cosine.
    """

    modality: Literal["audio", "visual"]
    identity: str
    dimension: int
    logit_scale: float
    logit_bias: float
    unit_length: bool

    def pieces(self, path: str | Path, segment_seconds: float, total: int) -> Iterator[Piece]:
        """Decode a file, whose video has ``total`` segments, and prepare it piece by piece."""
        ...

    def embed(self, piece: Piece) -> Float32Array:
        """Return ``[segments, dimension]``, zero where the modality is absent."""
        ...

    def texts(self, prompts: Sequence[str]) -> Float32Array:
        """Return ``[prompts, dimension]``."""
        ...


def identity(checkpoint: Checkpoint, settings: Mapping[str, Any]) -> str:
    """Return a line that is equal for two towers only if they make the same of every segment."""
    return f"{checkpoint.name}, sha256 {checkpoint.digest}, {json.dumps(settings, sort_keys=True)}"


def unit(vectors: npt.NDArray[Any]) -> Float32Array:
    """Return the vectors ``[..., E]`` brought to length one; one of length zero stays."""
    length = np.linalg.norm(vectors.astype(np.float32), axis=-1, keepdims=True)
    scaled: Float32Array = (vectors / np.where(length > 0, length, 1)).astype(np.float32)
    return scaled


def choose_device(name: Device) -> torch.device:
    """Return the device of that name; ``auto`` prefers an accelerator.

    Raises:
        UserError: the machine has no device of that name.
    """
    able = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    chosen = next(device for device, there in able.items() if there) if name == "auto" else name
    if not able[chosen]:
        raise UserError(f"device '{chosen}' is not available on this machine; use 'cpu' or 'auto'")
    return torch.device(chosen)


def embed_texts(
    model: Any, tokenizer: Any, prompts: Sequence[str], batch_size: int, device: torch.device, name: str
) -> Float32Array:
    """Return what the text tower makes of the prompts, ``[prompts, E]`` of length one.

    Args:
        model: network with ``text_model`` and ``text_projection``.
        tokenizer: tokenizer of the network.
        prompts: texts to embed.
        batch_size: prompts at a time.
        device: device of the network.
        name: name of the checkpoint, for error messages.

    Raises:
        UserError: a prompt is longer than the network reads.
    """
    most = min(tokenizer.model_max_length, model.config.get_text_config().max_position_embeddings)
    parts = []
    for first in range(0, len(prompts), batch_size):
        some = list(prompts[first : first + batch_size])
        tokens = tokenizer(some, padding=True, return_tensors="pt")
        if tokens["input_ids"].shape[1] > most:
            longest = max(some, key=len)
            raise UserError(f"{name}: prompt '{longest[:60]}' is longer than the {most} tokens it reads; shorten it")
        with torch.inference_mode():
            pooled = model.text_model(**tokens.to(device)).pooler_output
            parts.append(model.text_projection(pooled).float().cpu().numpy())
    return unit(np.concatenate(parts))
