"""LEAP: parity with the published network and losses, classes by name, masks, and the sources of label vectors."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from avparse.app.run_source import run_source
from avparse.data.batching import task_spec
from avparse.data.features import Batch, Features, Step, TaskSpec
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES
from avparse.foundation.errors import UserError
from avparse.labels.targets import Targets
from avparse.losses.leap import SegmentSimilarity, event_overlap
from avparse.losses.segment import SegmentCrossEntropy
from avparse.models import DecodingRule, Hidden, Parser, ParserConfig, ParserOutput, load_official, with_classes
from avparse.models.class_vectors import CLASS_VECTORS
from avparse.models.encoders import ENCODERS
from avparse.models.parsers.build import build_parser
from avparse.training.recipe import load_recipe
from avparse.training.run import Run, RunInfo
from avparse.training.train import train
from tests import golden
from tests.tokenizers import byte_tokenizer
from tests.toy import toy_store

SPEC = TaskSpec(classes=("Dog", "Fire_alarm", "Frying_(food)", "Car"), streams={"audio": 6, "frames": 9}, segments=7)
STEP = Step(0, 0, 1)


def _config(**decoder: object) -> ParserConfig:
    parts = {
        "stem": {"name": "linear", "width": 16, "visual": ["frames"]},
        "encoder": {"name": "han", "heads": 2, "feedforward": 24},
        "decoder": {"name": "leap", "heads": 4, "feedforward": 24, **decoder},
    }
    return ParserConfig.read(parts, "test")


def _parser(**decoder: object) -> Parser:
    torch.manual_seed(0)
    return Parser(_config(**decoder), SPEC).eval()


def _features(batch: int = 3, segments: int = 7) -> Features:
    generator = torch.Generator().manual_seed(1)
    return Features({n: torch.randn(batch, segments, d, generator=generator) for n, d in SPEC.streams.items()})


def _vectors(source: dict[str, object], classes: tuple[str, ...] = SPEC.classes) -> torch.Tensor:
    parser = Parser(_config(labels=source), SPEC.model_copy(update={"classes": classes}))
    return parser.decoder.labels()


# --- parity ---------------------------------------------------------------------------------------------------------


def test_golden_forward() -> None:
    for network in golden.networks_of("leap"):
        labels, features = network.inputs["label"], network.features()  # labels [B, C, E]: every video has its own
        parser = load_official("leap", network.state)
        read: list[torch.Tensor] = []
        for side in parser.decoder.sides:
            side.occurs.register_forward_pre_hook(lambda _, given, to=read: to.append(given[0]))
        said: dict[str, list[torch.Tensor]] = {name: [] for name in network.outputs}
        for video in range(len(labels)):
            read.clear()
            parser.decoder.labels.replace(LLP_CLASSES, labels[video])
            with torch.no_grad():
                output = parser(features.videos(slice(video, video + 1)))
            said["global_prob"].append((output.video >= 0.5).float())
            said["a_prob"].append(output.audio)
            said["v_prob"].append(output.visual)
            said["a_frame_prob"].append(output.audio_segments)
            said["v_frame_prob"].append(output.visual_segments)
            said["a_feat"].append(output.hidden.audio)
            said["v_feat"].append(output.hidden.visual)
            said["label_audio_feat"].append(read[0])
            said["label_visual_feat"].append(read[1])
        network.compare({name: torch.cat(parts) for name, parts in said.items()}, relative=True)


def test_golden_counts_and_unused_names() -> None:
    network = golden.network("leap_mmpyr")
    state = network.state
    parser = load_official("leap", state)
    assert sum(p.numel() for p in parser.parameters()) == 47_256_068
    assert sum(p.numel() for p in parser.decoder.parameters()) == 6_467_074
    assert network.parameter_count == 52_005_380
    with pytest.raises(UserError, match=r"missing AVL\.la_cma_network\.0\.sublayer\.0\.norm\.weight"):
        load_official("leap", {k: v for k, v in state.items() if not k.startswith("AVL.la_")})
    # The label vectors are not part of the released weights, so nothing is parsed until they are given.
    with pytest.raises(UserError, match=r"llp_label_glove_embeddings\.npz: cannot be read as class vectors"):
        parser(network.features())


def test_golden_similarity() -> None:
    cases = golden.cases("leap_losses", "similarity")
    assert len(cases) >= 3
    for parameters, arrays in cases:
        audio, visual = (arrays[f"in/{n}"].requires_grad_() for n in ("a_feat", "v_feat"))
        nothing = torch.zeros(len(audio), 1, 1)
        output = ParserOutput(
            audio_segments=arrays.get("in/a_frame_prob", nothing),
            visual_segments=arrays.get("in/v_frame_prob", nothing),
            audio=arrays.get("in/a_prob", nothing),
            visual=arrays.get("in/v_prob", nothing),
            video=nothing,
            hidden=Hidden(audio, visual),
        )
        segments = [arrays.get(f"in/{modality}_pseudo") for modality in MODALITIES]
        events = "labels" if parameters["use_pseudo_label"] else "predictions"
        config = {"name": "segment_similarity", "form": "released", "events": events, "epsilon": parameters["eps"]}
        loss = SegmentSimilarity(SegmentSimilarity.Config.read(config, "test"))(
            output, Targets(nothing, nothing, nothing, *segments), Batch(nothing, Features({}), nothing), STEP
        )
        loss.backward()
        _compare(arrays, {"loss": loss, "grad_a_feat": audio.grad, "grad_v_feat": visual.grad})


def test_golden_segment_cross_entropy() -> None:
    _, arrays = golden.one_case("leap_losses", "segment_bce")
    probability, target = arrays["in/frame_prob"].requires_grad_(), arrays["in/pseudo"]
    nothing = torch.zeros(len(target), 1)
    output = ParserOutput(probability, probability, nothing, nothing, nothing)
    targets = Targets(nothing, nothing, nothing, audio_segments=target)
    loss = SegmentCrossEntropy(SegmentCrossEntropy.Config(of="audio"))
    value = loss(output, targets, Batch(nothing, Features({}), nothing), STEP)
    value.backward()
    _compare(arrays, {"loss": value, "grad_frame_prob": probability.grad})


def _compare(arrays: golden.Arrays, ours: dict[str, torch.Tensor | None]) -> None:
    for name, value in ours.items():
        wanted = arrays[f"out/{name}"]
        assert value is not None
        assert (value.detach() - wanted).abs().max() <= 1e-5 * wanted.abs().max(), name


# --- the decoder ----------------------------------------------------------------------------------------------------


def test_segment_logits_are_the_mean_of_the_heads() -> None:
    parser = _parser(blocks=1)
    block, heads = parser.decoder.sides[0].blocks[0], 4
    with torch.no_grad():
        output = parser(_features())
        queries = parser.decoder.project_labels(parser.decoder.labels()).expand(3, -1, -1)
        looking, _ = block.read(queries, output.hidden.audio)
        query, key = block.project_query(looking), block.project_segments(output.hidden.audio)[..., :16]
        by_head = [q @ k.transpose(1, 2) / 2 for q, k in zip(query.split(4, -1), key.split(4, -1), strict=True)]
    expected = (sum(by_head) / heads).transpose(1, 2)
    assert torch.allclose(output.audio_logits, expected, atol=1e-6)
    assert torch.allclose(output.audio_segments, expected.sigmoid(), atol=1e-6)


def test_shapes_gates_and_attention() -> None:
    parser, features = _parser(), _features()
    silent = torch.ones(3, 7, dtype=torch.bool)
    silent[1] = False
    silent[2, 4:] = False
    features = Features(features.streams, silent, None)
    with torch.no_grad():
        output = parser(features)
    assert output.audio.shape == output.visual.shape == output.video.shape == (3, 4)
    assert output.audio_segments.shape == output.visual_logits.shape == (3, 7, 4)
    assert output.attention.shape == (2, 3, 7, 4)
    present = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])  # audio, visual
    assert torch.allclose(output.attention.sum(dim=2), present.unsqueeze(-1).expand(2, 3, 4), atol=1e-6)
    assert (output.attention[0, 2, 4:] == 0).all()
    most = output.visual_logits[0].argmax(dim=0)
    assert torch.equal(output.attention[1, 0].argmax(dim=0), most)
    assert torch.equal(output.video, torch.maximum(output.audio, output.visual))
    union = DecodingRule(segment_threshold=0.0).decide(output)[1][0, 0]
    assert torch.equal(union, (output.audio[0] >= 0.5) | (output.visual[0] >= 0.5))  # the published union


def test_gradient_reaches_every_weight_and_not_the_vectors() -> None:
    parser = _parser().train()
    output = parser(_features())
    target = torch.zeros(3, 4)
    target[:, 1] = 1
    segments = target.unsqueeze(1).expand(-1, 7, -1)
    targets = Targets(target, target, target, segments, segments)
    batch = Batch(torch.arange(3), _features(), target)
    for of in ("audio", "visual"):
        SegmentCrossEntropy(SegmentCrossEntropy.Config(of=of))(output, targets, batch, STEP).backward(retain_graph=True)
    (output.audio + output.visual).sum().backward()
    for name, parameter in parser.decoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
    assert "labels.vectors" in parser.decoder.state_dict()
    assert "labels.vectors" not in dict(parser.decoder.named_parameters())


@pytest.mark.parametrize("encoder", list(ENCODERS))
def test_any_encoder(encoder: str) -> None:
    """Both passes, with and without a modality, and what a step of training needs."""
    parts = {
        "stem": {"name": "linear", "width": 16, "visual": ["frames"]},
        "encoder": encoder,
        "decoder": {"name": "leap", "heads": 4, "feedforward": 24},
    }
    torch.manual_seed(0)
    parser, features = Parser(ParserConfig.read(parts, "test"), SPEC).eval(), _features()
    silent = torch.ones(3, 7, dtype=torch.bool)
    silent[1] = False
    output = parser(features)
    for said in (output, parser(features, cross=False), parser(Features(features.streams, silent, None))):
        assert said.audio_segments.shape == said.visual_segments.shape == (3, 7, 4)
        assert said.audio.shape == said.visual.shape == said.video.shape == (3, 4)
        assert torch.isfinite(torch.stack([said.audio_segments, said.visual_segments])).all()
    assert (said.audio_segments[1] == 0).all()
    assert (said.visual_segments[1] > 0).all()
    with torch.no_grad():
        louder = parser(Features({**features.streams, "audio": features.streams["audio"] + 1}))
    assert not torch.equal(louder.audio_segments, output.audio_segments)  # the encoder stands before the decoder
    sum(side.sum() for side in (output.audio_segments, output.visual_segments)).backward()
    reached = [name for name, weight in parser.encoder.named_parameters() if weight.grad is not None]
    assert len(reached) == len(list(parser.encoder.parameters()))


def test_other_classes_after_training() -> None:
    parser, features = _parser(), _features()
    with torch.no_grad():
        before = parser(features)
        changed = with_classes(parser, ("Car", "Dog", "Rain"))
        after = changed(features)
        again = parser(features)
    assert changed.spec.classes == ("Car", "Dog", "Rain")
    assert parser.spec.classes == SPEC.classes
    for name in ("audio_segments", "visual_segments", "audio", "video"):
        old, new = getattr(before, name), getattr(after, name)
        assert new.shape[-1] == 3
        assert torch.allclose(new[..., :2], old[..., [3, 0]], atol=1e-6), name  # a class does not see the others
        assert torch.equal(old, getattr(again, name)), name
    given = with_classes(parser, ("x",), parser.decoder.labels.vectors[2:3])
    with torch.no_grad():
        assert torch.allclose(given(features).video, before.video[:, 2:3], atol=1e-6)


def test_other_classes_for_twins_and_without_cross() -> None:
    config, features = _config().model_copy(update={"twins": True}), _features()
    twins = with_classes(build_parser(config, SPEC, cross=False).eval(), ("Rain", "Car"))
    louder = Features({**features.streams, "audio": features.streams["audio"] + 1})
    with torch.no_grad():
        one, other = twins(features), twins(louder)
    assert one.video.shape == (3, 2)
    assert twins.second.spec.classes == twins.spec.classes == ("Rain", "Car")
    assert torch.equal(one.visual_segments, other.visual_segments)  # still without cross-modal attention
    assert torch.allclose(one.attention, sum(peer.attention for peer in one.peers) / 2)


def test_other_classes_refused() -> None:
    mmil = Parser(
        _config().model_copy(
            update={
                "decoder": ParserConfig.read({"stem": "linear", "encoder": "han", "decoder": "mmil"}, "test").decoder
            }
        ),
        SPEC,
    )
    with pytest.raises(UserError, match="one output per class"):
        with_classes(mmil, ("Dog",))
    with pytest.raises(UserError, match="class 'Dog' is named twice"):
        with_classes(_parser(), ("Dog", "Dog"))
    with pytest.raises(UserError, match=r"expected 2 vectors of 300 finite numbers, found \(2, 5\)"):
        with_classes(_parser(), ("Dog", "Cat"), torch.zeros(2, 5))
    with pytest.raises(UserError, match="classes 'Dog' and 'Cat' have the same vector"):
        with_classes(_parser(), ("Dog", "Cat"), torch.ones(2, 300))


# --- label vectors --------------------------------------------------------------------------------------------------


def test_orthogonal_vectors_belong_to_the_name() -> None:
    many = tuple(f"class {i}" for i in range(60))
    vectors = _vectors({"name": "orthogonal", "dimension": 256}, many)
    assert torch.equal(vectors[[5, 3]], _vectors({"name": "orthogonal", "dimension": 256}, (many[5], many[3])))
    unit = torch.nn.functional.normalize(vectors, dim=1)
    cosines = (unit @ unit.T)[~torch.eye(60, dtype=torch.bool)]
    assert cosines.abs().max() < 0.3
    assert cosines.std() == pytest.approx(256**-0.5, rel=0.1)
    state = torch.get_rng_state()
    _parser()
    after = torch.get_rng_state()
    torch.set_rng_state(state)
    torch.manual_seed(0)
    Parser(_config(), SPEC).decoder.labels()
    assert torch.equal(torch.get_rng_state(), after)  # reading the vectors draws no random number


def _glove(path: Path, words: str = "dog fire alarm frying food car", dimension: int = 4) -> dict[str, object]:
    rng = np.random.default_rng(0)
    lines = [f"{word} {' '.join(f'{x:.4f}' for x in rng.normal(size=dimension))}" for word in ["the", *words.split()]]
    path.write_text("\n".join(lines) + "\n")
    return {"name": "glove", "path": str(path), "dimension": dimension}


def test_word_vectors(tmp_path: Path) -> None:
    source = _glove(tmp_path / "glove.txt")
    lines = (tmp_path / "glove.txt").read_text().splitlines()
    table = {line.split()[0]: [float(x) for x in line.split()[1:]] for line in lines}
    vectors = _vectors(source)
    assert torch.allclose(vectors[0], torch.tensor(table["dog"]))
    assert torch.allclose(vectors[2], (torch.tensor(table["frying"]) + torch.tensor(table["food"])) / 2)
    with pytest.raises(UserError, match="no vector for the word 'bark' of class 'Dog_bark'") as error:
        _vectors(source, ("Dog_bark",))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"a name without words, of class '\(\)'"):
        _vectors(source, ("()",))
    with pytest.raises(UserError, match="4 values per class, not 300; set 'dimension' of the labels to 4"):
        _vectors({**source, "dimension": 300})
    with pytest.raises(UserError, match=r"nowhere\.txt: cannot be read as word vectors \(No such file"):
        _vectors({**source, "path": str(tmp_path / "nowhere.txt")})
    (tmp_path / "glove.txt").write_text("dog 1 2 x 4\n")
    with pytest.raises(UserError, match="not all values after 'dog' are numbers"):
        _vectors(source)


@pytest.mark.parametrize("suffix", ["npy", "npz", "safetensors"])
def test_vectors_from_a_file(suffix: str, tmp_path: Path) -> None:
    path, matrix = tmp_path / f"labels.{suffix}", np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    names = ["car", "Fire alarm", "dog", "frying food"]
    source = {"name": "tensor", "path": str(path), "dimension": 5}
    if suffix == "npy":
        np.save(path, matrix)
    elif suffix == "npz":
        np.savez(path, vectors=matrix, names=np.array(names))
    else:
        save_file({"vectors": matrix}, path, {"names": json.dumps(names)})
    order = [0, 1, 2, 3] if suffix == "npy" else [2, 1, 3, 0]
    assert np.array_equal(_vectors(source).numpy(), matrix[order])
    message = "4 vectors without names for 1 classes" if suffix == "npy" else "no vector for class 'Cat'; did you mean"
    with pytest.raises(UserError, match=message):
        _vectors(source, ("Cat",))
    path.write_bytes(b"nonsense")
    with pytest.raises(
        UserError, match=rf"labels\.{suffix}: (cannot be read as class vectors|not a readable)"
    ) as error:
        _vectors(source)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_bad_vectors_of_a_file_are_refused(suffix: str, tmp_path: Path) -> None:
    path, matrix = tmp_path / f"labels.{suffix}", np.ones((4, 5), dtype=np.float32)

    def refused(message: str, vectors: np.ndarray, names: object) -> None:
        if suffix == "npz":
            np.savez(path, vectors=vectors, names=np.array(names))
        else:
            save_file({"vectors": vectors}, path, {"names": json.dumps(names)})
        with pytest.raises(UserError, match=rf"labels\.{suffix}: {message}") as error:
            _vectors({"name": "tensor", "path": str(path), "dimension": 5})
        assert "\n" not in str(error.value)

    refused("3 vectors and 4 names; store one row a name", matrix[:3], list(SPEC.classes))
    refused("4 vectors and 3 names; store one row a name", matrix, list(SPEC.classes[:3]))
    refused("'names' is not a list of texts; store one name a row", matrix, "Dog")
    refused("'names' is not a list of texts", matrix, 7)
    refused("'names' is not a list of texts", matrix, [1, 2, 3, 4])
    refused("'names' is not a list of texts", matrix, [["Dog"]] * 4)
    refused("the vectors are of type bool, not numbers; store", matrix > 0, list(SPEC.classes))
    refused(r"the vectors have shape \(5,\)", matrix[0], list(SPEC.classes))


def test_vectors_of_text_and_damaged_archives_are_refused(tmp_path: Path) -> None:
    source = {"name": "tensor", "path": str(tmp_path / "labels.npy"), "dimension": 5}
    np.save(tmp_path / "labels.npy", np.full((4, 5), "x"))
    with pytest.raises(UserError, match=r"labels\.npy: the vectors are of type <U1, not numbers; store"):
        _vectors(source)
    path = tmp_path / "labels.npz"
    np.savez_compressed(path, vectors=np.random.default_rng(0).normal(size=(4, 5)), names=np.array(SPEC.classes))
    content = bytearray(path.read_bytes())
    content[80:90] = bytes(10)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.npz: not a readable archive"):
        _vectors({**source, "path": str(path)})


def test_vectors_without_names_say_whose_they_are_taken_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A store may list its classes in another order than the file; nothing but a look at it can tell."""
    path, matrix = tmp_path / "labels.npz", np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    source = {"name": "tensor", "path": str(path), "dimension": 5}
    np.savez(path, vectors=matrix)
    for _ in range(2):  # told once, however often the vectors are asked for
        assert np.array_equal(_vectors(source).numpy(), matrix)
        (told,) = caplog.messages
    assert told == (
        f"{path}: holds no class names; its rows are taken for Dog, Fire_alarm, Frying_(food), Car, in this order; "
        "if that is wrong, add an array 'names'"
    )
    _vectors(source, SPEC.classes[::-1])
    assert "Car, Frying_(food), Fire_alarm, Dog, in this order" in caplog.messages[1]
    np.savez(path, vectors=matrix, names=np.array(SPEC.classes))
    _vectors(source)
    assert len(caplog.messages) == 2


def test_golden_vectors_of_the_published_labels(shared: Path) -> None:
    path = shared / "data" / "llp_label_glove_embeddings.npz"
    vectors = _vectors({"name": "tensor", "path": str(path)}, LLP_CLASSES)
    assert torch.equal(vectors, torch.from_numpy(np.load(path)["vectors"]))


@pytest.mark.parametrize(
    ("name", "package", "message"),
    [
        ("clip", "transformers", r"CLIP and CLAP need 'transformers': pip install 'avparse\[teachers\]'"),
        ("clap", "transformers", r"CLIP and CLAP need 'transformers': pip install 'avparse\[teachers\]'"),
        (
            "sentence",
            "sentence_transformers",
            r"class vectors of sentences need 'sentence-transformers': pip install 'avparse\[sentence\]'",
        ),
    ],
)
def test_text_encoders_say_what_they_need(
    name: str, package: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=message):
        _vectors({"name": name, "model": "somewhere"})


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_text_towers_of_real_format(name: str, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    if name == "clip":
        sizes = {"vocab_size": 600, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
        text = transformers.CLIPTextConfig(
            **sizes, intermediate_size=64, projection_dim=24, bos_token_id=512, eos_token_id=513, pad_token_id=513
        )
        model = transformers.CLIPTextModelWithProjection(text).eval()
    else:
        sizes = {"vocab_size": 600, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 2}
        text = transformers.ClapTextConfig(**sizes, intermediate_size=64, projection_dim=24)
        model = transformers.ClapTextModelWithProjection(text).eval()
    model.save_pretrained(tmp_path)
    tokenizer = byte_tokenizer(transformers, name, tmp_path)
    prompt = "one {} there"
    before = torch.get_rng_state()
    vectors = _vectors({"name": name, "model": str(tmp_path), "prompt": prompt, "dimension": 24})
    parser_draws = torch.get_rng_state()
    assert vectors.shape == (4, 24)
    with torch.no_grad():
        alone = model(**tokenizer(["one frying food there"], return_tensors="pt")).text_embeds
    expected = alone[0] / alone[0].square().mean().sqrt() / 3
    assert torch.allclose(vectors[2], expected, atol=1e-5)  # and padding to the longest prompt changed nothing
    torch.set_rng_state(before)
    _vectors({"name": "orthogonal", "dimension": 24})
    assert torch.equal(torch.get_rng_state(), parser_draws)
    many = tuple(f"class {i}" for i in range(70))  # more than the tower reads at a time
    assert torch.allclose(
        _vectors({"name": name, "model": str(tmp_path), "prompt": prompt, "dimension": 24}, many)[[2, 68]],
        _vectors({"name": name, "model": str(tmp_path), "prompt": prompt, "dimension": 24}, (many[2], many[68])),
        atol=1e-6,
    )

    def refused(message: str, model: Path = tmp_path, classes: tuple[str, ...] = SPEC.classes) -> None:
        with pytest.raises(UserError, match=message) as error:
            _vectors({"name": name, "model": str(model), "dimension": 24}, classes)
        assert "\n" not in str(error.value)

    refused("nowhere: no such folder of a model; check the path", tmp_path / "nowhere")
    refused(r"prompt '.* ox ox.*' is longer than the \d+ tokens it reads; shorten it", classes=("ox " * 200,))
    weights = load_file(tmp_path / "model.safetensors")
    lost = next(key for key in weights if key.endswith(("projection.weight", "linear2.weight")))
    save_file({key: x for key, x in weights.items() if key != lost}, tmp_path / "model.safetensors", {"format": "pt"})
    refused(f"the weights lack '{lost}'; get the files again")
    (tmp_path / "model.safetensors").write_bytes(b"12345678" * 20)
    refused(r"cannot be read as a model \(SafetensorError.*; get the files again")
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")  # a pickle is not opened
    refused(r"only 'pytorch_model\.bin' there, which is never unpickled; convert its weights")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "bert"}))
    refused(f"a model of type 'bert', not '{name}' or '{name}_text_model'; name another checkpoint")


def test_label_vectors_of_a_whole_model(tmp_path: Path) -> None:
    """A published folder holds both towers; its vectors point where the teacher's do."""
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 32}
    ends = {"bos_token_id": 512, "eos_token_id": 513, "pad_token_id": 513}
    clip = transformers.CLIPConfig(
        text_config=sizes | {"vocab_size": 600} | ends,
        vision_config=sizes | {"image_size": 32, "patch_size": 16},
        projection_dim=12,
    )
    heard = {"patch_embeds_hidden_size": 8, "depths": [1, 1], "num_attention_heads": [2, 2], "hidden_size": 16}
    clap = transformers.ClapConfig(
        text_config=sizes | {"vocab_size": 600},
        audio_config=heard | {"num_mel_bins": 16, "spec_size": 64, "window_size": 4},
        projection_dim=12,
    )
    torch.manual_seed(0)
    for name, model in (("clip", transformers.CLIPModel(clip)), ("clap", transformers.ClapModel(clap))):
        model.eval().save_pretrained(tmp_path / name)
        tokens = byte_tokenizer(transformers, name, tmp_path / name)(["fire alarm"], return_tensors="pt")
        with torch.no_grad():
            pooled = model.text_model(**tokens).pooler_output
            expected = torch.nn.functional.normalize(model.text_projection(pooled)[0], dim=0)
        source = {"name": name, "model": str(tmp_path / name), "prompt": "{}", "dimension": 12}
        assert torch.allclose(torch.nn.functional.normalize(_vectors(source)[1], dim=0), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["clip", "clap"])
def test_published_text_towers_are_looked_for_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="model 'someone/tiny': not in the offline cache, and cannot be downloaded"):
        _vectors({"name": name, "model": "someone/tiny"})
    assert capfd.readouterr() == ("", "")


def test_sentence_model_of_real_format(tmp_path: Path) -> None:
    sentences = pytest.importorskip("sentence_transformers")
    transformers = pytest.importorskip("transformers")
    config = transformers.RobertaConfig(
        vocab_size=600, hidden_size=32, num_attention_heads=2, num_hidden_layers=2, intermediate_size=64
    )
    transformers.RobertaModel(config).save_pretrained(tmp_path / "words")
    byte_tokenizer(transformers, "clap", tmp_path / "words")
    model = sentences.SentenceTransformer(str(tmp_path / "words"), device="cpu")  # adds a mean over the words
    model.save(str(tmp_path / "model"))
    vectors = _vectors({"name": "sentence", "model": str(tmp_path / "model"), "dimension": 32})
    alone = model.encode(["fire alarm"])[0]
    assert np.allclose(vectors[1].numpy(), alone / np.sqrt(np.mean(alone**2)) / 3, atol=1e-5)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"12345678" * 20)
    with pytest.raises(UserError, match=r"model: cannot be read as a sentence model \(.*; check the path") as error:
        _vectors({"name": "sentence", "model": str(tmp_path / "model"), "dimension": 32})
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="nowhere: no such folder of a model; check the path"):
        _vectors({"name": "sentence", "model": str(tmp_path / "nowhere"), "dimension": 32})


def test_sources_are_settings() -> None:
    with pytest.raises(UserError, match="unknown source of class vectors 'glov'; did you mean 'glove'"):
        _config(labels="glov")
    with pytest.raises(UserError, match="'path' is missing"):
        _config(labels="glove")
    assert {"orthogonal", "glove", "tensor", "clip", "clap", "sentence"} == set(CLASS_VECTORS)


def test_a_run_keeps_its_vectors(tmp_path: Path) -> None:
    """A trained run is parsed and resumed where the file of word vectors is gone."""
    store = toy_store(tmp_path / "store", videos=40)
    source = _glove(tmp_path / "glove.txt", "bark bell engine voice", dimension=8)
    changes = [
        f"parser.decoder={{name: leap, heads: 2, labels: {json.dumps(source)}}}",
        "parser.stem.width=16",
        "training.epochs=2",
    ]
    run = train(load_recipe("han", changes), store, tmp_path / "run")
    (tmp_path / "glove.txt").unlink()
    opened = Run.open(run.path)
    assert opened.recipe == run.recipe
    parser = opened.parser()
    features = Features({n: torch.randn(2, 6, d) for n, d in parser.spec.streams.items()})
    with torch.no_grad():
        output = parser(features)
    assert torch.isfinite(output.video).all()
    train(run.recipe, store, run.path, resume=True)
    fewer = with_classes(parser, ("Voice", "Bark"))  # classes that it has need no source
    with torch.no_grad():
        assert torch.allclose(fewer(features).video, output.video[:, [3, 0]], atol=1e-6)
    with pytest.raises(UserError, match=r"glove\.txt: cannot be read as word vectors"):
        with_classes(parser, ("Bark", "Rain"))


@pytest.mark.parametrize("denoiser", ["", "denoiser=class-prior"])
def test_a_missing_source_is_told_before_anything_is_done(denoiser: str, tmp_path: Path) -> None:
    store = toy_store(tmp_path / "store", videos=40)
    source = {"name": "glove", "path": str(tmp_path / "glove.txt"), "dimension": 8}
    changes = [f"parser.decoder={{name: leap, heads: 2, labels: {json.dumps(source)}}}", *filter(None, [denoiser])]
    recipe = load_recipe("han", ["parser.stem.width=16", "training.epochs=1", *changes])
    with pytest.raises(UserError, match=r"glove\.txt: cannot be read as word vectors"):
        train(recipe, store, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    _glove(tmp_path / "glove.txt", "bark bell engine", dimension=8)
    with pytest.raises(UserError, match="no vector for the word 'voice' of class 'Voice'"):
        train(recipe, store, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    _glove(tmp_path / "glove.txt", "bark bell engine voice", dimension=8)
    assert train(recipe, store, tmp_path / "run").parser().spec.classes == store.vocabulary.names


def test_vectors_of_other_classes_from_a_file(tmp_path: Path) -> None:
    parser = _parser(labels=_glove(tmp_path / "glove.txt"))
    parser.decoder.labels()
    words = _glove(tmp_path / "more.txt", "car rain")
    changed = with_classes(parser, ("Rain", "Car"), tmp_path / "more.txt")
    assert torch.equal(changed.decoder.labels(), _vectors(words, ("Rain", "Car")))
    matrix = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    np.savez(tmp_path / "labels.npz", vectors=matrix, names=np.array(["rain", "car"]))
    changed = with_classes(parser, ("Car", "Rain"), tmp_path / "labels.npz")
    assert np.array_equal(changed.decoder.labels().numpy(), matrix[[1, 0]])
    with pytest.raises(UserError, match=r"labels\.npz: no vector for class 'Snow'"):
        with_classes(parser, ("Snow",), tmp_path / "labels.npz")


def test_thresholds_by_class_are_mended_where_the_run_has_them(tmp_path: Path) -> None:
    """A tuned rule lies beside the recipe and wins over it."""
    store = toy_store(tmp_path / "store", videos=40)
    decoder = "parser.decoder={name: leap, heads: 2, labels: orthogonal}"
    recipe, spec = load_recipe("han", [decoder, "parser.stem.width=16"]), task_spec(store)
    info = RunInfo(version="test", seed=1, spec=spec, data=str(store.path), fingerprint=store.fingerprint)
    made = Run.from_parsers(tmp_path / "run", recipe, info, [build_parser(recipe.parser, spec)])
    (tmp_path / "classes.txt").write_text("Bark\nRain\n")
    assert run_source(made.path, tmp_path / "classes.txt").note == "The parser was not trained on: Rain."

    def mend(file: str, old: str, new: str) -> None:
        with pytest.raises(UserError, match="has a threshold for each class") as error:
            run_source(made.path, tmp_path / "classes.txt")
        assert str(made.path / file) in str(error.value)
        (made.path / file).write_text((made.path / file).read_text().replace(old, new))

    each = [0.5] * len(spec.classes)
    text = (made.path / "recipe.yaml").read_text()
    (made.path / "recipe.yaml").write_text(text.replace("segment_threshold: 0.5", f"segment_threshold: {each}"))
    mend("recipe.yaml", f"segment_threshold: {each}", "segment_threshold: 0.5")
    run_source(made.path, tmp_path / "classes.txt")
    made.save_decoding(DecodingRule(audio_gate_threshold=tuple(each)))
    listed = json.loads((made.path / "decoding.json").read_text())
    mend("decoding.json", (made.path / "decoding.json").read_text(), json.dumps(listed | {"audio_gate_threshold": 0.5}))
    run_source(made.path, tmp_path / "classes.txt")


# --- the similarity loss --------------------------------------------------------------------------------------------


def _similarity(form: str, audio: torch.Tensor, visual: torch.Tensor, targets: Targets, *masks: torch.Tensor) -> float:
    nothing = torch.zeros(len(audio), 1)
    output = ParserOutput(nothing, nothing, nothing, nothing, nothing, hidden=Hidden(audio, visual))
    loss = SegmentSimilarity(SegmentSimilarity.Config(form=form))
    return float(loss(output, targets, Batch(nothing, Features({}, *masks), nothing), STEP))


def test_similarity_by_sets() -> None:
    generator = torch.Generator().manual_seed(0)
    audio, visual = torch.randn(2, 2, 3, 8, generator=generator)
    heard, seen = (torch.rand(2, 2, 3, 5, generator=generator) < 0.4).float()
    heard[0, 0] = seen[0, 0] = 0
    masks = torch.tensor([[1, 1, 1], [1, 0, 0]]).bool(), torch.tensor([[1, 1, 0], [1, 1, 1]]).bool()
    nothing = torch.zeros(2, 5)
    errors: dict[str, list[float]] = {"paper": [], "released": []}
    for video in range(2):
        real = [
            [set(side[video, t].nonzero().flatten().tolist()) if mask[video, t] else set() for t in range(3)]
            for side, mask in zip((heard, seen), masks, strict=True)
        ]
        most = max(len(events) for side in real for events in side)
        for i in masks[0][video].nonzero().flatten().tolist():
            for j in masks[1][video].nonzero().flatten().tolist():
                cosine = float(torch.cosine_similarity(audio[video, i], visual[video, j], dim=0))
                both, either = real[0][i] & real[1][j], real[0][i] | real[1][j]
                errors["paper"].append((cosine - (len(both) / len(either) if either else 0)) ** 2)
                x = len(both) / most if most else 0
                errors["released"].append((max(cosine, 0) - x / (1 + x) - 0.01) ** 2)
    for form, each in errors.items():
        value = _similarity(form, audio, visual, Targets(nothing, nothing, nothing, heard, seen), *masks)
        assert value == pytest.approx(np.mean(each), rel=1e-5), form
    assert event_overlap(torch.zeros(1, 1, 2), torch.zeros(1, 1, 2)).item() == 0


def test_similarity_needs_labels_and_hidden() -> None:
    nothing = torch.zeros(1, 1)
    with pytest.raises(UserError, match="reads audio segment labels, but there are none"):
        _similarity("paper", torch.ones(1, 1, 2), torch.ones(1, 1, 2), Targets(nothing, nothing, nothing))
    loss = SegmentSimilarity(SegmentSimilarity.Config())
    with pytest.raises(UserError, match="no hidden segments"):
        loss(
            ParserOutput(*[nothing] * 5),
            Targets(nothing, nothing, nothing),
            Batch(nothing, Features({}), nothing),
            STEP,
        )
