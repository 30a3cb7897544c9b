"""Which clips of a manifest are chosen, and their columns as text."""

import pandas as pd
import pytest

from smoothclap_trainer.evaluation.labelled_clips import as_texts, clips_where


CELLS = pd.DataFrame({"id": list("abcd"), "room": [1.0, 2.0, None, 1.0], "mood": ["x", "x", "y", None]})


def test_clips_have_all_that_is_asked_for():
    kept, left_out = clips_where(CELLS, {"room": ["1", "2"], "mood": "x"})
    assert kept["id"].tolist() == ["a", "b"]
    assert left_out == {"not room 1 or 2": 1, "not mood x": 1}
    kept, left_out = clips_where(CELLS, {})
    assert kept["id"].tolist() == list("abcd") and left_out == {}


@pytest.mark.parametrize(
    ("where", "values"),
    [
        ({"room": "3"}, ["'room'", "['3']", "the 4 clips", "['1', '2']"]),
        ({"mood": "y", "room": ["1", "2"]}, ["'room'", "['1', '2']", "the 1 clips"]),
        ({"mood": "x", "id": "d"}, ["'id'", "['d']", "the 2 clips", "['a', 'b']"]),
    ],
)
def test_keeping_nothing_is_refused_with_what_there_is(where, values):
    with pytest.raises(ValueError) as caught:
        clips_where(CELLS, where)
    assert all(value in str(caught.value) for value in values)


def test_a_column_as_text():
    assert as_texts(pd.Series([1.0, None, 2.5], index=[3, 4, 5])).to_dict() == {3: "1", 4: None, 5: "2.5"}
    with pytest.raises(ValueError, match="'mood'"):
        as_texts(pd.Series([["sad"]], name="mood"))
