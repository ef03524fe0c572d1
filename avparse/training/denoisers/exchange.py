"""MA: exchange the tracks of unrelated videos to see which label is heard and which is seen (Wu, Yang, CVPR 2021)."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from avparse.data.batching import Indices, batches
from avparse.data.features import Features
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.labels.exchange import class_errors, draw_partners, exchange_removals
from avparse.training.denoisers.denoiser import Leaves, Truth

if TYPE_CHECKING:
    from avparse.evaluation.prediction import Parse
    from avparse.training.recipe import Recipe
    from avparse.training.workshop import Prepared, Workshop


class ModalityExchange:
    """Removes the labels that a parser misses once the other track is a foreign one.

    A parser is trained on the weak labels; then it sees each video's sound with the picture of a video that shares no
    label, and the other way round.
    """

    leaves: Leaves = "labels"
    truth: Truth = None

    class Config(PartConfig):
        """Settings.

        Attributes:
            base: name of a shipped recipe whose parser does the test; None: the recipe of the run. A recipe that is
                named keeps its own settings, whatever the run's are, but for the stem and ``training.precision``,
                which are the run's.
            base_set: settings of that recipe to replace, each ``key=value`` as for ``--set``.
            epochs: of that parser, whose last epoch is used; None: as many as its recipe has.
            partners: foreign videos a video is tested with.
            rule: whether a label must fail with all partners or with most.
        """

        name: Literal["exchange"] = "exchange"
        base: str | None = None
        base_set: tuple[str, ...] = ()
        epochs: int | None = Field(None, ge=1)
        partners: int = Field(1, ge=1)
        rule: Literal["and", "majority"] = "and"

        @model_validator(mode="after")
        def _check(self) -> Self:
            if self.base_set and self.base is None:
                raise UserError("base_set changes the recipe that base names; name one")
            return self

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return the weak labels less those that fail their test.

        Raises:
            UserError: the base's recipe is unknown or bad, or its parser does not say which streams are sound.
        """
        from avparse.training.workshop import Prepared  # noqa: PLC0415 (imports recipes, which name denoisers)

        base = _base(self.config, workshop.recipe)
        sound = getattr(base.parser, "audio", None)
        if sound is None:
            raise UserError("denoiser 'exchange': the parser's settings need 'audio', the names of its audio streams")
        parser = workshop.fit("base", base.plain(self.config.epochs, select="last"))
        partners = draw_partners(workshop.given, workshop.random("partners"), self.config.partners)
        alone = torch.from_numpy(partners[:, :1] == np.arange(len(partners))[:, None])  # [N, 1], no partner exists
        own = workshop.video_probabilities(parser, workshop.train)
        pairs = [_exchanged(parser, workshop, partners[:, k], sound) for k in range(self.config.partners)]
        foreign_visual, foreign_audio = (torch.stack(side) for side in zip(*pairs, strict=True))  # [K, 2, N, C] each
        given = torch.from_numpy(workshop.given)
        removals = exchange_removals(
            (foreign_visual[:, 0], foreign_visual[:, 1]),
            (foreign_audio[:, 0], foreign_audio[:, 1]),
            given & ~alone,
            (class_errors(own[0], given), class_errors(own[1], given)),
            self.config.rule,
        )
        # How surely the tested track carries the label: the better of the two answers, averaged over partners.
        quality = torch.stack([answers.amax(dim=1).mean(dim=0) for answers in (foreign_visual, foreign_audio)])
        keep = given & ~torch.stack(removals)
        return Prepared(labels=workshop.refined(keep, quality.clamp(0, 1), "missed when the other track was exchanged"))


def _base(config: ModalityExchange.Config, recipe: Recipe) -> Recipe:
    """Return the recipe of the parser that does the test."""
    from avparse.training.recipe import load_recipe  # noqa: PLC0415 (recipes name denoisers)

    if config.base is None:
        return recipe
    base = load_recipe(config.base, [f"training.precision={recipe.training.precision}", *config.base_set])
    stem = getattr(recipe.parser, "stem", None)
    return base if stem is None else base.model_copy(update={"parser": base.parser.model_copy(update={"stem": stem})})


@torch.no_grad()
def _exchanged(parser: Parse, workshop: Workshop, partners: Indices, sound: Collection[str]) -> tuple[Tensor, Tensor]:
    """Return the probabilities ``[2, N, C]`` of the training videos with their partners' picture, and sound."""
    table, train = workshop.table(), workshop.train
    answers: tuple[list[Tensor], list[Tensor]] = ([], [])
    for rows in batches(np.arange(len(partners)), 256):
        # One batch, so that own and foreign tracks are padded to one length.
        pair = table.batch(np.concatenate((train[rows], train[partners[rows]]))).features
        own, other = pair.videos(slice(len(rows))), pair.videos(slice(len(rows), None))
        for side, heard, seen in zip(answers, (own, other), (other, own), strict=True):
            streams = {name: (heard if name in sound else seen).streams[name] for name in pair.streams}
            output = parser(Features(streams, heard.audio_mask, seen.visual_mask))
            side.append(torch.stack((output.audio, output.visual)).float().cpu())
    return torch.cat(answers[0], dim=1), torch.cat(answers[1], dim=1)
