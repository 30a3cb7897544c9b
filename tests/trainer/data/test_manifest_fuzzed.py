"""Broken and odd manifests: each is loaded, or refused with this project's error, within a second or so."""

import datetime
import decimal
import json
import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from datasets import Dataset, DatasetDict

from smoothclap_trainer.data.manifest import SCHEMA, load_manifest
from smoothclap_trainer.data.manifest_reading import ManifestError
from tests.examples.recipes.archive_makers import tone


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    soundfile.write(tmp_path / "a.wav", tone(0.1, 16000), 16000)


def outcome(source, **options):
    """The rows, or `None` for a refusal that the user can read and write to a file; anything else is an error."""
    try:
        return load_manifest(source, **options)
    except ManifestError as error:
        str(error).encode()
        return None


CELLS = [
    *["", "a.wav", "\0", "a\0.wav", "x" * 5000, "é" * 300, "../" * 2000 + "a.wav", "~", "a.wav/", " a.wav ", "\u202ea"],
    *["NaN", "1e999", "-0", "1_000", "٣", "NaT", "9" * 400, '"', "\ufeff", "train", "\\a.wav", "C:\\a.wav", "0 days"],
]  # fmt: skip
VALUES = [
    *CELLS,
    None,
    True,
    0,
    -1,
    2**70,
    1.5,
    float("nan"),
    float("inf"),
    [],
    [[1], ["a"]],
    {},
    {"bytes": None},
    "\ud800",
]


@pytest.mark.parametrize("seed", range(2))
def test_text_and_json(tmp_path, seed):
    draw = random.Random(seed)
    names = ["path", "audio", *draw.choices(list(SCHEMA), k=3), draw.choice(["", "\0", "x" * 5000, "é"])]
    for _ in range(25):
        rows = [[draw.choice(CELLS) for _ in names] for _ in range(draw.randrange(4))]
        lines = [",".join(row) for row in [names, *rows]]
        data = bytearray("\n".join(lines).encode())
        for _ in range(draw.randrange(3)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        (tmp_path / "x.csv").write_bytes(data)
        outcome(tmp_path / "x.csv")
        objects = [{name: draw.choice(VALUES) for name in names} for _ in range(draw.randrange(4))]
        (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(each) for each in objects))
        outcome(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    "nested", ["[" * 100_000, '{"path": ' + "[" * 900 + "]" * 900 + "}", '{"path": ' + '{"a":' * 60 + "1" + "}" * 61]
)
def test_deep_nesting(tmp_path, nested):
    (tmp_path / "x.jsonl").write_text('{"path": "a.wav"}\n' + nested)
    assert outcome(tmp_path / "x.jsonl") is None


def test_flipped_bytes_of_parquet_and_of_saved_data_sets(tmp_path):
    draw = random.Random(0)
    rows = {"path": ["a.wav"] * 3, "id": ["a", "b", "c"], "speaker": ["é", "ü", None], "more": [[1], [2, 3], []]}
    pd.DataFrame(rows).to_parquet(tmp_path / "x.parquet")
    whole = (tmp_path / "x.parquet").read_bytes()
    for number in range(25):
        data = bytearray(whole)
        for _ in range(1 + number % 3):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        (tmp_path / f"{number}.parquet").write_bytes(data[: draw.choice([None, None, len(data) // 2])])
        outcome(tmp_path / f"{number}.parquet")
    DatasetDict(train=Dataset.from_dict(rows)).save_to_disk(str(tmp_path / "saved"))
    for file in sorted((tmp_path / "saved").rglob("*.*")):
        whole = file.read_bytes()
        for _ in range(8):
            data = bytearray(whole)
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
            file.write_bytes(data)
            outcome(tmp_path / "saved", audio_root=tmp_path)
        file.write_bytes(whole)


ODD = [
    pa.array([b"a.wav"]),
    pa.array(["a.wav"]).dictionary_encode(),
    pa.array(["a.wav"], pa.large_string()),
    pa.array([["a.wav"]]),
    pa.array([{"bytes": b"", "path": "a.wav"}]),
    pa.array([decimal.Decimal("1.5")]),
    pa.array([datetime.date(2026, 1, 1)]),
    pa.array([datetime.datetime(2026, 1, 1)]),
    pa.array([datetime.timedelta(seconds=-1)]),
    pa.array([datetime.time(1)]),
    pa.array([True]),
    pa.nulls(1),
    pa.array([2**63], pa.uint64()),
    pa.array([1.5], pa.float16()),
]


@pytest.mark.parametrize("column", ODD, ids=lambda column: str(column.type))
def test_odd_column_types(tmp_path, column):
    for number, name in enumerate(SCHEMA):
        columns = {name: column} if name in ("path", "audio") else {"path": pa.array(["a.wav"]), name: column}
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
        outcome(tmp_path / f"{number}.parquet")


@pytest.mark.parametrize(
    "source", ["x" * 5000, "a\0b.csv", "\ud800.csv", "x" * 300 + ".csv", "", ".", None, 3, b"x.csv", ["x.csv"]]
)
def test_odd_sources(source, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("smoothclap_trainer.data.manifest_reading.load_dataset", lambda name: 1 / 0)
    assert outcome(source) is None


@pytest.mark.parametrize("options", [
    *[{"columns": columns} for columns in ("path", {"path": 3}, {"path": ["a"]}, {3: "path"})],
    *[{"audio_root": root} for root in ("x" * 5000, "a\0", 3)],
])  # fmt: skip
def test_odd_options(tmp_path, options):
    (tmp_path / "x.csv").write_text("path\na.wav\n")
    with pytest.raises(ValueError):
        load_manifest(tmp_path / "x.csv", **options)
