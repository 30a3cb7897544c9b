"""Datasets that recipes build: checks, saving and loading."""

import shutil

import numpy as np
import pandas as pd
import pytest
from datasets import Value
from speech.audio import write_flac
from speech.dataset import load_splits, save_splits, summarise, validate_rows

from smoothclap_trainer.data.manifest import load_manifest
from tests.examples.recipes.archive_makers import tone


def rows_of(folder, split, speaker, count=2):
    rows = []
    for index in range(count):
        path = f"audio/{split}-{index}.flac"
        write_flac(folder / path, tone(0.5, 16000, 100 + index + 10 * ord(speaker)))
        rows.append({"id": f"{split}/{index}", "path": path, "sha256": f"{split}{index}", "pitch": np.float32(index)})
    constant = {"corpus": "toy", "speaker": speaker, "language": "en", "transcript": None, "duration": 0.5}
    package = {"package": "toy-data", "package_version": "1.0-1", "licence": "CC0-1.0"}
    return pd.DataFrame(rows).assign(**constant, **package)


@pytest.fixture
def splits(tmp_path):
    return {
        "train": rows_of(tmp_path, "train", "a", 3),
        "validation": rows_of(tmp_path, "validation", "b"),
        "test": rows_of(tmp_path, "test", "c").assign(transcript="Ahoj."),
    }


def test_saved_rows_come_back_with_absolute_paths_even_after_a_move(tmp_path, splits):
    save_splits(splits, tmp_path)
    moved = tmp_path.with_name("moved")
    shutil.copytree(tmp_path, moved)
    loaded = load_splits(moved)
    assert {name: len(split) for name, split in loaded.items()} == {"train": 3, "validation": 2, "test": 2}
    assert loaded["train"].column_names == list(splits["train"].columns)
    assert loaded["train"]["path"][1] == str(moved / "audio/train-1.flac")
    for name, split in loaded.items():
        assert split.remove_columns("path").to_list() == splits[name].drop(columns="path").to_dict("records")
    assert loaded["train"].features == loaded["test"].features


def test_they_are_manifests(tmp_path, splits):
    save_splits(splits, tmp_path)
    loaded = load_manifest(tmp_path)
    assert list(loaded) == ["train", "validation", "test"]
    assert loaded["test"]["path"][:] == [str(tmp_path / f"audio/test-{index}.flac") for index in range(2)]
    assert loaded["train"][1]["id"] == "train/1"
    assert loaded["train"].features["pitch"] == Value("float32")


def test_saving_again_replaces_all_splits(tmp_path, splits):
    save_splits(splits, tmp_path)
    before = load_splits(tmp_path)
    del splits["validation"]
    save_splits({**splits, "train": splits["train"].head(1)}, tmp_path)
    assert {name: len(split) for name, split in load_splits(tmp_path).items()} == {"train": 1, "test": 2}
    assert not (tmp_path / "validation").exists()
    assert before["train"]["id"][2] == "train/2"  # a reader of the old dataset is not disturbed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audio", "dataset_dict.json", "test", "train"]


@pytest.mark.parametrize(
    ("column", "values", "named"),
    [
        ("id", ["x", "x", "y"], "'x'"),
        ("speaker", ["a", None, "a"], "'speaker'"),
        ("speaker", ["a", "b", "a"], "'b'"),
        ("licence", ["a", "b", ""], "'licence'"),
        ("sha256", ["test1", "b", "c"], "'test1'"),
        ("duration", [1.0, 0.0, 1.0], "'duration'"),
        ("duration", [1.0, 1.0, float("nan")], "'duration'"),
        ("path", ["audio/train-0.flac", "audio/gone.flac", "audio/train-2.flac"], "gone"),
    ],
)
def test_faulty_rows_are_refused_and_what_was_there_stays(tmp_path, splits, column, values, named):
    save_splits(splits, tmp_path)
    with pytest.raises(ValueError, match=named):
        save_splits({**splits, "train": splits["train"].assign(**{column: values})}, tmp_path)
    assert load_splits(tmp_path)["train"]["id"][:] == splits["train"]["id"].tolist()


def test_missing_columns_and_folders(tmp_path, splits):
    with pytest.raises(ValueError, match="sha256"):
        validate_rows(splits["train"].drop(columns="sha256"))
    with pytest.raises(ValueError, match=tmp_path.name):
        load_splits(tmp_path)
    with pytest.raises(ValueError, match="'dev'"):
        save_splits({"dev": splits["train"]}, tmp_path)


def test_summary_counts(splits):
    summary = summarise(splits).set_index("split")
    assert summary["clips"].to_dict() == {"train": 3, "validation": 2, "test": 2}
    assert summary.loc["train", "speakers"] == 1
    assert summarise({"train": splits["train"].assign(duration=40.0)})["minutes"].tolist() == [2.0]
