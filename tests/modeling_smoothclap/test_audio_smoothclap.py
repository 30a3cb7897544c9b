"""Reading audio: from files and bytes, as transformers does, and every fault by name."""

import io
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers.audio_utils import load_audio

from modeling_smoothclap import audio_smoothclap, decoding_smoothclap
from modeling_smoothclap.audio_smoothclap import (
    AUDIO_SUFFIXES,
    FFMPEG_SUFFIXES,
    PROBLEMS,
    ClipError,
    audio_duration,
    clip_problem,
    clip_source,
    decode_audio,
    read_and_check,
    read_audio,
)
from tests.examples.recipes.archive_makers import tone


def wav(samples, rate=16000, subtype="PCM_16", container="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (11025, 3), (16000, 2), (44100, 1)])
def test_a_file_gives_what_transformers_reads(tmp_path, rate, channels):
    path = tmp_path / "clip.wav"
    sound = np.stack([tone(0.503, rate, 110 * (1 + channel)) for channel in range(channels)], axis=1)
    soundfile.write(path, sound, rate, subtype="FLOAT")
    expected = load_audio(str(path), sampling_rate=16000, backend="soundfile")
    clip = read_audio(path, 16000)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip, expected)
    assert len(clip) == -(-len(sound) * 16000 // rate)


def test_a_row_says_where_its_clip_is():
    for row, source in (
        ({"path": "low.wav", "audio": b"high"}, "low.wav"),
        ({"path": Path("low.wav")}, "low.wav"),
        ({"path": None, "audio": b"high"}, b"high"),
        ({"path": "", "audio": {"bytes": b"high", "path": "low.wav"}}, b"high"),
        ({"audio": {"bytes": None, "path": "low.wav"}}, "low.wav"),
    ):
        assert clip_source(row) == source


@pytest.mark.parametrize("suffix", [each for each in AUDIO_SUFFIXES if each not in FFMPEG_SUFFIXES])
def test_files_of_every_suffix_are_read(tmp_path, suffix):
    (container,) = (name for name, suffixes in audio_smoothclap._SUFFIXES.items() if suffix in suffixes)
    subtype = {".opus": "OPUS", ".wve": "ALAW"}.get(suffix)
    soundfile.write(tmp_path / f"clip{suffix}", tone(1.0, 8000), 8000, format=container, subtype=subtype)
    samples, rate = decode_audio(tmp_path / f"clip{suffix}")
    assert rate == 8000 and abs(len(samples) - 8000) <= 1152
    assert np.corrcoef(samples[:7000], tone(1.0, 8000)[:7000])[0, 1] > 0.9


def test_usual_formats_are_among_those_that_are_searched_for():
    assert {".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".au", ".caf", ".w64"} <= set(AUDIO_SUFFIXES)


def test_channels_are_averaged_at_the_clips_own_rate():
    data = wav(np.array([[0.5, 0.0], [0.25, 0.25]]), 8000, "FLOAT")
    samples, rate = decode_audio(data)
    assert (samples.tolist(), rate) == ([0.25, 0.25], 8000)


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16")]
    + [("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")],
)  # fmt: skip
def test_truncated_clips_are_found_in_every_format_that_announces_its_length(container, subtype):
    whole = wav(tone(2.0, 16000), subtype=subtype, container=container)
    assert len(read_audio(whole, 16000)) == pytest.approx(32000, abs=1200)
    with pytest.raises(ClipError, match="'a'") as caught:
        read_audio(whole[: len(whole) // 2], 16000, "a")
    assert caught.value.problem == "truncated"


def test_a_file_cut_at_its_very_end_is_truncated_and_padding_is_not():
    whole = wav(tone(1.0, 16000))
    with pytest.raises(ClipError, match=r"32000.*31960"):
        read_audio(whole[:-40], 16000)
    assert len(read_audio(whole[:-2], 16000)) == 15999


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_written_to_a_pipe_is_whole(length):
    data = bytearray(wav(tone(1.0, 16000)))
    start = data.index(b"data") + 4
    data[start : start + 4] = struct.pack("<I", length)
    assert len(read_audio(bytes(data), 16000)) == 16000


def wrong(**row):
    return read_audio(clip_source(row), 16000, row.get("id"))


@pytest.mark.parametrize(
    ("row", "problem", "named"),
    [
        ({"id": "a"}, "missing", "'a'"),
        ({}, "missing", "without id"),
        ({"audio": {"bytes": None, "path": None}}, "missing", "audio"),
        ({"id": "a", "path": "gone.wav"}, "missing", r"'a' \('gone.wav'\)"),
        ({"path": "gone.wav"}, "missing", "'gone.wav': "),
        ({"id": "gone.wav", "path": "gone.wav"}, "missing", "'gone.wav': "),
        ({"path": "n\udcffame.wav"}, "missing", "ame.wav"),
        ({"id": "a", "audio": b"text"}, "unreadable", "'a'"),
        ({"id": "a", "audio": [0.1]}, "unreadable", "'a'.*list"),
        ({"id": "a", "audio": wav(np.zeros(0))}, "empty", "'a'"),
        ({"id": "a", "audio": wav(np.array([0.1, np.nan]), subtype="FLOAT")}, "not finite", "'a'"),
    ],
)
def test_faults_are_named(row, problem, named):
    with pytest.raises(ClipError, match=named) as caught:
        wrong(**row)
    assert caught.value.problem == problem
    assert problem in PROBLEMS


def test_a_name_that_is_not_utf_8_is_a_fault(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    Path(path).write_bytes(wav(tone(0.1, 16000)))
    with pytest.raises(ClipError, match="caf") as caught:
        read_audio(path, 16000)
    assert caught.value.problem == "unreadable"
    assert audio_duration(path) is None


def test_a_duration_is_read_from_the_header(tmp_path):
    soundfile.write(tmp_path / "clip.flac", tone(0.5, 16000), 16000)
    assert audio_duration(tmp_path / "clip.flac") == 0.5
    assert audio_duration(tmp_path / "gone.wav") is None


def test_a_clip_that_can_be_read_may_still_be_short_or_silent():
    assert read_and_check(wav(np.zeros(8000), 8000), 16000)[1].problem == "silent"
    samples, problem = read_and_check(wav(tone(0.05, 44100), 44100), 16000)
    assert problem.problem == "too short" and len(samples) == 800


@pytest.mark.parametrize(("package", "rate"), [("soundfile", 16000), ("soxr", 8000)])
def test_a_missing_package_is_named_when_it_is_needed(monkeypatch, package, rate):
    monkeypatch.setattr(decoding_smoothclap if package == "soundfile" else audio_smoothclap, package, None)
    with pytest.raises(ImportError, match=package):
        read_audio(wav(tone(0.1, rate), rate), 16000)


def test_a_fault_travels_between_processes():
    error = pickle.loads(pickle.dumps(ClipError("missing", "clip 'a' is gone")))
    assert (error.problem, str(error)) == ("missing", "clip 'a' is gone")


def test_problems_by_hand():
    assert clip_problem(np.zeros(0, np.float32), 16000) == "empty"
    assert clip_problem(np.array([0.1, np.inf]), 16000) == "not finite"
    assert clip_problem(tone(1.0, 16000)[:959], 16000) == "too short"  # 60 ms are 960 samples
    assert clip_problem(tone(1.0, 16000)[:960], 16000) is None
    assert clip_problem(np.zeros(16000, np.float32), 16000) == "silent"
    quiet = 2**0.5 * np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)  # root mean square 1, so 0 dB
    assert clip_problem(quiet * 10 ** (-50.1 / 20), 16000) == "silent"
    assert clip_problem(quiet * 10 ** (-49.9 / 20), 16000) is None


def test_an_error_of_a_data_loaders_worker_still_names_the_clip():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise ClipError("missing", "clip 'a' is missing")

    with pytest.raises(ClipError, match="'a'"):
        next(iter(torch.utils.data.DataLoader(Broken(), num_workers=1)))
