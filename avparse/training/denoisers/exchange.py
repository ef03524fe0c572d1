"""MA: exchange the tracks of unrelated videos to see which label is heard and which is seen (Wu, Yang, CVPR 2021)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from avparse.data.batching import batches
from avparse.foundation.settings import PartConfig
from avparse.labels.exchange import class_errors, draw_partners, exchange_removals

if TYPE_CHECKING:
    from avparse.evaluation.prediction import Parse
    from avparse.training.workshop import Prepared, Workshop


class ModalityExchange:
    """Removes the labels that a parser misses once the other track is a foreign one.

    A parser is trained on the weak labels; then it sees each video's sound with the picture of a video that shares no
    label, and the other way round.
    """

    class Config(PartConfig):
        """Settings.

        Attributes:
            epochs: of the first parser, whose last epoch is used; None: as many as the run has.
            partners: foreign videos a video is tested with.
            rule: whether a label must fail with all partners or with most.
        """

        name: Literal["exchange"] = "exchange"
        epochs: int | None = Field(None, ge=1)
        partners: int = Field(1, ge=1)
        rule: Literal["and", "majority"] = "and"

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return the weak labels less those that fail their test."""
        from avparse.training.workshop import Prepared  # noqa: PLC0415 (imports recipes, which name denoisers)

        parser = workshop.fit("base", workshop.recipe.plain(epochs=self.config.epochs))
        rng = np.random.default_rng(np.random.SeedSequence([workshop.seed, 1]))
        partners = draw_partners(workshop.given, rng, self.config.partners)
        own = workshop.video_probabilities(parser, workshop.train)
        given = torch.from_numpy(workshop.given)
        testable = given & torch.from_numpy((partners != np.arange(len(partners))[:, None]).any(axis=1)).unsqueeze(-1)
        foreign = [self._exchanged(parser, workshop, partners[:, k]) for k in range(self.config.partners)]
        foreign_audio, foreign_visual = (torch.stack([f[side] for f in foreign]) for side in (0, 1))
        removals = exchange_removals(
            (foreign_visual[:, 0], foreign_visual[:, 1]),
            (foreign_audio[:, 0], foreign_audio[:, 1]),
            testable,
            (class_errors(own[0], given), class_errors(own[1], given)),
            self.config.rule,
        )
        # How surely the tested track carries the label: the better of the two answers, averaged over partners.
        quality = torch.stack((foreign_visual.amax(dim=1).mean(dim=0), foreign_audio.amax(dim=1).mean(dim=0)))
        keep = given & ~torch.stack(removals)
        return Prepared(labels=workshop.refined(keep, quality.clamp(0, 1), "missed when the other track was exchanged"))

    @torch.no_grad()
    def _exchanged(self, parser: Parse, workshop: Workshop, partners: np.ndarray) -> tuple[Tensor, Tensor]:  # type: ignore[type-arg]
        """Return the probabilities ``[2, N, C]`` with foreign audio, and with foreign visual."""
        table = workshop.table()
        audio_streams = workshop.recipe.parser.stem.audio  # type: ignore[attr-defined]
        sides: tuple[list[Tensor], list[Tensor]] = ([], [])
        for rows in batches(np.arange(len(partners)), 256):
            mine = table.batch(workshop.train[rows]).features
            other = table.batch(workshop.train[partners[rows]]).features
            # Cut to the shorter of the two lengths where videos differ.
            length = min(mine.shape[1], other.shape[1])
            mine, other = mine.cut(length), other.cut(length)
            heard = {n: (other if n in audio_streams else mine).streams[n] for n in mine.streams}
            seen = {n: (mine if n in audio_streams else other).streams[n] for n in mine.streams}
            for side, streams, audio, visual in ((0, heard, other, mine), (1, seen, mine, other)):
                features = replace(mine, streams=streams, audio_mask=audio.audio_mask, visual_mask=visual.visual_mask)
                output = parser(features)
                sides[side].append(torch.stack((output.audio, output.visual)).float().cpu())
        return torch.cat(sides[0], dim=1), torch.cat(sides[1], dim=1)
