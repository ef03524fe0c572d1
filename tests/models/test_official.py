"""Released networks, all of them: which tensors act, and what their weights are good for."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from avparse.app.import_checkpoint import import_checkpoint
from avparse.data.features import Features, TaskSpec
from avparse.data.store.block import Block
from avparse.data.store.format import StreamInfo
from avparse.data.store.writer import StoreWriter
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES, Vocabulary
from avparse.foundation.errors import UserError
from avparse.models import load_official
from avparse.models.official import OFFICIAL, ignored_names
from avparse.training.recipe import load_recipe
from avparse.training.run import Run
from avparse.training.warm_start import starting_weights
from tests import golden, official_state
from tests.conftest import Command

BOTH = "{weight,bias}"
ATTENTION = ("in_proj_" + BOTH, "out_proj." + BOTH)
LAYER = ("{linear1,linear2,norm1,norm2}." + BOTH, *(f"self_attn.{part}" for part in ATTENTION))
NORMS = ("hat_encoder.norm{1,2}." + BOTH,)
FINAL_NORMS = ("hat_encoder.final_norm_{a,v}." + BOTH,)
ENCODERS = (
    *NORMS,
    "cmt_encoder.norm{1,2}." + BOTH,
    *("{audio,visual,cmt}_encoder.layers.0." + part for part in LAYER),
)
MA = (
    *ENCODERS,
    "fc{1,2}." + BOTH,
    "{t_att,t_att2}.{w_qs,w_ks,w_vs,fc}." + BOTH,
    "{t_att,t_att2}.layer_norm.{gamma,beta}",
)
GLOBAL = (*NORMS, "fc_global.{0,2}." + BOTH)
UNIMODAL = (*NORMS, *(f"hat_encoder.layers.0.cm_attn.{part}" for part in ATTENTION))
CVCMS = (
    "{fc_prob,fc_occ_class_av,fc_occ_frame_prob,fc_occ_modality_prob}." + BOTH,
    "fc_occ_{a,v,av}_{q,k,v}." + BOTH,
    "{hat,av_class,frame_att,modality}_encoder.norm{1,2}." + BOTH,
    *("{frame_att,modality}_encoder.layers.0." + part for part in LAYER),
    *("{frame_att,modality}_encoder.layers.0.cm_attn." + part for part in ATTENTION),
)
TEMPLATE = ("multiheadattn.{linears.0,linears.1,linears.2,linears.3,layer_norm}." + BOTH, "feedforward.w_{1,2}." + BOTH)
DHHN = (*NORMS, "conv_x{1,2}.{0,1,2}.blocks.0.1.num_batches_tracked")


def pyramid(levels: str, blocks: str = "") -> tuple[str, ...]:
    found = (
        *("MMP.{capture,fusion}." + part for part in TEMPLATE),
        f"MMP.capture.{{a,v}}network.{{{levels}}}.net.{{0,2}}.{BOTH}",
        f"MMP.capture.msa.{{{levels}}}.{{asa,vsa,cma}}block.layer.self_attn.layer_norm.{BOTH}",
        "MMP.fusion.{a,v}adaptiveinteraction.self_attn.layer_norm." + BOTH,
    )
    if not blocks:
        return found
    norms = f"AVL.l{{a,v}}_cma_network.{{{blocks}}}.self_attn.layer_norm.{BOTH}"
    return (*found, *(f"AVL.{part}" for part in TEMPLATE), norms)


# File of a network -> its system, how many parameters act, and which tensors do not. The counts that the
# specification has: HAN's, MM-Pyramid's, LEAP's, CMPAE's, CoLeaF's, CVCMS's.
NETWORKS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "han": ("han", 4_569_675, ENCODERS),
    "ma": ("ma", 4_569_675, MA),
    "ma_step2": ("ma", 4_569_675, MA),
    "jomold_ca": ("jomold", 4_569_675, NORMS),
    "jomold_noca": ("jomold", 4_569_675, NORMS),
    "jomold_ca_2layers": ("jomold", 7_198_283, NORMS),
    "lsld": ("lsld", 3_192_395, NORMS),
    "valor": ("valor", 5_094_475, FINAL_NORMS),
    "valor_plus": ("valor", 5_051_211, FINAL_NORMS),
    "valor_plusplus": ("valor", 4_887_371, FINAL_NORMS),
    "valor_plusplus_maps": ("valor", 4_887_371, FINAL_NORMS),
    "valor_prenorm": ("valor_prenorm", 5_052_235, ()),
    "mm_pyramid": ("mm_pyramid", 40_827_469, pyramid("0,1,2,3")),
    "mm_pyramid_2levels": ("mm_pyramid", 22_962_765, pyramid("0,1")),
    "leap_mmpyr": ("leap", 47_256_068, pyramid("0,1,2,3", "0,1")),
    "leap_mmpyr_1layer": ("leap", 44_100_100, pyramid("0,1,2,3", "0")),
    "cpsp_avvp": ("cpsp", 6_668_875, ()),
    "cpsp_avvp_thr0": ("cpsp", 6_668_875, ()),
    "cmpae_ca": ("cmpae", 5_383_293, GLOBAL),
    "cmpae_noca": ("cmpae", 5_383_293, GLOBAL),
    "coleaf_ca": ("coleaf", 5_383_293, (*GLOBAL, "hat_encoder.layers.0.cls_tokens_{a,v}")),
    "coleaf_noca": ("coleaf", 5_383_293, (*GLOBAL, "hat_encoder.layers.0.cls_tokens_{a,v}")),
    "coleaf_audio": ("coleaf_audio", 1_682_482, UNIMODAL),
    "coleaf_video": ("coleaf_video", 3_452_978, UNIMODAL),
    "mgn_soft_soft": ("mgn", 4_366_065, ()),
    "mgn_soft_hard": ("mgn_soft_hard", 4_366_065, ()),
    "mgn_hard_hard": ("mgn_hard_hard", 4_366_065, ()),
    "cvcms": ("cvcms", 8_005_940, CVCMS),
    "dhhn": ("dhhn", 9_294_411, DHHN),
}
FIRST = {system: file for file, (system, *_) in reversed(NETWORKS.items())}
HEAVY = {"mm_pyramid": "mm_pyramid_2levels"}  # the smaller file is as good
WITH_GUIDES = {
    "coleaf": ["parser.stem.rates={frames: 8}", "parser.decoder.unimodal_absence=both", "denoiser=null"],
    "dhhn": [],
}
# Recipes that learn labels of segments need a teacher, which a store of random numbers has not.
VIDEO_LOSSES = "losses=[{name: video_bce, of: audio}, {name: video_bce, of: visual}, {name: video_bce, of: video}]"


def expand(pattern: str) -> Iterator[str]:
    """``a{b,c}`` is ab and ac."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    yield from map("".join, itertools.product(*parts))


def state_of(name: str) -> official_state.StateDict:
    """Random weights in the shapes of a released network."""
    without_file = {"cvcms": official_state.cvcms, "dhhn": official_state.dhhn}
    return without_file[name]() if name in without_file else golden.network(name).state


def tiny_store(path: Path, spec: TaskSpec, videos: int = 6, segments: int = 10) -> Path:
    """Random numbers in the shapes that ``spec`` asks for: two videos a split, annotated."""
    random, rows = np.random.default_rng(0), videos * segments
    truth = {m: random.random((rows, len(spec.classes))) < 0.1 for m in MODALITIES}
    weak = (truth["audio"] | truth["visual"]).reshape(videos, segments, -1).any(axis=1)
    block = Block(
        videos=[f"v{i}" for i in range(videos)],
        splits=[("train", "val", "test")[i % 3] for i in range(videos)],
        lengths=[segments] * videos,
        durations=[float(segments)] * videos,
        origins=["random"] * videos,
        weak=weak,
        streams={n: random.standard_normal((rows, d), dtype=np.float32) for n, d in spec.streams.items()},
        truth=truth,
        annotated=np.ones(videos, dtype=bool),
    )
    streams = {n: StreamInfo(dimension=d, extractor="random") for n, d in spec.streams.items()}
    with StoreWriter.create(
        path, vocabulary=Vocabulary(spec.classes), streams=streams, segment_seconds=1.0, truth=True
    ) as writer:
        writer.append(block)
    return path


def test_every_released_network_is_here() -> None:
    assert FIRST.keys() == OFFICIAL.keys()
    # One golden network is HAN again; two systems have no golden network.
    assert set(golden.network_names()) - {"cpsp_avvp_han"} == NETWORKS.keys() - {"cvcms", "dhhn"}


@pytest.mark.parametrize("file", NETWORKS)
def test_what_never_acts_is_an_exact_set(file: str) -> None:
    system, used, patterns = NETWORKS[file]
    state, unused = state_of(file), {name for pattern in patterns for name in expand(pattern)}
    assert set(ignored_names(system, state)) == unused
    assert {*OFFICIAL[system].unused(state)} == unused  # nor does it know any that the network has not
    assert unused < state.keys()
    assert sum(p.numel() for p in load_official(system, state).parameters()) == used
    # An invented name is told, however much it is like one that is known.
    invented = [changed for name in unused for changed in (f"{name}.x", f"x.{name}", re.sub(r"\d", "9", name, count=1))]
    invented = [*(set(invented) - unused), "x", "hat_encoder.layers.0.x"]
    with pytest.raises(UserError) as error:
        load_official(system, {**state, **dict.fromkeys(invented, torch.zeros(1))})
    assert set(re.findall(r"unexpected ([^,\s]+)", str(error.value))) == set(invented)


@pytest.mark.parametrize("system", [pytest.param(s, marks=[pytest.mark.slow] * (s == "leap")) for s in OFFICIAL])
def test_weights_are_imported_evaluated_and_trained_from(system: str, tmp_path: Path, command: Command) -> None:
    torch.save(state_of(HEAVY.get(system, FIRST[system])), tmp_path / "weights.pt")
    labels = ["--set", "parser.decoder.labels={name: orthogonal}"] if system == "leap" else []
    code, out, err = command(
        "import-checkpoint", tmp_path / "weights.pt", "--system", system, "-o", tmp_path / "run", *labels
    )
    assert code == 0, err
    assert "'parse' is not for it" in out
    run = Run.open(tmp_path / "run")
    assert run.info.spec.classes == LLP_CLASSES
    store = tiny_store(tmp_path / "store", run.info.spec)
    code, out, err = command("evaluate", "--run", run.path, "--data", store)
    assert code == 0, err
    assert f"{run.recipe.title}, seed 0, 2 test videos" in out
    changes = ["training.epochs=1", "training.optimizer.rate=1e-6"]
    changes += [VIDEO_LOSSES] if any("segment_bce" in loss.name for loss in run.recipe.losses) else []
    recipe: Path | str = run.path / "recipe.yaml"
    if system in WITH_GUIDES:  # which are no part of the weights, but of the recipe
        recipe, more = system, WITH_GUIDES[system]
        changes += more
    given = [x for change in changes for x in ("--set", change)]
    code, _, err = command("train", recipe, "--data", store, "-o", tmp_path / "next", "--init", run.path, *given)
    assert code == 0, err
    before, after = run.weights(), Run.open(tmp_path / "next").weights()
    drift = [float((before[n] - after[n]).abs().max()) for n, _ in run.parser().named_parameters()]
    assert 0 < max(drift) < 1e-4


def test_systems_have_the_recipes_of_their_papers() -> None:
    recipes = {name: system.recipe for name, system in OFFICIAL.items()}
    others = {"leap": "leap-mm-pyramid", "mm_pyramid": "mm-pyramid", "valor_prenorm": "valor"}
    others |= {"mgn_soft_hard": "mgn", "mgn_hard_hard": "mgn", "coleaf_audio": "coleaf", "coleaf_video": "coleaf"}
    assert recipes == {name: name for name in OFFICIAL} | others


def test_a_reference_of_coleaf_is_called_so_and_learns_its_own_modality(tmp_path: Path) -> None:
    torch.save(state_of("coleaf_video"), tmp_path / "weights.pt")
    recipe = import_checkpoint(tmp_path / "weights.pt", "coleaf_video", tmp_path / "run").run.recipe
    assert recipe.title == "CoLeaF's visual reference, published weights"
    assert [(loss.name, loss.of) for loss in recipe.losses] == [("video_bce", "visual")]


# --- two files ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_two_halves_of_dhhn_become_one_run(
    tmp_path: Path, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    audio = official_state.dhhn()
    visual = {name: tensor + tensor.abs() / 2 for name, tensor in audio.items()}
    for name, state in (("audio", audio), ("visual", visual)):
        torch.save(state, tmp_path / f"{name}.pt")
    given = ("import-checkpoint", tmp_path / "audio.pt", "--system", "dhhn", "-o")
    code, out, err = command(*given, tmp_path / "half")
    assert code == 0, err
    assert "one half of it" in out
    code, out, err = command(*given, tmp_path / "run", "--visual", tmp_path / "visual.pt")
    assert code == 0, err
    assert "one half of it" not in out
    assert f"{2 * 9_294_411:,} parameters" in out
    run = Run.open(tmp_path / "run")
    assert "audio.pt (SHA-256 " in run.info.description
    assert "visual.pt (SHA-256 " in run.info.description
    features = Features({n: torch.randn(2, 10, d) for n, d in run.info.spec.streams.items()})
    with torch.no_grad():
        said = run.parser()(features)
        heard, seen = (load_official("dhhn", state)(features) for state in (audio, visual))
    assert torch.equal(said.audio_segments, heard.audio_segments)
    assert torch.equal(said.visual_segments, seen.visual_segments)
    assert not torch.equal(heard.visual_segments, seen.visual_segments)
    store = tiny_store(tmp_path / "store", run.info.spec)
    assert command("evaluate", "--run", run.path, "--data", store)[0] == 0
    caplog.clear()
    train = ("train", "dhhn", "--data", store, "--set", "training.epochs=1", "--init")
    code, _, err = command(*train, run.path, "-o", tmp_path / "next")
    assert code == 0, err
    told = [r.getMessage() for r in caplog.records if "two parsers" in r.getMessage()]
    assert told == [f"{run.path}: has two parsers; the one for audio is used as start, the one for visual is not"]
    started = Run.open(tmp_path / "next").start()
    assert torch.equal(started["stem.maps.audio.weight"], audio["fc_a.weight"])


def test_a_second_file_is_of_the_same_kind_and_of_a_system_that_has_two(tmp_path: Path) -> None:
    torch.save(state_of("han"), tmp_path / "han.pt")
    torch.save(official_state.dhhn(), tmp_path / "dhhn.pt")
    with pytest.raises(UserError, match="'han' is one parser for both modalities; leave it out"):
        import_checkpoint(tmp_path / "han.pt", "han", tmp_path / "run", visual=tmp_path / "han.pt")
    with pytest.raises(UserError, match=r"han\.pt: dhhn: not this system's weights"):
        import_checkpoint(tmp_path / "dhhn.pt", "dhhn", tmp_path / "run", visual=tmp_path / "han.pt")
    assert not (tmp_path / "run").exists()


# --- what tensors do not show ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "recipe", "changes", "lacks"),
    [
        ("mgn_hard_hard", "mgn", [], {"parser.assignment=hard", "parser.cross_assignment=hard"}),
        (
            "mm_pyramid_2levels",
            "mm-pyramid",
            ["parser.encoder.levels=2"],
            {"parser.encoder.slot_order=visual_audio"},
        ),
        ("valor", "valor", ["parser.encoder.heads=2"], {"parser.encoder.heads=8"}),
        ("han", "han", ["parser.encoder.dropout=0.3"], set()),  # one layer: nothing to chain
        ("jomold_ca_2layers", "jomold", ["parser.encoder.layers=2", "parser.decoder.visual_dropout=0"], set()),
        (
            "jomold_ca_2layers",
            "jomold",
            ["parser.encoder.layers=2", "parser.encoder.chain=false"],
            {"parser.encoder.chain=true"},
        ),
        ("cmpae_ca", "cmpae", ["parser.stem.rates={frames: 8}"], {"parser.decoder.unimodal_absence=both"}),
        ("cpsp_avvp", "cpsp", ["parser.encoder.threshold=0.5"], {"parser.encoder.threshold=0.9"}),
    ],
)
def test_a_start_has_the_settings_that_tensors_do_not_show(
    tmp_path: Path,
    file: str,
    recipe: str,
    changes: list[str],
    lacks: set[str],
) -> None:
    torch.save(state_of(file), tmp_path / "weights.pt")
    run = import_checkpoint(tmp_path / "weights.pt", NETWORKS[file][0], tmp_path / "run").run
    random = torch.random.get_rng_state()
    if lacks:
        with pytest.raises(UserError, match="made with settings that the recipe lacks") as error:
            starting_weights(run, load_recipe(recipe, changes), run.info.spec)
        assert set(re.findall(r"--set (\S+)", str(error.value))) == lacks
    weights = starting_weights(run, load_recipe(recipe, [*changes, *lacks]), run.info.spec)
    assert weights.keys() == run.weights().keys()
    assert torch.equal(torch.random.get_rng_state(), random)
