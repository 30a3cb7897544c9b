"""Every container that a manifest may be kept in, whole and malformed."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Dataset, DatasetDict

from smoothclap_trainer.data import manifest_reading as manifest_source
from smoothclap_trainer.data.manifest_reading import ManifestError, read_source


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def told(found):
    return [(fault.row, fault.column, fault.problem) for fault in found.faults]


@pytest.mark.parametrize(("suffix", "mark"), [(".csv", ","), (".tsv", "\t"), (".CSV", ",")])
def test_tables_of_text(tmp_path, suffix, mark):
    path = tmp_path / f"clips{suffix}"
    lines = ["path|caption|rank", 'a.wav|"of two\nlines"|01', "", "b.wav||2"]
    path.write_text("\n".join(lines).replace("|", mark) + "\n", encoding="utf-8-sig")
    found = read_source(path)
    assert found.rows.to_list() == [
        {"path": "a.wav", "caption": "of two\nlines", "rank": "01"},
        {"path": "b.wav", "caption": None, "rank": "2"},
    ]
    assert list(found.numbers) == [2, 5]  # lines of the file
    assert "the header being line 1" in found.counting
    assert (found.folder, found.parts, found.is_text, found.faults) == (tmp_path, None, True, [])


@pytest.mark.parametrize(
    ("text", "faults", "rows"),
    [
        ("path,id\na.wav\nb.wav,1\nc.wav,2,3\n", [(2, None, "1 cells, but the header has 2"),
          (4, None, "3 cells, but the header has 2")], 1),
        ("path,path\na.wav,b.wav\n", [(None, "path", "the column comes 2 times")], 1),
        ("path,\na.wav,b\n", [(1, None, "column 2 of the header has no name")], 1),
        ('path\na.wav\n"b.wav\n', [(3, None, "the file cannot be read from here on: unexpected end of data")], 1),
        ("", [], 0),
    ],
)  # fmt: skip
def test_malformed_tables(tmp_path, text, faults, rows):
    (tmp_path / "x.csv").write_text(text)
    found = read_source(tmp_path / "x.csv")
    assert (told(found), len(found.rows)) == (faults, rows)


def test_text_in_another_encoding(tmp_path):
    (tmp_path / "x.csv").write_bytes("path\ngrün.wav\n".encode("latin-1"))
    assert "cannot be read from here on: 'utf-8' codec" in read_source(tmp_path / "x.csv").faults[0].problem
    (tmp_path / "x.jsonl").write_bytes('{"path": "grün.wav"}\n{"path": "b.wav"}\n'.encode("latin-1"))
    found = read_source(tmp_path / "x.jsonl")
    assert found.faults[0].row == 1
    assert found.rows["path"][:] == ["b.wav"]


def test_json_lines(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"path": "a.wav", "arousal": 1}\r\n\n{"path": "b.wav", "more": {"x": [1]}}')
    found = read_source(str(tmp_path / "x.jsonl"))
    assert found.rows.to_list() == [
        {"path": "a.wav", "arousal": 1, "more": None},
        {"path": "b.wav", "arousal": None, "more": {"x": [1]}},
    ]
    assert (list(found.numbers), found.is_text, found.folder) == ([1, 3], False, tmp_path)


def test_malformed_json_lines(tmp_path):
    lines = [
        '{"path": "a.wav", "arousal": 1}',
        '{"path": "b.wav"',
        "[1]",
        '{"path": "c.wav", "path": "d.wav"}',
        '{"path": "e.wav", "arousal": "high"}',
        '{"path": true, "arousal": 2.5}',
        '{"path": {"a": 1}, "arousal": [2]}',
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    found = read_source(tmp_path / "x.jsonl")
    assert told(found) == [
        (2, None, "no JSON object: Expecting ',' delimiter: line 1 column 17 (char 16)"),
        (3, None, "no JSON object: not an object, but list"),
        (4, None, "no JSON object: 'path' comes more than once"),
        (6, "path", "True is true or false, but most rows have text"),
        (7, "path", "{'a': 1} is an object, but most rows have text"),
        (5, "arousal", "'high' is text, but most rows have a number"),
        (7, "arousal", "[2] is a list, but most rows have a number"),
    ]
    assert found.rows["arousal"][:] == [1.0, None, 2.5, None]


def test_json_values_that_make_no_column(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"x": [1]}\n{"x": ["a"]}\n')
    found = read_source(tmp_path / "x.jsonl")
    assert found.faults[0].column == "x"
    assert found.faults[0].problem.startswith("its values make no column: ")
    assert found.rows["x"][:] == [None, None]


def test_parquet(tmp_path):
    rows = pd.DataFrame({"path": ["a.wav", None], "valence": [1.5, None], "audio": [None, b"bytes"]})
    rows.to_parquet(tmp_path / "x.parquet")
    found = read_source(tmp_path / "x.parquet")
    assert found.rows.to_list() == [
        {"path": "a.wav", "valence": 1.5, "audio": None},
        {"path": None, "valence": None, "audio": b"bytes"},
    ]
    assert (list(found.numbers), found.is_text, found.folder) == ([0, 1], False, tmp_path)
    assert "index of the row, from 0" in found.counting


def test_malformed_parquet(tmp_path):
    (tmp_path / "x.parquet").write_text("text")
    with pytest.raises(ManifestError, match="this is no parquet file"):
        read_source(tmp_path / "x.parquet")
    pq.write_table(pa.table([["a"], ["b"]], names=["path", "path"]), tmp_path / "y.parquet")
    with pytest.raises(ManifestError, match="column 'path': the column comes 2 times"):
        read_source(tmp_path / "y.parquet")


def test_folders_of_datasets(tmp_path):
    one = Dataset.from_dict({"audio": [{"bytes": b"x", "path": None}], "label": ["a"]}).cast_column("audio", Audio())
    one.save_to_disk(str(tmp_path / "one"))
    found = read_source(tmp_path / "one")
    assert found.rows[0] == {"audio": {"bytes": b"x", "path": None}, "label": "a"}
    assert (found.parts, found.folder) == (None, tmp_path / "one")

    other = Dataset.from_dict({"audio": [None, None], "label": ["b", "c"]}).cast_column("audio", Audio())
    DatasetDict({"dev": one, "train": other}).save_to_disk(str(tmp_path / "two"))
    found = read_source(str(tmp_path / "two"))
    assert found.rows["label"][:] == ["a", "b", "c"]
    assert (list(found.numbers), list(found.parts)) == ([0, 0, 1], ["dev", "train", "train"])


def test_folders_that_hold_none(tmp_path):
    with pytest.raises(ManifestError, match=r"holds nothing that `save_to_disk` of `datasets` wrote"):
        read_source(tmp_path)
    DatasetDict(
        {"train": Dataset.from_dict({"x": [1]}), "test": Dataset.from_dict({"x": ["a"]})}
    ).save_to_disk(str(tmp_path / "mixed"))  # fmt: skip
    with pytest.raises(ManifestError, match="its splits do not have the same columns"):
        read_source(tmp_path / "mixed")


def test_the_hub_is_asked_for_what_is_no_file(monkeypatch, tmp_path):
    rows = Dataset.from_dict({"path": ["a.wav"]})
    asked = []
    monkeypatch.setattr(manifest_source, "load_dataset", lambda name: asked.append(name) or DatasetDict(train=rows))
    for name in ("someone/emotional.speech-2", "speech"):
        found = read_source(name)
        assert (found.rows.to_list(), found.folder) == ([{"path": "a.wav"}], None)
    assert asked == ["someone/emotional.speech-2", "speech"]

    def unreachable(name):
        raise ConnectionError("no network")

    monkeypatch.setattr(manifest_source, "load_dataset", unreachable)
    with pytest.raises(ManifestError, match="no data set to be had from the Hub: no network"):
        read_source("someone/speech")
    for name in ("gone.csv", str(tmp_path / "gone"), "a/b/c"):
        with pytest.raises(ManifestError, match="there is no such file or folder, and it is no id of a data set"):
            read_source(name)


def test_other_files_are_an_error(tmp_path):
    for name, called in (("clips.xlsx", "a .xlsx file"), ("clips", "a nameless file")):
        (tmp_path / name).write_text("")
        with pytest.raises(ManifestError, match=rf"{called} is none of \.csv, \.tsv, \.jsonl, \.parquet"):
            read_source(tmp_path / name)
