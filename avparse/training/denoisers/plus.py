"""RLLD-plus: a label policy that is rewarded directly, by the F measure of the labels that it keeps on validation.

The paper rewards thousands of draws with one number, after a training run. But the dense truth behind that number shows
for every single validation label whether keeping it was right. Here the reward of a draw is therefore the F measure of
the labels that it keeps, video by video; an episode is one step long, its expected reward has an exact gradient, and no
network needs to be trained for a reward. The policy's evidence on a video comes from parsers that were not trained on
it and that have no attention between the modalities, so that an event that is only heard does not look as if it were
seen: one parser trained on the weak labels of the training split, and copies of it finetuned on the truth of validation
videos. Where the recipe has teachers, their scores of a video are evidence as well.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from avparse.data.batching import Indices, task_spec
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.foundation.files import write_text
from avparse.foundation.progress import Stages
from avparse.labels.reinforced.actions import greedy, repair_union
from avparse.labels.segments import from_padded
from avparse.labels.target_sources import WeakLabels
from avparse.losses.segment import SegmentCrossEntropy
from avparse.losses.video import VideoCrossEntropy
from avparse.models.parsers import AnyParser
from avparse.training.denoisers.denoiser import Leaves, Truth, split_validation
from avparse.training.denoisers.plus_evidence import centre_and_scale, evidence, teacher_evidence
from avparse.training.denoisers.plus_policy import NO_FEATURES, AnnotatedVideos, Learner
from avparse.training.denoisers.plus_settings import PlusSettings
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe
from avparse.training.schedule import StepDecay
from avparse.training.workspace import Workspace

_log = logging.getLogger(__name__)
_RENAMED_FOLDERS = {"apart": "unimodal", "taught": "finetuned"}  # as earlier versions named them
_UNSMOOTHED = WeakLabels.Config(keep_audio=1.0, keep_visual=1.0)


class PlusDenoiser:
    """Trains a policy over cross-fitted evidence, starting from the class prior, and returns the labels that it keeps.

    The penalty that holds the policy near the prior is chosen by cross-validated reward; the prior itself is one of the
    choices. The workspace contains the parsers afterwards, and ``penalties.md`` with the reward of each choice.
    """

    leaves: Leaves = "labels"
    truth: Truth = "val"

    Config = PlusSettings

    def __init__(self, config: PlusSettings) -> None:
        self.config = config

    def prepare(self, workspace: Workspace) -> Prepared:
        """Return the labels that the learned policy keeps; each is kept in at least one modality."""
        workspace.rename_folders(_RENAMED_FOLDERS)
        reward, select = split_validation(workspace, self.config.val_split)
        if len(reward) < self.config.folds:
            raise UserError(f"rlld-plus: {len(reward)} rewarding videos for {self.config.folds} folds; set fewer folds")
        fold = torch.arange(len(reward)) % self.config.folds
        unknown, known = self._evidence(workspace, reward, fold)
        videos = AnnotatedVideos(
            known, torch.from_numpy(workspace.store.weak[reward]), workspace.modality_truth(reward)
        )
        learner = Learner(self.config, task_spec(workspace.store))
        penalty, table = learner.choose(videos, fold)
        write_text(workspace.folder / "penalties.md", table)
        if penalty is None:
            _log.warning(
                "rlld-plus: on %d validation videos no policy has a higher reward than the class prior; the labels are "
                "those of 'class-prior'",
                len(reward),
            )
        (policy,) = learner.learn(videos, [(torch.ones(len(reward), dtype=torch.bool), penalty)])
        given = torch.from_numpy(workspace.given)
        with torch.no_grad():
            logits = policy(NO_FEATURES, given.float(), unknown)
        actions = repair_union(greedy(logits, given, may_empty=True), logits, given)
        labels = workspace.refined(actions.labels, logits.sigmoid(), "dropped by the policy")
        return Prepared(labels=labels, val=select)

    def _evidence(self, workspace: Workspace, reward: Indices, fold: Tensor) -> tuple[Tensor, Tensor]:
        """Return the evidence ``[N, C K]`` on training and on rewarding videos, from parsers not trained on them."""
        given, table = torch.from_numpy(workspace.given), workspace.table()
        part = torch.from_numpy(workspace.random("parts").permutation(len(given)) % self.config.parts)
        teachers, teacher_scores = workspace.recipe.pseudo_labels, None
        if teachers is not None:
            splits = (workspace.train, reward)
            teacher_scores = [teacher_evidence(teachers, workspace.store, videos) for videos in splits]
        unknown, known = list[Tensor](), list[Tensor]()
        stages = Stages({f"part {number + 1}": 1.0 for number in range(self.config.parts)})
        for number in range(self.config.parts):
            mine = part == number
            unimodal = workspace.recipe.plain(self.config.epochs, cross=False)
            others = Prepared(only=workspace.train[(~mine).numpy()])
            with stages.at(f"part {number + 1}"):
                parser = workspace.fit(f"unimodal{number}", unimodal, others)
            unseen_videos = (workspace.train[mine.numpy()], reward)
            unseen = [evidence(predict(parser, table, videos)) for videos in unseen_videos]
            if self.config.finetune_epochs:
                finetuned = self._finetuned(workspace, f"finetuned{number}", parser, (*unseen_videos, fold))
                unseen = [torch.cat(pair, dim=-1) for pair in zip(unseen, finetuned, strict=True)]
            if teacher_scores is not None:
                pairs = zip(unseen, (teacher_scores[0][mine], teacher_scores[1]), strict=True)
                unseen = [torch.cat(pair, dim=-1) for pair in pairs]
            # Each part's parsers have a scale of their own, so their predictions of unseen labels are standardised.
            # A missing score of a teacher (NaN) is replaced by the teacher's mean.
            centre, scale = centre_and_scale(unseen[0][given[mine]])
            training, rewarding = (((x - centre) / scale).nan_to_num(nan=0.0) for x in unseen)
            unknown.append(training)
            known.append(rewarding)
        return _in_order(unknown, part).flatten(1), torch.stack(known).mean(dim=0).flatten(1)

    def _finetuned(
        self, workspace: Workspace, name: str, parser: AnyParser, unseen_videos: tuple[Indices, Indices, Tensor]
    ) -> list[Tensor]:
        """Finetune copies of ``parser``, each on the truth of all folds but one; return their evidence on other videos.

        Args:
            workspace: workspace in which the copies are trained.
            name: first part of the names of their runs.
            parser: parser that the copies start from.
            unseen_videos: training videos, whose evidence is the mean over all copies; rewarding videos, each of whose
                evidence is that of the copy which was not finetuned on it; and the fold of each rewarding video.

        Returns:
            Evidence ``[N, C, K]`` on the training videos and on the rewarding videos.
        """
        train, reward, fold = unseen_videos
        recipe, table = self._finetuning(workspace.recipe), workspace.table()
        on_train, on_reward = list[Tensor](), list[Tensor]()
        for number in range(self.config.folds):
            out = fold == number
            truth = _known_truth(workspace, reward[(~out).numpy()], reward[out.numpy()], parser)
            copy = workspace.fit(f"{name}-{number}", recipe, truth)
            on_train.append(evidence(predict(copy, table, train)))
            on_reward.append(evidence(predict(copy, table, reward[out.numpy()])))
        return [torch.stack(on_train).mean(dim=0), _in_order(on_reward, fold)]

    def _finetuning(self, recipe: Recipe) -> Recipe:
        """Return a recipe for dense truth: video and segment labels of each modality, and no other losses."""
        config = self.config
        training = {
            "batch_size": config.finetune_batch,
            "optimizer": recipe.training.optimizer.model_copy(update={"rate": config.finetune_rate}),
            "schedule": StepDecay.Config(every=config.finetune_epochs, factor=1.0),
            "select": "last",
            "cross": False,
        }
        losses = [VideoCrossEntropy.Config(of=m) for m in MODALITIES] + [
            SegmentCrossEntropy.Config(of=m) for m in MODALITIES
        ]
        plain = recipe.plain(config.finetune_epochs, **training)
        return plain.model_copy(update={"losses": tuple(losses), "labels": _UNSMOOTHED})


def _known_truth(workspace: Workspace, videos: Indices, held_out: Indices, parser: AnyParser) -> Prepared:
    """Return the truth of ``videos``, for a copy of ``parser`` to be trained on."""
    store = workspace.store
    audio, visual, _ = (torch.from_numpy(x) for x in store.dense_truth(videos))
    truth = torch.stack((audio, visual)).any(dim=2)
    labels = workspace.refined(truth, torch.ones(truth.shape), "not there (truth)", videos, adds=True)
    segments = from_padded(store, videos, audio, visual)
    return Prepared(labels=labels, segments=segments, only=videos, val=held_out, start=parser.state_dict())


def _in_order(groups: Sequence[Tensor], group: Tensor) -> Tensor:
    """Return the rows of all groups ``[N, ...]``: the first row of group i where ``group`` is i for the first time."""
    rows = groups[0].new_empty(len(group), *groups[0].shape[1:])
    for number, values in enumerate(groups):
        rows[group == number] = values
    return rows
