"""PE-AV (Meta, arXiv 2512.19687, 2025): sound and pictures of segments, each with texts in a space of its own.

Some methods of ``transformers`` for these networks do not work (tests/media/test_pe_av.py pins which), nor does its
loading of the joint network; so the networks of the two modalities are built and filled one by one, and called part by
part.
"""

from __future__ import annotations

import contextlib
import io
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.foundation.extras import library
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.decoding.views import PictureView, SoundView, View
from avparse.media.towers.pretrained import Checkpoint, find_checkpoint
from avparse.media.towers.tower import Device, Piece, choose_device, identity

_JOINT = "pe_audio_video"
_MOST_TOKENS = 512
_CHUNK_SEGMENTS = 16


class PeAvTower(ABC):
    """One modality of PE-AV: embeddings of frames, averaged over each segment, and of texts; not of length one.

    A logit is linear in the embedding of a frame, so the logit of the mean is the mean of the logits. Each segment is
    heard or seen by itself.

    Args:
        checkpoint: a local folder, or the name of a published model.
        device: device to compute on.
        batch_size: segments, or prompts, at a time.

    Raises:
        UserError: a library is not installed, or there is no such model.
    """

    modality: Literal["audio", "visual"]
    unit_length = False
    view: View
    _kind: str  # of a checkpoint of this modality alone
    _parts: tuple[str, str, str]  # network in the joint one, head of texts, logit scale and bias

    def __init__(self, checkpoint: str, *, device: Device = "auto", batch_size: int = 8) -> None:
        self._found = find_checkpoint(checkpoint, self._kind, _JOINT)
        self.device, self._batch = choose_device(device), batch_size
        self._name = checkpoint
        self._model = _built(self._found, self._class, self._parts[0]).to(self.device)
        self._tokenizer = self._found.part("AutoTokenizer")
        self._text_head = getattr(self._model, self._parts[1])
        self.logit_scale = float(getattr(self._model, f"{self._parts[2]}_scale"))
        self.logit_bias = float(getattr(self._model, f"{self._parts[2]}_bias"))
        self.dimension: int = self._text_head.proj.out_features
        self.identity = identity(self._found, {"view": repr(self.view)})

    @property
    @abstractmethod
    def _class(self) -> str:
        """The class of the network in ``transformers``."""

    @abstractmethod
    def piece(self, chunk: Chunk) -> Piece:
        """Prepare what the network reads of each segment."""

    @abstractmethod
    def frames(self, content: Tensor) -> Tensor:
        """Return the embeddings ``[n, frames, dimension]`` of what the network reads of n segments."""

    def pieces(self, path: str | Path, segment_seconds: float, total: int) -> Iterator[Piece]:
        """Decode a file; memory does not grow with its duration.

        Args:
            path: the media file.
            segment_seconds: length of a segment.
            total: segments of the video; they do not matter here.

        Raises:
            UserError: the file cannot be decoded.
        """
        some = {"segment_seconds": segment_seconds, "chunk_segments": _CHUNK_SEGMENTS}
        return map(self.piece, read_chunks(path, [self.view], **some))  # type: ignore[arg-type]

    def embed(self, piece: Piece) -> Float32Array:
        """Return the means ``[segments, dimension]`` over the frames, zero where the modality is absent."""
        vectors = np.zeros((piece.segments, self.dimension), dtype=np.float32)
        for first in range(0, len(piece.rows), self._batch):
            some = slice(first, first + self._batch)
            with torch.inference_mode():
                each = self.frames(torch.from_numpy(piece.content[some]).to(self.device))
            vectors[piece.rows[some]] = each.mean(dim=1).float().cpu().numpy()
        return vectors

    def texts(self, prompts: Sequence[str]) -> Float32Array:
        """Return ``[prompts, dimension]``.

        Raises:
            UserError: a prompt is longer than the network was trained on.
        """
        parts = []
        for first in range(0, len(prompts), self._batch):
            some = list(prompts[first : first + self._batch])
            tokens = self._tokenizer(some, padding=True, return_tensors="pt")
            if tokens["input_ids"].shape[1] > _MOST_TOKENS:
                longest = max(some, key=len)
                raise UserError(
                    f"{self._name}: prompt '{longest[:60]}' has more than {_MOST_TOKENS} tokens; shorten it"
                )
            wanted = {name: tokens[name].to(self.device) for name in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                states = self._model.text_model(**wanted, output_hidden_states=True).hidden_states[-1]
                parts.append(self._text_head(states[:, 0]).float().cpu().numpy())
        return np.concatenate(parts)


class PeAvHearing(PeAvTower):
    """What is heard, every 40 ms; a part of a segment at the end of a file is repeated until it fills one."""

    modality: Literal["audio", "visual"] = "audio"
    view = SoundView(48000)
    _kind = "pe_audio"
    _class = "PeAudioFrameLevelModel"
    _parts = ("audio_model", "text_audio_head", "text_audio_logit")

    def piece(self, chunk: Chunk) -> Piece:
        """Return the sound ``[n, 1, samples]``, in whole frames."""
        assert isinstance(self.view, SoundView)
        rows = np.flatnonzero(chunk.audio_present).astype(np.int64)
        sounds = chunk.sounds[self.view][:, 0]
        hop = int(np.prod(self._model.config.audio_config.dac_config.downsampling_ratios))
        samples = -(-sounds.shape[1] // hop) * hop
        content = np.zeros((len(rows), 1, samples), dtype=np.float32)
        for place, row in enumerate(rows):
            left_s = chunk.end_s - chunk.start_s - row * chunk.segment_seconds
            content[place, 0] = np.resize(sounds[row, : max(1, round(left_s * self.view.sample_rate))], samples)
        return Piece(chunk.segments, rows, content)

    def frames(self, content: Tensor) -> Tensor:
        """Return the embeddings ``[n, frames, dimension]`` of sounds ``[n, 1, samples]``."""
        found: Tensor = self._model.get_audio_embeds(content)
        return found


class PeAvSeeing(PeAvTower):
    """What is seen in each of ``per_segment`` frames of a segment, which is one short clip for the network.

    Args:
        checkpoint: a local folder, or the name of a published model.
        per_segment: frames a segment, at the centres of equal parts.
        device: device to compute on.
        batch_size: segments, or prompts, at a time.

    Raises:
        UserError: a library is not installed, or there is no such model.
    """

    modality: Literal["audio", "visual"] = "visual"
    _kind = "pe_video"
    _class = "PeVideoModel"
    _parts = ("video_model", "text_video_head", "text_video_logit")

    def __init__(self, checkpoint: str, *, per_segment: int = 4, device: Device = "auto", batch_size: int = 8) -> None:
        library("timm", "teachers", "pictures of PE-AV")
        self.view = picture_view(checkpoint, per_segment)
        super().__init__(checkpoint, device=device, batch_size=batch_size)

    def piece(self, chunk: Chunk) -> Piece:
        """Return the pictures ``[n, frames, 3, size, size]`` in [-1, 1]."""
        assert isinstance(self.view, PictureView)
        rows = np.flatnonzero(chunk.visual_present).astype(np.int64)
        pictures = np.moveaxis(chunk.pictures[self.view][rows], -1, 2)
        return Piece(chunk.segments, rows, pictures.astype(np.float32) / np.float32(127.5) - np.float32(1))

    def frames(self, content: Tensor) -> Tensor:
        """Return the embeddings ``[n, frames, dimension]`` of pictures ``[n, frames, 3, size, size]``."""
        return seen_frames(self._model, content)


def seen_frames(model: Any, pictures: Tensor) -> Tensor:
    """Return the embeddings ``[n, frames, dimension]`` that a ``PeVideoModel`` gives of clips of pictures."""
    states = model.video_encoder(pixel_values_videos=pictures).last_hidden_state
    found: Tensor = model.video_head(states)
    return found


def picture_view(checkpoint: str, per_segment: int) -> PictureView:
    """Return what the network sees of a video: pictures squashed to the size that the checkpoint names, else 336.

    Raises:
        UserError: there is no such model.
    """
    found = find_checkpoint(checkpoint, PeAvSeeing._kind, _JOINT)
    config = found.part("AutoConfig")
    joint = found.model_type == _JOINT
    vision = (config.audio_video_config.video_config if joint else config.video_config).vision_config
    given = (getattr(vision, "model_args", None) or {}).get("img_size", 336)
    width, height = (given, given) if isinstance(given, int) else (given[1], given[0])
    return PictureView((width, height), per_segment=per_segment)


def find_pe_av(checkpoint: str) -> Checkpoint:
    """Return the files of a network of either modality, or of the joint one.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such model.
    """
    return find_checkpoint(checkpoint, PeAvHearing._kind, PeAvSeeing._kind, _JOINT)


def embedding_size(checkpoint: str) -> int:
    """Return the numbers of an embedding, without loading the network.

    Raises:
        UserError: there is no such model.
    """
    found = find_pe_av(checkpoint)
    size: int = found.part("AutoConfig").text_config.hidden_size
    return size


def _built(found: Checkpoint, network: str, part: str) -> Any:
    """Return the network of one modality, out of a checkpoint of that modality or out of the joint one."""
    config = found.part("AutoConfig")
    if found.model_type == _JOINT:
        config = getattr(config, part.replace("model", "config"))

    def build(transformers: Any) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):  # the library prints about its own docstrings
            return getattr(transformers, network)(config)

    return found.built(build, lambda name, there: _source(name, there, part))


def _source(name: str, there: Mapping[str, Any], part: str) -> str | None:
    """Return where a parameter of one modality's network is; the joint one stores what networks share but once."""
    shared = f"audio_video_encoder.embedder.{name}"
    return next((path for path in (f"{part}.{name}", name, shared) if path in there), None)
