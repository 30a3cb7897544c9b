"""Reading a row's clip: from files and bytes, as transformers does, and every fault by name."""

import io
import pickle
import struct

import numpy as np
import pytest
import soundfile
import torch
from datasets import Audio, Dataset
from transformers.audio_utils import load_audio

from smoothclap_trainer.data.clips import PROBLEMS, ClipError, clip_columns, clip_problem, decode_clip_of, read_clip
from tests.examples.recipes.archive_makers import encoded, tone


def wav(samples, rate=16000, subtype="PCM_16", container="WAV"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_file_gives_what_transformers_reads(tmp_path, rate, channels):
    path = tmp_path / "clip.wav"
    sound = np.stack([tone(0.503, rate, 110 * (1 + channel)) for channel in range(channels)], axis=1)
    soundfile.write(path, sound, rate, subtype="FLOAT")
    expected = load_audio(str(path), sampling_rate=16000, backend="soundfile")
    clip = read_clip({"id": "a", "path": path}, 16000)
    assert clip.dtype == np.float32
    np.testing.assert_array_equal(clip, expected)
    assert len(clip) == -(-len(sound) * 16000 // rate)


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


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_bytes_of_every_container_are_read(container):
    clip = read_clip({"audio": encoded(tone(1.0, 16000), 16000, container)}, 16000)
    assert abs(len(clip) - 16000) <= 1152


def test_channels_are_averaged_at_the_clips_own_rate():
    data = wav(np.array([[0.5, 0.0], [0.25, 0.25]]), 8000, "FLOAT")
    samples, rate = decode_clip_of({"audio": data})
    assert (samples.tolist(), rate) == ([0.25, 0.25], 8000)


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_16"), ("RF64", "PCM_16")]
    + [("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")],
)  # fmt: skip
def test_truncated_clips_are_found_in_every_format_that_announces_its_length(container, subtype):
    whole = wav(tone(2.0, 16000), subtype=subtype, container=container)
    assert len(read_clip({"audio": whole}, 16000)) == pytest.approx(32000, abs=1200)
    with pytest.raises(ClipError, match=r"clip 'a' is truncated.*header announces") as caught:
        read_clip({"id": "a", "audio": whole[: len(whole) // 2]}, 16000)
    assert caught.value.problem == "truncated"


def test_a_file_cut_at_its_very_end_is_truncated_and_padding_is_not():
    whole = wav(tone(1.0, 16000))
    with pytest.raises(ClipError, match="announces 32000 bytes, 31960 are there"):
        read_clip({"audio": whole[:-40]}, 16000)
    assert len(read_clip({"audio": whole[:-2]}, 16000)) == 15999


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_written_to_a_pipe_is_whole(length):
    data = bytearray(wav(tone(1.0, 16000)))
    start = data.index(b"data") + 4
    data[start : start + 4] = struct.pack("<I", length)
    assert len(read_clip({"audio": bytes(data)}, 16000)) == 16000


@pytest.mark.parametrize(
    ("row", "problem", "message"),
    [
        ({"id": "a"}, "missing", "clip 'a' has neither `path` nor `audio`"),
        ({}, "missing", "a clip without id or path has neither"),
        ({"audio": {"bytes": None, "path": None}}, "missing", "has neither"),
        ({"id": "a", "path": "gone.wav"}, "missing", r"clip 'a' \('gone.wav'\): there is no such file"),
        ({"path": "gone.wav"}, "missing", "clip 'gone.wav': there is no such file"),
        ({"id": "gone.wav", "path": "gone.wav"}, "missing", "clip 'gone.wav': there is no such file"),
        ({"id": "a", "audio": b"text"}, "unreadable", "clip 'a' cannot be read as audio: .*not recognised"),
        ({"id": "a", "audio": [0.1]}, "unreadable", r"clip 'a' has `audio` of type list.*Audio\(decode=False\)"),
        ({"id": "a", "audio": wav(np.zeros(0))}, "empty", "clip 'a' holds no samples"),
        (
            {"id": "a", "audio": wav(np.array([0.1, np.nan]), subtype="FLOAT")},
            "not finite",
            r"clip 'a' holds samples that are not finite \(NaN or infinite\)",
        ),
    ],
)
def test_faults_are_named(row, problem, message):
    with pytest.raises(ValueError, match=message) as caught:
        read_clip(row, 16000)
    assert caught.value.problem == problem
    assert problem in PROBLEMS


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


def test_only_what_reading_needs_is_taken_and_audio_stays_encoded():
    rows = Dataset.from_dict({"audio": [wav(tone(0.1, 16000))], "id": ["a"], "pitch": [1.0]})
    taken = clip_columns(rows.cast_column("audio", Audio()))
    assert taken.column_names == ["id", "audio"]
    assert taken[0]["audio"]["bytes"] == rows[0]["audio"]
    assert len(read_clip(taken[0], 16000)) == 1600
    with pytest.raises(ValueError, match=r"need `path` or `audio`; they have \['x'\]"):
        clip_columns(Dataset.from_dict({"x": [1]}))


def test_an_error_of_a_data_loaders_worker_still_names_the_clip():
    class Broken(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            raise ClipError("missing", "clip 'a' is missing")

    with pytest.raises(ClipError, match="clip 'a' is missing"):
        next(iter(torch.utils.data.DataLoader(Broken(), num_workers=1)))
