"""A parser made of class scorers: what they judge, and nothing where they judge nothing."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avparse.data.features import Features
from avparse.models.training_free import Judge, LogOdds, TrainingFreeParser


class Firsts:
    """Reads its logits off the first features, and judges all classes but the last."""

    extractor, stream, dimension, title = "light", "pictures", 4, "firsts"
    modality = "visual"

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.judges = np.arange(len(classes)) < len(classes) - 1

    def logits(self, features: Tensor) -> Tensor:
        logits = features[:, : len(self.classes)].clone()
        logits[:, -1] = torch.nan
        return logits


def parser(cut: float = 0.5) -> TrainingFreeParser:
    classes = ("Dog", "Cat", "Wind")
    return TrainingFreeParser(classes, [Judge(Firsts(classes), LogOdds(cut))])


def test_probabilities_are_those_of_the_scorer_and_zero_where_the_modality_is_absent() -> None:
    features = torch.randn(2, 5, 4)
    mask = torch.ones(2, 5, dtype=torch.bool)
    mask[1, 3:] = False
    output = parser()(Features({"pictures": features}, visual_mask=mask))
    expected = features[..., :2].sigmoid() * mask[..., None]
    torch.testing.assert_close(output.visual_segments[..., :2], expected)
    torch.testing.assert_close(output.visual, output.visual_segments.amax(dim=1))
    assert not output.audio_segments.any()
    assert not output.visual_segments[..., 2].any()


def test_what_nothing_judges_is_named() -> None:
    made = parser()
    assert made.unjudged("visual") == ("Wind",)
    assert made.unjudged("audio") == ("Dog", "Cat", "Wind")
    assert made.judged_by == {"visual": "firsts"}
    assert made.origin == "firsts"


def test_a_cut_of_log_odds_decides_at_its_probability() -> None:
    logits = torch.tensor([[0.79, 0.81, 0.0]]).logit()
    decided = parser(cut=0.8)(Features({"pictures": torch.nn.functional.pad(logits[None], (0, 1))})).visual_segments
    assert (decided[0, 0] >= 0.5).tolist() == [False, True, False]
