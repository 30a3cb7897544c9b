"""Decoding: files without a length, foreign formats, limits, and what is not audio at all."""

import io
import os
import shutil
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile

from modeling_smoothclap.audio_smoothclap import ClipError, Segment, audio_duration, decode_audio, examine, read_audio
from modeling_smoothclap.lengths_smoothclap import _mp3_frame, with_length
from tests.examples.recipes.archive_makers import tone


def encoded(samples, rate=16000, container="WAV", subtype="PCM_16", **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=container, subtype=subtype, **options)
    return buffer.getvalue()


def fault(source):
    with pytest.raises(ClipError, match="'a'") as caught:
        read_audio(source, 16000, "a")
    return caught.value


def without_length(flac):
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


def test_a_flac_file_from_a_pipe_is_read_to_its_end():
    samples = tone(3.0, 100_000)  # more than one block
    whole = encoded(samples, 100_000, "FLAC")
    piped = without_length(whole)
    np.testing.assert_array_equal(decode_audio(piped)[0], decode_audio(whole)[0])
    assert audio_duration(piped) is None and audio_duration(whole) == 3.0


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_file_without_a_length_is_read_to_its_end(rate, channels):
    loud = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * rate)
    sound = np.concatenate([loud, 0.001 * tone(8.0, rate)])  # of varying bit rate: the first frames are large
    options = {"bitrate_mode": "VARIABLE", "compression_level": 0.5}
    whole = encoded(np.stack([sound] * channels, axis=1), rate, "MP3", "MPEG_LAYER_III", **options)
    bare = whole[_mp3_frame(whole, 0).end :]
    expected, found = decode_audio(whole)[0], decode_audio(bare)[0]
    assert abs(len(found) - len(expected)) <= 3 * 1152
    assert len(soundfile.read(io.BytesIO(bare))[0]) < 0.9 * len(found)  # what libsndfile takes it for
    half = decode_audio(bare[: len(bare) // 2])[0]
    assert len(half) < len(found)
    assert audio_duration(bare) is None and audio_duration(whole) == pytest.approx(10, abs=0.1)


def test_an_mp3_file_that_is_read_to_its_end_anyway_stays_as_it_is():
    whole = encoded(tone(2.0, 16000), 16000, "MP3", "MPEG_LAYER_III")
    bare = whole[_mp3_frame(whole, 0).end :]
    assert with_length(whole, 0) is None  # it has a length
    assert with_length(bare, 40_000) is None  # it is not that long
    assert with_length(bare, 20_000) is not None
    assert with_length(b"ID3 and nothing else", 0) is None


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "AU"])
def test_a_header_that_announces_nothing_is_not_believed(container):
    data = bytearray(encoded(tone(1.0, 16000), container=container))
    start = 8 if container == "AU" else data.index(b"data") + 4
    data[start : start + 4] = bytes(4)
    assert len(read_audio(bytes(data), 16000)) == 16000


def test_surplus_bytes_and_mp3_in_wav_are_not_truncated():
    data = bytearray(encoded(tone(1.0, 16000)))
    start = data.index(b"data") + 4
    data[start : start + 4] = struct.pack("<I", 32016)
    assert len(read_audio(bytes(data), 16000)) == 16000
    mp3 = encoded(tone(2.0, 16000), 16000, "MP3", "MPEG_LAYER_III")
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16000, 8000, 1, 0, 12, 1, 2, 288, 1, 0)
    chunks = b"".join(
        name + struct.pack("<I", len(body)) + body
        for name, body in (
            (b"fmt ", form),
            (b"fact", struct.pack("<I", 34000)),
            (b"data", mp3 + b"\0" * (len(mp3) % 2)),
        )
    )
    wav = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks
    assert len(read_audio(wav, 16000)) == pytest.approx(32000, abs=2304)


def test_no_file_is_cut_in_silence_where_it_goes_on():
    samples = tone(2.0, 16000)
    mp3 = encoded(samples, 16000, "MP3", "MPEG_LAYER_III")
    assert len(decode_audio(mp3 + mp3)[0]) == pytest.approx(64000, abs=6 * 576)  # two files in one
    ogg = encoded(samples, 16000, "OGG", "VORBIS")
    assert fault(ogg + ogg).problem == "truncated"
    wav = bytearray(encoded(samples))
    start = wav.index(b"data") + 4
    wav[start : start + 4] = struct.pack("<I", 20000)
    assert fault(bytes(wav)).problem == "truncated"


WEBM = b"\x1aE\xdf\xa3" + bytes(60)


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch):
    """Put a program in ffmpeg's place that gives a sound, whatever it is asked for, and keeps what it was asked."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "ffmpeg"
    soundfile.write(tmp_path / "sound.au", np.stack([tone(1.0, 8000)] * 2, axis=1), 8000, subtype="FLOAT", format="AU")
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/sound.au\ncat {tmp_path}/log >&2\n')
    program.chmod(0o755)
    (tmp_path / "log").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path


def test_what_libsndfile_cannot_read_is_read_by_ffmpeg(ffmpeg):
    (ffmpeg / "call.mp3").write_bytes(WEBM)
    for source in (ffmpeg / "call.mp3", WEBM, b"a codec that nobody knows"):
        samples, rate = decode_audio(source)
        np.testing.assert_array_equal(samples, tone(1.0, 8000).astype(np.float32))
        assert rate == 8000
    assert decode_audio(Segment(WEBM, 0.25, 0.5))[0].tolist() == samples[2000:4000].tolist()
    assert fault(Segment(WEBM, 0.5, 1.5)).problem == "impossible segment"
    assert "-protocol_whitelist file" in (ffmpeg / "asked").read_text()  # no playlist makes it fetch something
    (ffmpeg / "log").write_text("[webm] File ended prematurely\n")
    found = fault(ffmpeg / "call.mp3")
    assert found.problem == "truncated" and "ended prematurely" in str(found)
    (ffmpeg / "sound.au").write_bytes(b"")
    assert fault(WEBM).problem == "unreadable"


def test_without_ffmpeg_the_error_names_it_and_the_format(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "call.mp3").write_bytes(WEBM)
    for source, named in (
        (tmp_path / "call.mp3", "WebM"),
        (b"\0\0\0\x18ftypM4A " + bytes(60), "MP4"),
        (b"#!AMR\n", "AMR"),
    ):
        found = fault(source)
        assert found.problem == "unreadable" and named in str(found) and "ffmpeg" in str(found)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
@pytest.mark.parametrize("name", ["clip.m4a", "clip.webm", "clip.wma", "clip.aac"])
def test_a_real_ffmpeg_reads_them(tmp_path, name):
    soundfile.write(tmp_path / "clip.wav", tone(2.0, 16000), 16000)
    subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "clip.wav", tmp_path / name], check=True)
    samples, rate = decode_audio(tmp_path / name)
    assert len(samples) / rate == pytest.approx(2.0, abs=0.15)
    assert np.abs(samples).max() == pytest.approx(np.abs(tone(2.0, 16000)).max(), rel=0.2)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--00.wav", "git annex get"),
        (b"<!DOCTYPE html><html>not found</html>", "web page"),
        (b"PK\x03\x04" + bytes(60), "ZIP"),
        (b"", "empty"),
    ],
)
def test_what_is_not_audio_is_recognised(tmp_path, content, named):
    (tmp_path / "clip.wav").write_bytes(content)
    found = fault(tmp_path / "clip.wav")
    assert found.problem == "unreadable" and named in str(found)


def test_names_that_no_file_has_are_faults(tmp_path):
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    for path, problem in (
        ("a\0.wav", "missing"),
        ("n" * 5000 + ".wav", "missing"),
        ("\ud800.wav", "unreadable"),
        (tmp_path / "link.wav", "missing"),
        (tmp_path / "pipe.wav", "unreadable"),
        (tmp_path, "missing"),
    ):
        assert fault(path).problem == problem
        assert audio_duration(path) is None


def with_rate(rate):
    data = bytearray(encoded(tone(1.0, 16000)))
    data[24:28] = struct.pack("<I", rate)
    return bytes(data)


def test_headers_beyond_all_limits_are_refused_before_anything_is_decoded():
    assert fault(with_rate(1)).problem == fault(with_rate(4_000_000)).problem == "unreadable"
    assert fault(encoded(np.zeros((10, 100)))).problem == "unreadable"
    flac = encoded(np.zeros(16000), container="FLAC")
    huge = flac[:21] + bytes([flac[21] | 0x0F]) + b"\xff" * 4 + flac[26:]
    found = fault(huge)
    assert found.problem == "too long" and "SMOOTHCLAP_MAX_SECONDS" in str(found)


def test_limits_hold_where_no_length_is_announced_and_can_be_set(monkeypatch):
    bomb = without_length(encoded(np.zeros(600_000), container="FLAC"))
    assert len(bomb) < 10_000
    monkeypatch.setenv("SMOOTHCLAP_MAX_SAMPLES", "500000")
    assert fault(bomb).problem == "too long"
    assert fault((tone(40.0, 16000), 16000)).problem == "too long"
    assert len(decode_audio(Segment(encoded(tone(40.0, 16000)), 39.0))[0]) == 16000  # of what is read
    monkeypatch.setenv("SMOOTHCLAP_MAX_SAMPLES", "590000")  # less than is allocated for the last block
    assert fault(bomb).problem == "too long"
    monkeypatch.setenv("SMOOTHCLAP_MAX_SAMPLES", "many")
    with pytest.raises(ValueError, match=r"^SMOOTHCLAP_MAX_SAMPLES is 'many'"):
        read_audio(encoded(tone(0.1, 16000)), 16000)


def test_a_long_recording_takes_the_memory_of_its_samples(tmp_path):
    stereo = np.stack([tone(100.0, 16000)] * 2, axis=1)
    soundfile.write(tmp_path / "long.wav", stereo, 16000)
    del stereo
    tracemalloc.start()
    try:
        samples = read_audio(tmp_path / "long.wav", 16000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2.2 * samples.nbytes  # the samples, and blocks; it was 5 times as much


@pytest.mark.parametrize("value", [1000.0, 1e29, -32768.0])
def test_sound_that_was_scaled_wrongly_is_a_fault(value):
    samples = tone(1.0, 16000)
    samples[100] = value
    found = fault(encoded(samples, subtype="FLOAT"))
    assert found.problem == "out of scale" and "32768" in str(found)
    assert fault((samples, 16000)).problem == "out of scale"
    assert examine((3 * tone(1.0, 16000), 16000))[2] is None  # loud, but a recording


def test_channels_that_cancel_are_reported():
    left = tone(1.0, 16000)
    for stereo, problem in (
        ([left, -left], "channels cancel"),
        ([left, -0.999 * left], "channels cancel"),
        ([left, 0 * left], None),
        ([0 * left, 0 * left], "silent"),
        ([left + 0.5, left - 0.5], None),
    ):
        found = examine(encoded(np.stack(stereo, axis=1), subtype="FLOAT"), "a")[2]
        assert (found and found.problem) == problem


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_segment_is_the_part_of_the_whole(container):
    subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(container, "PCM_16")
    data = encoded(tone(3.0, 16000), container=container, subtype=subtype)
    whole, rate = decode_audio(data)
    for start, end in ((0.5, 1.25), (0.0, 1.0), (2.0, None), (2.5, len(whole) / rate + 0.005)):
        part, _ = decode_audio(Segment(data, start, end))
        np.testing.assert_array_equal(part, whole[round(start * rate) : None if end is None else round(end * rate)])
    for start, end in ((3.5, None), (3.5, 4.0), (1.0, 4.0)):
        assert fault(Segment(data, start, end)).problem == "impossible segment"
