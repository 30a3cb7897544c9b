"""Clips chosen by their cells."""

import pandas as pd
import pytest

from smoothclap_trainer.evaluation.own_task import as_texts, clips_where, cure_of_split


CELLS = pd.DataFrame({"id": list("abcd"), "room": [1.0, 2.0, None, 1.0], "mood": ["x", "x", "y", None]})


def test_clips_have_all_that_is_asked_for():
    kept, left_out = clips_where(CELLS, {"room": ["1", "2"], "mood": "x"})
    assert kept["id"].tolist() == ["a", "b"]
    assert left_out == {"not room 1 or 2": 1, "not mood x": 1}
    kept, left_out = clips_where(CELLS, {})
    assert kept["id"].tolist() == list("abcd") and left_out == {}


@pytest.mark.parametrize(
    ("where", "wanted"),
    [
        ({"room": "3"}, "'room' must be one of ['3'], but the 4 clips it chooses from have ['1', '2'] there"),
        (
            {"mood": "y", "room": ["1", "2"]},
            "'room' must be one of ['1', '2'], but the 1 clips it chooses from have no",
        ),
        ({"mood": "x", "id": "d"}, "'id' must be one of ['d'], but the 2 clips it chooses from have ['a', 'b'] there"),
    ],
)
def test_keeping_nothing_is_refused_with_what_there_is(where, wanted):
    with pytest.raises(ValueError) as caught:
        clips_where(CELLS, where)
    assert str(caught.value).startswith(f"`where` keeps no clip: {wanted}")


def test_not_all_of_many_values_are_told():
    cells = pd.DataFrame({"id": [f"clip-{number:02}" for number in range(12)]})
    with pytest.raises(ValueError, match=r"have \['clip-00', .*, 'clip-09'\] and 2 more there$"):
        clips_where(cells, {"id": "gone"})


def test_a_column_as_text():
    assert as_texts(pd.Series([1.0, None, 2.5], index=[3, 4, 5])).to_dict() == {3: "1", 4: None, 5: "2.5"}
    with pytest.raises(ValueError, match="the column 'mood' must be text or numbers: "):
        as_texts(pd.Series([["sad"]], name="mood"))


def test_all_is_the_cure_only_where_there_are_no_splits(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    (tmp_path / "clips.csv").write_text("path,part\na.wav,train\n")
    manifest = str(tmp_path / "clips.csv")
    assert cure_of_split(manifest, {}) == "; it has no column `split`, so write `split: all`"
    assert cure_of_split(manifest, {"split": "part"}) == ""
