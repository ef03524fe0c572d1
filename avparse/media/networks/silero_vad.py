"""Silero VAD: sound at 16 kHz as the probability of speech, every 32 ms.

Silero Team, Silero VAD, 2024, version 6.2 for 16 kHz. Weights: ``silero-vad`` of :mod:`avparse.media.weights`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from avparse.foundation.tensors import read_tensors
from avparse.media.networks.loading import filled

SAMPLE_RATE, FRAME = 16000, 512  # samples a second, and a frame of 32 ms
_CONTEXT, _AHEAD = 64, 64  # samples read before a frame; and mirrored at its end
_OUTSIDE = {"stft_conv": "spectrum", "final_conv": "judge"}
_WINDOW, _HOP, _BINS = 256, 128, 129
_WIDTHS = ((_BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))  # inputs, outputs and stride of each convolution


class SileroVad(nn.Module):
    """The network, from sounds ``[N, samples]`` to logits of speech ``[N, frames]``; each begins without a past."""

    def __init__(self) -> None:
        super().__init__()
        self.spectrum = nn.Conv1d(1, 2 * _BINS, _WINDOW, _HOP, bias=False)  # cosines, then sines
        self.convolutions = nn.ModuleList(nn.Conv1d(a, b, 3, stride, 1) for a, b, stride in _WIDTHS)
        self.memory = nn.LSTM(128, 128, batch_first=True)
        self.judge = nn.Linear(128, 1)

    def forward(self, sounds: Tensor) -> Tensor:
        """Return the logit ``[N, ceil(samples / 512)]`` of speech in each frame; the last one is filled with zeros."""
        padded = nn.functional.pad(sounds, (_CONTEXT, -sounds.shape[1] % FRAME))
        frames = padded.unfold(1, _CONTEXT + FRAME, FRAME)  # [N, F, 576]
        heard = nn.functional.pad(frames.flatten(0, 1), (0, _AHEAD), mode="reflect")
        waves = self.spectrum(heard.unsqueeze(1))
        maps = torch.hypot(waves[:, :_BINS], waves[:, _BINS:])  # [N F, bins, 4]
        for convolution in self.convolutions:
            maps = convolution(maps).relu()
        steps, _ = self.memory(maps.reshape(*frames.shape[:2], -1))
        logits: Tensor = self.judge(steps.relu()).squeeze(-1)
        return logits


def load_silero_vad(path: Path) -> SileroVad:
    """Return the network with the weights of a released file, frozen.

    Raises:
        UserError: the file cannot be read, or its tensors are not those of the network.
    """
    released = read_tensors(path)
    if "final_conv.weight" in released:
        released["final_conv.weight"] = released["final_conv.weight"].flatten(1)  # a convolution of one sample
    return filled(SileroVad(), released, _renamed, path)


def _renamed(name: str) -> str:
    """Return the name in :class:`SileroVad` of a released tensor."""
    part, _, rest = name.partition(".")
    if part.startswith("conv"):
        return f"convolutions.{int(part[4:]) - 1}.{rest}"
    if part == "lstm_cell":
        return f"memory.{rest}_l0"
    return f"{_OUTSIDE.get(part, part)}.{rest}"
