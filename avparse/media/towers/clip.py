"""CLIP (Radford et al., ICML 2021): pictures of segments and texts in one space, with frozen published weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image

from avparse.foundation.arrays import Float32Array, IntArray, UInt8Array
from avparse.foundation.errors import UserError
from avparse.foundation.reading import read_json
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.decoding.opened import probe
from avparse.media.decoding.views import PictureView
from avparse.media.towers.pretrained import find_checkpoint
from avparse.media.towers.tower import Device, Piece, choose_device, embed_texts, identity, unit

Frames = Literal["mean", "raw_mean", "centre", "spread"]
Resize = Literal["squash", "crop"]

_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_CHUNK_BYTES = 1 << 26  # of decoded pictures
_CHUNK_SEGMENTS = 60


class ClipTower:
    """Which frames of a segment are read, how they become pictures of the network's size, and what it makes of them.

    Args:
        checkpoint: a local folder, or the name of a published model.
        frames: ``mean``: of the embeddings of ``per_segment`` frames, each of length one; ``raw_mean``: of the
            embeddings as they are; ``centre``: the frame in the middle of the segment; ``spread``: one frame a
            segment, see :func:`spread_frames`.
        per_segment: frames a segment, at the centres of equal parts.
        resize: ``squash`` the picture to a square, or scale its shorter side and ``crop`` the middle.
        device: device to compute on.
        batch_size: pictures, or prompts, at a time.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such CLIP model.
    """

    modality: Literal["audio", "visual"] = "visual"
    logit_bias, unit_length = 0.0, True

    def __init__(
        self,
        checkpoint: str,
        *,
        frames: Frames = "spread",
        per_segment: int = 8,
        resize: Resize = "squash",
        device: Device = "auto",
        batch_size: int = 32,
    ) -> None:
        found = find_checkpoint(checkpoint, "clip")
        self.device, self._batch = choose_device(device), batch_size
        self._name, self._frames, self._resize = checkpoint, frames, resize
        self._count = 1 if frames == "centre" else per_segment
        self._model = found.load("CLIPModel").to(self.device)
        self._tokenizer = found.part("AutoTokenizer")
        self._mean, self._deviation = channel_statistics(found.folder / "preprocessor_config.json")
        size = self._model.config.vision_config.image_size
        self._size: int = size if isinstance(size, int) else size[0]
        self.dimension: int = self._model.config.projection_dim
        self.logit_scale = float(self._model.logit_scale.exp())
        self.identity = identity(found, {"frames": frames, "per_segment": self._count, "resize": resize})

    def pieces(self, path: str | Path, segment_seconds: float, total: int) -> Iterator[Piece]:
        """Decode a file with pictures of their own size; memory does not grow with its duration.

        Args:
            path: the media file.
            segment_seconds: length of a segment.
            total: segments of the video.

        Raises:
            UserError: the file cannot be decoded.
        """
        info = probe(path)
        size = (info.width, info.height) if info.has_video else (2, 2)
        view = PictureView(size, per_segment=self._count)
        some = min(_CHUNK_SEGMENTS, max(1, _CHUNK_BYTES // view.segment_bytes(segment_seconds)))
        for chunk in read_chunks(path, [view], segment_seconds=segment_seconds, chunk_segments=some):
            yield self.piece(chunk, view, total)

    def piece(self, chunk: Chunk, view: PictureView, total: int) -> Piece:
        """Choose the frames of each segment and make them what the network reads, ``[n, frames, 3, size, size]``."""
        rows = np.flatnonzero(chunk.visual_present).astype(np.int64)
        chosen = chunk.pictures[view][rows]  # [n, frames, H, W, 3]
        if self._frames == "spread":
            segments = round(chunk.start_s / chunk.segment_seconds) + rows
            places = spread_frames(total, self._count)[np.minimum(segments, total - 1)]
            chosen = chosen[np.arange(len(rows)), places][:, None]
        content = np.zeros((*chosen.shape[:2], 3, self._size, self._size), dtype=np.float32)
        for index in np.ndindex(*chosen.shape[:2]):
            content[index] = self._read(chosen[index])
        return Piece(chunk.segments, rows, content)

    def embed(self, piece: Piece) -> Float32Array:
        """Return ``[segments, dimension]`` of length one, zero where there is no picture."""
        vectors = np.zeros((piece.segments, self.dimension), dtype=np.float32)
        if len(piece.rows):
            each = self._pictures(piece.content.reshape(-1, *piece.content.shape[2:]))
            each = each.reshape(len(piece.rows), -1, self.dimension)
            vectors[piece.rows] = unit((each if self._frames == "raw_mean" else unit(each)).mean(axis=1))
        return vectors

    def texts(self, prompts: Sequence[str]) -> Float32Array:
        """Return ``[prompts, dimension]`` of length one.

        Raises:
            UserError: a prompt is longer than the network reads.
        """
        return embed_texts(self._model, self._tokenizer, prompts, self._batch, self.device, self._name)

    def _pictures(self, pixels: Float32Array) -> Float32Array:
        parts = []
        for first in range(0, len(pixels), self._batch):
            some = torch.from_numpy(pixels[first : first + self._batch]).to(self.device)
            with torch.inference_mode():
                pooled = self._model.vision_model(pixel_values=some).pooler_output
                parts.append(self._model.visual_projection(pooled).cpu().numpy())
        return np.concatenate(parts)

    def _read(self, frame: UInt8Array) -> Float32Array:
        """Return ``[3, size, size]`` of one frame ``[H, W, 3]``; bicubic, as published."""
        height, width = frame.shape[:2]
        size, shorter = self._size, min(height, width)
        shown = Image.fromarray(frame)
        if self._resize == "squash":
            shown = shown.resize((size, size), Image.Resampling.BICUBIC)
        else:
            wide, high = int(size * width / shorter), int(size * height / shorter)
            left, top = (wide - size) // 2, (high - size) // 2
            shown = shown.resize((wide, high), Image.Resampling.BICUBIC).crop((left, top, left + size, top + size))
        pixels: Float32Array = (np.asarray(shown, dtype=np.float32) / np.float32(255) - self._mean) / self._deviation
        return np.moveaxis(pixels, -1, 0)


def spread_frames(segments: int, per_segment: int) -> IntArray:
    """Return which of its ``per_segment`` frames each segment is seen by, ``[segments]`` (VALOR).

    VALOR takes the rounded places of ``linspace(0, N - 1, T)`` among the N frames of a video: one in each of its T
    segments, the first frame of the first and the last of the last.
    """
    places = np.rint(np.linspace(0, segments * per_segment - 1, segments)).astype(np.int64)
    return places - per_segment * np.arange(segments)


def channel_statistics(path: Path) -> tuple[Float32Array, Float32Array]:
    """Return the mean and deviation of the channels that the checkpoint states, or else CLIP's own."""
    if not path.is_file():
        return np.array(_MEAN, dtype=np.float32), np.array(_DEVIATION, dtype=np.float32)
    try:
        stated: dict[str, Any] = read_json(path)
        mean, deviation = (np.array(stated[key], dtype=np.float32) for key in ("image_mean", "image_std"))
        if mean.shape != (3,) or deviation.shape != (3,) or not (deviation > 0).all():
            raise ValueError("three numbers each")
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path}: 'image_mean' or 'image_std' cannot be read; get the files again") from None
    return mean, deviation
