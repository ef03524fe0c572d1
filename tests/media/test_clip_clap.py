"""CLIP and CLAP as teachers and as features: real code on tiny random networks, checked against formulas by hand."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from avparse.app.extracting import extract_store
from avparse.app.run_teacher import run_teacher
from avparse.data.datasets.annotations import AnnotatedVideo, Annotations
from avparse.data.prompt_styles import prompt_style
from avparse.data.scores import TeacherScores, load_scores
from avparse.data.store import FeatureStore
from avparse.data.teachers import segment_cache
from avparse.data.teachers.clap import ClapTeacher
from avparse.data.teachers.clip import ClipTeacher
from avparse.data.vocabulary import Vocabulary
from avparse.foundation.errors import UserError
from avparse.labels.pseudo import PseudoLabels
from avparse.media.decoding.views import PictureView, SoundView
from avparse.media.extractors.clip_clap import ClipClapExtractor
from avparse.media.pipeline import extract_video
from avparse.media.towers.clap import ClapTower
from avparse.media.towers.clip import ClipTower, spread_frames
from tests.clips import colours, tone, write_clip
from tests.conftest import Command
from tests.decoded import read_whole
from tests.towers import write_towers

transformers = pytest.importorskip("transformers")

CLASSES = ("Dog", "Fire_alarm", "Glass_break")
_MEAN, _DEVIATION = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP; a CLAP with fusion and the published front end; one without fusion, of another length. All random."""
    return write_towers(transformers, tmp_path_factory.mktemp("models"))


def _noise(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda t: 0.1 * np.random.default_rng([seed, int(t[0] * 1e6)]).standard_normal(len(t)).clip(-3, 3)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both modalities; a last segment that ends early; no sound; no picture."""
    folder = tmp_path_factory.mktemp("clips")
    write_clip(folder / "both.mp4", sound=lambda t: tone(700, 0.2)(t) + _noise(0)(t), picture=colours, seconds=3, fps=8)
    write_clip(folder / "short.mkv", sound=_noise(1), picture=colours, seconds=2.5, fps=8)
    write_clip(folder / "mute.mp4", picture=colours, seconds=2, fps=8)
    write_clip(folder / "dark.mkv", sound=_noise(2), seconds=2)
    return folder


@pytest.fixture(scope="module")
def original(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    weak = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=bool)
    videos = ["both", "short", "mute", "dark"]
    known = {video: AnnotatedVideo("val", row, (), video) for video, row in zip(videos, weak, strict=True)}
    labels = Annotations(Vocabulary(CLASSES), known)
    path = tmp_path_factory.mktemp("store") / "store"
    assert extract_store(clips, labels, path, workers=0) == []
    return path


@pytest.fixture
def store(original: Path, tmp_path: Path) -> FeatureStore:
    shutil.copytree(original, tmp_path / "store")
    return FeatureStore.open(tmp_path / "store")


# By hand


def _kernel(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)  # Keys' cubic, a = -1/2
    return np.where(x < 1, (1.5 * x - 2.5) * x * x + 1, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0))


def _bicubic(picture: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Resize one axis of a uint8 picture with the kernel as wide as the output's pixels, and round."""
    length = picture.shape[axis]
    scale = max(length / size, 1)
    centre = (np.arange(size) + 0.5) * length / size
    weights = _kernel((np.arange(length) + 0.5 - centre[:, None]) / scale)  # [size, length]
    weights[np.abs(np.arange(length) + 0.5 - centre[:, None]) > 2 * scale] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    mixed = np.moveaxis(np.tensordot(weights, picture.astype(float), axes=(1, axis)), 0, axis)
    return np.clip(np.rint(mixed), 0, 255)


def _pixels(frame: np.ndarray, resize: str, size: int = 32) -> np.ndarray:
    height, width = frame.shape[:2]
    if resize == "squash":
        resized = _bicubic(_bicubic(frame, size, 1), size, 0)
    else:
        wide, high = size * width // min(height, width), size * height // min(height, width)
        left, top = (wide - size) // 2, (high - size) // 2
        resized = _bicubic(_bicubic(frame, wide, 1), high, 0)[top : top + size, left : left + size]
    return ((resized / 255 - _MEAN) / _DEVIATION).transpose(2, 0, 1)


def _mel_filters(bands: int, slaney: bool) -> np.ndarray:
    def mel(f: np.ndarray) -> np.ndarray:
        if slaney:
            return np.where(f < 1000, 3 * f / 200, 15 + 27 * np.log(np.maximum(f, 1e-9) / 1000) / np.log(6.4))
        return 2595 * np.log10(1 + f / 700)

    grid = np.linspace(0, 14000, 400_001)
    edges = np.interp(np.linspace(mel(np.array(0.0)), mel(np.array(14000.0)), bands + 2), mel(grid), grid)
    bins = np.linspace(0, 24000, 513)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0, np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)))
    return triangles * (2 / (high - low)) if slaney else triangles


def _log_mel(sound: np.ndarray, length: int, bands: int, slaney: bool) -> np.ndarray:
    """16 bits, whole copies and silence up to ``length``, Hann windows of 1024 every 480, power, bands, decibels."""
    levels = np.trunc(np.clip(sound.astype(np.float64), -1, 1) * 32767) / 32767
    copies = np.concatenate([levels] * (length // len(levels)))
    padded = np.pad(np.pad(copies, (0, length - len(copies))), 512, mode="reflect")
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    spectra = [np.fft.rfft(padded[i : i + 1024] * hann) for i in range(0, length + 1, 480)]
    return 10 * np.log10(np.maximum(np.abs(spectra) ** 2 @ _mel_filters(bands, slaney), 1e-10))


def _clip_logits(folder: Path, pixels: np.ndarray, prompts: tuple[str, ...]) -> np.ndarray:
    """What the whole network, called as its authors do, says of pictures ``[n, 3, H, W]`` and texts."""
    model = transformers.CLIPModel.from_pretrained(folder)
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(list(prompts), padding=True, return_tensors="pt")
    with torch.no_grad():
        return model(pixel_values=torch.tensor(pixels, dtype=torch.float32), **tokens).logits_per_image.numpy()


def _clap_logits(folder: Path, mels: np.ndarray, prompts: tuple[str, ...]) -> np.ndarray:
    model = transformers.ClapModel.from_pretrained(folder)
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(list(prompts), padding=True, return_tensors="pt")
    inputs = torch.tensor(mels, dtype=torch.float32).unsqueeze(1)
    if model.config.audio_config.enable_fusion:
        inputs = inputs.repeat(1, 4, 1, 1)
    longer = torch.zeros(len(mels), 1, dtype=torch.bool)
    with torch.no_grad():
        return model(input_features=inputs, is_longer=longer, **tokens).logits_per_audio.numpy()


def _said(scores: TeacherScores, video: str) -> np.ndarray:
    return scores.cosines(scores.rows((video,))) * scores.info.logit_scale


def _taught(store: FeatureStore, teacher: str, models: Path, clips: Path, **settings: Any) -> TeacherScores:
    checkpoint = str(models / ("clip" if teacher == "clip" else "fused"))
    given = {"checkpoint": checkpoint, "videos": str(clips), "device": "cpu"} | settings
    files, failures = run_teacher(store, teacher, settings=given)
    assert failures == []
    modality = "visual" if teacher == "clip" else "audio"
    name = given.get("teacher", given.get("style", "valor"))
    assert files == [store.path / "teachers" / f"{name}.{modality}.safetensors"]
    return load_scores(store, name, modality)


# CLIP


def test_decoded_frames_are_those_of_the_file(models: Path, clips: Path) -> None:
    frames_of_file = read_whole(clips / "both.mp4", frame_size=(64, 48)).frames
    with av.open(str(clips / "both.mp4")) as file:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])
    assert frames_of_file.shape == (3, 8, 48, 64, 3)  # not resized
    assert np.abs(frames_of_file.reshape(-1, 48, 64, 3).astype(int) - frames).mean() < 3  # two ways from YUV to RGB


@pytest.mark.parametrize("resize", ["squash", "crop"])
@pytest.mark.parametrize("frames", ["mean", "raw_mean", "centre", "spread"])
def test_clip_teacher_by_hand(frames: str, resize: str, models: Path, clips: Path, store: FeatureStore) -> None:
    scores = _taught(store, "clip", models, clips, frames=frames, resize=resize, batch_size=5)
    prompts = prompt_style("valor").visual.class_prompts(CLASSES)
    assert (
        scores.info.prompts == prompts == ("A photo of a dog.", "A photo of a fire alarm.", "A photo of glass break.")
    )
    assert scores.info.logit_scale == pytest.approx(np.exp(3))
    count = 1 if frames == "centre" else 8
    decoded = read_whole(clips / "both.mp4", frames_per_segment=count, frame_size=(64, 48)).frames
    read = [[_pixels(frame, resize) for frame in segment] for segment in decoded]
    if frames == "spread":
        places = np.round(np.linspace(0, 23, 3)).astype(int)  # 0, 12, 23 of 24 frames
        flat = [pixels for segment in read for pixels in segment]
        expected = _clip_logits(models / "clip", np.stack([flat[place] for place in places]), prompts)
    elif frames == "centre":
        expected = _clip_logits(models / "clip", np.stack([segment[0] for segment in read]), prompts)
    else:
        model = transformers.CLIPModel.from_pretrained(models / "clip")
        pixels = torch.tensor(np.array(read), dtype=torch.float32).flatten(0, 1)
        with torch.no_grad():
            each = model.visual_projection(model.vision_model(pixels).pooler_output).double().numpy().reshape(3, 8, 12)
        each = each / np.linalg.norm(each, axis=-1, keepdims=True) if frames == "mean" else each
        mean = each.mean(axis=1)
        cosines = mean / np.linalg.norm(mean, axis=1, keepdims=True) @ scores.texts.T
        expected = np.exp(3) * cosines
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(_said(scores, "both"), expected, atol=0.05)  # of a pixel's last digit


def test_valor_looks_at_the_frames_that_it_publishes() -> None:
    places = 8 * np.arange(10) + spread_frames(10, 8)
    assert places.tolist() == [round(x) for x in np.linspace(0, 79, 10).tolist()]
    for segments, count in ((1, 8), (2, 1), (7, 3), (3600, 8)):
        chosen = spread_frames(segments, count)
        assert ((chosen >= 0) & (chosen < count)).all()


def test_checkpoints_state_how_pictures_are_normalised(models: Path, clips: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    shutil.copytree(models / "clip", folder)
    stated = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").write_text(
        json.dumps(stated | {"image_mean": [0, 0, 0], "image_std": [1, 1, 2]})
    )
    pieces = []
    for where in (models / "clip", folder):
        tower = ClipTower(str(where), frames="centre", device="cpu")
        pieces.append(next(tower.pieces(clips / "both.mp4", 1.0, 3)).content)
    assert pieces[0].shape == (3, 1, 3, 32, 32)
    channels = (pieces[0] * _DEVIATION[:, None, None] + _MEAN[:, None, None]) / np.array([1, 1, 2])[:, None, None]
    np.testing.assert_allclose(pieces[1], channels, atol=1e-5)
    (folder / "preprocessor_config.json").write_text(json.dumps(stated | {"image_std": [0, 0, 0]}))
    with pytest.raises(UserError, match=r"preprocessor_config\.json: 'image_mean' or 'image_std' cannot be read"):
        ClipTower(str(folder), device="cpu")


# CLAP


@pytest.mark.parametrize(("name", "length", "bands"), [("fused", 480_000, 64), ("unfused", 96_000, 16)])
def test_clap_teacher_by_hand(
    name: str, length: int, bands: int, models: Path, clips: Path, store: FeatureStore
) -> None:
    scores = _taught(store, "clap", models, clips, checkpoint=str(models / name), batch_size=2)
    prompts = prompt_style("valor").audio.class_prompts(CLASSES)
    assert scores.info.prompts == prompts
    assert prompts[1:] == ("This is a sound of fire alarm", "This is a sound of glass break")
    assert scores.info.logit_scale == pytest.approx(np.exp(3))
    for video, segments in (("both.mp4", 3), ("short.mkv", 3)):
        with av.open(str(clips / video)) as file:
            resampler = av.AudioResampler("fltp", "mono", 48000)
            sound = np.concatenate([f.to_ndarray()[0] for p in file.decode(audio=0) for f in resampler.resample(p)])
        ends = np.minimum(np.arange(1, segments + 1) * 48000, round(2.5 * 48000) if "short" in video else 3 * 48000)
        seconds = [sound[48000 * i : end] for i, end in enumerate(ends)]
        mels = np.stack([_log_mel(second, length, bands, slaney=name == "unfused") for second in seconds])
        expected = _clap_logits(models / name, mels, prompts)
        assert np.ptp(expected) > 0.5
        np.testing.assert_allclose(_said(scores, Path(video).stem), expected, atol=2e-3)


@pytest.mark.parametrize("name", ["fused", "unfused"])
def test_the_front_end_is_that_of_transformers(name: str, models: Path) -> None:
    tower = ClapTower(str(models / name), device="cpu")
    ear = transformers.ClapFeatureExtractor.from_pretrained(models / name)
    sound = 0.2 * np.random.default_rng(0).standard_normal(ear.nb_max_samples).astype(np.float32)
    expected = ear(sound, sampling_rate=48000, return_tensors="pt")["input_features"][0, 0]
    assert torch.allclose(tower.log_mel(torch.from_numpy(sound)[None])[0], expected.float(), atol=2e-3)


def test_clap_hears_a_segment_the_same_in_any_batch(models: Path, clips: Path) -> None:
    """transformers marks a random sound of a batch as longer than it is, and fuses its inputs otherwise."""
    found = []
    for batch_size in (1, 2, 32):
        tower = ClapTower(str(models / "fused"), device="cpu", batch_size=batch_size)
        found.append(tower.embed(next(tower.pieces(clips / "both.mp4", 1.0, 3))))
        np.testing.assert_allclose(found[-1], found[0], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=1), 1, atol=1e-5)


def test_sound_is_quantised_unless_told_otherwise(models: Path) -> None:
    quiet = np.full(48000, 1.5 / 32767, dtype=np.float32)
    levels = [ClapTower(str(models / "unfused"), quantise=q, device="cpu")._repeated(quiet) for q in (True, False)]
    assert [float(x[0] * 32767) for x in levels] == pytest.approx([1, 1.5])
    assert all(len(x) == 96_000 for x in levels)


def test_segments_longer_than_clap_hears_are_refused(models: Path, clips: Path) -> None:
    tower = ClapTower(str(models / "unfused"), device="cpu")
    with pytest.raises(UserError, match="hears 2 s at most, where segments last 3 s"):
        next(tower.pieces(clips / "both.mp4", 3.0, 1))


# Teachers


def test_absent_modalities_have_no_embedding(models: Path, clips: Path, store: FeatureStore) -> None:
    seen, heard = (_taught(store, teacher, models, clips) for teacher in ("clip", "clap"))
    for scores, absent in ((seen, "dark"), (heard, "mute")):
        assert set(scores.videos) == set(store.videos)
        for video in store.videos:
            length = np.linalg.norm(scores.segments[scores.rows((video,))], axis=1)
            np.testing.assert_allclose(length, 0 if video == absent else 1, atol=1e-5)
    sides = {m: {"teacher": "valor", "score": "logit", "threshold": -100.0} for m in ("audio", "visual")}
    labels = PseudoLabels(PseudoLabels.Config.read(sides, "test"))(store, np.arange(len(store)))
    rows = {video: seen.rows((video,)) for video in store.videos}
    assert labels.audio is not None
    assert labels.visual is not None
    for video, position in ((v, store.position(v)) for v in store.videos):
        weak = np.repeat(store.weak[position][None], store.lengths[position], axis=0)
        np.testing.assert_array_equal(labels.audio[rows[video]], weak * (video != "mute"))
        np.testing.assert_array_equal(labels.visual[rows[video]], weak * (video != "dark"))


@pytest.mark.parametrize("teacher", ["clip", "clap"])
def test_an_interrupted_teacher_continues(
    teacher: str, models: Path, clips: Path, store: FeatureStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = _taught(store, teacher, models, clips)
    shutil.rmtree(store.path / "teachers")
    tower: Any = ClipTower if teacher == "clip" else ClapTower
    embed, seen, stops = tower.embed, [], [0]

    def counted(self: Any, piece: Any) -> np.ndarray:
        seen.append(piece)
        if len(seen) == stops[-1]:
            raise KeyboardInterrupt
        return embed(self, piece)

    monkeypatch.setattr(tower, "embed", counted)
    monkeypatch.setattr(segment_cache, "_COMMIT_VIDEOS", 2)
    for at in (1, 3, 2):
        seen.clear()
        stops.append(at)
        with pytest.raises(KeyboardInterrupt):
            _taught(store, teacher, models, clips)
    (kept,) = (store.path / "teachers").iterdir()
    blocks = sorted(kept.iterdir())
    assert len(blocks) == 2  # of two videos, then of one
    blocks[1].write_bytes(blocks[1].read_bytes()[:-7])  # damaged: done again
    seen.clear()
    stops.append(0)
    resumed = _taught(store, teacher, models, clips)
    assert len(seen) == 2
    assert resumed.info == whole.info
    assert resumed.videos == whole.videos
    np.testing.assert_array_equal(resumed.segments, whole.segments)
    np.testing.assert_array_equal(resumed.texts, whole.texts)
    assert [path.name for path in (store.path / "teachers").iterdir()] == [
        f"valor.{'visual' if teacher == 'clip' else 'audio'}.safetensors"
    ]
    seen.clear()
    words = tmp_path / "words.yaml"
    words.write_text("Dog: a barking thing\n")
    reworded = _taught(store, teacher, models, clips, prompts=str(words))
    assert seen == []  # other prompts need no other look
    assert reworded.info.prompts == ("a barking thing", *whole.info.prompts[1:])
    np.testing.assert_array_equal(reworded.segments, whole.segments)
    assert (reworded.texts[0] != whole.texts[0]).any()
    np.testing.assert_allclose(reworded.texts[1:], whole.texts[1:], atol=1e-6)
    other = {"frames": "centre"} if teacher == "clip" else {"quantise": False}
    _taught(store, teacher, models, clips, **other)
    assert len(seen) == 4  # but another way of looking does


def test_bad_videos_cost_themselves(
    models: Path,
    clips: Path,
    store: FeatureStore,
    tmp_path: Path,
    command: Command,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "videos"
    shutil.copytree(clips, folder)
    (folder / "mute.mp4").unlink()
    (folder / "short.mkv").write_bytes(b"nonsense" * 100)
    write_clip(folder / "dark.mkv", sound=tone(), seconds=9)  # another, longer video under its name
    given = ["--set", f"checkpoint={models / 'fused'}", "--set", "device=cpu"]
    code, out, err = command("teach", store.path, "--teacher", "clap", "--videos", folder, *given)
    assert code == 3
    assert out.split() == [str(store.path / "teachers" / "valor.audio.safetensors")]
    told = [line for line in err.splitlines() if line.startswith("skipped")]
    assert len(told) == 3
    assert f"{folder / 'mute.mp4'}: no file of video 'mute' there" in told[0]
    assert any(f"{folder / 'short.mkv'}: not a media file, or cut off" in line for line in told)
    assert any(f"{folder / 'dark.mkv'}: longer than the 2 segments of the store" in line for line in told)
    assert load_scores(store, "valor", "audio").videos == ("both",)
    making = PseudoLabels(PseudoLabels.Config.read({"audio": {"teacher": "valor", "threshold": 0.1}}, "test"))
    assert making(store, np.arange(len(store))).audio is not None
    assert "has no scores of" in caplog.text
    command("teach", store.path, "--teacher", "clap", "--videos", clips, *given)  # the files restored
    assert set(load_scores(store, "valor", "audio").videos) == set(store.videos)
    code, _, err = command("teach", store.path, "--teacher", "clap", *given)
    assert code == 0  # nothing is left to look at


def test_videos_are_found_by_name_or_id(
    models: Path, clips: Path, store: FeatureStore, tmp_path: Path, command: Command
) -> None:
    given = {"checkpoint": str(models / "clip"), "device": "cpu"}
    with pytest.raises(UserError, match=r"names its videos without their folder .*give it: --videos DIR"):
        run_teacher(store, "clip", settings=given)
    with pytest.raises(UserError, match="nowhere: no such folder of videos; check --videos"):
        run_teacher(store, "clip", settings=given | {"videos": "nowhere"})
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no file of video .* restore it \(and so with all 4 videos\)"):
        run_teacher(store, "clip", settings=given | {"videos": str(tmp_path / "empty")})
    assert not list((store.path / "teachers").glob("*.safetensors")) if (store.path / "teachers").exists() else True
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for path in clips.iterdir():
        shutil.copy(path, renamed / f"{path.stem}.mov")  # another container by name; the id is what counts
    _taught(store, "clip", models, renamed)
    code, _, err = command("teach", store.path, "--teacher", "simulated", "--videos", clips)
    assert code == 2
    assert "unknown key 'videos'" in err


def test_the_end_that_a_shorter_file_lacks_is_unknown(
    models: Path, clips: Path, store: FeatureStore, tmp_path: Path
) -> None:
    folder = tmp_path / "videos"
    shutil.copytree(clips, folder)
    write_clip(folder / "both.mp4", sound=tone(), picture=colours, seconds=2, fps=8)
    scores = _taught(store, "clip", models, folder)
    length = np.linalg.norm(scores.segments[scores.rows(("both",))], axis=1)
    np.testing.assert_allclose(length, [1, 1, 0], atol=1e-5)
    position = store.position("both")
    assert store.present[store.first_row[position] :][:3].all()  # what the teacher lacks, the store may have
    for decide in ({"threshold": -100.0}, {"decide": "top_mass"}):
        config = PseudoLabels.Config.read({"visual": {"teacher": "valor", "score": "logit", **decide}}, "test")
        labels = PseudoLabels(config)(store, np.array([position]))
        assert labels.visual is not None
        assert labels.visual[:2].any()
        assert np.isfinite(labels.visual[:2]).all()
        np.testing.assert_array_equal(np.isnan(labels.visual[2]), store.weak[position])
        assert not labels.visual[2][~store.weak[position]].any()
        read = PseudoLabels(config).scores(store, np.array([position]), "visual")
        assert read is not None
        assert np.isfinite(read).all(axis=1).tolist() == [True, True, False]


def test_styles_are_the_published_settings(models: Path, clips: Path, store: FeatureStore) -> None:
    clip = {style: ClipTeacher.Config(style=style) for style in ("valor", "vplan", "lsld")}  # type: ignore[arg-type]
    clap = {style: ClapTeacher.Config(style=style) for style in ("valor", "vplan", "lsld")}  # type: ignore[arg-type]
    found = {s: (c.checkpoint, c.frames, c.resize, c.subsets, c.teacher) for s, c in clip.items()}
    assert found == {
        "valor": ("openai/clip-vit-large-patch14", "spread", "squash", False, "valor"),
        "vplan": ("openai/clip-vit-base-patch32", "mean", "crop", False, "vplan"),
        "lsld": ("openai/clip-vit-base-patch16", "raw_mean", "crop", True, "lsld"),
    }
    assert {s: (c.checkpoint, c.quantise, c.subsets) for s, c in clap.items()} == {
        "valor": ("laion/clap-htsat-fused", True, False),
        "vplan": ("laion/clap-htsat-fused", True, False),
        "lsld": ("laion/clap-htsat-unfused", True, True),
    }
    with pytest.raises(UserError, match="style: unknown prompt style 'valour'; did you mean 'valor'"):
        run_teacher(store, "clip", settings={"style": "valour"})
    scores = _taught(store, "clap", models, clips, style="lsld", checkpoint=str(models / "unfused"))
    assert scores.info.prompts == CLASSES
    assert scores.info.subset_prompts[0] == "This is a sound of other"
    assert scores.info.subset_prompts[-1] == "This is a sound of Dog and Fire alarm ringing"
    members = scores.known_subsets.members
    assert members.sum(axis=1).tolist() == [0, 1, 1, 1, 2]
    model, folder = transformers.ClapModel.from_pretrained(models / "unfused"), models / "unfused"
    tokens = transformers.AutoTokenizer.from_pretrained(folder)([scores.info.subset_prompts[-1]], return_tensors="pt")
    with torch.no_grad():
        alone = model.text_projection(model.text_model(**tokens).pooler_output)[0].numpy()
    np.testing.assert_allclose(scores.known_subsets.texts[-1], alone / np.linalg.norm(alone), atol=1e-5)
    labels = PseudoLabels(PseudoLabels.Config.read({"audio": {"teacher": "lsld", "decide": "subset_argmax"}}, "test"))(
        store, np.arange(len(store))
    )
    assert labels.audio is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Dogg: a dog\n", "unknown class 'Dogg'; did you mean 'Dog'"),
        ("- a dog\n", "prompts are a table 'class: text'"),
        ("Dog: 3\n", "the prompt of 'Dog' is no text"),
        ("Dog: [\n", "not YAML"),
        (f"Dog: {'very ' * 200}big dog\n", "is longer than the 77 tokens it reads; shorten it"),
    ],
)
def test_bad_prompts_are_refused(
    content: str, message: str, models: Path, clips: Path, store: FeatureStore, tmp_path: Path
) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=re.escape(message)) as error:
        _taught(store, "clip", models, clips, prompts=str(path))
    assert "\n" not in str(error.value)


def test_published_embeddings_stand_in_for_videos(
    models: Path, store: FeatureStore, tmp_path: Path, command: Command
) -> None:
    folder = tmp_path / "npy"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = {
        v: rng.standard_normal((n * 8, 12)).astype(np.float32) for v, n in zip(store.videos, store.lengths, strict=True)
    }
    for video, values in rows.items():
        np.save(folder / f"{video}.npy", values)
    given = {"checkpoint": str(models / "clip"), "device": "cpu", "embeddings": str(folder)}
    files, failures = run_teacher(store, "clip", settings=given)
    assert failures == []
    scores = load_scores(store, "valor", "visual")
    mean = rows["both"].reshape(3, 8, 12).mean(axis=1)
    np.testing.assert_allclose(
        scores.segments[scores.rows(("both",))], mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6
    )
    files[0].unlink()
    np.save(folder / "both.npy", np.zeros((3, 13), np.float32))
    np.save(folder / "mute.npy", np.array([{}]), allow_pickle=True)
    np.save(folder / "dark.npy", np.zeros((3, 12), np.float32))
    arguments = ["--set", f"checkpoint={models / 'clip'}", "--set", "device=cpu", "--from-npy", folder]
    code, _, err = command("teach", store.path, "--teacher", "clip", *arguments)
    assert code == 3
    assert "both.npy: float32 of shape [3, 13], where the checkpoint's embeddings are [rows, 12]" in err
    assert "mute.npy: holds Python objects, which are never unpickled" in err
    assert "dark.npy: 3 rows for the 2 segments of the store" in err
    assert load_scores(store, "valor", "visual").videos == ("short",)


# Checkpoints


def test_a_checkpoint_is_known_by_its_weights(models: Path, clips: Path, store: FeatureStore, tmp_path: Path) -> None:
    import hashlib

    scores = _taught(store, "clip", models, clips)
    digest = hashlib.sha256((models / "clip" / "model.safetensors").read_bytes()).hexdigest()
    assert scores.info.checkpoint.startswith(f"{models / 'clip'}, sha256 {digest}, ")
    assert json.loads(scores.info.checkpoint.split(", ", 2)[2]) == {
        "frames": "spread",
        "per_segment": 8,
        "resize": "squash",
    }


@pytest.fixture
def own(models: Path, tmp_path: Path) -> Path:
    shutil.copytree(models / "clip", tmp_path / "own")
    return tmp_path / "own"


def test_bad_checkpoints_are_refused(own: Path, models: Path) -> None:
    def refused(name: str | Path, message: str, tower: Any = ClipTower) -> None:
        with pytest.raises(UserError, match=message) as error:
            tower(str(name), device="cpu")
        assert "\n" not in str(error.value)

    refused(own.parent / "nowhere", r"nowhere: no such folder of a model; check the path")
    refused(models / "fused", "a model of type 'clap', not 'clip'; name another checkpoint")
    refused(own, "a model of type 'clip', not 'clap'", ClapTower)
    refused(own.parent, r"config\.json: missing, or not that of a model")
    weights = load_file(own / "model.safetensors")
    lost = {name: tensor for name, tensor in weights.items() if name != "visual_projection.weight"}
    save_file(lost, own / "model.safetensors", {"format": "pt"})
    refused(own, r"own: the weights lack 'visual_projection\.weight'; get the files again")
    (own / "model.safetensors").write_bytes(b"12345678" * 20)
    refused(own, r"own: cannot be read as a model \(SafetensorError")
    (own / "model.safetensors").unlink()
    refused(own, r"own: no model\.safetensors there; convert its weights")
    state = torch.get_rng_state()
    ClipTower(str(models / "clip"), device="cpu")
    assert torch.equal(torch.get_rng_state(), state)


def test_pickled_weights_are_converted_as_the_page_says(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = load_file(own / "model.safetensors")
    (own / "model.safetensors").unlink()
    torch.save(weights, own / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"only 'pytorch_model\.bin' there, which is never unpickled; convert"):
        ClipTower(str(own), device="cpu")
    page = (Path(__file__).parents[2] / "docs/methods/pseudo_labels.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(own)
    exec(program, {})
    assert ClipTower(str(own), device="cpu").dimension == 12


def test_published_names_come_from_the_cache(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"model 'someone/tiny': not in the offline cache, and cannot be downloaded"
    ) as error:
        ClipTower("someone/tiny", device="cpu")
    assert "give the folder of a copy as the checkpoint" in str(error.value)
    assert "\n" not in str(error.value)
    cached = tmp_path / "hub" / "models--someone--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("a" * 40)
    shutil.copytree(own, cached / "snapshots" / ("a" * 40))
    tower = ClipTower("someone/tiny", device="cpu")
    assert tower.identity.startswith("someone/tiny, sha256 ")


def test_the_extra_is_named_where_it_is_missing(
    models: Path, store: FeatureStore, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    given = ["--set", f"checkpoint={models / 'clip'}", "--videos", "somewhere"]
    code, _, err = command("teach", store.path, "--teacher", "clip", *given)
    assert code == 2
    assert err == "avparse: error: CLIP and CLAP need 'transformers': pip install 'avparse[teachers]'\n"


# Features


@pytest.fixture
def checkpoints(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVPARSE_CLIP", str(models / "clip"))
    monkeypatch.setenv("AVPARSE_CLAP", str(models / "fused"))


def test_features_are_the_embeddings(checkpoints: None, models: Path, clips: Path, store: FeatureStore) -> None:
    extractor = ClipClapExtractor()
    assert {name: stream.dimension for name, stream in extractor.streams.items()} == {"clip": 12, "clap": 10}
    assert extractor.streams["clip"].view == PictureView((32, 32), per_segment=8)
    assert extractor.streams["clap"].view == SoundView(48000)
    heard = _taught(store, "clap", models, clips)
    seen = _taught(store, "clip", models, clips, frames="mean", resize="squash")
    for name in ("both.mp4", "short.mkv", "mute.mp4", "dark.mkv"):
        found = extract_video(clips / name, extractor.streams, 1.0)
        rows = heard.rows((Path(name).stem,))
        np.testing.assert_allclose(found.streams["clap"], heard.segments[rows], atol=1e-5)
        cosine = (found.streams["clip"] * seen.segments[rows]).sum(axis=1)
        assert (cosine[found.visual_present] > 0.9).all()  # squashed by the decoder, which is nearly the same
        assert not found.streams["clip"][~found.visual_present].any()


@pytest.mark.parametrize("workers", ["0", pytest.param("1", marks=pytest.mark.slow)])
def test_a_store_of_features(workers: str, checkpoints: None, clips: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "labels.csv").write_text("video,labels,split\nboth,Dog,train\nmute,Dog,val\n")
    (tmp_path / "classes.txt").write_text("Dog\nCat\n")
    labels = ["--labels", tmp_path / "labels.csv", "--classes", tmp_path / "classes.txt"]
    out = tmp_path / "out"
    code, _, err = command("extract", clips, "-o", out, "--extractor", "clip-clap", "--workers", workers, *labels)
    assert code == 0, err
    made = FeatureStore.open(out)
    assert {name: info.dimension for name, info in made.streams.items()} == {"clip": 12, "clap": 10}
    direct = extract_video(clips / "both.mp4", ClipClapExtractor().streams, 1.0)
    np.testing.assert_allclose(made.stream("clap")[:3], direct.streams["clap"], atol=1e-5)
    assert np.linalg.norm(made.stream("clip"), axis=1) == pytest.approx(1)
