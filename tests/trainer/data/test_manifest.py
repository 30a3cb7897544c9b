"""Manifest checks, saving and loading."""

import shutil

import numpy as np
import pandas as pd
import pytest
from speech.audio import write_flac

from smoothclap_trainer.data.manifest import load_splits, save_splits, summarise, validate_rows, validate_splits
from tests.examples.recipes.archive_makers import tone


def rows_of(folder, split, speaker, count=2):
    rows = []
    for index in range(count):
        path = f"audio/{split}-{index}.flac"
        write_flac(folder / path, tone(0.5, 16000, 100 + index))
        rows.append(
            {
                "id": f"{split}/{index}",
                "path": path,
                "corpus": "toy",
                "speaker": speaker,
                "language": "en",
                "transcript": None,
                "duration": 0.5,
                "package": "toy-data",
                "package_version": "1.0-1",
                "licence": "CC0-1.0",
                "sha256": f"{split}{index}",
                "pitch": np.float32(index),
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture
def splits(tmp_path):
    test = rows_of(tmp_path, "test", "c").assign(transcript="Ahoj.")
    return {
        "train": rows_of(tmp_path, "train", "a", 3),
        "validation": rows_of(tmp_path, "validation", "b"),
        "test": test,
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


def test_saving_again_replaces_all_splits(tmp_path, splits):
    save_splits(splits, tmp_path)
    before = load_splits(tmp_path)
    del splits["validation"]
    save_splits({**splits, "train": splits["train"].head(1)}, tmp_path)
    assert {name: len(split) for name, split in load_splits(tmp_path).items()} == {"train": 1, "test": 2}
    assert not (tmp_path / "validation").exists()
    assert before["train"]["id"][2] == "train/2"  # a reader of the old dataset is not disturbed


def test_a_speaker_in_two_splits_is_a_leak(tmp_path, splits):
    splits["validation"]["speaker"] = ["b", "a"]
    with pytest.raises(ValueError, match="speaker 'a' is in 'train' and in 'validation'"):
        save_splits(splits, tmp_path)


@pytest.mark.parametrize("column", ["id", "sha256"])
def test_a_clip_in_two_splits_is_a_leak(splits, column):
    splits["test"].loc[0, column] = splits["train"].loc[1, column]
    with pytest.raises(ValueError, match=f"{column} 'train.?1' is in 'train' and in 'test'"):
        validate_splits(splits)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("id", ["x", "x", "y"], "id 'x' comes more than once"),
        ("speaker", ["a", None, "a"], "row 1 has no 'speaker'"),
        ("licence", ["a", "b", ""], "row 2 has no 'licence'"),
        ("duration", [1.0, 0.0, 1.0], "'train/1' has duration 0.0"),
        ("duration", [1.0, 1.0, float("nan")], "'train/2' has duration nan"),
        ("path", ["audio/train-0.flac", "audio/gone.flac", "audio/train-2.flac"], "1 audio files are missing.*gone"),
    ],
)
def test_faulty_rows(tmp_path, splits, column, values, message):
    splits["train"][column] = values
    with pytest.raises(ValueError, match=message):
        validate_rows(splits["train"], tmp_path)


def test_missing_columns_and_folders(tmp_path, splits):
    with pytest.raises(ValueError, match=r"lacks the columns \['sha256'\]"):
        validate_rows(splits["train"].drop(columns="sha256"))
    with pytest.raises(ValueError, match=r"no dataset in .*build_speech_dataset"):
        load_splits(tmp_path)
    with pytest.raises(ValueError, match=r"cannot save splits named \['dev'\]"):
        save_splits({"dev": splits["train"]}, tmp_path)


def test_summary_counts(splits):
    summary = summarise(splits).set_index("split")
    assert summary["clips"].to_dict() == {"train": 3, "validation": 2, "test": 2}
    assert summary.loc["train", "speakers"] == 1
    assert summarise({"train": splits["train"].assign(duration=40.0)})["minutes"].tolist() == [2.0]
