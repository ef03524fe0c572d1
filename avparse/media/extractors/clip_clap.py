"""Features of frozen CLIP and CLAP: what VALOR++ and LSLD train on in place of older networks' features."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from avparse.foundation.arrays import Float32Array
from avparse.media.decoding.chunks import Chunk
from avparse.media.decoding.views import PictureView, SoundView
from avparse.media.extractors.extractor import Stream

if TYPE_CHECKING:
    from avparse.media.towers.clap import ClapTower
    from avparse.media.towers.clip import ClipTower
    from avparse.media.towers.pretrained import Checkpoint

_CLIP = "openai/clip-vit-large-patch14"
_CLAP = "laion/clap-htsat-fused"
DIMENSIONS = {"clip": 768, "clap": 512}  # of the streams that these two checkpoints give


def chosen_checkpoints() -> tuple[str, str]:
    """Return the names of the checkpoints of CLIP and CLAP, which the environment may change."""
    return os.environ.get("AVPARSE_CLIP", _CLIP), os.environ.get("AVPARSE_CLAP", _CLAP)


class ClipClapExtractor:
    """The embeddings that the teachers make of a segment, as features: from that segment alone, of length one.

    The environment variables ``AVPARSE_CLIP`` and ``AVPARSE_CLAP`` name other checkpoints (a folder, or a published
    model). The networks are loaded when the first file comes, in every process that works on files.

    Attributes:
        name, version: written beside stored features; the version changes whenever a feature does.
        streams: ``clip`` (mean of the embeddings of eight frames, squashed to CLIP's size) and ``clap``, of the
            dimensions of the checkpoints.
    """

    name = "clip-clap"
    version = "1"

    def __init__(self) -> None:
        # Loads torch, which other extractors do without.
        from avparse.media.towers.pretrained import find_checkpoint  # noqa: PLC0415

        self._names = chosen_checkpoints()
        clip, clap = (find_checkpoint(name, kind) for name, kind in zip(self._names, ("clip", "clap"), strict=True))
        seen, heard = clip.part("CLIPConfig"), clap.part("ClapConfig")
        size = seen.vision_config.image_size
        self._pictures = PictureView((size, size) if isinstance(size, int) else tuple(size), per_segment=8)
        self._sound = SoundView(clap.part("ClapFeatureExtractor").sampling_rate)
        self.streams = {
            "clip": Stream(seen.projection_dim, self._pictures, self._seen, partial(_picture_facts, clip)),
            "clap": Stream(heard.projection_dim, self._sound, self._heard, clap.facts),
        }

    def _seen(self, chunk: Chunk) -> Float32Array:
        return self._clip.embed(self._clip.piece(chunk, self._pictures, chunk.segments))

    def _heard(self, chunk: Chunk) -> Float32Array:
        return self._clap.embed(self._clap.piece(chunk, self._sound))

    @cached_property
    def _clip(self) -> ClipTower:
        from avparse.media.towers.clip import ClipTower  # noqa: PLC0415

        return ClipTower(self._names[0], frames="mean", resize="squash")

    @cached_property
    def _clap(self) -> ClapTower:
        from avparse.media.towers.clap import ClapTower  # noqa: PLC0415

        return ClapTower(self._names[1])


def _picture_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    from avparse.media.towers.clip import channel_statistics  # noqa: PLC0415

    mean, deviation = channel_statistics(checkpoint.folder / "preprocessor_config.json")
    return {**checkpoint.facts(), "mean": tuple(map(float, mean)), "deviation": tuple(map(float, deviation))}
