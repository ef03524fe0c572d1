"""PLD: train on the pseudo labels, turn over those that the parser finds abnormally hard, train again (VAPLAN)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.labels.pld import FlipRule, repair
from avparse.training.denoisers.denoiser import Leaves, Truth

if TYPE_CHECKING:
    from avparse.training.workshop import Prepared, Workshop


class PseudoLabelDenoising:
    """Repairs the recipe's pseudo labels; the parsers on the way are kept as ``pass0``, ``pass1``, ..."""

    leaves: Leaves = "segments"
    truth: Truth = None

    class Config(PartConfig):
        """Settings.

        Attributes:
            flip: which labels are turned over.
            modalities: whose labels are repaired (published: visual ones only).
            passes: how often a parser is trained and the labels repaired.
            epochs: of these parsers; None: as many as the run has.
            restart: train the parser on the repaired labels from scratch, rather than going on with the last one
                (which one is published is not known).
        """

        name: Literal["pld"] = "pld"
        flip: FlipRule = FlipRule()
        modalities: tuple[Literal["audio", "visual"], ...] = Field(("visual",), min_length=1)
        passes: int = Field(1, ge=1)
        epochs: int | None = Field(None, ge=1)
        restart: bool = True

    def __init__(self, config: Config) -> None:
        self.config = config

    def prepare(self, workshop: Workshop) -> Prepared:
        """Return the repaired labels.

        Raises:
            UserError: the recipe makes no pseudo labels.
        """
        from avparse.training.workshop import Prepared  # noqa: PLC0415 (imports recipes, which name denoisers)

        prepared = Prepared(segments=workshop.segments)
        for number in range(self.config.passes):
            if prepared.segments is None:
                raise UserError("denoiser 'pld': there are no labels to repair; give the recipe 'pseudo_labels'")
            parser = workshop.fit(f"pass{number}", workshop.recipe.plain(self.config.epochs), prepared)
            output = predict(parser, workshop.table(), workshop.train)
            config, start = self.config, None if self.config.restart else parser.state_dict()
            labels = repair(prepared.segments, output, workshop.store, workshop.train, config.flip, config.modalities)
            prepared = Prepared(segments=labels, start=start)
        return prepared
