"""The LLP tables as published: equal to the official evaluator's reading of them, and to the counted figures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from avparse.data.datasets.annotations import Annotations
from avparse.data.datasets.llp import read_llp, write_llp
from avparse.data.timeline import runs
from avparse.data.vocabulary import LLP_CLASSES, MODALITIES, Vocabulary
from avparse.foundation.errors import UserError
from tests import golden

SEGMENTS = 10
SPLITS = ("train", "val", "test")
HEADER = "filename\tonset\toffset\tevent_labels\n"
WEAK_HEADER = "filename\tevent_labels\n"


@pytest.fixture(scope="module")
def llp(shared: Path) -> Annotations:
    return read_llp(shared / "data" / "llp")


@pytest.fixture(scope="module")
def stats(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "data" / "llp_stats.json").read_text())


def stacked(tables: Annotations, videos: list[str], modality: str) -> np.ndarray:
    return np.stack([tables.dense(video, modality, SEGMENTS) for video in videos])


# Golden


def test_golden_event_lists_give_the_official_ground_truth(tmp_path: Path) -> None:
    _, cases = golden.metric_cases()
    lists = [(known["name"], case, known["videos"]) for known, case in cases if known["kind"] == "event_list"]
    assert len(lists) == 2
    for name, case, count in lists:
        folder = tmp_path / name
        folder.mkdir()
        videos = [f"video_{n}" for n in range(count)]
        (folder / "AVVP_val_pd.csv").write_text(WEAK_HEADER + "".join(f"{video}\tSpeech\n" for video in videos))
        for modality in MODALITIES:
            rows = "".join(
                f"{videos[int(video)]}\t{float(onset)!r}\t{float(offset)!r}\t{LLP_CLASSES[int(event)]}\n"
                for video, onset, offset, event in case[f"events_{modality}"]
            )
            (folder / f"AVVP_eval_{modality}.csv").write_text(HEADER + rows)
        tables = read_llp(folder)
        for modality in MODALITIES:
            expected = case[f"gt_{modality}"].astype(bool).transpose(0, 2, 1)
            np.testing.assert_array_equal(stacked(tables, videos, modality), expected, err_msg=name)


def test_golden_real_annotations(shared: Path, llp: Annotations) -> None:
    _, cases = golden.metric_cases(shared / "golden")
    whole = [(known["name"], case) for known, case in cases if known["name"].startswith(("real_", "weak_labels_"))]
    assert len(whole) == 5
    for name, case in whole:
        videos = next(llp.of_split(split) for split in SPLITS if f"_{split}" in name)
        for modality in MODALITIES:
            expected = case[f"gt_{modality}"].astype(bool).transpose(0, 2, 1)
            np.testing.assert_array_equal(stacked(llp, videos, modality), expected, err_msg=name)
        if name.startswith("weak_labels"):
            weak = np.stack([llp.videos[video].weak for video in videos])
            np.testing.assert_array_equal(weak, case["pred_audio"][:, :, 0].astype(bool))


# The counted figures


def test_splits_have_the_counted_sizes(llp: Annotations, stats: dict[str, Any]) -> None:
    dataset = stats["dataset"]
    for split in SPLITS:
        videos = llp.of_split(split)
        assert len(videos) == dataset[split]
    assert len(llp.videos) == dataset["sum_of_splits"]
    several = sum(video.weak.sum() > 1 for video in llp.videos.values())
    assert several == dataset["videos_with_more_than_one_label_in_splits"]
    repeats = [note for note in llp.notes if "named twice" in note]
    assert repeats == ["AVVP_test_pd.csv: a label named twice counts once (1 row)"]
    assert len(repeats) == dataset["videos_whose_label_field_repeats_a_label"]
    for split in SPLITS:
        videos = llp.of_split(split)
        found = np.bincount([llp.videos[video].weak.sum() for video in videos])
        assert {str(n): c for n, c in enumerate(found) if c} == stats["labels_per_video"][split]
        columns = np.sum([llp.videos[video].weak for video in videos], axis=0)
        for name, column in zip(llp.vocabulary, columns, strict=True):
            assert stats["per_class"][name][split] == column


def test_the_dirt_has_the_counted_sizes(llp: Annotations, stats: dict[str, Any]) -> None:
    rules = {
        "rows_of_unlisted_videos": "outside these splits",
        "rows_with_onset_not_before_offset": "onset is not before",
        "duplicate_rows": "repeats an earlier one",
        "rows_overlapping_an_earlier_row_of_same_video_and_class": "overlaps an earlier one",
    }
    for modality in MODALITIES:
        counted, table = stats["files"][modality], f"AVVP_eval_{modality}.csv"
        found = {rule: next((n for n in llp.notes if table in n and rule in n), "(0 rows)") for rule in rules.values()}
        for name, rule in rules.items():
            if name in counted:
                assert f"({counted[name]} rows)" in found[rule], (modality, name)
        events = [e for video in llp.videos.values() for e in video.events or () if e.modality == modality]
        assert len(events) == counted["rows"] - counted["rows_of_unlisted_videos"]
    assert list(llp.notes) == [
        "AVVP_test_pd.csv: a label named twice counts once (1 row)",
        "AVVP_eval_audio.csv: a row of a video outside these splits is ignored (14 rows)",
        "AVVP_eval_audio.csv: a row whose onset is not before its offset marks nothing (5 rows)",
        "AVVP_eval_audio.csv: a row that overlaps an earlier one of its class is united with it (22 rows)",
        "AVVP_eval_audio.csv: a row that repeats an earlier one changes nothing (8 rows)",
        "AVVP_eval_visual.csv: a row of a video outside these splits is ignored (11 rows)",
    ]


def test_weak_and_dense_labels_disagree_as_counted(llp: Annotations, stats: dict[str, Any]) -> None:
    videos = llp.of_split("val") + llp.of_split("test")
    weak = np.stack([llp.videos[video].weak for video in videos])
    heard, seen = (stacked(llp, videos, modality).any(axis=1) for modality in MODALITIES)
    found = {
        "weak_labels_without_any_dense_event": (weak & ~heard & ~seen).sum(),
        "dense_events_without_weak_label_video_class_pairs": ((heard | seen) & ~weak).sum(),
        "weak_label_pairs": weak.sum(),
        "pairs_audible": heard.sum(),
        "pairs_visible": seen.sum(),
        "pairs_both": (heard & seen).sum(),
        "pairs_audible_only": (heard & ~seen).sum(),
        "pairs_visible_only": (~heard & seen).sum(),
    }
    assert found == stats["weak_versus_dense"]


def test_eval_parts_have_the_counted_events(llp: Annotations, stats: dict[str, Any]) -> None:
    for split in ("val", "test"):
        videos, part = llp.of_split(split), stats["eval_parts"][split]
        for modality in MODALITIES:
            truth = stacked(llp, videos, modality)
            assert part[f"videos_without_{modality}_event"] == (~truth.any(axis=(1, 2))).sum()
            flat = truth.transpose(0, 2, 1).reshape(-1, SEGMENTS)
            assert part["event_runs"][modality] == sum(len(runs(row)) for row in flat if row.any())


def test_training_videos_have_no_dense_truth(llp: Annotations) -> None:
    assert llp.dense(llp.of_split("train")[0], "audio", SEGMENTS) is None
    annotated = [name for name, video in llp.videos.items() if video.events is not None]
    assert annotated == llp.of_split("val") + llp.of_split("test")


# Round trip of our own corpora


@st.composite
def corpora(draw: st.DrawFn) -> dict[str, Any]:
    count, segments, classes = (draw(st.integers(1, 5)) for _ in range(3))
    dense = arrays.arrays(bool, (count, segments, classes))
    return {
        "vocabulary": Vocabulary(tuple(f"class {c}|(odd)" for c in range(classes))),
        "videos": [f"video-{n}_0_10" for n in range(count)],
        "splits": draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=count, max_size=count)),
        "weak": draw(arrays.arrays(bool, (count, classes))),
        "audio": draw(dense),
        "visual": draw(dense),
        "segment_seconds": draw(st.sampled_from([1.0, 0.1, 0.32, 0.35, 2.0]) | st.floats(0.01, 10)),
        "train_truth": draw(st.booleans()),
    }


@given(corpus=corpora())
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_back(corpus: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    write_llp(folder, **corpus)
    tables = read_llp(folder)
    assert tables.vocabulary == corpus["vocabulary"]
    assert not tables.notes
    segments = corpus["audio"].shape[1]
    for n, (video, split) in enumerate(zip(corpus["videos"], corpus["splits"], strict=True)):
        assert tables.videos[video].split == split
        np.testing.assert_array_equal(tables.videos[video].weak, corpus["weak"][n])
        for modality in MODALITIES:
            dense = tables.dense(video, modality, segments, corpus["segment_seconds"])
            if split == "train" and not corpus["train_truth"]:
                assert dense is None
            else:
                np.testing.assert_array_equal(dense, corpus[modality][n])


def test_whole_seconds_are_written_as_the_official_tables_do(tmp_path: Path) -> None:
    truth = np.zeros((1, 4, 1), dtype=bool)
    truth[0, 1:3] = True
    write_llp(
        tmp_path, Vocabulary(("Dog",)), ["a_0_4"], ["val"], weak=np.ones((1, 1), bool), audio=truth, visual=~truth
    )
    assert (tmp_path / "AVVP_eval_audio.csv").read_text() == HEADER + "a_0_4\t1\t3\tDog\n"
    assert (tmp_path / "AVVP_eval_visual.csv").read_text() == HEADER + "a_0_4\t0\t1\tDog\na_0_4\t3\t4\tDog\n"
    assert (tmp_path / "AVVP_val_pd.csv").read_text() == WEAK_HEADER + "a_0_4\tDog\n"
    assert (tmp_path / "AVVP_train.csv").read_text() == WEAK_HEADER
    assert (tmp_path / "classes.txt").read_text() == "Dog\n"


def test_a_corpus_of_wrong_shapes_is_refused(tmp_path: Path) -> None:
    one, dense = np.ones((1, 1), bool), np.ones((1, 4, 1), bool)
    with pytest.raises(UserError, match="do not fit 1 videos of 1 classes"):
        write_llp(tmp_path / "x", Vocabulary(("Dog",)), ["a"], ["val"], weak=one, audio=dense, visual=dense[:, 1:])
    with pytest.raises(UserError, match="needs one split of train, val, test"):
        write_llp(tmp_path / "x", Vocabulary(("Dog",)), ["a"], [""], weak=one, audio=dense, visual=dense)
    assert not (tmp_path / "x").exists()


# Tables that cannot be read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    truth = np.ones((2, 3, 2), dtype=bool)
    write_llp(
        tmp_path,
        Vocabulary(("Dog", "Speech")),
        ["a", "b"],
        ["train", "val"],
        weak=truth[:, 0],
        audio=truth,
        visual=truth,
    )
    return tmp_path


@pytest.mark.parametrize(
    ("table", "row", "message"),
    [
        ("AVVP_train.csv", "c\tDgo\n", r"AVVP_train.csv:3: unknown class 'Dgo'; did you mean 'Dog'"),
        ("AVVP_train.csv", "c\n", r"AVVP_train.csv:3: 1 cells, the header has 2"),
        ("AVVP_train.csv", "../c\tDog\n", r"AVVP_train.csv:3: unsafe video id"),
        ("AVVP_eval_audio.csv", "b\t0\t1\tCat\n", r"AVVP_eval_audio.csv:\d+: unknown class 'Cat'"),
        ("AVVP_eval_audio.csv", "b\tnan\t1\tDog\n", r"onset is 'nan', not a finite number"),
        ("AVVP_eval_visual.csv", "b\t0\t\tDog\n", r"offset is '', not a finite number"),
        ("AVVP_eval_visual.csv", "b\t0\tinf\tDog\n", r"offset is 'inf', not a finite number"),
    ],
)
def test_what_the_official_evaluator_cannot_read_is_an_error(table: str, row: str, message: str, folder: Path) -> None:
    with open(folder / table, "a") as file:
        file.write(row)
    with pytest.raises(UserError, match=message) as caught:
        read_llp(folder)
    assert "\n" not in str(caught.value)


def test_rows_of_unlisted_videos_are_ignored_whatever_they_hold(folder: Path) -> None:
    with open(folder / "AVVP_eval_audio.csv", "a") as file:
        file.write("z\tnan\t1\tWhale\na\t0\t1\tDog\n")
    tables = read_llp(folder)
    assert tables.notes == ("AVVP_eval_audio.csv: a row of a video outside these splits is ignored (2 rows)",)


def test_a_video_listed_twice_counts_where_it_is_first(folder: Path) -> None:
    with open(folder / "AVVP_val_pd.csv", "a") as file:
        file.write("a\tDog\n")
    tables = read_llp(folder)
    assert [tables.of_split(split) for split in SPLITS] == [["a"], ["b"], []]
    assert tables.videos["a"].weak.all()
    assert tables.notes == ("AVVP_val_pd.csv: a video listed again keeps its first row (1 row)",)


def test_tables_that_are_missing(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (folder / "AVVP_eval_audio.csv").unlink()
    with pytest.raises(UserError, match=r"AVVP_eval_audio.csv: missing, though the other modality is there"):
        read_llp(folder)
    (folder / "AVVP_eval_visual.csv").unlink()
    assert read_llp(folder).dense("b", "audio", 3) is None
    with pytest.raises(UserError, match="no LLP tables there"):
        read_llp(tmp_path_factory.mktemp("empty"))


def test_the_vocabulary_is_beside_the_tables_or_given(folder: Path, shared: Path) -> None:
    assert read_llp(folder).vocabulary.names == ("Dog", "Speech")
    wider = Vocabulary(("Speech", "Cat", "Dog"))
    assert read_llp(folder, wider).videos["a"].weak.tolist() == [True, False, True]
    (folder / "classes.txt").write_text("Dog\nDog\n")
    with pytest.raises(UserError, match=r"classes.txt: .*named twice"):
        read_llp(folder)
    shutil.rmtree(folder)
    assert read_llp(shared / "data" / "llp").vocabulary.names == LLP_CLASSES
