"""Decoding, band, level and the reasons to drop a clip."""

import numpy as np
import pytest
import soundfile
from speech.audio import RawClip, decode_clip, level_dbfs, reason_to_drop, to_common_band, write_flac

from .archive_makers import encoded, tone


def test_unsigned_bytes_decode_to_full_scale():
    clip = RawClip("1", "a", bytes([0, 128, 255, 64]), pcm_rate=11025)
    samples, rate = decode_clip(clip)
    assert rate == 11025
    assert samples.tolist() == [-1.0, 0.0, 127 / 128, -0.5]


def test_stereo_becomes_the_mean_of_its_channels():
    left = np.array([0.5, 0.25, -0.5] * 100, np.float32)
    data = encoded(np.stack([left, np.zeros_like(left)], axis=1), 8000, "WAV")
    samples, rate = decode_clip(RawClip("1", "a", data))
    assert rate == 8000
    np.testing.assert_allclose(samples, left / 2, atol=1 / 32768)


def test_undecodable_data_names_the_clip():
    with pytest.raises(ValueError, match="'city/x'"):
        decode_clip(RawClip("city/x", "a", b"text"))


@pytest.mark.parametrize("rate", [11025, 22050, 44100, 16000])
def test_common_band_keeps_2_khz_and_removes_7_khz(rate):
    time = np.arange(2 * rate) / rate
    high = 7000 if rate > 14000 else 5000  # a source at 11 kHz holds nothing higher than 5.5 kHz in the first place
    wave = 0.4 * np.sin(2 * np.pi * 2000 * time) + 0.4 * np.sin(2 * np.pi * high * time)
    banded = to_common_band(wave.astype(np.float32), rate)
    assert len(banded) == 2 * 16000
    assert banded.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(banded * np.hanning(len(banded)))) * 4 / len(banded)  # bins of half a Hz
    assert spectrum[4000] == pytest.approx(0.4, abs=0.01)
    assert spectrum[2 * 5600 :].max() < 1e-3


def test_common_band_clips_overshoot():
    square = np.sign(np.sin(2 * np.pi * 440 * np.arange(11025) / 11025)).astype(np.float32)
    assert np.abs(to_common_band(square, 11025)).max() == 1.0


def test_level_of_a_sine_is_three_db_below_its_peak():
    wave = 0.1 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    assert level_dbfs(wave, 16000) == pytest.approx(-20 - 3.01, abs=0.01)
    assert level_dbfs(wave + 0.5, 16000) == pytest.approx(-23.01, abs=0.01)
    assert level_dbfs(np.zeros(16000), 16000) == float("-inf")
    assert level_dbfs(np.array([0.1, -0.1]), 16000) == pytest.approx(-20)


def test_level_is_that_of_the_loudest_moment():
    wave = np.zeros(16000)
    wave[8000:8800] = np.sin(2 * np.pi * 200 * np.arange(800) / 16000)
    assert level_dbfs(wave, 16000) == pytest.approx(-3.01, abs=0.01)


@pytest.mark.parametrize(
    ("seconds", "amplitude", "reason"),
    [(0.49, 0.3, "too short"), (0.5, 0.3, None), (15.0, 0.3, None), (15.01, 0.3, "too long"), (1.0, 0.001, "silent")],
)
def test_reasons_to_drop(seconds, amplitude, reason):
    assert reason_to_drop(tone(seconds, 16000, amplitude=amplitude)) == reason


def test_flac_round_trip_is_16_bit_at_16_khz(tmp_path):
    samples = tone(0.5, 16000)
    write_flac(tmp_path / "a" / "b.flac", samples)
    read, rate = soundfile.read(tmp_path / "a" / "b.flac", dtype="float32")
    assert rate == 16000
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.flac"]
    np.testing.assert_allclose(read, samples, atol=1 / 32768)
