"""RLLD-plus: its exact reward, what it may look at, and that it never falls below the class prior where it can tell."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.data.batching import FeatureTable, Indices, task_spec
from avparse.data.features import Features
from avparse.data.scores import load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers.simulated import SimulatedTeacher
from avparse.data.vocabulary import MODALITIES
from avparse.evaluation.prediction import predict
from avparse.foundation.errors import UserError
from avparse.labels.reinforced.policies import EvidencePolicy
from avparse.labels.reinforced.rewards import expected_label_f, kept_counts
from avparse.labels.statistics.prior import ClassPrior
from avparse.models.output import ParserOutput
from avparse.models.parsers import AnyParser, Parser
from avparse.training.denoisers import plus
from avparse.training.denoisers.plus import PlusDenoiser
from avparse.training.denoisers.plus_evidence import teacher_evidence
from avparse.training.denoisers.plus_policy import AnnotatedVideos, Learner
from avparse.training.prepared import Prepared
from avparse.training.recipe import Recipe, load_recipe
from avparse.training.workspace import Workspace
from tests.toy import toy_store

SMALL = ["parser.stem.width=16", "parser.encoder.feedforward=16", "training.batch_size=32", "training.epochs=3"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return toy_store(tmp_path_factory.mktemp("data") / "toy", videos=160)


def _recipe(*changes: str) -> Recipe:
    few = ["denoiser.folds=2", "denoiser.finetune_epochs=3", "denoiser.updates=40"]
    return load_recipe("rlld-plus", [*SMALL, *few, *changes])


def _f(kept: set[int], truth: set[int]) -> float:
    return 2 * len(kept & truth) / (len(kept) + len(truth)) if kept or truth else 1.0


@pytest.mark.parametrize("seed", range(4))
def test_expected_label_f_is_the_sum_over_all_subsets(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
    given = torch.rand(6, 5, generator=generator) < 0.6
    truth = torch.rand(2, 6, 5, generator=generator) < 0.5
    expected = torch.zeros(2, 6, dtype=torch.float64)
    for m, b in itertools.product(range(2), range(6)):
        labels = given[b].nonzero().flatten().tolist()
        right = {c for c in labels if truth[m, b, c]}
        for size in range(len(labels) + 1):
            for kept in itertools.combinations(labels, size):
                p = [logits[m, b, c].sigmoid() if c in kept else 1 - logits[m, b, c].sigmoid() for c in labels]
                expected[m, b] += float(np.prod([float(x) for x in p])) * _f(set(kept), right)
    assert torch.allclose(expected_label_f(logits, given, truth), expected)


def test_counts_are_a_distribution() -> None:
    keep = torch.tensor([[0.5, 0.25, 0.9]], dtype=torch.float64)
    found = kept_counts(keep, torch.tensor([[True, True, False]]))
    assert torch.allclose(found, torch.tensor([[0.375, 0.5, 0.125]], dtype=torch.float64))
    assert torch.equal(kept_counts(keep, torch.zeros(1, 3, dtype=torch.bool)), torch.ones(1, 1, dtype=torch.float64))


def test_evidence_needs_entries_for_every_class(store: FeatureStore) -> None:
    with pytest.raises(UserError, match="evidence"):
        EvidencePolicy(EvidencePolicy.Config(), task_spec(store), 7)


def test_learns_from_evidence_and_leaves_useless_evidence_alone(store: FeatureStore) -> None:
    rng = torch.Generator().manual_seed(0)
    given = torch.rand(400, 4, generator=rng) < 0.5
    truth = torch.stack((given, given & (torch.rand(400, 4, generator=rng) < 0.5)))
    telling = truth[1].float() + 0.5 * torch.randn(400, 4, generator=rng)
    fold = torch.arange(400) % 4
    learner = Learner(PlusDenoiser.Config(penalties=(0.3, 3.0), updates=100), task_spec(store))
    for evidence, better in ((telling, True), (torch.randn(400, 4, generator=rng), False)):
        videos = AnnotatedVideos(evidence, given, truth)
        penalty, table = learner.choose(videos.only(fold < 3), torch.arange(300) % 4)
        (policy,) = learner.learn(videos, [(fold < 3, penalty)])
        test = videos.only(fold == 3)
        with torch.no_grad():
            logits = policy(Features({}), test.given.float(), test.evidence)
        prior = ClassPrior.count(given[fold < 3], truth[:, fold < 3], shrinkage=2.0).keep().unsqueeze(1)
        right = (((logits > 0) == test.truth) & test.given).sum() / (2 * test.given.sum())
        by_prior = ((prior == test.truth) & test.given).sum() / (2 * test.given.sum())
        assert (right > by_prior + 0.1) if better else (right > by_prior - 0.03), table


def test_every_parser_judges_only_what_it_has_not_seen(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: dict[int, set[int]] = {}  # by parser: all videos that it or the parser it started from learned from
    predicted: dict[int, set[int]] = {}
    starts: list[tuple[dict[str, torch.Tensor], set[int]]] = []
    parsers = []
    fit = Workspace.fit

    def spied_fit(self: Workspace, name: str, recipe: Recipe, prepared: Prepared) -> AnyParser:
        parser = fit(self, name, recipe, prepared)
        assert not recipe.training.cross
        assert prepared.only is not None
        videos = set(prepared.only.tolist())
        if prepared.start is not None:
            known = [v for weights, v in starts if all(torch.equal(w, prepared.start[k]) for k, w in weights.items())]
            assert len(known) == 1, "finetuned parsers start from one that was trained on weak labels"
            videos |= known[0]
            assert any(not torch.equal(w, prepared.start[k]) for k, w in parser.state_dict().items())
        else:
            starts.append((parser.state_dict(), videos))
        learned[id(parser)] = videos
        parsers.append(parser)
        return parser

    def spied_predict(parser: Parser, table: FeatureTable, indices: Indices) -> ParserOutput:
        predicted.setdefault(id(parser), set()).update(indices.tolist())
        return predict(parser, table, indices)

    monkeypatch.setattr(Workspace, "fit", spied_fit)
    monkeypatch.setattr(plus, "predict", spied_predict)
    workspace = Workspace(_recipe(), store, tmp_path, seed=1)
    PlusDenoiser(workspace.recipe.denoiser).prepare(workspace)  # type: ignore[arg-type]
    assert len(parsers) == 6  # two parts; each is finetuned twice
    assert predicted.keys() == learned.keys()
    for parser, videos in predicted.items():
        assert not videos & learned[parser]
    assert set.union(*predicted.values()) == {*workspace.train.tolist(), *workspace.val.tolist()}
    assert "prior" in (tmp_path / "penalties.md").read_text()


SIDE = "{teacher: simulated, score: logit, threshold: 20}"


def test_what_scores_is_evidence(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=160, ragged=True)
    for scores in SimulatedTeacher(SimulatedTeacher.Config(hallucinate_visual=0.1))(store):
        scores.save(store)
    recipe = _recipe(f"pseudo_labels={{audio: {SIDE}, visual: {SIDE}}}", "losses=[{name: video_bce, of: video}]")
    assert recipe.pseudo_labels is not None
    videos = store.select("val")
    scores = teacher_evidence(recipe.pseudo_labels, store, videos)
    for row, video in enumerate(videos):  # by hand, from the scores
        start, length = int(store.first_row[video]), int(store.lengths[video])
        for number, modality in enumerate(MODALITIES):
            teacher = load_scores(store, "simulated", modality)
            above = teacher.cosines(np.arange(start, start + length)) * teacher.info.logit_scale > 20
            above &= store.weak[video] & store.present[start : start + length, number, None]
            np.testing.assert_array_equal(scores[row, :, 2 * number], above.any(axis=0))
            np.testing.assert_allclose(scores[row, :, 2 * number + 1], above.mean(axis=0), rtol=1e-6)
    # A good teacher makes a better policy than features that a few steps of training have hardly looked at.
    quality = []
    for name, asked in (("with", recipe), ("without", _recipe())):
        (tmp_path / name).mkdir()
        workspace = Workspace(asked, store, tmp_path / name, seed=0)
        labels = PlusDenoiser(asked.denoiser).prepare(workspace).labels  # type: ignore[arg-type]
        assert labels is not None
        truth = workspace.modality_truth(workspace.train)[1].numpy()
        given = workspace.given
        quality.append(((labels.visual > 0.5) == truth)[given].mean())
    assert quality[0] > quality[1] + 0.03


def test_same_seed_same_labels_and_each_label_stays_somewhere(store: FeatureStore, tmp_path: Path) -> None:
    found = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        workspace = Workspace(_recipe("denoiser.val_split=half"), store, folder, seed=3)
        prepared = PlusDenoiser(workspace.recipe.denoiser).prepare(workspace)  # type: ignore[arg-type]
        assert prepared.labels is not None
        assert prepared.val is not None
        assert len(prepared.val) < len(workspace.val)
        found.append(prepared.labels)
    assert np.array_equal(found[0].audio, found[1].audio)
    assert np.array_equal(found[0].quality_visual, found[1].quality_visual)
    kept = np.maximum(found[0].audio, found[0].visual)
    assert np.array_equal(kept >= 0.5, found[0].given)
