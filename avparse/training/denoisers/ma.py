"""MA: labels tested by exchanging tracks between unrelated videos (Wu, Yang: Exploring Heterogeneous Clues, CVPR 2021).

A trained parser reads the audio of a video together with the visual track of another video that shares no label with
it, and the reverse. As the other track is foreign, only the tested track can carry the label; where neither probability
of the class is high enough, relative to the class's error, the label is removed from the tested modality.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from avparse.data.batching import Indices, batches
from avparse.data.features import Features
from avparse.foundation.arrays import BoolArray, IntArray
from avparse.foundation.errors import UserError
from avparse.foundation.settings import PartConfig
from avparse.models.output import Parse
from avparse.training.denoisers.denoiser import Leaves, Truth
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.workspace import Workspace

_DRAWS = 50


def draw_partners(labels: BoolArray, rng: np.random.Generator, n_partners: int = 1) -> IntArray:
    """Draw, for each video, others without a common label, uniformly and independently.

    A video that shares a label with every other one becomes its own partner; it cannot be tested, so leave it out of
    the ``labels`` of :func:`exchange_removals`.

    Args:
        labels: weak labels ``[N, C]``.
        rng: source of the random draws.
        n_partners: number of draws per video.

    Returns:
        Positions ``[N, n_partners]`` of the partners.
    """
    count = len(labels)
    partners = rng.integers(count, size=(count, n_partners))
    clash = _share_label(labels, partners)
    for _ in range(_DRAWS):  # rejection: cheap and nearly always enough
        if not clash.any():
            return partners
        partners[clash] = rng.integers(count, size=int(clash.sum()))
        clash = _share_label(labels, partners)
    for video in np.flatnonzero(clash.any(axis=1)):
        disjoint = np.flatnonzero(~(labels & labels[video]).any(axis=1))
        partners[video, clash[video]] = rng.choice(disjoint, int(clash[video].sum())) if len(disjoint) else video
    return partners


def _share_label(labels: BoolArray, partners: IntArray) -> BoolArray:
    shared: BoolArray = np.any(labels[:, None] & labels[partners], axis=-1)
    return shared


def class_errors(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Return the share ``[C]`` of all videos whose label ``[N, C]`` the probabilities ``[N, C]`` contradict at 0.5."""
    return ((probabilities > 0.5) != (labels > 0)).float().mean(dim=0)


def exchange_removals(
    foreign_visual: tuple[Tensor, Tensor],
    foreign_audio: tuple[Tensor, Tensor],
    labels: Tensor,
    errors: tuple[Tensor, Tensor],
    rule: Literal["and", "majority"] = "and",
) -> tuple[Tensor, Tensor]:
    """Decide which labels to remove from audio and from visual.

    Args:
        foreign_visual: audio and visual probabilities with a video's own audio and a foreign visual track, each ``[N,
            C]``, or ``[K, N, C]`` with K partners; they test audio.
        foreign_audio: audio and visual probabilities with a video's own visual and a foreign audio track, in the same
            shapes; they test visual.
        labels: labels ``[N, C]`` that may be removed.
        errors: class errors ``[C]`` of audio and of visual with the original tracks, from :func:`class_errors`.
        rule: condition with several partners: a label is removed where the test fails with all of them (``and``), or
            with more than half (``majority``).

    Returns:
        Removal from audio and from visual, each boolean ``[N, C]``. A label can be removed from both. A class without
        any error keeps its labels.
    """
    removals = []
    for (audio, visual), error in zip((foreign_visual, foreign_audio), errors, strict=True):
        # Published as p / k < 1/2 with k = error / max(error); as a product, nothing is divided by zero.
        bound = 0.5 * error / error.max().clamp_min(torch.finfo(error.dtype).tiny)
        failed = ((audio < bound) & (visual < bound)).reshape(-1, *labels.shape)  # [K, N, C]
        agreed = failed.all(dim=0) if rule == "and" else 2 * failed.sum(dim=0) > len(failed)
        removals.append(agreed & (labels > 0))
    return removals[0], removals[1]


class ModalityExchange:
    """Removes the labels that a parser no longer predicts when the other track is replaced by a foreign one.

    A parser is trained on the weak labels; then it reads each video's audio with the visual track of a video that
    shares no label, and the reverse.
    """

    leaves: Leaves = "labels"
    truth: Truth = None

    class Config(PartConfig):
        """Settings of the denoiser ``ma``.

        Attributes:
            base: name of a shipped recipe whose parser does the test; None: the recipe of the run. A named recipe keeps
                its own settings, whatever the run's are, except for the stem and ``training.precision``, which are the
                run's.
            base_set: settings of that recipe to replace, each ``key=value`` as for ``--set``.
            epochs: number of epochs of that parser, whose last epoch is used; None: as many as its recipe has.
            partners: number of foreign videos that each video is tested with.
            rule: whether a label must fail with all partners or with most.
        """

        former_names = ("exchange",)
        name: Literal["ma"] = "ma"
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

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the weak labels without those that fail their test.

        Raises:
            UserError: the base's recipe is unknown or bad, or its parser does not say which streams are audio.
        """
        base = base_recipe(self.config, workspace.recipe)
        sound = getattr(base.parser, "audio", None)
        if sound is None:
            raise UserError("denoiser 'ma': the parser's settings need 'audio', the names of its audio streams")
        parser = workspace.fit("base", base.plain(self.config.epochs, select="last"))
        partners = draw_partners(workspace.given, workspace.random("partners"), self.config.partners)
        without_partner = torch.from_numpy(
            partners[:, :1] == np.arange(len(partners))[:, None]
        )  # [N, 1], no partner exists
        own = workspace.video_probabilities(parser, workspace.train)
        pairs = [exchanged_probabilities(parser, workspace, partners[:, k], sound) for k in range(self.config.partners)]
        foreign_visual, foreign_audio = (torch.stack(side) for side in zip(*pairs, strict=True))  # [K, 2, N, C] each
        given = torch.from_numpy(workspace.given)
        removals = exchange_removals(
            (foreign_visual[:, 0], foreign_visual[:, 1]),
            (foreign_audio[:, 0], foreign_audio[:, 1]),
            given & ~without_partner,
            (class_errors(own[0], given), class_errors(own[1], given)),
            self.config.rule,
        )
        # Confidence that the tested track carries the label: the higher of both probabilities, averaged over partners.
        quality = torch.stack([answers.amax(dim=1).mean(dim=0) for answers in (foreign_visual, foreign_audio)])
        keep = given & ~torch.stack(removals)
        return Prepared(
            labels=workspace.refined(keep, quality.clamp(0, 1), "missed when the other track was exchanged")
        )


def base_recipe(config: ModalityExchange.Config, recipe: Recipe) -> Recipe:
    """Return the recipe of the parser that does the test: that of the run, or the one that the settings name."""
    if config.base is None:
        return recipe
    base = load_recipe(config.base, [f"training.precision={recipe.training.precision}", *config.base_set])
    stem = getattr(recipe.parser, "stem", None)
    return base if stem is None else base.model_copy(update={"parser": base.parser.model_copy(update={"stem": stem})})


@torch.no_grad()
def exchanged_probabilities(
    parser: Parse, workspace: Workspace, partners: Indices, sound: Collection[str]
) -> tuple[Tensor, Tensor]:
    """Parse the training videos with one track of their partners in place of their own.

    Args:
        parser: parser that was trained on the original pairs.
        workspace: workspace whose training videos are parsed.
        partners: position ``[N]`` of the partner of each training video, among the training videos.
        sound: names of the audio streams; all others are visual.

    Returns:
        Video-level probabilities ``[2, N, C]`` (audio, visual) with the partner's visual track, and with its audio
        track.
    """
    table, train = workspace.table(), workspace.train
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
