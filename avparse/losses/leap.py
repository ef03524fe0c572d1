"""Similarity loss: audio and visual segments should be as similar as their events (Zhou et al., LEAP, ECCV 2024)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.loss import LossConfig
from avparse.losses.segment import segment_targets
from avparse.models.output import ParserOutput


class SegmentSimilarity:
    """Squared error between the cosine of an audio and a visual segment and the overlap of their event sets.

    The loss is the mean over all pairs of an audio and a visual segment of one video; where it reads labels, only
    segments whose labels are all known count. With A and V the event sets of the two segments:

    * ``paper``: the cosine is compared with |A and V| / |A or V| (EIoU), which is 0 where neither has an event;
    * ``released``: as in the published code, relu of the cosine is compared with x / (1 + x) + epsilon, where
      x = |A and V| / M and M is the greatest number of events of any segment of the video in either modality. The
      target of a perfect match is therefore at most 0.5 + epsilon.
    """

    class Config(LossConfig):
        """Settings of the loss ``segment_similarity``.

        Attributes:
            form: published form of the target, ``paper`` or ``released``, as described for the class.
            events: source of a segment's events: its segment ``labels`` of at least one half, or the parser's own
                ``predictions`` (segment and video-level probability of at least one half).
            epsilon: constant that the ``released`` form adds to its target.
        """

        name: Literal["segment_similarity"] = "segment_similarity"
        form: Literal["paper", "released"] = "paper"
        events: Literal["labels", "predictions"] = "labels"
        epsilon: float = Field(0.01, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "similarity"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: there are no segment labels of a modality, or the parser returns no hidden segments.
        """
        if output.hidden is None:
            raise UserError("loss 'segment_similarity': the parser returns no hidden segments; leave it out")
        features = batch.features
        sides = []
        for of, x, mask in (
            ("audio", output.hidden.audio, features.audio_mask),
            ("visual", output.hidden.visual, features.visual_mask),
        ):
            real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
            if self.config.events == "labels":
                real = real & ~segment_targets(targets, of).isnan().any(dim=-1)
            sides.append((functional.normalize(x.float(), dim=-1), self._events(output, targets, of), real))
        (audio, heard, audio_real), (visual, seen, visual_real) = sides
        cosine = audio @ visual.transpose(1, 2)  # [B, T, T]
        pairs = audio_real.unsqueeze(2) & visual_real.unsqueeze(1)
        heard, seen = heard * audio_real.unsqueeze(-1), seen * visual_real.unsqueeze(-1)
        if self.config.form == "paper":
            error = cosine - event_overlap(heard, seen)
        else:
            error = cosine.relu() - self._released_target(heard, seen)
        mean: Tensor = torch.where(pairs, error.square(), 0.0).sum() / pairs.sum().clamp_min(1)
        return mean

    def _events(self, output: ParserOutput, targets: Targets, of: str) -> Tensor:
        """Return the events ``[B, T, C]`` of a modality as zeros and ones."""
        if self.config.events == "labels":
            return (segment_targets(targets, of) >= 0.5).float()
        segments: Tensor = getattr(output, f"{of}_segments")
        video: Tensor = getattr(output, of)
        return ((segments >= 0.5) & (video >= 0.5).unsqueeze(1)).float()

    def _released_target(self, heard: Tensor, seen: Tensor) -> Tensor:
        most = torch.cat((heard, seen), dim=1).sum(dim=-1).amax(dim=1)  # [B]
        x = heard @ seen.transpose(1, 2) / most.clamp_min(1)[:, None, None]
        return x / (1 + x) + self.config.epsilon


def event_overlap(heard: Tensor, seen: Tensor) -> Tensor:
    """Return intersection over union ``[B, T, T]`` of event sets ``[B, T, C]`` (0 or 1); 0 where both are empty."""
    both = heard @ seen.transpose(1, 2)
    either = heard.sum(dim=-1).unsqueeze(2) + seen.sum(dim=-1).unsqueeze(1) - both
    return both / either.clamp_min(1)
