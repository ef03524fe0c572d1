"""Audio taggers of AudioSet (AST: Gong et al., Interspeech 2021): 527 kinds of sound, each present or not."""

from __future__ import annotations

import numpy as np
import torch

from avparse.foundation.arrays import Float32Array
from avparse.media.towers.pretrained import Checkpoint, find_checkpoint
from avparse.media.towers.tower import Device, choose_device

_KIND = "audio-spectrogram-transformer"


class AudioTagger:
    """Logits of the network's names, of sounds that are each heard by itself, and filled up with silence.

    Args:
        checkpoint: a local folder, or the name of a published model.
        device: device to compute on.
        batch_size: sounds at a time.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such model.
    """

    def __init__(self, checkpoint: str, *, device: Device = "auto", batch_size: int = 16) -> None:
        found = find_tagger(checkpoint)
        self.device, self._batch = choose_device(device), batch_size
        self._model = found.load("ASTForAudioClassification").to(self.device)
        self._ear = found.part("ASTFeatureExtractor")
        self.identity = f"{found.name}, sha256 {found.digest}"

    def tags(self, sounds: Float32Array) -> Float32Array:
        """Return the logits ``[n, names]`` of sounds ``[n, samples]`` at the network's rate."""
        parts = []
        for first in range(0, len(sounds), self._batch):
            some = list(sounds[first : first + self._batch])
            read = self._ear(some, sampling_rate=self._ear.sampling_rate, return_tensors="np")["input_values"]
            inputs = torch.from_numpy(np.asarray(read, dtype=np.float32)).to(self.device)
            with torch.inference_mode():
                parts.append(self._model(input_values=inputs).logits.float().cpu().numpy())
        return np.concatenate(parts)


def find_tagger(checkpoint: str) -> Checkpoint:
    """Return the files of an audio tagger.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such model.
    """
    return find_checkpoint(checkpoint, _KIND)


def tagger_names(checkpoint: str) -> tuple[tuple[str, ...], int]:
    """Return the names that an audio tagger knows, in the order of its logits, and its sample rate.

    Raises:
        UserError: ``transformers`` is not installed, or there is no such model.
    """
    found = find_tagger(checkpoint)
    labels = found.part("ASTConfig").id2label
    return tuple(labels[number] for number in range(len(labels))), found.part("ASTFeatureExtractor").sampling_rate
