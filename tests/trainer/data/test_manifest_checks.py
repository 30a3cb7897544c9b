"""Each check of a manifest's cells."""

import math

import pytest

from smoothclap_trainer.data.manifest_checks import (
    Cells,
    as_number,
    as_text,
    check_audio,
    check_ids,
    check_labels,
    check_speakers,
    check_splits,
    positive,
)


def cells(parts=None, **columns):
    count = len(next(iter(columns.values())))
    return Cells(columns, range(10, 10 + count), parts)


def told(table):
    return [(fault.row, fault.column, fault.problem) for fault in table.faults]


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (" a ", " a "), (" ", None), ("", None), (12, "12"), (12.0, "12"), (1.5, "1.5")]
)
def test_text(value, text):
    assert as_text(value) == text


def test_a_gap_of_pandas_is_no_text():
    assert as_text(math.nan) is None


@pytest.mark.parametrize(("value", "kind"), [([1], "list"), ({"a": 1}, "dict"), (b"a", "bytes")])
def test_what_is_no_text(value, kind):
    with pytest.raises(ValueError, match=f"a {kind} is no text"):
        as_text(value)


def test_numbers():
    assert [as_number(value) for value in (1, 2.5, "3", " -4e1 ")] == [1.0, 2.5, 3.0, -40.0]
    for value in ("high", "3,5", [1]):
        with pytest.raises(ValueError, match="is not a number"):
            as_number(value)
    for value in ("nan", math.inf, True):
        with pytest.raises(ValueError, match="is not a finite number"):
            as_number(value)
    assert positive(0.01) == 0.01
    for value in (0.0, -1.5):
        with pytest.raises(ValueError, match=f"{value:g} is not above 0; give seconds"):
            positive(value)


def test_a_value_that_cannot_be_converted_is_a_fault_and_missing():
    table = cells(valence=["1", None, "x", "3"])
    table.change("valence", as_number)
    assert table.columns["valence"] == [1.0, None, None, 3.0]
    assert told(table) == [(12, "valence", "'x' is not a number")]


def test_labels():
    table = cells(emotion=["Joy", None, "hapy"], gender=["f", "x", None])
    check_labels(table)
    assert [(row, column) for row, column, _ in told(table)] == [(12, "emotion"), (11, "gender")]
    assert told(table)[0][2].startswith("unknown emotion 'hapy'; known are ['afraid', 'anger'")
    assert table.columns["emotion"] == ["Joy", None, "hapy"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["train", "Training ", "dev", "VAL", "valid", "devel", "test", "testing"],
         ["train", "train", *["validation"] * 4, "test", "test"]),
        (["train", "eval"], ["train", "validation"]),
        (["train", "eval", "test"], ["train", "validation", "test"]),
        (["train", "evaluation", "dev"], ["train", "test", "validation"]),
    ],
)  # fmt: skip
def test_splits(written, read):
    table = cells(split=written)
    check_splits(table)
    assert (table.columns["split"], table.faults) == (read, [])


def test_unknown_splits():
    table = cells(split=["train", None, "held out", "dev", "test", "eval", "held out"])
    check_splits(table)
    assert told(table) == [
        (11, "split", "it is empty"),
        (12, "split", "unknown split 'held out'; give one of ['train', 'validation', 'test']"),
        (15, "split", "unknown split 'eval'; there are validation and test rows besides: say which of them these are"),
        (16, "split", "unknown split 'held out'; give one of ['train', 'validation', 'test']"),
    ]
    assert table.columns["split"] == ["train", None, None, "validation", "test", None, None]


def test_a_split_of_the_source_is_unknown_once():
    table = cells(["clean", "clean", "other"], split=["clean", "clean", "other"])
    check_splits(table)
    assert [(fault.row, fault.part) for fault in table.faults] == [(10, "clean"), (12, "other")]


def test_ids():
    table = cells(["a", "a", "b", "b"], id=["x", None, "x", "y"])
    check_ids(table)
    assert told(table) == [(11, "id", "it is empty"), (12, "id", "'x' is also the id of row 10 of split 'a'")]


def test_speakers():
    table = cells(
        speaker=["ann", "ann", "bob", "bob", None, None, "bob", "eve", "eve", "ann"],
        corpus=["one", "two", "one", "one", "one", "one", "one", None, None, "one"],
        split=["train", "test", "train", "test", "train", "test", "test", "test", None, "train"],
    )
    check_speakers(table)  # Ann of corpus two is somebody else; Eve's second split is a fault already
    assert told(table) == [
        (13, "speaker", "'bob' is in 'test' and, row 12, in 'train'; keep each speaker in one split")
    ]
    table = cells(speaker=["ann", "ann", "ann"], split=["train", "test", "validation"])
    check_speakers(table)
    assert [row for row, _, _ in told(table)] == [11, 12]


def test_audio(tmp_path):
    (tmp_path / "a.wav").touch()
    whole = str(tmp_path / "a.wav")
    table = cells(path=["a.wav", whole, "gone.wav", None, "a.wav", None])
    check_audio(table, [False, False, False, True, True, False], tmp_path)
    assert table.columns["path"][:2] == [whole, whole]
    assert told(table) == [
        (12, "path", f"there is no file '{tmp_path / 'gone.wav'}'"),
        (14, "path", "there are audio bytes besides the path 'a.wav'; give one of the two"),
        (15, "path", "there is neither a path nor audio bytes"),
    ]
    table = cells(path=["a.wav", whole])
    check_audio(table, [False, False], None)
    assert told(table) == [(10, "path", "'a.wav' is relative, to what is not known; give `audio_root`")]
    table = cells(id=["x", "y"])
    check_audio(table, [True, False], None)
    assert told(table) == [(11, "path", "there is neither a path nor audio bytes")]
