"""Score table of a run: the parser by itself, the parser given the weak labels, and the weak labels themselves."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from avparse.data.batching import FeatureTable, Indices
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.parsing import LEVELS, METRICS, ParsingScores, score_parsing
from avparse.evaluation.prediction import predict
from avparse.models.decoding import DecodingRule
from avparse.models.output import Parse

PARSER_ONLY = "parser"
GIVEN_LABELS = "parser given weak labels"
COLUMNS = ("segment A", "V", "AV", "Type", "Event", "event A", "V", "AV", "Type", "Event")  # the order of METRICS
COPIED = "weak label copied everywhere"
MEAN, UNALIGNED = "mean", "unaligned"
SELECTABLE = (*METRICS, MEAN, UNALIGNED, *MODALITIES)


def score_split(parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule) -> ParsingScores:
    """Score a parser on annotated videos of a store.

    Args:
        parser: parser in evaluation mode, or any function from features to a parser's output.
        table: feature table that the videos are read from.
        indices: positions ``[n]`` of annotated videos in the store.
        rule: decoding rule that turns probabilities into decisions.

    Raises:
        UserError: a video has no dense truth.
    """
    audio, visual = rule.decide(predict(rule.reading(parser), table, indices))
    return score_parsing(audio.numpy(), visual.numpy(), *table.store.dense_truth(indices))


def validation_metrics(parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule) -> dict[str, float]:
    """Return the validation metrics that epochs can be selected by, in percent.

    They are the ten metrics and values derived from them. ``LEVEL_audible`` and ``LEVEL_visible`` score events that
    occur in one modality only (heard and not seen in a segment, and the reverse; Sardari et al.: CoLeaF, ECCV 2024).
    ``mean`` is the mean of the ten metrics, ``unaligned`` the same mean with these two in place of audio and visual,
    and ``audio`` and ``visual`` are the mean of that modality's segment-level and event-level metric.
    """
    audio, visual = (x.numpy() for x in rule.decide(predict(rule.reading(parser), table, indices)))
    heard, seen, mask = table.store.dense_truth(indices)
    metrics = score_parsing(audio, visual, heard, seen, mask).as_dict()
    single_modality = score_parsing(audio & ~visual, visual & ~audio, heard & ~seen, seen & ~heard, mask).as_dict()
    unaligned = []
    for level in LEVELS:
        audible, visible = single_modality[f"{level}_audio"], single_modality[f"{level}_visual"]
        kinds = (audible, visible, metrics[f"{level}_audio_visual"])
        unaligned += [*kinds, sum(kinds) / 3, single_modality[f"{level}_event"]]
        metrics |= {f"{level}_audible": audible, f"{level}_visible": visible}
    metrics |= {m: sum(metrics[f"{level}_{m}"] for level in LEVELS) / len(LEVELS) for m in MODALITIES}
    return metrics | {MEAN: float(np.mean([metrics[f] for f in METRICS])), UNALIGNED: float(np.mean(unaligned))}


def compare_with_labels(
    parser: Parse, table: FeatureTable, indices: Indices, rule: DecodingRule
) -> dict[str, ParsingScores]:
    """Score a parser next to the scores of the weak labels by themselves.

    The three rows are scored on the same videos: the parser by itself, the parser restricted to each video's weak
    label, and the weak label switched on in every segment of both modalities.

    Raises:
        UserError: a video has no dense truth.
    """
    output = predict(rule.reading(parser), table, indices)
    audio_true, visual_true, mask = table.store.dense_truth(indices)
    weak = torch.from_numpy(table.store.weak[indices])
    everywhere = weak.unsqueeze(1).expand(-1, mask.shape[1], -1)
    decisions = {
        PARSER_ONLY: rule.decide(output),
        GIVEN_LABELS: rule.decide(output, allowed=weak),
        COPIED: (everywhere, everywhere),
    }
    return {
        name: score_parsing(audio.numpy(), visual.numpy(), audio_true, visual_true, mask)
        for name, (audio, visual) in decisions.items()
    }


def score_table(scores: Mapping[str, Mapping[str, float]], caption: str) -> str:
    """Return a Markdown table of the ten metrics in percent, with one row per system, under ``caption``."""
    lines = [caption, "", f"| system | {' | '.join(COLUMNS)} |", "|---|" + "---:|" * len(COLUMNS)]
    lines += [f"| {name} | " + " | ".join(f"{v:.1f}" for v in row.values()) + " |" for name, row in scores.items()]
    return "\n".join(lines) + "\n"
