"""Clips of manifest rows: reading them, bad ones under every policy, and crops."""

import io
import os
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Audio, Dataset

from modeling_smoothclap.audio_smoothclap import Segment, decode_audio
from smoothclap_trainer.data.clips import (
    SHOWN,
    BadClip,
    Crops,
    apply_policy,
    as_table,
    check_clips,
    clip_columns,
    clips_of,
    find_audio,
    read_clip,
    with_column,
)
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.files import file_sha256
from tests.examples.recipes.archive_makers import encoded, tone


def wav(samples, rate=16000, subtype="PCM_16"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def test_a_path_goes_before_audio_and_bytes_before_their_name(tmp_path):
    soundfile.write(tmp_path / "low.wav", np.full(1000, 0.25), 16000, subtype="FLOAT")
    high = wav(np.full(1000, 0.5), subtype="FLOAT")
    for row, value in (
        ({"path": str(tmp_path / "low.wav"), "audio": high}, 0.25),
        ({"path": None, "audio": high}, 0.5),
        ({"path": "", "audio": {"bytes": high, "path": "low.wav"}}, 0.5),
        ({"audio": {"bytes": None, "path": str(tmp_path / "low.wav")}}, 0.25),
    ):
        assert set(read_clip(row, 16000)) == {np.float32(value)}


def test_only_what_reading_needs_is_taken_and_audio_stays_encoded():
    rows = Dataset.from_dict({"audio": [wav(tone(0.1, 16000))], "id": ["a"], "pitch": [1.0]})
    taken = clip_columns(rows.cast_column("audio", Audio()))
    assert taken.column_names == ["id", "audio"]
    assert taken[0]["audio"]["bytes"] == rows[0]["audio"]
    assert len(read_clip(taken[0], 16000)) == 1600
    with pytest.raises(ValueError, match="'x'"):
        clip_columns(Dataset.from_dict({"x": [1]}))


def test_a_column_keeps_its_place_and_rows_of_either_kind_are_a_table():
    rows = with_column(Dataset.from_dict({"a": [1, 2], "b": [3, 4]}), "a", ["x", "y"])
    assert rows.to_dict() == {"a": ["x", "y"], "b": [3, 4]}
    assert list(rows[0]) == ["a", "b"]
    for either in (rows, rows.to_pandas()):
        pd.testing.assert_frame_equal(as_table(either, ["b", "c"]), pd.DataFrame({"b": [3, 4]}))


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
    with pytest.raises(ValueError, match="7 of 9") as caught:
        check_clips(rows, "raise")
    lines = str(caught.value).splitlines()[1:]
    assert [line.strip().split(" (")[0] for line in lines] == [f"{name}: {name}" for name in BAD]
    assert "800 samples at 16000 Hz" in lines[5]


def test_skipping_keeps_the_good_ones_and_reports_the_others(rows, tmp_path, logs):
    good = check_clips(rows, "skip", report=tmp_path / "reports" / "bad.csv")
    assert good["id"][:] == ["good", "last"]
    assert good["duration"][:] == [0.5, 0.25]
    report = pd.read_csv(tmp_path / "reports" / "bad.csv")
    assert report["id"].tolist() == report["problem"].tolist() == BAD
    assert report["path"].tolist() == [str(tmp_path / f"{name}.wav") for name in BAD]
    assert report["detail"].notna().all()
    assert "7 of 9" in logs.text and str(tmp_path / "reports" / "bad.csv") in logs.text


@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_good_clips_pass_under_either_policy(rows, policy, tmp_path, logs):
    good = rows.select([8, 0])
    checked = check_clips(good, policy, report=tmp_path / "bad.csv")
    added = [{"recording_sha256": file_sha256(path)} for path in good["path"]]
    assert checked.to_list() == [
        good[0] | added[0] | {"duration": 0.25},
        good[1] | added[1] | {"duration": 0.5},
    ]
    assert not logs.records
    assert (tmp_path / "bad.csv").is_file() == (policy == "skip")


def test_trust_reads_nothing(rows, tmp_path):
    assert check_clips(rows, "trust", report=tmp_path / "bad.csv") is rows
    assert not (tmp_path / "bad.csv").exists()


def test_only_missing_durations_are_filled(rows):
    good = rows.select([0, 8])
    assert check_clips(good.add_column("duration", [7.0, 8.0]), "raise")["duration"][:] == [7.0, 8.0]
    gap = good.add_column("duration", [7.0, None]).add_column("corpus", ["x", "y"])
    checked = check_clips(gap, "raise")
    assert checked["duration"][:] == [7.0, 0.25]
    assert checked.column_names == ["id", "path", "duration", "corpus", "recording_sha256"]


def test_clips_may_be_bytes_without_id():
    data = encoded(tone(0.5, 16000), 16000, "FLAC")
    rows = Dataset.from_dict({"audio": [data, b"text", data]})
    good = check_clips(rows, "skip")
    assert good.column_names == ["audio", "recording_sha256", "duration"]
    assert set(good["recording_sha256"]) == {sha256(data).hexdigest()}
    assert (good["audio"][:], good["duration"][:]) == ([data, data], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"1: unreadable"):
        check_clips(rows, "raise")


def test_missing_files_are_left_out_of_a_manifest_where_that_is_asked_for(rows, tmp_path, logs):
    (tmp_path / "clips.csv").write_text("id,path\na,good.wav\nb,missing.wav\n")
    with pytest.raises(ValueError, match=r"missing\.wav"):
        load_manifest(tmp_path / "clips.csv")
    kept = load_manifest(tmp_path / "clips.csv", missing_files="keep")["train"]
    assert check_clips(kept, "skip", report=tmp_path / "bad.csv")["id"][:] == ["a"]
    report = pd.read_csv(tmp_path / "bad.csv")
    assert report[["id", "problem"]].values.tolist() == [["b", "missing"]]
    assert "1 of 2" in logs.text


def test_segments_are_clips_of_their_own_and_impossible_ones_are_refused_by_row(tmp_path):
    soundfile.write(tmp_path / "talk.wav", tone(3.0, 16000), 16000)
    rows = Dataset.from_dict(
        {"id": list("abcd"), "path": [str(tmp_path / "talk.wav")] * 4}
        | {"start": [0.0, None, 2.5, 4.0], "end": [1.0, 2.0, None, 5.0]}
    )
    with pytest.raises(ValueError, match=r"1 of 4.*\n  d: impossible segment"):
        check_clips(rows, "raise")
    good = check_clips(rows, "skip")
    assert (good["id"][:], good["duration"][:]) == (["a", "b", "c"], [1.0, 2.0, 0.5])
    whole, _ = decode_audio(tmp_path / "talk.wav")
    np.testing.assert_array_equal(read_clip(good[2], 16000), whole[40000:])
    found = clips_of(good.to_pandas())
    assert found[2] == Segment(str(tmp_path / "talk.wav"), 2.5) and len({*found}) == 3
    with pytest.raises(ValueError, match="-1"):
        check_clips(Dataset.from_dict({"path": rows["path"][:1], "start": [-1.0]}), "raise")


def bad_clips(count):
    return [BadClip(f"clip-{number}", "silent", "why") for number in range(count)]


def test_policies(logs, tmp_path):
    apply_policy([], 3, "raise")
    apply_policy([*bad_clips(2), BadClip("x", "empty", "")], 4, "skip")
    assert "3 of 4" in logs.text and "2 silent, 1 empty" in logs.text
    for policy in ("raise", "trust"):
        with pytest.raises(
            ValueError, match=r"2 of 3.*-clips skip.*_clips: skip.*\n  clip-0: silent \(why\)\n  clip-1"
        ):
            apply_policy(bad_clips(2), 3, policy, tmp_path / "bad.csv")
    assert not (tmp_path / "bad.csv").exists()
    with pytest.raises(ValueError, match="3 of 3"):  # nothing is left
        apply_policy(bad_clips(3), 3, "skip")
    with pytest.raises(ValueError, match=rf"clip-{SHOWN - 1}: silent \(why\)\n  \.\.\. and 5 more$"):
        apply_policy(bad_clips(SHOWN + 5), 99, "raise")
    with pytest.raises(ValueError, match="'ignore'"):
        check_clips(Dataset.from_dict({"path": ["gone.wav"]}), "ignore")


CLIP = np.arange(10, dtype=np.float32)  # ten seconds at 1 Hz


def starts(crops, ids, numbers):
    return [int(crops.cut(CLIP, 1, one, number)[0]) for one in ids for number in numbers]


def names(count):
    return [f"clip-{index}" for index in range(count)]


def test_a_crop_is_a_piece_of_the_clip():
    crop = Crops(seconds=4.0).cut(CLIP, 1, "a", 0)
    assert crop.tolist() == list(range(int(crop[0]), int(crop[0]) + 4))
    assert len(Crops(seconds=0.5).cut(CLIP, 16, "a", 0)) == 8
    assert len(Crops(seconds=0.001).cut(CLIP, 16, "a", 0)) == 1  # never nothing


def test_every_start_is_equally_likely():
    """Seven starts, 7000 draws: each count is binomial with mean 1000 and deviation sqrt(7000 * 1/7 * 6/7) = 29.3."""
    counts = np.bincount(starts(Crops(seconds=4.0), names(700), range(10)), minlength=7)
    assert len(counts) == 7
    assert np.abs(counts - 1000).max() < 4 * 29.3


def test_every_crop_of_a_clip_is_used_equally_often():
    """Four crops, 8000 draws: mean 2000, deviation sqrt(8000 * 1/4 * 3/4) = 38.7."""
    crops = Crops(per_clip=4)
    counts = np.bincount([crops.number(one, epoch) for one in names(400) for epoch in range(20)], minlength=4)
    assert len(counts) == 4
    assert np.abs(counts - 2000).max() < 4 * 38.7


def test_the_same_in_every_run():
    assert starts(Crops(seconds=4.0, seed=3), names(4), range(3)) == [2, 3, 6, 1, 0, 4, 5, 5, 6, 5, 2, 0]
    assert [Crops(per_clip=8, seed=3).number("a", epoch) for epoch in range(6)] == [1, 4, 2, 1, 4, 4]


def test_what_crops_depend_on():
    crops = Crops(seconds=4.0)
    drawn = starts(crops, names(20), range(2))
    assert drawn == starts(Crops(seconds=4.0, per_clip=2), names(20), range(2))
    assert drawn != starts(Crops(seconds=4.0, seed=1), names(20), range(2))
    assert len({tuple(Crops(per_clip=8, seed=seed).number(one, 0) for one in names(20)) for seed in range(2)}) == 2
    assert [crops.number("a", epoch) for epoch in (0, 1, 17)] == [0, 1, 17]  # every epoch cuts its own
    assert len(set(starts(crops, ["a"], range(40)))) == 7


def test_whole_clips():
    for seconds in (None, 10.0, 11.0):
        assert Crops(seconds=seconds).cut(CLIP, 1, "a", 5) is CLIP
    assert Crops(seconds=None, per_clip=4).number("a", 3) == 0


@pytest.mark.parametrize(("name", "value"), [("seconds", 0.0), ("seconds", float("inf")), ("per_clip", 0)])
def test_impossible_crops_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{value}"):
        Crops(**{name: value})


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_a_folder_is_searched_with_those_below(tmp_path, monkeypatch, caplog):
    touch(tmp_path, "b.wav", "a/deep/z.FLAC", "a/y.mp3", "c.Ogg", "a-b.wav")
    assert [str(path.relative_to(tmp_path)) for path in find_audio(tmp_path)] == [
        "a-b.wav", "a/deep/z.FLAC", "a/y.mp3", "b.wav", "c.Ogg",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert list(map(str, find_audio("a"))) == ["a/deep/z.FLAC", "a/y.mp3"]
    assert not caplog.text


def test_what_a_search_for_audio_leaves_out_is_counted_and_named(tmp_path, monkeypatch, logs):
    touch(tmp_path, "a.wav", "1.txt", "2.txt", "3.TXT", "4.txt", "README", "._a.wav", ".cache/x.wav", "locked/x.wav")
    touch(tmp_path, "elsewhere/c.wav")
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "linked.wav").symlink_to("a.wav")
    (tmp_path / "broken.wav").symlink_to("gone.wav")  # a bad clip, which the policy for those handles
    os.mkfifo(tmp_path / "pipe.wav")
    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    found = [path.relative_to(tmp_path).as_posix() for path in find_audio(tmp_path)]
    assert found == ["a.wav", "broken.wav", "elsewhere/c.wav", "linked.wav"]
    [record] = logs.records
    for part in (
        "4 .txt (1.txt, 2.txt, 3.TXT, ...)",
        "1 without suffix (README)",
        "2 hidden (._a.wav, .cache)",
        "1 linked folder (link)",
        "1 unreadable folder (locked)",
        "1 not a file (pipe.wav)",
    ):
        assert part in record.getMessage()


def test_a_folder_without_audio(tmp_path):
    touch(tmp_path, "notes.txt")
    for asked, value in ((tmp_path, r"1 \.txt"), (tmp_path / "nowhere", "nowhere"), (tmp_path / "notes.txt", "notes")):
        with pytest.raises(ValueError, match=value):
            find_audio(asked)
