"""MA: labels tested by exchanging tracks between unrelated videos (Wu, Yang: Exploring Heterogeneous Clues, CVPR 2021).

A trained parser sees the audio of a video with the frames of another one that shares no label with it, and the
reverse. With the other track foreign, only the tested track can carry the label; where neither probability of the class
is high enough for a class as hard as this one, the label is removed from the tested modality.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_DRAWS = 50


def draw_partners(
    labels: npt.NDArray[np.bool_], rng: np.random.Generator, n_partners: int = 1
) -> npt.NDArray[np.int64]:
    """Draw, for each video, others without a common label, uniformly and independently.

    A video that shares a label with every other one becomes its own partner; nothing can be tested on it, so leave it
    out of the ``labels`` of :func:`exchange_removals`.

    Args:
        labels: ``[N, C]`` weak labels.
        rng: source of the draws.
        n_partners: draws a video.

    Returns:
        ``[N, n_partners]`` positions.
    """
    count = len(labels)
    partners = rng.integers(count, size=(count, n_partners))
    clash = _share_label(labels, partners)
    for _ in range(_DRAWS):  # rejection: cheap and nearly always enough
        if not clash.any():
            return partners
        partners[clash] = rng.integers(count, size=int(clash.sum()))
        clash = _share_label(labels, partners)
    for video in np.flatnonzero(clash.any(axis=1)):
        apart = np.flatnonzero(~(labels & labels[video]).any(axis=1))
        partners[video, clash[video]] = rng.choice(apart, int(clash[video].sum())) if len(apart) else video
    return partners


def _share_label(labels: npt.NDArray[np.bool_], partners: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    shared: npt.NDArray[np.bool_] = np.any(labels[:, None] & labels[partners], axis=-1)
    return shared


def class_errors(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the share ``[C]`` of all videos whose label ``[N, C]`` the probabilities ``[N, C]`` contradict at 0.5."""
    return ((probabilities > 0.5) != (labels > 0)).float().mean(dim=0)


def exchange_removals(
    foreign_visual: tuple[Tensor, Tensor],
    foreign_audio: tuple[Tensor, Tensor],
    labels: Tensor,
    errors: tuple[Tensor, Tensor],
    rule: Literal["and", "majority"] = "and",
) -> tuple[Tensor, Tensor]:
    """Decide which labels to remove from audio and from visual.

    Args:
        foreign_visual: audio and visual probabilities with a video's own audio and a foreign visual track, each
            ``[N, C]``, or ``[K, N, C]`` with K partners; they test audio.
        foreign_audio: the same with its own visual and a foreign audio track; they test visual.
        labels: ``[N, C]`` the labels that may be removed.
        errors: ``[C]`` of audio and of visual from the unexchanged tracks; see :func:`class_errors`.
        rule: with several partners, a label goes where the test fails with all of them, or with more than half.

    Returns:
        Removal from audio and from visual, ``[N, C]`` boolean each. A label can go from both. A class without any
        error keeps its labels.
    """
    removals = []
    for (audio, visual), error in zip((foreign_visual, foreign_audio), errors, strict=True):
        # Published as p / k < 1/2 with k = error / max(error): as a product nothing is divided by zero.
        bound = 0.5 * error / error.max().clamp_min(torch.finfo(error.dtype).tiny)
        failed = ((audio < bound) & (visual < bound)).reshape(-1, *labels.shape)  # [K, N, C]
        agreed = failed.all(dim=0) if rule == "and" else 2 * failed.sum(dim=0) > len(failed)
        removals.append(agreed & (labels > 0))
    return removals[0], removals[1]
