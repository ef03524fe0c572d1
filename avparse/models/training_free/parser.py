"""A parser without training: at most one scorer for each modality, with a threshold that needs no labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from avparse.data.features import Features, TaskSpec
from avparse.data.made_up import MadeUp
from avparse.data.vocabulary import MODALITIES
from avparse.models.decoding import DecodingRule
from avparse.models.output import ParserOutput
from avparse.models.training_free.scorer import ClassScorer
from avparse.models.training_free.thresholds.threshold import LabelFreeThreshold

_DAY = 86_400  # segments that are parsed at once: every rule sees the whole video


@dataclass(frozen=True)
class Judge:
    """A scorer and the threshold that fits its logits.

    Attributes:
        scorer: network that judges the classes.
        threshold: rule that makes probabilities of its logits.
        unknown: remark about each class whose name neither the scorer nor any list of names knows, such as the nearest
            known name; a class that is known to be beyond the scorer is not among them.
    """

    scorer: ClassScorer
    threshold: LabelFreeThreshold
    unknown: Mapping[str, str] = field(default_factory=dict)


class TrainingFreeParser:
    """Parses segments by the judges of the modalities, each by itself.

    Nothing is invented: a class that no judge of a modality knows has probability zero there and is named by
    :meth:`unjudged`, so that timelines hold no value for it.

    Args:
        classes: wanted classes, in order; those of every scorer.
        judges: the judges, one or none for each modality, and at least one.
        segment_seconds: length of a segment.
    """

    def __init__(self, classes: Sequence[str], judges: Sequence[Judge], segment_seconds: float = 1.0) -> None:
        self._judges: dict[str, Judge] = {judge.scorer.modality: judge for judge in judges}
        scorers = [judge.scorer for judge in self._judges.values()]
        self.spec = TaskSpec(
            classes=tuple(classes),
            streams={scorer.stream: scorer.dimension for scorer in scorers},
            segment_seconds=segment_seconds,
            segments=_DAY,
            extractors={scorer.stream: scorer.extractor for scorer in scorers},
        )
        self.rule = DecodingRule(gate="own")
        self.trained_on: MadeUp = ""
        self.note = ""
        self.judged_by: dict[str, str] = {scorer.modality: scorer.title for scorer in scorers}

    @property
    def origin(self) -> str:
        """The networks, as messages name them."""
        return " and ".join(dict.fromkeys(self.judged_by.values()))

    def unjudged(self, modality: str) -> tuple[str, ...]:
        """Return the classes that nothing judges in a modality."""
        judge = self._judges.get(modality)
        if judge is None:
            return self.spec.classes
        return tuple(name for name, able in zip(self.spec.classes, judge.scorer.judges, strict=True) if not able)

    def load(self) -> TrainingFreeParser:
        """Return this parser, which has no weights of its own."""
        return self

    @torch.inference_mode()
    def __call__(self, features: Features, cross: bool = True) -> ParserOutput:
        """Parse a batch of videos.

        Args:
            features: streams ``[B, T, D]`` of the scorers.
            cross: nothing depends on it, because the modalities are judged apart.
        """
        sides = []
        for modality, mask in zip(MODALITIES, (features.audio_mask, features.visual_mask), strict=True):
            size, total = features.shape
            present = torch.ones(size, total, dtype=torch.bool) if mask is None else mask
            sides.append(torch.stack([self._video(modality, features, i, present[i]) for i in range(size)]))
        audio, visual = (side.amax(dim=1) for side in sides)
        return ParserOutput(sides[0], sides[1], audio, visual, torch.maximum(audio, visual))

    def _video(self, modality: str, features: Features, index: int, present: Tensor) -> Tensor:
        """Return the probabilities ``[T, C]`` of one video, zero where the modality is absent or nothing judges."""
        probabilities = torch.zeros(len(present), len(self.spec.classes))
        judge = self._judges.get(modality)
        if judge is None or not present.any() or not judge.scorer.judges.any():
            return probabilities
        able = torch.from_numpy(judge.scorer.judges)
        logits = judge.scorer.logits(features.streams[judge.scorer.stream][index][present].float())
        known = torch.cat([able, torch.ones(logits.shape[1] - len(able), dtype=torch.bool)])
        judged = judge.threshold(logits[:, known], int(able.sum()))
        probabilities[present.nonzero(), able.nonzero().T] = judged.float()
        return probabilities
