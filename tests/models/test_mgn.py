"""MGN: parity with the published network and loss, what its segments are, masks, any number of segments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Features, Step
from avparse.foundation.errors import UserError
from avparse.foundation.settings import build
from avparse.labels.targets import Targets
from avparse.losses import LOSSES
from avparse.losses.tokens import TokenIdentity
from avparse.models import ParserOutput, load_official
from avparse.models.layers.grouping import Grouping, GroupingConfig, stretches
from avparse.models.official import ignored_names
from avparse.models.parsers.mgn import MGNConfig, MGNParser
from avparse.training.recipe import load_recipe
from avparse.training.train import train
from tests import golden, masking
from tests.toy import toy_store

SMALL = {"audio_depth": 1, "visual_depth": 1, "cross_depth": 1, "heads": 2, "mix": 5, "feedforward": 12}
STEP = Step(epoch=0, step=0, steps=1)


def _parser(**changes: object) -> MGNParser:
    torch.manual_seed(0)
    stem = {"name": "linear", "width": 8, "visual": ["frames"]}
    parser = MGNParser(MGNConfig.read({"stem": stem, **SMALL, **changes}, "test"), masking.SPEC).eval()
    for parameter in parser.parameters():  # as if trained: at the start every token is the same
        parameter.data += 0.3 * torch.randn_like(parameter)
    return parser


@pytest.mark.parametrize("system", ["mgn", "mgn_soft_hard", "mgn_hard_hard"])
def test_golden_forward(system: str) -> None:
    for network in golden.networks_of(system):
        state = network.state
        assert not ignored_names(system, state)
        parser = load_official(system, state)
        config = parser.config
        assert config.assignment == network.config["unimodal_assign"]
        assert config.cross_assignment == network.config["crossmodal_assign"]
        with torch.no_grad():
            output = parser(network.features())
        ours = {
            "aud_cls_prob": output.token_logits[0],
            "vis_cls_prob": output.token_logits[1],
            "global_prob": output.video,
            "a_prob": output.audio,
            "v_prob": output.visual,
            "a_frame_prob": output.audio_segments,
            "v_frame_prob": output.visual_segments,
        }
        network.compare(ours)
        assert sum(p.numel() for p in parser.parameters()) == network.parameter_count == 4_366_065


def test_golden_released_segments_hardly_differ_from_the_video() -> None:
    """The multiplier of the released code, and the paper's in its place."""
    network = golden.network("mgn_soft_soft")
    released, features = load_official("mgn", network.state), network.features()
    paper = MGNParser(released.config.model_copy(update={"segments": "paper"}), released.spec).eval()
    paper.load_state_dict(released.state_dict())
    with torch.no_grad():
        a, b = released(features), paper(features)
    for of in ("audio", "visual"):
        multiplier = getattr(a, f"{of}_segments") / getattr(a, of).unsqueeze(1)
        assert multiplier.min() > 1.039
        assert multiplier.max() < 1.232
        shares = getattr(b, f"{of}_segments") / getattr(b, of).unsqueeze(1)
        assert torch.allclose(shares.sum(dim=-1), torch.ones(3, 10), atol=1e-5)
        assert torch.equal(getattr(a, of), getattr(b, of))


def test_golden_losses() -> None:
    _, arrays = golden.one_case("han_losses", "mgn")
    given = {name.removeprefix("in/"): x for name, x in arrays.items() if name.startswith("in/")}
    expected = {name.removeprefix("out/"): float(x) for name, x in arrays.items() if name.startswith("out/loss")}
    label = given["label"]
    segments = torch.zeros(len(label), 1, label.shape[1])
    tokens = torch.stack((given["aud_cls_logits"], given["vis_cls_logits"]))
    probabilities = (given["a_prob"], given["v_prob"], given["global_prob"])
    output = ParserOutput(segments, segments, *probabilities, token_logits=tokens)
    targets = Targets(label, label, 0.9 * label + 0.05)
    batch = Batch(torch.arange(len(label)), Features({"x": segments}), label)
    ours = {c.of if c.name == "video_bce" else c.name: build(LOSSES, c) for c in load_recipe("mgn").losses}
    values = {name: float(loss(output, targets, batch, STEP)) for name, loss in ours.items()}
    terms = {"audio": "audio", "visual": "visual", "video": "global"}
    for name, theirs in terms.items():
        assert values[name] == pytest.approx(expected[f"loss_{theirs}"], rel=1e-5)
    both = expected["loss_cls_audio"] + expected["loss_cls_visual"]
    assert values["token_identity"] == pytest.approx(both, rel=1e-5)
    assert sum(values.values()) == pytest.approx(expected["loss"], rel=1e-5)
    with pytest.raises(UserError, match="no class tokens"):
        TokenIdentity(TokenIdentity.Config())(ParserOutput(segments, segments, *probabilities), targets, batch, STEP)


@pytest.mark.parametrize("segments", [1, 2, 7, 20])
@pytest.mark.parametrize("how", ["paper", "released", "hard"])
def test_padding_changes_nothing(segments: int, how: str) -> None:
    changes = {"assignment": "hard", "cross_assignment": "hard"} if how == "hard" else {"segments": how}
    masking.check_padding(_parser(**changes), segments)


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_absent_modality_is_off_and_leaks_nothing(assignment: str) -> None:
    masking.check_absence(_parser(assignment=assignment))


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_without_cross_each_modality_is_as_if_the_other_were_absent(assignment: str) -> None:
    masking.check_unimodal(_parser(assignment=assignment))


def test_every_weight_learns_and_stays_finite_with_an_absent_modality() -> None:
    parser = _parser(drop_path=0).train()
    silent = torch.tensor([[True] * 7, [False] * 7])
    output = parser(Features(masking.streams(2, 7), silent, torch.ones_like(silent)))
    assert output.token_logits is not None
    own = output.token_logits.diagonal(dim1=1, dim2=2).sum()
    (output.audio.sum() + output.visual.sum() + output.video.sum() + own).backward()
    for name, parameter in parser.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_grouping_gives_each_segment_away_once() -> None:
    torch.manual_seed(0)
    x, groups = torch.randn(2, 9, 8), torch.randn(2, 4, 8)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    for assignment in ("soft", "hard"):
        grouping = Grouping(GroupingConfig(name="x", heads=2), 8, 4, assignment).train()
        with torch.no_grad():
            out, shares = grouping(x, groups, mask)
        assert out.shape == (2, 4, 8)
        assert torch.allclose(shares.sum(dim=1), mask.float(), atol=1e-6)
        rounded = torch.allclose(shares, shares.round(), atol=1e-6)
        assert rounded == (assignment == "hard")


@pytest.mark.parametrize("size", [1, 4, 7])
def test_stretching_keeps_ends_and_leaves_the_usual_length_alone(size: int) -> None:
    mask = torch.tensor([[True] * 7, [True, False, True, True, False, True, False], [True] + [False] * 6, [False] * 7])
    there, back = stretches(7, size, mask, torch.ones(1))
    counts = mask.sum(dim=1)
    exists = (counts > 0).float()
    assert torch.allclose(there.sum(dim=2), exists[:, None].expand(-1, size))  # means of neighbours
    assert torch.allclose(back.sum(dim=2), mask.float())
    assert not (there * ~mask[:, None]).any()
    if size == 7:
        assert torch.equal(there[0], torch.eye(7))
        assert torch.equal(back[0], torch.eye(7))
    if size > 1:
        assert there[1, 0, 0] == there[1, -1, 5] == 1
        assert back[1, 0, 0] == back[1, 5, -1] == 1


def test_the_recipe_trains_and_parses_any_length(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=40, ragged=True)
    small = ["parser.stem.width=8", "parser.heads=2", "parser.cross_depth=1", "training.epochs=1"]
    run = train(load_recipe("mgn", [*small, "parser.audio_depth=0", "parser.feedforward=8"]), store, tmp_path / "run")
    logged = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
    assert logged["loss/token_identity"] > 0
    assert 0 <= logged["val/segment_type"] <= 100
    output = run.parser()(FeatureTable(store).batch(store.select("test")).features)
    assert output.hidden.audio.shape == (*output.audio_segments.shape[:2], 8)
