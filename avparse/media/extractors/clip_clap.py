"""Features of frozen CLIP and CLAP: what VALOR++ and LSLD train on in place of older networks' features."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from avparse.media.decoding.chunks import Chunk

if TYPE_CHECKING:
    from avparse.media.towers.tower import Floats, Tower

_CLIP = "openai/clip-vit-large-patch14"
_CLAP = "laion/clap-htsat-fused"


class ClipClapExtractor:
    """The embeddings that the teachers make of a segment, as features: from that segment alone, of length one.

    The environment variables ``AVPARSE_CLIP`` and ``AVPARSE_CLAP`` name other checkpoints (a folder, or a published
    model). The networks are loaded when the first file comes, in every process that works on files.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        sample_rate, frames_per_segment, frame_size: what chunks must hold; the pictures are squashed to CLIP's size.
        streams: ``clip`` (mean of the frames' embeddings) and ``clap``, of the dimensions of the checkpoints.
    """

    name = "clip-clap"
    version = "1"
    frames_per_segment = 8

    def __init__(self) -> None:
        # Loads torch, which other extractors do without.
        from avparse.media.towers.pretrained import find_checkpoint  # noqa: PLC0415

        self._names = os.environ.get("AVPARSE_CLIP", _CLIP), os.environ.get("AVPARSE_CLAP", _CLAP)
        clip, clap = (find_checkpoint(name, kind) for name, kind in zip(self._names, ("clip", "clap"), strict=True))
        seen, heard = clip.part("CLIPConfig"), clap.part("ClapConfig")
        size = seen.vision_config.image_size
        self.frame_size: tuple[int, int] = (size, size) if isinstance(size, int) else tuple(size)
        self.sample_rate: int = clap.part("ClapFeatureExtractor").sampling_rate
        self.streams: dict[str, int] = {"clip": seen.projection_dim, "clap": heard.projection_dim}

    def __call__(self, chunk: Chunk) -> dict[str, Floats]:
        """Return per stream float32 ``[segments, D]``, zero where the modality is absent."""
        return {name: tower.embed(tower.piece(chunk, chunk.segments)) for name, tower in self._towers.items()}

    @cached_property
    def _towers(self) -> dict[str, Tower]:
        from avparse.media.towers.clap import ClapTower  # noqa: PLC0415
        from avparse.media.towers.clip import ClipTower  # noqa: PLC0415

        clip, clap = self._names
        return {"clip": ClipTower(clip, frames="mean", resize="squash"), "clap": ClapTower(clap)}
