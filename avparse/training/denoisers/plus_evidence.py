"""What RLLD-plus knows of each label: logits of parsers, and pseudo labels of teachers."""

from __future__ import annotations

import torch
from torch import Tensor

from avparse.data.batching import Indices
from avparse.data.store import FeatureStore
from avparse.foundation.settings import PartConfig, build
from avparse.labels.pseudo import PSEUDO_LABELS
from avparse.labels.segments import SegmentTable
from avparse.models.output import ParserOutput


def evidence(output: ParserOutput) -> Tensor:
    """Return the evidence of a parser's output for each class, ``[N, C, 6]``: audio and visual of three logits in turn.

    The logits are those of the video, of its most probable segment, and the mean over segments.
    """
    segments = [_logit(x) for x in (output.audio_segments, output.visual_segments)]
    videos = [_logit(x) for x in (output.audio, output.visual)]
    return torch.stack([*videos, *(x.amax(dim=1) for x in segments), *(x.mean(dim=1) for x in segments)], dim=-1)


def teacher_evidence(config: PartConfig, store: FeatureStore, videos: Indices) -> Tensor:
    """Return the evidence of teachers for each class, ``[N, C, K]``: two values for each modality that has a teacher.

    They are the highest pseudo label of a segment, and the mean over segments; NaN where a segment is unknown, and of
    classes that the teacher cannot judge.
    """
    maker = build(PSEUDO_LABELS, config)
    labels = SegmentTable(maker(store, videos), store)(torch.from_numpy(videos))
    lengths = torch.from_numpy(store.lengths[videos])[:, None]
    values = []
    for side, judged in zip((side for side in labels if side is not None), maker.judged(store), strict=True):
        told = torch.from_numpy(judged)
        values += [x.where(told, torch.nan) for x in (side.amax(dim=1), side.sum(dim=1) / lengths)]
    return torch.stack(values, dim=-1)


def centre_and_scale(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation ``[K]`` of the known values ``[n, K]``, from rows without NaN where there are any."""
    whole = values[~values.isnan().any(dim=-1)]
    if len(whole) > 1:
        return whole.mean(dim=0), whole.std(dim=0).clamp_min(1e-6)
    known = [column[~column.isnan()] for column in values.unbind(dim=-1)]
    moments = [(x.mean(), x.std()) if len(x) > 1 else (x.new_zeros(()), x.new_ones(())) for x in known]
    centre, scale = (torch.stack(each) for each in zip(*moments, strict=True))
    return centre, scale.clamp_min(1e-6)


def _logit(probability: Tensor) -> Tensor:
    return probability.clamp(1e-4, 1 - 1e-4).logit()
