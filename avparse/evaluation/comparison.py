"""The score table of a run: the parser alone, the parser given the weak labels, and the labels themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from avparse.data.batching import FeatureTable, Indices
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import FIGURES, LEVELS, ParsingScores, score_parsing
from avparse.evaluation.prediction import Parse, predict
from avparse.models.decoding import DecodingRule

Bits = npt.NDArray[np.bool_]

ALONE = "parser"
GIVEN_LABELS = "parser given weak labels"
COLUMNS = ("segment A", "V", "AV", "Type", "Event", "event A", "V", "AV", "Type", "Event")  # the order of FIGURES
COPIED = "weak label copied everywhere"
MEAN, UNALIGNED = "mean", "unaligned"
SELECTABLE = (*FIGURES, MEAN, UNALIGNED, *MODALITIES)


def score_split(parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule) -> ParsingScores:
    """Score a parser on annotated videos of a store."""
    audio, visual = rule.decide(predict(rule.reading(parser), table, indices))
    return score_parsing(audio.numpy(), visual.numpy(), *table.store.dense_truth(indices))


def validation_figures(parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule) -> dict[str, float]:
    """Return what epochs are selected by, percent: the ten figures and what follows from them.

    Of events that are in one modality only (Sardari et al.: CoLeaF, ECCV 2024), ``LEVEL_audible`` and
    ``LEVEL_visible`` score those that are heard and not seen in a segment, and the reverse. ``mean`` is the mean of the
    ten figures, ``unaligned`` the mean of the ten with these in place of audio and visual; ``audio`` and ``visual`` are
    the means of a modality's segment and event figures.
    """
    audio, visual = (x.numpy() for x in rule.decide(predict(rule.reading(parser), table, indices)))
    heard, seen, mask = table.store.dense_truth(indices)
    figures = score_parsing(audio, visual, heard, seen, mask).as_dict()
    apart = score_parsing(audio & ~visual, visual & ~audio, heard & ~seen, seen & ~heard, mask).as_dict()
    unaligned = []
    for level in LEVELS:
        audible, visible = apart[f"{level}_audio"], apart[f"{level}_visual"]
        kinds = (audible, visible, figures[f"{level}_audio_visual"])
        unaligned += [*kinds, sum(kinds) / 3, apart[f"{level}_event"]]
        figures |= {f"{level}_audible": audible, f"{level}_visible": visible}
    figures |= {m: sum(figures[f"{level}_{m}"] for level in LEVELS) / len(LEVELS) for m in MODALITIES}
    return figures | {MEAN: float(np.mean([figures[f] for f in FIGURES])), UNALIGNED: float(np.mean(unaligned))}


def compare_with_labels(
    parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule
) -> dict[str, ParsingScores]:
    """Score a parser beside what the weak labels alone would give.

    Three rows on the same videos: the parser alone, the parser restricted to each video's weak label, and that label
    switched on in every segment of both modalities.

    Raises:
        UserError: a video has no dense truth.
    """
    output = predict(rule.reading(parser), table, indices)
    audio_true, visual_true, mask = table.store.dense_truth(indices)
    weak = torch.from_numpy(table.store.weak[indices])
    everywhere = weak.unsqueeze(1).expand(-1, mask.shape[1], -1)
    decisions = {
        ALONE: rule.decide(output),
        GIVEN_LABELS: rule.decide(output, allowed=weak),
        COPIED: (everywhere, everywhere),
    }
    return {
        name: score_parsing(audio.numpy(), visual.numpy(), audio_true, visual_true, mask)
        for name, (audio, visual) in decisions.items()
    }


def score_table(scores: Mapping[str, Mapping[str, float]], caption: str) -> str:
    """Return a Markdown table of the ten scores in percent, a row a system, under ``caption``."""
    lines = [caption, "", f"| system | {' | '.join(COLUMNS)} |", "|---|" + "---:|" * len(COLUMNS)]
    lines += [f"| {name} | " + " | ".join(f"{v:.1f}" for v in row.values()) + " |" for name, row in scores.items()]
    return "\n".join(lines) + "\n"
