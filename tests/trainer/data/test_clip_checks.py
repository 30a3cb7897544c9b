"""Bad clips: refused with all their names, or left out with a report."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Dataset

from smoothclap_trainer.data.clips import SHOWN, check_clips
from tests.examples.recipes.archive_makers import encoded, tone


BAD = ["missing", "unreadable", "truncated", "empty", "not finite", "too short", "silent"]


@pytest.fixture
def rows(tmp_path):
    """A good clip, one bad clip of each kind, and another good clip."""
    sounds = {
        "good": tone(0.5, 16000),
        "truncated": tone(0.5, 16000),
        "empty": np.zeros(0),
        "not finite": np.full(16000, np.nan),
        "too short": tone(0.05, 16000),
        "silent": np.zeros(16000),
        "last": tone(0.25, 8000),
    }
    for name, sound in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", sound, 8000 if name == "last" else 16000, subtype="FLOAT")
    (tmp_path / "truncated.wav").write_bytes((tmp_path / "truncated.wav").read_bytes()[:5000])
    (tmp_path / "unreadable.wav").write_text("text")
    names = ["good", *BAD, "last"]
    return Dataset.from_dict({"id": names, "path": [str(tmp_path / f"{name}.wav") for name in names]})


def test_raising_lists_every_bad_clip(rows):
    with pytest.raises(ValueError, match="7 of 9 clips are bad; mend them, or leave them out") as caught:
        check_clips(rows, "raise")
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip().split(" (")[0] for line in lines] == [f"{name}: {name}" for name in BAD]
    assert "800 samples at 16000 Hz" in lines[5]


def test_skipping_keeps_the_good_ones_and_reports_the_others(rows, tmp_path, logs):
    good = check_clips(rows, "skip", report=tmp_path / "reports" / "bad.csv")
    assert good["id"][:] == ["good", "last"]
    assert good["duration"][:] == [0.5, 0.25]
    report = pd.read_csv(tmp_path / "reports" / "bad.csv")
    assert report["id"].tolist() == BAD
    assert report["problem"].tolist() == BAD
    assert report["path"].tolist() == [str(tmp_path / f"{name}.wav") for name in BAD]
    assert report["detail"].notna().all()
    assert "7 of 9 clips are left out: 1 missing, 1 unreadable, 1 truncated" in logs.text
    assert f"listed in '{tmp_path / 'reports' / 'bad.csv'}'" in logs.text


def test_processes_find_the_same(rows, logs):
    assert check_clips(rows, "skip", num_workers=2).to_list() == check_clips(rows, "skip").to_list()
    assert "clips are left out" in logs.text
    assert "listed" not in logs.text


@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_good_clips_pass_under_either_policy(rows, policy, tmp_path, logs):
    good = rows.select([8, 0])
    checked = check_clips(good, policy, report=tmp_path / "bad.csv")
    assert checked.to_list() == [{**good[0], "duration": 0.25}, {**good[1], "duration": 0.5}]
    assert "left out" not in logs.text
    assert (tmp_path / "bad.csv").is_file() == (policy == "skip")


def test_only_missing_durations_are_filled(rows):
    good = rows.select([0, 8])
    assert check_clips(good.add_column("duration", [7.0, 8.0]), "raise")["duration"][:] == [7.0, 8.0]
    gap = good.add_column("duration", [7.0, None]).add_column("corpus", ["x", "y"])
    checked = check_clips(gap, "raise")
    assert checked["duration"][:] == [7.0, 0.25]
    assert checked.column_names == ["id", "path", "duration", "corpus"]


def test_clips_may_be_bytes_without_id(logs):
    data = encoded(tone(0.5, 16000), 16000, "FLAC")
    rows = Dataset.from_dict({"audio": [data, b"text", data]})
    good = check_clips(rows, "skip")
    assert good["duration"][:] == [0.5, 0.5]
    assert good["audio"][:] == [data, data]
    with pytest.raises(ValueError, match=r"1 of 3 clips are bad.*\n  1: unreadable"):
        check_clips(rows, "raise")


def test_long_lists_are_cut_and_their_length_is_told():
    rows = Dataset.from_dict({"id": [f"clip-{n}" for n in range(SHOWN + 3)], "path": ["gone.wav"] * (SHOWN + 3)})
    with pytest.raises(ValueError, match=r"53 of 53 clips are bad; mend them:") as caught:
        check_clips(rows, "skip")
    assert f"clip-{SHOWN - 1}:" in str(caught.value)
    assert f"clip-{SHOWN}:" not in str(caught.value)
    assert str(caught.value).endswith("... and 3 more")


def test_other_policies_are_an_error(rows):
    with pytest.raises(ValueError, match="unknown policy 'ignore' for bad clips; give 'raise' or 'skip'"):
        check_clips(rows, "ignore")
