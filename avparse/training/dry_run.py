"""Dry run of a recipe on random data, so that parts that do not fit together are found before hours of training."""

from __future__ import annotations

import torch

from avparse.data.features import Batch, Features, Step, TaskSpec
from avparse.data.vocabulary import MODALITIES
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.labels.segments import SegmentLabels
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.models.parsers.build import build_parser
from avparse.training.recipe import Recipe

_VIDEOS = 2


def dry_run(recipe: Recipe, spec: TaskSpec, pseudo: SegmentLabels | None) -> None:
    """Compute every loss once, for a few random videos, without changing torch's global random generator.

    Args:
        recipe: recipe that is tried.
        spec: classes, streams and segment length of the data.
        pseudo: pseudo labels that the recipe makes from the data; None if it makes none.

    Raises:
        UserError: a stream is missing, the optimiser names parameters that do not exist, a loss needs an output or a
            label that is missing, or the source of the parser's class vectors cannot be read.
    """
    with torch.random.fork_rng(devices=[]):
        parser = build_parser(recipe.parser, spec, recipe.training.cross).train()
        if parser.needs_statistics:
            parser.calibrate({name: (torch.zeros(d), torch.ones(d)) for name, d in spec.streams.items()})
        streams = {name: torch.randn(_VIDEOS, spec.segments, d) for name, d in spec.streams.items()}
        weak = torch.ones(_VIDEOS, len(spec.classes))
        segments = weak.unsqueeze(1).expand(-1, spec.segments, -1)
        known = [segments if pseudo is not None and pseudo.side(m) is not None else None for m in MODALITIES]
        targets = Targets(weak, weak, weak, *known)
        batch = Batch(torch.arange(_VIDEOS), Features(streams), weak)
        recipe.training.optimizer.build(parser)
        output = parser(batch.features)
        for config in recipe.losses:
            try:
                build(LOSSES, config)(output, targets, batch, Step(0, 0, 1))
            except UserError as error:
                if output.peers is None:
                    raise
                hidden = "two parsers return only their probabilities: set parser.twins to false"
                raise UserError(f"{error} ({hidden})") from None
