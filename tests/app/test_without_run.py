"""Parsing without a run: 'parse --classes', real code on tiny random networks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import avparse
from avparse.app.class_list import read_classes
from avparse.data.class_names import NameList, find_classes
from avparse.data.timeline import Timeline
from avparse.data.vocabulary import LLP_CLASSES
from avparse.foundation.errors import UserError, closest
from avparse.media.weights import WEIGHTS, find_weights
from avparse.media.weights.cache import weights_folder
from avparse.models.training_free import Judge, LogOdds
from avparse.models.training_free.at_hand import parser_at_hand
from avparse.models.training_free.scorers.listed import ListedScorer
from tests.app.test_outputs import rows_of
from tests.clips import colours, tone, write_clip
from tests.conftest import Command
from tests.towers import write_towers

transformers = pytest.importorskip("transformers")


class SmallClassifier:
    """Networks of which one, a classifier of random weights, knows two names of pictures."""

    def missing(self, modality: str) -> str:
        return "" if modality == "visual" else "nothing listens"

    def judge(self, modality: str, classes: tuple[str, ...], class_map: Path | None = None) -> Judge:
        listed = find_classes(classes, NameList("imagenet", ("Cat", "Dog"), exclusive=True), class_map)
        scorer = ListedScorer("visual", "light", "visual", 4, torch.nn.Linear(4, 2), listed, "a small classifier")
        return Judge(scorer, LogOdds(), {name: closest(name, ("Cat", "Dog")) for name in listed.unknown})


@pytest.fixture(scope="module")
def towers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towers(transformers, tmp_path_factory.mktemp("towers"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "both.mp4", sound=tone(700), picture=colours, seconds=3, fps=8)
    write_clip(folder / "sound.wav", sound=tone(300), seconds=1)
    return folder


@pytest.fixture
def at_hand(towers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVPARSE_CLIP", str(towers / "clip"))
    monkeypatch.setenv("AVPARSE_CLAP", str(towers / "unfused"))


@pytest.fixture
def nothing_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AVPARSE_CLIP", "AVPARSE_CLAP", "AVPARSE_PE_AUDIO", "AVPARSE_PE_VIDEO", "AVPARSE_AUDIOSET"):
        monkeypatch.setenv(name, "nobody/none")
    monkeypatch.setenv("AVPARSE_CACHE", str(tmp_path / "cache"))


@pytest.mark.usefixtures("at_hand")
def test_classes_are_judged_by_the_networks_at_hand_and_the_results_say_which(
    clips: Path, tmp_path: Path, command: Command
) -> None:
    out = tmp_path / "out"
    code, said, _ = command(
        "parse", clips, "-o", out, "--classes", "Dog, Violin", "--with", "clip-clap", "--workers", "0"
    )
    assert code == 0
    assert said.startswith("heard: CLAP of ")
    assert "; seen: CLIP of " in said.splitlines()[0]
    timeline = Timeline.load(out / "both.json")
    assert timeline.classes == ("Dog", "Violin")
    assert set(timeline.judged_by) == {"audio", "visual"}
    assert timeline.segments["visual"].shape == (3, 2)
    assert Timeline.load(out / "sound.json").segments["visual"] is None
    assert len(rows_of(out / "index.csv")) == 2
    assert len(list((tmp_path / "cache" / "unrelated").iterdir())) == 2  # of each network, for later calls
    assert "seen: CLIP of" in (out / "report.html").read_text()


@pytest.mark.usefixtures("at_hand")
def test_python_takes_classes_in_place_of_a_run(clips: Path) -> None:
    timeline = avparse.parse(clips / "sound.wav", classes=["Dog", "Violin"], networks="clip-clap")
    assert timeline.segments["audio"].shape == (1, 2)


@pytest.mark.usefixtures("nothing_at_hand")
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], 'give --classes "Dog, Speech" or --examples FOLDER to parse without training, or a trained run'),
        (["--classes", "Dog"], "no network is at hand that could judge the classes; "),
        (
            ["--classes", "Dog", "--with", "clip-clip"],
            "unknown network of --with 'clip-clip'; did you mean 'clip-clap'?",
        ),
        (["--classes", ""], "--classes: no class is named; give at least one"),
        (["--classes", " , "], "--classes: no class is named; give at least one"),
        (["--classes", "Dog,Cat,Dog"], "--classes: class 'Dog' is named twice; remove one"),
        (["--classes", "absent.txt"], "absent.txt: "),
        (["--classes", "Dog", "--label-vectors", "x.npz"], "--label-vectors x.npz: belongs to a run"),
    ],
)
def test_bad_input_is_one_line(
    options: list[str], told: str, clips: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = command("parse", clips / "sound.wav", "-o", tmp_path / "out", *options)
    assert (code, told in error, error.strip().count("\n")) == (2, True, 0), error
    assert not (tmp_path / "out").exists()


def refused(command: Command, clip: Path, out: Path, *options: str) -> str:
    code, _, error = command("parse", clip, "-o", out, *options)
    assert (code, error.strip().count("\n"), out.exists()) == (2, 0, False), error
    return error


@pytest.mark.usefixtures("nothing_at_hand")
def test_a_file_of_weights_that_is_another_one_is_refused(clips: Path, tmp_path: Path, command: Command) -> None:
    folder = weights_folder()
    folder.mkdir(parents=True)
    for name in ("efficientnet-lite0", "aisfx"):
        (folder / WEIGHTS[name].source.file).write_bytes(b"something else")
    error = refused(command, clips / "sound.wav", tmp_path / "out", "--classes", "Dog", "--with", "compact")
    assert "not the published 'efficientnet-lite0-57934424.pth'" in error
    assert "replace it: avparse weights fetch efficientnet-lite0" in error


@pytest.mark.usefixtures("at_hand")
def test_a_folder_with_another_network_is_refused(
    clips: Path, towers: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVPARSE_CLIP", str(towers / "unfused"))
    error = refused(command, clips / "sound.wav", tmp_path / "out", "--classes", "Dog", "--with", "clip-clap")
    assert "unfused: a model of type 'clap', not 'clip'; name another checkpoint" in error


@pytest.mark.usefixtures("nothing_at_hand")
def test_where_nothing_is_at_hand_the_commands_that_fetch_are_named(
    clips: Path, tmp_path: Path, command: Command
) -> None:
    error = refused(command, clips / "sound.wav", tmp_path / "out", "--classes", "Dog", "--with", "compact")
    assert "avparse weights fetch efficientnet-lite0 aisfx" in error
    assert "avparse weights fetch silero-vad" in error


def test_one_name_without_comma_is_a_class_and_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Dog\nViolin\n")
    for given in (["Dog", "Violin"], "Dog, Violin", tmp_path / "classes.txt", str(tmp_path / "classes.txt")):
        assert read_classes(given) == ("Dog", "Violin")
    assert read_classes("Dog") == ("Dog",)
    with pytest.raises(UserError, match=r"names\.txt"):
        read_classes("names.txt")


def test_unknown_probabilities_are_null_in_the_file_and_nan_in_memory(tmp_path: Path) -> None:
    values = np.array([[0.25, np.nan], [0.5, np.nan]], dtype=np.float32)
    made = Timeline("a.mp4", 2.0, 1.0, ("Dog", "Wind"), {"audio": None, "visual": values}, judged_by={"visual": "N"})
    made.save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["segments"]["visual"] == [[0.25, None], [0.5, None]]
    read = Timeline.load(tmp_path / "a.json")
    assert np.array_equal(read.segments["visual"], values, equal_nan=True)
    assert read.unjudged() == {"audio": (), "visual": ("Wind",)}
    assert read.judged_by == {"visual": "N"}
    assert "heard: nothing at hand judges it; seen: N (cannot judge Wind)" in repr(read)


@pytest.mark.slow
def test_the_dog_of_the_real_clip_is_seen_and_nothing_else(shared: Path, tmp_path: Path, command: Command) -> None:
    for name in ("efficientnet-lite0", "aisfx"):
        try:
            find_weights(name, fetch=False)
        except UserError as error:
            pytest.skip(str(error))
    clip, out = shared / "data" / "llp" / "BjCEufrlXm4.mp4", tmp_path / "out"
    if not clip.is_file():
        pytest.skip(f"no real clip at {clip}")
    (tmp_path / "llp.txt").write_text("\n".join(LLP_CLASSES))
    code, said, _ = command(
        "parse", clip, "-o", out, "--classes", tmp_path / "llp.txt", "--with", "compact", "--workers", "0"
    )
    assert code == 0
    assert "cannot judge Speech, " in said.splitlines()[0]
    timeline = Timeline.load(out / f"{clip.stem}.json")
    seen = [event for event in timeline.events if event.modality == "visual"]
    assert {event.class_name for event in seen} == {"Dog"}
    assert sum(event.offset - event.onset for event in seen) >= 8
    assert not [event for event in timeline.events if event.modality == "audio" and event.class_name != "Speech"]
    assert "Speech" in timeline.unjudged()["visual"]


def test_a_class_that_nobody_knows_is_refused_with_a_near_name(caplog: pytest.LogCaptureFixture) -> None:
    networks = {"small": SmallClassifier()}
    with pytest.raises(UserError, match="class 'Dgo': no name that a small classifier knows; did you mean 'Dog'"):
        parser_at_hand(("Cat", "Dgo"), networks=networks)
    with pytest.raises(UserError, match="a small classifier: judges none of Speech"):
        parser_at_hand(("Speech",), networks=networks)
    assert parser_at_hand(("Cat", "Speech"), networks=networks).unjudged("visual") == ("Speech",)
    assert "nothing at hand judges what is heard; nothing listens" in caplog.text
