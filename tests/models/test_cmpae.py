"""CMPAE: parity with the released network and losses, evidence, blended passes, gates tuned on validation, masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from avparse.data.batching import FeatureTable
from avparse.data.features import Batch, Features, Step, TaskSpec
from avparse.evaluation.comparison import score_split, validation_metrics
from avparse.evaluation.decoding_tuning import DecodingTuning, tune_decoding
from avparse.evaluation.parsing import METRICS, score_parsing
from avparse.foundation.errors import UserError
from avparse.labels.target_sources import WeakLabels
from avparse.labels.targets import Targets
from avparse.losses.contrastive import contrast
from avparse.losses.mutual import MutualLearning
from avparse.losses.video import VideoCrossEntropy
from avparse.models import DecodingRule, Hidden, Parser, ParserConfig, ParserOutput, load_official
from avparse.models.decoders.evidence import weigh_evidence
from avparse.models.official import ignored_names
from avparse.models.output import Uncertainty
from avparse.training.denoisers.jomold import JoMoLD
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.train import train
from tests import golden
from tests.masking import SPEC, check_absence, check_gradients, check_padding, check_unimodal, streams
from tests.toy import toy_store

FRAMES = 8


def _parser(**decoder: object) -> Parser:
    torch.manual_seed(0)
    stem = {"name": "linear", "width": 16, "visual": ["frames"], "activation": "elu"}
    encoder = {"name": "han", "heads": 2, "feedforward": 24, "unimodal_share": 0.2}
    parts = {"stem": stem, "encoder": encoder, "decoder": {"name": "evidence", **decoder}}
    return Parser(ParserConfig.read(parts, "test"), SPEC).eval()


def _mutual(
    given: dict[str, Tensor], number: int, masks: tuple[Tensor | None, Tensor | None] = (None, None), **config: float
) -> Tensor:
    nothing = given["a_prob"].unsqueeze(1)
    unsure = Uncertainty(given["a_uct"], given["v_uct"], given["global_uct"], nothing, nothing)
    output = ParserOutput(nothing, nothing, given["a_prob"], given["v_prob"], given["global_prob"], uncertainty=unsure)
    y = given["target"]
    loss = MutualLearning(MutualLearning.Config(**config))
    return loss(output, Targets(y, y, y), Batch(torch.arange(len(y)), Features({}, *masks), y), Step(0, number, 4))


# --- parity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cmpae_ca", "cmpae_noca"])
def test_golden_forward(name: str) -> None:
    network = golden.network(name)
    parser = load_official("cmpae", network.state)
    with torch.no_grad():
        output = parser(network.features(every_frame=True), cross=network.config["with_ca"])
    audio, visual = (functional.normalize(x, dim=-1) for x in (output.hidden.audio, output.hidden.visual))
    ours = golden.evidence_outputs(output)
    ours["sims"] = (audio @ visual.transpose(1, 2) / network.config["temperature"]).flatten(0, 1)
    ours["sims_target"] = torch.arange(10).repeat(3)
    network.compare(ours)


def test_golden_counts_and_unused_names() -> None:
    network = golden.network("cmpae_ca")
    state = network.state
    parser = load_official("cmpae", state)
    unused = {f"{n}.{kind}" for n in ("fc_global.0", "fc_global.2") for kind in ("weight", "bias")}
    unused |= {f"hat_encoder.norm{i}.{kind}" for i in (1, 2) for kind in ("weight", "bias")}
    assert set(ignored_names("cmpae", state)) == unused
    used = sum(p.numel() for p in parser.parameters())
    assert used == 5_383_293
    assert used + sum(state[n].numel() for n in unused) == network.parameter_count == 5_660_822
    assert parser.spec.streams == {"audio": 128, "frames": 8 * 2048, "clips": 512}


def test_golden_evidence() -> None:
    _, arrays = golden.one_case("cmpae_losses", "evidence")
    p, unsure = weigh_evidence(arrays["in/logits"])
    torch.testing.assert_close(p, arrays["out/p"], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(unsure, arrays["out/u"], atol=1e-6, rtol=1e-5)


def test_golden_mutual_learning() -> None:
    cases = golden.cases("cmpae_losses", "mutual")
    assert len(cases) == 8
    for parameters, arrays in cases:
        given = {n.removeprefix("in/"): x for n, x in arrays.items() if n.startswith("in/")}
        for name, x in given.items():
            x.requires_grad_(name != "target")
        value = _mutual(given, parameters["batch_index"], negative=parameters["lamb"])
        value.backward()
        assert value.item() == pytest.approx(arrays["out/loss"].item(), rel=1e-5)
        for name, x in given.items():
            if name != "target":
                gradient = torch.zeros_like(x) if x.grad is None else x.grad
                torch.testing.assert_close(gradient, arrays[f"out/grad_{name}"], atol=1e-8, rtol=1e-5)


def test_golden_train_step() -> None:
    """Label removal and all five terms, with the weights of the recipe."""
    parameters, arrays = golden.one_case("cmpae_losses", "train_step")
    weights = {loss.name: loss.weight for loss in load_recipe("cmpae").losses[3:]}
    weights |= {loss.of: loss.weight for loss in load_recipe("cmpae").losses[:3]}
    refiner = JoMoLD(warmup_epochs=parameters["warm_up_epoch"])
    refiner.set_ratios(arrays["in/noise_ratio_audio"], arrays["in/noise_ratio_visual"])
    for i in range(parameters["batches"]):
        given = {name: arrays[f"in/{name}_{i}"] for name in ("label", "a_prob", "v_prob", "global_prob")}
        given |= {name: arrays[f"in/{name}_{i}"] for name in ("a_uct", "v_uct", "global_uct")}
        y = given["target"] = given["label"]
        batch = Batch(torch.arange(len(y)), Features({}), y)
        nothing = y.unsqueeze(1)
        unimodal = ParserOutput(nothing, nothing, arrays[f"in/a_prob_est_{i}"], arrays[f"in/v_prob_est_{i}"], y)
        step = Step(parameters["epoch"] - 1, i, parameters["batches"])
        after = refiner.refine(WeakLabels(WeakLabels.Config())(batch), unimodal, batch, step)
        torch.testing.assert_close(after.audio, arrays[f"out/Pa_after_{i}"])
        torch.testing.assert_close(after.visual, arrays[f"out/Pv_after_{i}"])
        output = ParserOutput(nothing, nothing, given["a_prob"], given["v_prob"], given["global_prob"])
        terms = {
            of: VideoCrossEntropy(VideoCrossEntropy.Config(of=of))(output, after, batch, step)
            for of in ("audio", "visual", "video")
        }
        keep = 1 - parameters["nce_smoothing"]
        terms["segment_contrast"] = contrast(arrays[f"in/sims_{i}"].reshape(-1, 10, 10), keep, "jomold")
        terms["mutual"] = _mutual(given, i)
        theirs = {"video": "global", "segment_contrast": "nce"}
        for name, value in terms.items():
            assert value.item() == pytest.approx(arrays[f"out/loss_{theirs.get(name, name)}_{i}"].item(), rel=1e-5), (
                name
            )
        total = sum(weights[name] * value.item() for name, value in terms.items())
        assert total == pytest.approx(arrays[f"out/loss_{i}"].item(), rel=1e-5)


# --- the network ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("segments", [1, 2, 7, 31])
def test_padding_changes_nothing(segments: int) -> None:
    check_padding(_parser(), segments)


def test_absence_cross_and_gradients() -> None:
    check_absence(_parser())
    check_unimodal(_parser())
    check_gradients(_parser())


def test_the_released_pass_without_attention_still_sees_both() -> None:
    given = streams(2, 7)
    changed = {**given, "frames": given["frames"] + 3}
    for absence, same in (("own", True), ("both", False)):
        parser = _parser(unimodal_absence=absence)
        with torch.no_grad():
            a, b = (parser(Features(x), cross=False).audio_segments for x in (given, changed))
        assert torch.equal(a, b) is same


def test_uncertainty_of_what_is_absent_is_whole() -> None:
    silent = torch.tensor([[True] * 7, [False] * 7])
    with torch.no_grad():
        unsure = _parser()(Features(streams(2, 7), silent, ~silent)).uncertainty
    assert (unsure.audio[1] == 1).all()
    assert (unsure.visual_segments[0] == 1).all()
    assert (unsure.audio[0] < 1).all()
    assert unsure.video.shape == (2,)


def test_the_encoder_blends_two_passes() -> None:
    parser = _parser()
    stem = parser.stem(Features(streams(2, 7)))
    with torch.no_grad():
        blend = parser.encoder(stem, None, None)
        parser.encoder.unimodal_share = 0.0
        together, unimodal = parser.encoder(stem, None, None), parser.encoder(stem, None, None, cross=False)
    assert torch.allclose(blend.visual, 0.8 * together.visual + 0.2 * unimodal.visual, atol=1e-6)


def test_frames_of_a_segment_are_mapped_one_by_one() -> None:
    def parser(dimension: int, **stem: object) -> Parser:
        torch.manual_seed(0)
        parts = {"stem": {"name": "linear", "width": 16, "visual": ["frames"], **stem}, "encoder": "han"}
        spec = TaskSpec(classes=("a",), streams={"audio": 6, "frames": dimension}, segments=4)
        return Parser(ParserConfig.read({**parts, "decoder": "mmil"}, "test"), spec).eval()

    audio, frames = torch.randn(2, 4, 6), torch.randn(2, 4, 3, 5)
    one = Features({"audio": audio, "frames": frames.mean(dim=2)})
    each = Features({"audio": audio, "frames": frames.flatten(2)})
    for activation, same in (("none", True), ("elu", False)):
        with torch.no_grad():
            a = parser(5, activation=activation).stem(one).visual
            b = parser(15, activation=activation, rates={"frames": 3}).stem(each).visual
        assert torch.allclose(a, b, atol=1e-5) is same
    with pytest.raises(UserError, match="'frames' has 16 numbers a segment, not 3 equal vectors"):
        parser(16, rates={"frames": 3})


# --- mutual learning ------------------------------------------------------------------------------------------------


def test_mutual_learning_leaves_out_what_is_absent() -> None:
    generator = torch.Generator().manual_seed(0)
    given = {n: torch.rand(4, 5, generator=generator) for n in ("a_prob", "v_prob", "global_prob", "a_uct", "v_uct")}
    given |= {"global_uct": torch.rand(4, generator=generator), "target": (given["a_prob"] > 0.5).float()}
    heard = torch.ones(4, 3, dtype=torch.bool)
    heard[1] = False
    given["a_prob"][1], given["a_uct"][1] = 0, 1  # as a parser gives an absent modality
    second = {n: x[1:2] for n, x in given.items()}
    # With audio absent everything is compared with visual.
    both = {**second, "a_prob": second["v_prob"], "a_uct": second["v_uct"]}
    for number in (0, 1):
        assert torch.allclose(_mutual(second, number, (heard[1:2], None)), _mutual(both, number))
        each = [
            _mutual({n: x[i : i + 1] for n, x in given.items()}, number, (heard[i : i + 1], None)) for i in range(4)
        ]
        assert torch.allclose(_mutual(given, number, (heard, None)), torch.stack(each).mean())


def test_mutual_learning_needs_uncertainty() -> None:
    x = torch.rand(1, 2)
    output = ParserOutput(x, x, x, x, x, hidden=Hidden(x, x))
    with pytest.raises(UserError, match="'mutual': the parser returns no uncertainty"):
        MutualLearning(MutualLearning.Config())(output, Targets(x, x, x), Batch(x, Features({}), x), Step(0, 0, 1))


# --- decoding -------------------------------------------------------------------------------------------------------


def test_a_rule_blends_two_passes() -> None:
    parser, features = _parser(), Features(streams(3, 7))
    with torch.no_grad():
        together, unimodal = parser(features), parser(features, cross=False)
        blend = DecodingRule(unimodal_share=0.3).reading(parser)(features)
    for name in ("audio_segments", "visual_segments", "audio", "visual", "video"):
        expected = 0.7 * getattr(together, name) + 0.3 * getattr(unimodal, name)
        assert torch.allclose(getattr(blend, name), expected, atol=1e-6), name
    assert DecodingRule().reading(parser) is parser


def test_gates_are_tuned_class_by_class(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=150, ragged=True)
    table, indices = FeatureTable(store), store.select("val")
    truth = store.dense_truth(indices)

    def parse(features: Features) -> ParserOutput:
        """Find what is there, and every class that is not; only a threshold of its own tells them apart."""
        seen = torch.from_numpy(truth[1]).any(dim=1)
        limits = torch.tensor([0.33, 0.48, 0.63, 0.95])
        gate = torch.where(seen, limits + 0.025, limits - 0.025)
        found = torch.where(seen.unsqueeze(1), torch.from_numpy(truth[1]), torch.from_numpy(truth[2]).unsqueeze(2))
        return ParserOutput(torch.zeros(found.shape), found.float(), torch.zeros_like(gate), gate, gate)

    rule = DecodingRule(gate="own", visual_gate_threshold=0.45)
    tuning = load_recipe("cmpae").tuning
    assert tuning is not None
    tuned = tune_decoding(parse, table, indices, rule, tuning)
    assert tuned.audio_gate_threshold == rule.audio_gate_threshold
    # The last class is above all candidates, present or absent: of equal ones the largest is taken.
    assert tuned.visual_gate_threshold == (0.35, 0.5, 0.65, 0.7)
    output = parse(table.batch(indices).features)
    best = _event_visual(tuned, output, truth)
    assert best >= _event_visual(rule, output, truth)
    for c in range(4):  # one class at a time, the others at 0.45: no candidate is better
        metrics = []
        for candidate in tuning.candidates:
            gates = [0.45] * 4
            gates[c] = candidate
            changed = rule.model_copy(update={"visual_gate_threshold": tuple(gates)})
            metrics.append((_event_visual(changed, output, truth), candidate))
        assert max(metrics)[1] == tuned.visual_gate_threshold[c]


def test_one_threshold_for_all_classes_is_the_best_of_its_kind(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=120, ragged=True)
    table, indices = FeatureTable(store), store.select("val")
    truth = store.dense_truth(indices)
    noise = np.random.default_rng(0).normal(size=(2, *truth[0].shape)).astype(np.float32)
    # Honest and cautious, as a parser that was taught segments: few of its probabilities reach one half.
    audio, visual = (torch.sigmoid(torch.from_numpy(n + 3.0 * t - 3.5)) for n, t in zip(noise, truth[:2], strict=True))
    output = ParserOutput(audio, visual, audio.amax(1), visual.amax(1), torch.maximum(audio, visual).amax(1))
    tuning = DecodingTuning(of=("segment",), metric="segment_type", candidates=(0.1, 0.3, 0.5, 0.7), rounds=1)
    tuned = tune_decoding(lambda _: output, table, indices, DecodingRule(), tuning)
    metrics = {}
    for candidate in tuning.candidates:
        rule = DecodingRule(segment_threshold=candidate)
        metrics[candidate] = score_parsing(*(x.numpy() for x in rule.decide(output)), *truth).as_dict()["segment_type"]
    assert tuned == DecodingRule(segment_threshold=max(metrics, key=lambda c: metrics[c]))
    assert tuned.segment_threshold < 0.5
    everything = tune_decoding(lambda _: output, table, indices, DecodingRule(), DecodingTuning(metric="mean"))
    ten = [score_parsing(*(x.numpy() for x in r.decide(output)), *truth).as_dict() for r in (everything, tuned)]
    assert np.mean(list(ten[0].values())) >= np.mean(list(ten[1].values()))


def _event_visual(rule: DecodingRule, output: ParserOutput, truth: tuple[np.ndarray, ...]) -> float:
    audio, visual = rule.decide(output)
    return score_parsing(audio.numpy(), visual.numpy(), *truth).as_dict()["event_visual"]


def test_metrics_that_epochs_are_selected_by(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", ragged=True)
    torch.manual_seed(0)
    recipe = load_recipe("han", ["parser.stem.width=8"])
    parser, table, indices = Parser(recipe.parser, _spec(store)).eval(), FeatureTable(store), store.select("val")
    rule = DecodingRule(segment_threshold=0.5, audio_gate_threshold=0.3, visual_gate_threshold=0.3)
    metrics = validation_metrics(parser, table, indices, rule)
    ten = score_split(parser, table, indices, rule).as_dict()
    assert {name: metrics[name] for name in METRICS} == ten
    assert metrics["mean"] == pytest.approx(np.mean(list(ten.values())))
    audio, visual = (x.numpy() for x in rule.decide(parser(table.batch(indices).features)))
    heard, seen, mask = store.dense_truth(indices)
    single_modality = score_parsing(audio & ~visual, visual & ~audio, heard & ~seen, seen & ~heard, mask).as_dict()
    assert metrics["event_audible"] == pytest.approx(single_modality["event_audio"])
    assert metrics["segment_visible"] == pytest.approx(single_modality["segment_visual"])
    parts = []
    for level in ("segment", "event"):
        three = [single_modality[f"{level}_audio"], single_modality[f"{level}_visual"], ten[f"{level}_audio_visual"]]
        parts += [*three, np.mean(three), single_modality[f"{level}_event"]]
    assert metrics["unaligned"] == pytest.approx(np.mean(parts))


def _spec(store: object) -> TaskSpec:
    from avparse.data.batching import task_spec

    return task_spec(store)


# --- the recipe -----------------------------------------------------------------------------------------------------


def test_recipe_trains_and_its_run_keeps_the_tuned_gates(tmp_path: Path) -> None:
    store = toy_store(tmp_path / "toy", videos=60, ragged=True)
    recipe = load_recipe("cmpae", ["parser.stem.width=8", "training.epochs=2", "training.batch_size=12"])
    run = train(recipe, store, tmp_path / "run")
    logged = json.loads((run.path / "metrics.jsonl").read_text().splitlines()[0])
    assert {"loss/contrast", "loss/mutual", "val/mean", "val/unaligned"} <= set(logged)
    assert (run.path / "denoised" / "ratios.json").is_file()
    opened = Run.open(run.path)
    assert opened.recipe.decoding == run.recipe.decoding
    tuned = opened.recipe.decoding.visual_gate_threshold
    assert len(tuned) == 4
    assert set(tuned) <= set(recipe.tuning.candidates)
    assert load_recipe(run.path / "recipe.yaml").decoding == recipe.decoding  # what was asked stays
    parser, table = run.parser(), FeatureTable(store)
    expected = tune_decoding(parser, table, store.select("val"), recipe.decoding, recipe.tuning)
    assert expected == opened.recipe.decoding
    results = json.loads((run.path / "results.json").read_text())["scores"]["parser"]
    assert score_split(parser, table, store.select("test"), expected).as_dict() == pytest.approx(results)
    again = train(run.recipe, store, run.path, resume=True)
    assert again.recipe.decoding == expected
    (run.path / "decoding.json").write_text("{")
    with pytest.raises(UserError, match=r"decoding\.json: not JSON"):
        Run.open(run.path)


def test_tuning_is_checked() -> None:
    with pytest.raises(UserError, match=r"unknown metric; did you mean 'event_visual'"):
        load_recipe("cmpae", ["tuning.metric=event_vusual"])
    with pytest.raises(UserError, match=r"unknown key 'tuning.metrc'; did you mean 'metric'"):
        load_recipe("cmpae", ["tuning.metrc=mean"])
    with pytest.raises(UserError, match=r"unknown metric 'men' in training.select; did you mean 'mean'"):
        load_recipe("cmpae", ["training.select=men"])
