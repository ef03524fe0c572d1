"""CLAP (Wu et al., ICASSP 2023): sound of segments and texts in one space, with frozen published weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from avparse.foundation.arrays import Float32Array
from avparse.foundation.errors import UserError
from avparse.media.decoding.chunks import Chunk, read_chunks
from avparse.media.decoding.views import SoundView
from avparse.media.towers.pretrained import find_checkpoint
from avparse.media.towers.tower import Device, Piece, choose_device, embed_texts, identity

_CHUNK_SEGMENTS = 16
_LEVELS = 32767  # of 16-bit sound
_QUIET = 1e-10  # power below which a band counts as -100 dB
_FUSED_INPUTS = 4


class ClapTower:
    """Each segment's sound, repeated until it is as long as what the network was trained on, and what it makes of it.

    The sound is mono at the network's rate, and nothing around a segment is heard. Networks with fusion are given four
    equal inputs and told that the sound is not longer than they read, which the feature extractor of ``transformers``
    would say of all segments but one, chosen at random.

    Args:
        checkpoint: a local folder, or the name of a published model.
        quantise: whether to quantise to 16 bits and back, as LAION's library does.
        device: device to compute on.
        batch_size: segments, or prompts, at a time.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such CLAP model.
    """

    modality: Literal["audio", "visual"] = "audio"
    logit_bias, unit_length = 0.0, True

    def __init__(
        self, checkpoint: str, *, quantise: bool = True, device: Device = "auto", batch_size: int = 32
    ) -> None:
        found = find_checkpoint(checkpoint, "clap")
        self.device, self._batch = choose_device(device), batch_size
        self._name, self._quantise = checkpoint, quantise
        self._model = found.load("ClapModel").to(self.device)
        self._tokenizer = found.part("AutoTokenizer")
        self._ear = found.part("ClapFeatureExtractor")
        self._fused: bool = self._model.config.audio_config.enable_fusion
        filters = self._ear.mel_filters if self._fused else self._ear.mel_filters_slaney
        self._filters = torch.tensor(filters, dtype=torch.float32, device=self.device)
        self._window = torch.hann_window(self._ear.fft_window_size, device=self.device)
        self.sample_rate: int = self._ear.sampling_rate
        self.dimension: int = self._model.config.projection_dim
        self.logit_scale = float(self._model.logit_scale_a.exp())
        self.identity = identity(found, {"quantise": quantise, "padding": self._ear.padding})

    def pieces(self, path: str | Path, segment_seconds: float, total: int) -> Iterator[Piece]:
        """Decode a file with sound at the network's rate; memory does not grow with its duration.

        Args:
            path: the media file.
            segment_seconds: length of a segment.
            total: segments of the video; they do not matter here.

        Raises:
            UserError: the file cannot be decoded, or segments are longer than the network hears.
        """
        longest_s = self._ear.nb_max_samples / self.sample_rate
        if segment_seconds > longest_s:
            raise UserError(
                f"{self._name}: hears {longest_s:g} s at most, where segments last {segment_seconds:g} s; use shorter"
            )
        view = SoundView(self.sample_rate)
        for chunk in read_chunks(path, [view], segment_seconds=segment_seconds, chunk_segments=_CHUNK_SEGMENTS):
            yield self.piece(chunk, view)

    def piece(self, chunk: Chunk, view: SoundView) -> Piece:
        """Repeat the sound of each segment to the network's length, ``[n, samples]``."""
        rows = np.flatnonzero(chunk.audio_present).astype(np.int64)
        sounds = chunk.sounds[view][:, 0]
        content = np.zeros((len(rows), self._ear.nb_max_samples), dtype=np.float32)
        for place, row in enumerate(rows):
            # The last segment may end before its second does: what is not there is not repeated.
            left_s = chunk.end_s - chunk.start_s - row * chunk.segment_seconds
            content[place] = self._repeated(sounds[row, : max(1, round(left_s * view.sample_rate))])
        return Piece(chunk.segments, rows, content)

    def embed(self, piece: Piece) -> Float32Array:
        """Return ``[segments, dimension]`` of length one, zero where there is no sound."""
        vectors = np.zeros((piece.segments, self.dimension), dtype=np.float32)
        for first in range(0, len(piece.rows), self._batch):
            some = slice(first, first + self._batch)
            heard = self.log_mel(torch.from_numpy(piece.content[some]).to(self.device)).unsqueeze(1)
            inputs = heard.expand(-1, _FUSED_INPUTS, -1, -1) if self._fused else heard  # [n, inputs, frames, bands]
            not_longer = torch.zeros(len(heard), 1, dtype=torch.bool, device=self.device)
            with torch.inference_mode():
                pooled = self._model.audio_model(input_features=inputs, is_longer=not_longer).pooler_output
                embedded = torch.nn.functional.normalize(self._model.audio_projection(pooled), dim=-1)
            vectors[piece.rows[some]] = embedded.cpu().numpy()
        return vectors

    def texts(self, prompts: Sequence[str]) -> Float32Array:
        """Return ``[prompts, dimension]`` of length one.

        Raises:
            UserError: a prompt is longer than the network reads.
        """
        return embed_texts(self._model, self._tokenizer, prompts, self._batch, self.device, self._name)

    def log_mel(self, sounds: Tensor) -> Tensor:
        """Return the decibels ``[n, frames, bands]`` of mel bands of the power spectrum of ``[n, samples]``."""
        ear = self._ear
        spectra = torch.stft(sounds, ear.fft_window_size, ear.hop_length, window=self._window, return_complex=True)
        power = spectra.abs().square().transpose(1, 2) @ self._filters
        return 10 * torch.log10(power.clamp_min(_QUIET))

    def _repeated(self, sound: Float32Array) -> Float32Array:
        """Return ``[nb_max_samples]``: as many whole copies as fit, then silence (or as the checkpoint states)."""
        if self._quantise:
            sound = np.trunc(np.clip(sound, -1, 1) * np.float32(_LEVELS)) / np.float32(_LEVELS)
        length = self._ear.nb_max_samples
        copies = {"repeatpad": length // len(sound), "repeat": -(-length // len(sound))}.get(self._ear.padding, 1)
        whole = np.tile(sound, copies)[:length]
        return np.pad(whole, (0, length - len(whole)))
