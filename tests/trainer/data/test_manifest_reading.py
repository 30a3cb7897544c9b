"""Every container of a manifest, whole and malformed; cells; faults."""

import math
import pickle

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Dataset, DatasetDict

from smoothclap_trainer.data import manifest_reading
from smoothclap_trainer.data.cells import as_number, as_seconds, as_text
from smoothclap_trainer.data.manifest_reading import (
    SHOWN,
    Fault,
    ManifestError,
    read_source,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


def places(table):
    return [(fault.row, fault.column) for fault in table.faults]


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
    assert (found.folder, found.parts, found.is_text, found.faults) == (tmp_path, None, True, [])


@pytest.mark.parametrize(
    ("text", "faults", "rows"),
    [
        ("path,id\na.wav\nb.wav,1\nc.wav,2,3\n", [(2, None), (4, None)], 1),
        ("path,path\na.wav,b.wav\n", [(None, "path")], 1),
        ("path,\na.wav,b\n", [(1, None)], 1),
        ('path\na.wav\n"b.wav\n', [(3, None)], 1),
        ("", [], 0),
    ],
)
def test_malformed_tables(tmp_path, text, faults, rows):
    (tmp_path / "x.csv").write_text(text)
    found = read_source(tmp_path / "x.csv")
    assert (places(found), len(found.rows)) == (faults, rows)


def test_text_in_another_encoding(tmp_path):
    (tmp_path / "x.csv").write_bytes("path,text\na.wav,a\n\nb.wav,b\ngrün.wav,c\n".encode("latin-1"))
    with pytest.raises(ManifestError, match="UTF-8") as caught:
        read_source(tmp_path / "x.csv")
    assert places(caught.value) == [(5, None)]
    assert r"'gr\xfcn.wav,c'" in str(caught.value)
    for encoding in ("utf-16", "utf-16-be"):
        (tmp_path / "x.csv").write_bytes("\ufeffpath\na.wav\n".encode(encoding))
        with pytest.raises(ManifestError, match="UTF-16"):
            read_source(tmp_path / "x.csv")
    (tmp_path / "x.jsonl").write_bytes('{"path": "grün.wav"}\n{"path": "b.wav"}\n'.encode("latin-1"))
    found = read_source(tmp_path / "x.jsonl")
    assert (places(found), found.rows["path"][:]) == ([(1, None)], ["b.wav"])
    assert "UTF-8" in found.faults[0].problem


def test_the_index_of_pandas(tmp_path):
    pd.DataFrame({"path": ["a.wav"]}).to_csv(tmp_path / "x.csv")
    (fault,) = read_source(tmp_path / "x.csv").faults
    assert (fault.row, "index=False" in fault.problem) == (1, True)


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
    columns = [None, None, None, "path", "path", "arousal", "arousal"]
    assert places(found) == list(zip([2, 3, 4, 6, 7, 5, 7], columns, strict=True))
    assert found.rows["arousal"][:] == [1.0, None, 2.5, None]


def test_json_values_of_different_types(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"x": [1]}\n{"x": ["a"]}\n')
    found = read_source(tmp_path / "x.jsonl")
    assert (places(found), found.rows["x"][:]) == ([(None, "x")], [None, None])


def test_parquet(tmp_path):
    rows = pd.DataFrame({"path": ["a.wav", None], "valence": [1.5, None], "audio": [None, b"bytes"]})
    rows.to_parquet(tmp_path / "x.parquet")
    found = read_source(tmp_path / "x.parquet")
    assert found.rows.to_list() == [
        {"path": "a.wav", "valence": 1.5, "audio": None},
        {"path": None, "valence": None, "audio": b"bytes"},
    ]
    assert (list(found.numbers), found.folder, found.parts) == ([0, 1], tmp_path, None)


def test_malformed_parquet(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(ManifestError):
        read_source(tmp_path / "x.parquet")
    pq.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["path", "path"]), tmp_path / "y.parquet")
    with pytest.raises(ManifestError) as caught:
        read_source(tmp_path / "y.parquet")
    assert places(caught.value) == [(None, "path")]


def test_saved_data_sets(tmp_path):
    rows = Dataset.from_dict({"audio": [{"bytes": b"x", "path": "x.wav"}]}).cast_column("audio", Audio())
    rows.save_to_disk(str(tmp_path / "one"))
    found = read_source(tmp_path / "one")
    assert found.rows.to_list() == [{"audio": {"bytes": b"x", "path": "x.wav"}}]  # not decoded
    assert (found.folder, found.parts) == (tmp_path / "one", None)
    one, two = Dataset.from_dict({"x": [1, 2]}), Dataset.from_dict({"x": [3]})
    DatasetDict({"b": one, "a": two}).save_to_disk(str(tmp_path / "two"))
    found = read_source(tmp_path / "two")
    assert (list(found.numbers), list(found.parts)) == ([0, 1, 0], ["b", "b", "a"])
    assert found.rows["x"][:] == [1, 2, 3]


def test_the_hub_is_asked_for_what_is_not_a_file(monkeypatch, tmp_path):
    rows = Dataset.from_dict({"path": ["a.wav"]})
    asked = []

    def loaded(name, revision):
        asked.append((name, revision))
        return DatasetDict(train=rows)

    monkeypatch.setattr(manifest_reading, "load_dataset", loaded)
    for name in ("someone/emotional.speech-2", "speech", "someone/speech@v1"):
        found = read_source(name)
        assert (found.rows.to_list(), found.folder) == ([{"path": "a.wav"}], None)
    for name in ("gone.csv", str(tmp_path / "gone"), "a/b/c"):
        with pytest.raises(ManifestError):
            read_source(name)
    assert asked == [("someone/emotional.speech-2", None), ("speech", None), ("someone/speech", "v1")]
    (tmp_path / "clips.xlsx").touch()
    mixed = DatasetDict({"train": Dataset.from_dict({"x": [1]}), "test": Dataset.from_dict({"x": ["a"]})})
    mixed.save_to_disk(str(tmp_path / "mixed"))
    for path in (tmp_path / "clips.xlsx", tmp_path, tmp_path / "mixed"):
        with pytest.raises(ManifestError):
            read_source(path)

    def unreachable(name, revision):
        raise ConnectionError("no network")

    monkeypatch.setattr(manifest_reading, "load_dataset", unreachable)
    with pytest.raises(ManifestError, match="no network"):
        read_source("someone/speech")


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (" a ", " a "), (" ", None), ("", None), (12, "12"), (12.0, "12"), (1.5, "1.5"), (math.nan, None)],
)
def test_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(("read", "value"), [
    *[(as_text, value) for value in ([1], {"a": 1}, b"a")],
    *[(as_number, value) for value in ("high", "3,5", [1], "nan", math.inf, True)],
    *[(as_seconds, value) for value in (0.0, -1.5, "x")],
])  # fmt: skip
def test_cells_of_another_kind(read, value):
    with pytest.raises(ValueError):
        read(value)


def test_numbers():
    assert [as_number(value) for value in (1, 2.5, "3", " -4e1 ")] == [1.0, 2.5, 3.0, -40.0]
    assert as_seconds("0.01") == 0.01


def test_an_error_shows_the_first_faults_and_keeps_all():
    faults = [Fault(number, "id", "empty", "dev") for number in range(SHOWN + 2)]
    error = ManifestError("clips.csv", faults, "row = line")
    lines = str(error).split("\n  ")
    assert lines[1:-1] == [str(fault) for fault in faults[:SHOWN]]
    assert error.faults == tuple(faults)
    again = pickle.loads(pickle.dumps(error))  # it travels between processes
    assert (str(again), again.faults) == (str(error), error.faults)
