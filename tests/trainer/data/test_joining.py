"""Tables that store the same kind of values in different types are joined; others are refused."""

import pandas as pd
import pyarrow as pa
import pytest
from datasets import Audio, ClassLabel, Dataset, Value

from smoothclap_trainer.data.joining import concatenated
from smoothclap_trainer.settings import DataSettings
from smoothclap_trainer.train import load_manifests


def table(cells, kind):
    return Dataset(pa.table({"id": pa.array(["x"] * len(cells)), "it": pa.array(cells, kind)}))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((["a", None], pa.string()), (["b"], pa.large_string()), ["a", None, "b"]),
        (([None], pa.null()), (["b"], pa.large_string()), [None, "b"]),
        (([1, 2], pa.int64()), ([0.5], pa.float64()), [1.0, 2.0, 0.5]),
        (([1.5], pa.float32()), ([7], pa.int32()), [1.5, 7.0]),
        (([["a"]], pa.list_(pa.string())), ([["b", "c"]], pa.list_(pa.large_string())), [["a"], ["b", "c"]]),
    ],
)
def test_values_of_one_kind_are_joined(first, second, expected):
    for order in (1, -1):
        parts = [("one", table(*first)), ("two", table(*second))][::order]
        both = concatenated(parts)
        assert both.column_names == ["id", "it"]
        assert sorted(map(str, both["it"])) == sorted(map(str, expected))
        alone = concatenated([(name, rows.select_columns("it")) for name, rows in parts])
        assert alone["it"][:] == both["it"][:]
    assert concatenated([("one", table(*first))])["it"][:] == first[0]


@pytest.mark.parametrize("other", [(["b"], pa.large_string()), ([True], pa.bool_())])
def test_values_of_other_kinds_are_refused_by_column_and_tables(other):
    with pytest.raises(ValueError, match=r"'it'.*int64 in 'one.csv'.*'two.csv'") as refused:
        concatenated([("one.csv", table([1], pa.int64())), ("two.csv", table(*other))])
    assert "\n" not in str(refused.value)


def test_classes_that_differ_are_joined_by_name():
    codes = {"a": ClassLabel(names=["sad", "glad"]), "b": ClassLabel(names=["glad", "sad"])}
    parts = [(name, table([0, -1, 1], pa.int64()).cast_column("it", feature)) for name, feature in codes.items()]
    assert concatenated(parts)["it"][:] == ["sad", None, "glad", "glad", None, "sad"]
    assert concatenated([*parts, ("c", table(["dull"], pa.large_string()))])["it"][-1] == "dull"
    assert concatenated([parts[0], parts[0]]).features["it"] == codes["a"]


def test_audio_stays_audio():
    audio = [{"bytes": b"RIFF", "path": None}]
    known = [Audio(decode=False), Audio(16000, decode=False)]
    parts = [(str(each), Dataset.from_dict({"audio": audio}).cast_column("audio", each)) for each in known]
    assert concatenated(parts)["audio"][:] == audio * 2


def test_manifests_of_pandas_and_csv_train_together(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(name.encode())
    rows = pd.DataFrame({"path": ["a"], "licence": pd.array(["MIT"], "string"), "take": [1]})
    Dataset.from_pandas(rows).cast_column("licence", Value("large_string")).to_parquet(tmp_path / "one.parquet")
    (tmp_path / "two.csv").write_text("path,licence,take\nb,CC0-1.0,0.5\n")
    dataset = [str(tmp_path / name) for name in ("one.parquet", "two.csv")]
    train = load_manifests(DataSettings(dataset=dataset))["train"]
    assert (train["licence"][:], train["take"][:]) == (["MIT", "CC0-1.0"], [1.0, 0.5])
    (tmp_path / "two.csv").write_text("path,licence,take\nb,CC0-1.0,second\n")
    with pytest.raises(ValueError, match=r"'take'.*one\.parquet.*two\.csv"):
        load_manifests(DataSettings(dataset=dataset))
