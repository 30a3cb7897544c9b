"""Each check of a manifest's cells."""

import pytest
from datasets import Dataset, DatasetDict

from smoothclap_trainer.data.manifest import (
    check_across,
    check_audio,
    check_ids,
    check_labels,
    check_paths,
    check_speakers,
    check_splits,
)
from smoothclap_trainer.data.manifest_reading import Cells


def cells(parts=None, **columns):
    count = len(next(iter(columns.values())))
    return Cells(columns, range(10, 10 + count), parts)


def told(table):
    return [(fault.row, fault.column, fault.problem) for fault in table.faults]


def test_labels():
    table = cells(emotion=["Joy", None, "hapy"], gender=["f", "x", None])
    check_labels(table)
    assert [(row, column) for row, column, _ in told(table)] == [(12, "emotion"), (11, "gender")]
    assert told(table)[0][2].startswith("unknown emotion 'hapy'; known are ['afraid', 'anger'")
    assert table.columns == {"emotion": ["happy", None, None], "gender": ["female", None, None]}


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
    check_speakers(cells(corpus=["one", "one"], split=["train", "test"]))  # nobody is known
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


def test_a_file_is_in_one_split_however_its_path_is_written():
    table = cells(
        path=["/a/b.wav", "/a/b.wav", "/a/c/../b.wav", "/a/./b.wav", "/a/c.wav", None, None, "/a/d.wav", "/a/d.wav"],
        split=["train", "train", "test", "test", "test", "train", "test", "train", None],
    )
    check_paths(table)
    assert told(table) == [
        (12, "path", "'/a/c/../b.wav' is in 'test' and, row 10, in 'train'; keep each clip in one split")
    ]
    assert table.columns["path"][2] == "/a/c/../b.wav"
    table = cells(split=["train", "test"])
    check_paths(table)
    assert table.faults == []


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
    with pytest.raises(ValueError, match="cannot be joined") as caught:
        check_across([first, second])
    assert str(caught.value).splitlines() == [
        "The manifests, counted from 1, cannot be joined:",
        "  The id 'a' comes in two places, 'train' of manifest 1 and 'validation' of manifest 2; ids must tell clips "
        "apart",
        "  The id 'c' comes in two places, 'test' of manifest 1 and 'test' of manifest 2; ids must tell clips apart",
        "  The speaker '1' of corpus 'x' comes in two places, 'train' of manifest 1 and 'validation' of manifest 2; "
        "keep each speaker in one split",
        "  The file '/x/b' comes in two places, 'train' of manifest 1 and 'validation' of manifest 2; keep each clip "
        "in one split",
    ]


def test_of_many_conflicts_the_first_are_told():
    rows = manifest(train={"id": [f"clip-{index}" for index in range(53)]})
    with pytest.raises(ValueError, match="cannot be joined") as caught:
        check_across([rows, rows])
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (52, "  ... and 3 more")
    assert "'clip-49'" in lines[-2]
