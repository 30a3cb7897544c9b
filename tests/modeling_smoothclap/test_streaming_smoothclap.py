"""Parts of a recording are what they are when the whole is decoded and cut, and it is decoded once."""

from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
import soxr

from modeling_smoothclap import streaming_smoothclap
from modeling_smoothclap.audio_smoothclap import ClipError
from modeling_smoothclap.decoding_smoothclap import Sound
from modeling_smoothclap.streaming_smoothclap import read_parts, recording_seconds


RATE, TARGET = 22050, 16000
PARTS = [(0.0, 1.0), (0.0, 0.5), (0.5, 1.5), (3.0, 3.25), (3.5, 4.5)]
FORMATS = ["wav", "flac", "mp3", "ogg"]


def stereo(seconds):
    return 0.1 * np.random.default_rng(0).standard_normal((round(seconds * RATE), 2))


@pytest.mark.parametrize("suffix", FORMATS)
def test_parts_are_cut_from_the_whole(tmp_path, suffix):
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, stereo(5), RATE)
    whole = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    assert recording_seconds(path) == len(whole) / RATE >= 5
    for source in (path, path.read_bytes()):
        read = list(read_parts(source, PARTS, TARGET))
        assert len(read) == len(PARTS)
        for (start, end), clip in zip(PARTS, read, strict=True):
            cut = whole[round(start * RATE) : round(end * RATE)]
            expected = soxr.resample(cut, RATE, TARGET)[: len(clip.samples)]
            np.testing.assert_allclose(clip.samples[: len(expected)], expected, atol=1e-6)
            assert abs(len(clip.samples) - (end - start) * TARGET) <= 1 and clip.problem is None


def test_a_file_without_seeking_is_read_once_and_forgotten(monkeypatch):
    recording = np.arange(1, 100_001, dtype=np.float32)[:, None] / 1e6
    asked = []

    @contextmanager
    def opened(source, called):
        def read(frames):
            start = sum(asked)
            asked.append(len(recording[start : start + frames]))
            return recording[start : start + frames]

        yield Sound(1000, 1, None, read)

    monkeypatch.setattr(streaming_smoothclap, "open_sound", opened)
    parts = [(start / 2, start / 2 + 2) for start in range(190)]
    for (start, end), clip in zip(parts, read_parts("x", parts, 1000), strict=True):
        np.testing.assert_array_equal(clip.samples, recording[round(start * 1000) : round(end * 1000), 0])
    assert sum(asked) == round(parts[-1][1] * 1000) and max(asked) <= 2000


def test_what_is_wrong_with_a_part_is_not_wrong_with_the_recording(tmp_path):
    samples = stereo(4)
    samples[RATE : 2 * RATE] = 0
    samples[2 * RATE + 5] = np.nan
    samples[3 * RATE :, 1] = -samples[3 * RATE :, 0]
    soundfile.write(tmp_path / "talk.wav", samples, RATE, subtype="FLOAT")
    for source, last in ((tmp_path / "talk.wav", "channels cancel"), ((samples[:, 0], RATE), None)):
        clips = list(read_parts(source, [(0, 1), (1, 2), (2, 3), (3, 4)], TARGET))
        assert [clip.problem and clip.problem.problem for clip in clips] == [None, "silent", "not finite", last]
        assert clips[2].samples is None and len(clips[1].samples) == TARGET


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_recording_that_ends_too_early(tmp_path, suffix):
    path = tmp_path / f"talk.{suffix}"
    soundfile.write(path, stereo(5), RATE)
    with pytest.raises(ClipError, match="7"):
        list(read_parts(path, [(0, 1), (6, 7)], TARGET))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    if suffix != "ogg":  # whose header does not say how long it is
        with pytest.raises(ClipError, match=path.name):
            recording_seconds(path)
            list(read_parts(path, [(0, 1), (3, 4)], TARGET))
    with pytest.raises(ClipError, match="missing"):
        recording_seconds(tmp_path / f"missing.{suffix}")
