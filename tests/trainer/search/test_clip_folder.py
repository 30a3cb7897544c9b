"""Finding the audio files of a folder, telling them apart by content, and finding the bad ones."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from smoothclap_trainer.search import (
    content_digests,
    find_audio,
    find_bad_clips,
    refuse_another_folder,
)
from tests import tiny


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_folder_is_searched_with_those_below(tmp_path, monkeypatch):
    touch(tmp_path, "b.wav", "a/deep/z.FLAC", "a/y.mp3", "c.Ogg", "notes.txt", "wav", "._b.wav", ".cache/x.wav")
    assert find_audio(tmp_path) == (tmp_path, ["a/deep/z.FLAC", "a/y.mp3", "b.wav", "c.Ogg"])
    monkeypatch.chdir(tmp_path)
    assert find_audio("a") == (tmp_path / "a", ["deep/z.FLAC", "y.mp3"])


def test_paths_keep_their_order_and_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "b" / "2.wav", "a/1.opus", Path("b/2.wav"), "b/../b/3.wav"]
    assert find_audio(paths) == (tmp_path, ["b/2.wav", "a/1.opus", "b/3.wav"])
    assert find_audio([tmp_path / "b" / "2.wav"]) == (tmp_path / "b", ["2.wav"])


def test_nothing_to_find(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(ValueError, match=r"No audio files in '.*' or below: looked for \.wav, \.flac, \.mp3, \.ogg"):
        find_audio(tmp_path)
    with pytest.raises(ValueError, match=r"There is no folder '.*nowhere'; give a folder of audio files, or a list"):
        find_audio(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"There is no folder '.*txt'"):
        find_audio(str(tmp_path / "notes.txt"))
    with pytest.raises(ValueError, match="The list of clips is empty"):
        find_audio([])


@pytest.mark.parametrize("num_workers", [1, 2])
def test_digests(tmp_path, num_workers):
    touch(tmp_path, "a.wav", "b.wav")
    expected = [hashlib.sha256(name.encode()).hexdigest() for name in ("b.wav", "a.wav")]
    assert content_digests(tmp_path, ["b.wav", "gone.wav", "a.wav"], num_workers) == [expected[0], None, expected[1]]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_bad_clips_are_found(tmp_path, num_workers):
    noise = tiny.clips(1.0)[0]
    for name, samples in {
        "good": noise,
        "empty": noise[:0],
        "short": noise[:900],
        "silent": 0 * noise,
        "nan": noise * np.nan,
    }.items():
        sf.write(tmp_path / f"{name}.wav", samples, 16000, subtype="FLOAT")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:1000])
    touch(tmp_path, "text.wav")
    names = ["good.wav", "empty.wav", "short.wav", "silent.wav", "nan.wav", "cut.wav", "text.wav", "gone.wav"]
    bad = find_bad_clips(tmp_path, names, num_workers)
    assert {each.name: each.problem for each in bad} == {
        "empty.wav": "empty",
        "short.wav": "too short",
        "silent.wav": "silent",
        "nan.wav": "not finite",
        "cut.wav": "truncated",
        "text.wav": "unreadable",
        "gone.wav": "missing",
    }
    assert bad[1].detail == "900 samples at 16000 Hz"
    assert "'gone.wav'" in bad[-1].detail and "there is no such file" in bad[-1].detail


def test_a_name_that_is_not_utf_8_is_bad(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.wav")
    try:
        sf.write(tmp_path / "good.wav", tiny.clips(1.0)[0], 16000)
        (tmp_path / "good.wav").rename(path)
    except OSError:
        pytest.skip("this file system has no such names")
    _, names = find_audio(tmp_path)
    [bad] = find_bad_clips(tmp_path, names)
    assert (bad.name, bad.problem) == ("\udcff.wav", "unreadable")


def test_another_folder_is_refused_and_the_same_is_not(tmp_path):
    (tmp_path / "clips").mkdir()
    (tmp_path / "link").symlink_to("clips")
    refuse_another_folder(tmp_path / "clips", tmp_path / "link")
    with pytest.raises(ValueError, match=r"is of '.*clips', and none of its clips is in '.*other': all of it would"):
        refuse_another_folder(tmp_path / "clips", tmp_path / "other")
