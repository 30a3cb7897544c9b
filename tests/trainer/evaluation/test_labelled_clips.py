"""Which clips of a manifest are chosen, and their columns as text."""

import pandas as pd
import pytest
import soundfile

from smoothclap_trainer.evaluation.labelled_clips import ManifestClips, as_texts, clips_where, read_clips
from tests import tiny


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


def test_bad_clips_are_left_out_and_counted_where_that_is_asked_for(tmp_path, logs):
    samples = tiny.clips(0.3)[0]
    soundfile.write(tmp_path / "a.wav", samples, 16000)
    soundfile.write(tmp_path / "silent.wav", 0 * samples, 16000)
    names = ["a.wav", "silent.wav", "gone.wav", "gone too.wav"]
    pd.DataFrame({"path": names, "emotion": "sad", "split": "test"}).to_csv(tmp_path / "clips.csv", index=False)
    chosen = {"manifest": str(tmp_path / "clips.csv")}
    with pytest.raises(ValueError, match=r"gone too\.wav"):
        read_clips(ManifestClips(**chosen), "emotion")
    rows, left_out = read_clips(ManifestClips(**chosen, bad_clips="skip"), "emotion")
    assert rows["id"].tolist() == ["a.wav"]
    assert left_out == {"another split": 0, "bad clip: silent": 1, "bad clip: missing": 2}
    assert "3 of 4" in logs.text
