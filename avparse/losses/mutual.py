"""Mutual learning of video and modality predictions, weighted by certainty (Gao, Chen, Xu: CMPAE, CVPR 2023)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from avparse.data.features import Batch, Step
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.loss import LossConfig
from avparse.models.output import ParserOutput


class MutualLearning:
    """Squared error that draws the video's and its modalities' probabilities together; they learn from it in turn.

    A class of the video is compared with the likelier modality, an absent class with the mean of both. The squared
    errors are averaged over videos and classes, each weighted by 1 minus the uncertainty of the probability that it is
    compared with. In odd batches the video's probability learns, weighted by the video's uncertainty u; in even batches
    the modalities learn, weighted by 1 - u. The uncertainties learn in all batches, as in the released code: a modality
    may also lower the loss by becoming uncertain. A modality that a video lacks is not compared.
    A modality that a video lacks is not compared.
    """

    class Config(LossConfig):
        """Settings of the loss ``mutual``.

        Attributes:
            least: lower bound of the video's uncertainty u.
            negative: weight of the classes that a video lacks.
        """

        name: Literal["mutual"] = "mutual"
        least: float = Field(0.9, ge=0, le=1)
        negative: float = Field(1.0, ge=0)

    def __init__(self, config: Config) -> None:
        self.config = config
        self.label = "mutual"

    def __call__(self, output: ParserOutput, targets: Targets, batch: Batch, step: Step) -> Tensor:
        """Return the scalar loss.

        Raises:
            UserError: the parser returns no uncertainty.
        """
        if output.uncertainty is None:
            raise UserError("loss 'mutual': the parser returns no uncertainty; choose the decoder 'evidence'")
        video, audio, visual = output.video, output.audio, output.visual
        unsure = output.uncertainty
        of_video = unsure.video.clamp_min(self.config.least)
        video_learns = step.step % 2 == 1
        if video_learns:
            audio, visual = audio.detach(), visual.detach()
        else:
            video, of_video = video.detach(), 1 - of_video
        louder = audio >= visual
        likelier = torch.where(louder, audio, visual), torch.where(louder, unsure.audio, unsure.visual)
        heard, seen = (_present(mask, video) for mask in (batch.features.audio_mask, batch.features.visual_mask))
        count = (heard + seen).clamp_min(1)
        mean = tuple((a * heard + v * seen) / count for a, v in ((audio, visual), (unsure.audio, unsure.visual)))
        present = (targets.video > 0.5).to(video.dtype)
        errors = [(1 - u) * (video - p).square() for p, u in (likelier, mean)]
        each = present * errors[0] + self.config.negative * (1 - present) * errors[1]
        return (of_video.unsqueeze(-1) * each).mean()


def _present(mask: Tensor | None, like: Tensor) -> Tensor:
    """Return ``[B, 1]``, one where a video has the modality and zero elsewhere."""
    if mask is None:
        return torch.ones_like(like[:, :1])
    return mask.any(dim=-1, keepdim=True).to(like.dtype)
