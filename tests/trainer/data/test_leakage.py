"""Speakers, recordings and names that are in two places, within a manifest and across manifests."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Dataset, DatasetDict

from smoothclap_trainer.data import leakage
from smoothclap_trainer.data.clips import check_clips
from smoothclap_trainer.data.leakage import check_across, lookalikes, recording_hashes, same_bytes
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.data.manifest_reading import ManifestError
from smoothclap_trainer.files import file_sha256


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def write(folder, contents, **columns):
    """A parquet manifest of files with these contents."""
    for index, content in enumerate(contents):
        (folder / f"{index}.wav").write_bytes(content)
    path = folder / "x.parquet"
    pd.DataFrame({"path": [f"{index}.wav" for index in range(len(contents))], **columns}).to_parquet(path)
    return path


def places(source):
    with pytest.raises(ManifestError) as caught:
        load_manifest(source) if not isinstance(source, list) else check_across(source)
    return [(fault.row, fault.column) for fault in caught.value.faults]


def test_equal_recordings_in_two_splits(tmp_path):
    large = b"x" * 10_000
    contents = [large, large, large[:-1] + b"y", b"", b"", large]
    source = write(tmp_path, contents, split=["train", "test", "test", "train", "test", "train"])
    assert places(source) == [(1, "path")]
    data = [b"abc", b"abc", b"abd"]
    pd.DataFrame({"audio": data, "split": ["train", "test", "test"]}).to_parquet(tmp_path / "bytes.parquet")
    assert places(tmp_path / "bytes.parquet") == [(1, "path")]


def test_equal_recordings_in_two_corpora_are_reported(tmp_path, logs):
    splits = load_manifest(write(tmp_path, [b"abc", b"abc", b"abd"], corpus=["x", "y", "y"]))
    assert len(splits["train"]) == 3
    assert "'0.wav' of 'x' = '1.wav' of 'y'" in logs.text


def test_a_recording_of_many_names_is_reported_by_its_first_ones(tmp_path, logs):
    load_manifest(write(tmp_path, [b"abc"] * 50, corpus=["x", "y"] * 25))
    assert "'9.wav' of 'y' = 40 more" in logs.text and "10.wav" not in logs.text


def test_few_files_are_read(tmp_path, monkeypatch):
    write(tmp_path, [b"abc", b"abcd", b"abe", b"abc"])
    files = [str(tmp_path / f"{index}.wav") for index in range(4)]
    assert same_bytes(files, ["train", "test", "test", "train"]) == []
    assert same_bytes(files, ["train", "test", "test", "test"]) == [[0, 3]]
    monkeypatch.setattr("smoothclap_trainer.data.leakage.os.path.getsize", lambda path: 1 / 0)
    assert same_bytes(files, ["train"] * 4) == []


@pytest.mark.parametrize("other", ["S1", "s 1", "s1\u200b", "s1.0", "\uff531", "\u04551", "s\u00a01", "s01"])
def test_names_that_look_alike(other, tmp_path, logs):
    assert lookalikes(["s1", other, "s2", "s11", None]) == {tuple(sorted(["s1", other]))}
    load_manifest(write(tmp_path, [b"1", b"2"], speaker=["s1", other], split=["train", "test"]))
    assert repr(other) in logs.text


def test_other_names_do_not_look_alike(tmp_path, logs):
    assert lookalikes(["1_12", "11_2", "01F", "01M", "angry", "anger", "10", "1", "0", "00001x2"]) == set()
    load_manifest(write(tmp_path, [b"1", b"2"], speaker=["f01", "F1"], corpus=["x", "y"], label=["happy", "sad"]))
    assert logs.text == ""


def manifest(**splits):
    return DatasetDict({name: Dataset.from_dict(columns) for name, columns in splits.items()})


def test_manifests_that_can_be_joined():
    first = manifest(
        train={"id": ["a", "b"], "path": ["/a", "/a"], "corpus": ["x", None], "speaker": ["1", "2"]},
        test={"id": ["c"], "path": ["/c"], "corpus": ["x"], "speaker": ["3"]},
    )
    nameless = manifest(test={"id": ["d", "e"], "path": [None, "/e"], "speaker": ["1", "2"]})
    other = manifest(test={"id": ["f", "g"], "corpus": ["y", "x"], "speaker": ["1", None]})
    check_across([first, nameless, other, manifest(train={"id": ["h"], "path": ["/a"]})])
    check_across([])


def test_what_keeps_manifests_from_being_joined():
    first = manifest(
        train={"id": ["a", "b"], "path": ["/x/a", "/x/b"], "corpus": ["x", "x"], "speaker": ["1", "2"]},
        test={"id": ["c"], "path": ["/x/c"], "corpus": ["x"], "speaker": ["3"]},
    )
    second = manifest(
        validation={"id": ["a", "d"], "path": ["/y/../x/b", "/x/d"], "corpus": ["x", "x"], "speaker": ["1", "1"]},
        test={"id": ["c"], "path": ["/x/c"], "corpus": ["x"], "speaker": ["3"]},
    )
    with pytest.raises(ManifestError) as caught:
        check_across([first, second])
    found = [(fault.part, fault.row, fault.column) for fault in caught.value.faults]
    assert found == [
        ("validation of manifest 2", 0, "id"),
        ("validation of manifest 2", 0, "speaker"),
        ("validation of manifest 2", 0, "path"),
        ("test of manifest 2", 0, "id"),
    ]
    assert "row 0 of split 'train of manifest 1'" in caught.value.faults[0].problem


def test_joined_manifests_share_no_recordings_and_spell_names_in_one_way(tmp_path, logs):
    for name in "abc":
        (tmp_path / name).write_bytes(b"abd" if name == "c" else b"abc")
    first = manifest(train={"id": ["a"], "path": [str(tmp_path / "a")], "corpus": ["x"], "speaker": ["1"]})
    second = manifest(test={"id": ["b", "c"], "path": [str(tmp_path / "b"), str(tmp_path / "c")], "corpus": ["X", "X"]})
    assert places([first, second]) == [(0, "path")]
    assert "'X' and 'x'" in logs.text


def test_what_the_check_of_clips_has_read_is_not_read_again(tmp_path, monkeypatch):
    for name, pitch in (("a", 0.05), ("b", 0.1)):
        soundfile.write(tmp_path / f"{name}.wav", 0.3 * np.sin(np.arange(8000) * pitch), 16000)
    paths = [str(tmp_path / f"{name}.wav") for name in "aab"]
    rows = Dataset.from_dict({"id": list("xyz"), "path": paths, "start": [0.0, 0.1, None]})
    wanted = {file_sha256(path) for path in paths}
    assert recording_hashes(rows) == wanted
    checked = check_clips(rows, "raise")
    monkeypatch.setattr(leakage, "_hash", None)
    assert recording_hashes(checked) == wanted
