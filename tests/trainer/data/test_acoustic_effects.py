"""Each effect against an independent formula: SNR in dB, bands by Fourier transform, decay by Schroeder's integral."""

from threading import Thread

import numpy as np
import pyroomacoustics
import pytest
import soundfile

from smoothclap_trainer.data import acoustic_effects
from smoothclap_trainer.data.acoustic_conditions import CONDITIONS
from smoothclap_trainer.data.acoustic_effects import (
    Clipping,
    Codec,
    Noise,
    Room,
    Telephone,
)


RATE = 16000
SMALL = Room((3.0, 2.5, 2.4), rt60_s=0.2, distance_m=0.8)


def generator(seed=0):
    return np.random.default_rng(seed)


def voice(seconds=1.0, rate=RATE, pitch=150.0, level=0.2):
    """A buzz with the syllables' rhythm, and harmonics up to the highest that the rate holds."""
    time = np.arange(round(seconds * rate)) / rate
    harmonics = [np.sin(2 * np.pi * pitch * n * time) / n for n in range(1, int(rate / 2 / pitch))]
    return (level * np.sum(harmonics, axis=0) * (1.1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def decibels(clip):
    return 10 * np.log10(np.mean(np.square(clip, dtype=np.float64)))


def band_db(clip, low, high, rate=RATE):
    """Energy between two frequencies in dB."""
    energy = np.abs(np.fft.rfft(clip * np.hanning(len(clip)))) ** 2
    frequencies = np.fft.rfftfreq(len(clip), 1 / rate)
    return 10 * np.log10(energy[(frequencies >= low) & (frequencies < high)].sum())


def delay(clip, other):
    """By how many samples `other` comes later, from the peak of their cross-correlation."""
    product = np.fft.rfft(other, 2 * len(clip)) * np.fft.rfft(clip, 2 * len(clip)).conj()
    lag = int(np.fft.irfft(product).argmax())
    return lag if lag < len(clip) else lag - 2 * len(clip)


def reverberation_time(response, rate):
    """From the fall between -5 and -35 dB of the backward integral (ISO 3382's T30), in seconds."""
    left = np.cumsum(response[::-1] ** 2)[::-1]
    fall = 10 * np.log10(left / left[0])
    start, stop = np.argmax(fall < -5), np.argmax(fall < -35)
    return -60 / np.polyfit(np.arange(start, stop) / rate, fall[start:stop], 1)[0]


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_noise_has_the_asked_ratio_to_a_steady_voice(snr_db):
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)
    noise = Noise(snr_db)(tone, RATE, generator()) - tone
    assert decibels(tone) - decibels(noise) == pytest.approx(snr_db, abs=1e-3)


def test_pauses_and_offsets_do_not_change_how_much_noise_there_is():
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)
    paused = np.concatenate([np.zeros(2 * RATE, dtype=np.float32), tone, np.zeros(RATE, dtype=np.float32)])
    for clip in (paused, tone + 0.5):
        noise = Noise(10.0)(clip, RATE, generator()) - clip
        assert 10 * np.log10(0.5) - decibels(noise) == pytest.approx(10.0, abs=1e-2)


def test_frames_count_as_voice_down_to_30_db_below_the_loudest():
    frames = np.repeat([1.0, 10 ** (-29 / 20), 10 ** (-31 / 20)], 800)
    alternating = (frames * np.tile([1.0, -1.0], 1200)).astype(np.float32)
    assert acoustic_effects._speech_power(alternating, RATE) == pytest.approx((1 + 10**-2.9) / 2, rel=1e-6)


def test_noise_is_pink():
    silence = np.zeros(40 * RATE, dtype=np.float32)
    silence[::2] = 1e-9  # what the voice has is not looked at
    noise = Noise(0.0)(silence, RATE, generator())
    octaves = [band_db(noise - silence, low, 2 * low) for low in (60, 120, 240, 480, 960, 1920, 3840)]
    assert np.ptp(octaves) < 0.8
    assert band_db(noise - silence, 1, 45) < octaves[0] - 60


@pytest.mark.parametrize("name", ["room-small", "room-large"])
def test_rooms_reverberate_as_long_as_stated(name):
    room = CONDITIONS[name].effect
    for rate in (8000, RATE):
        response, _ = acoustic_effects._impulse_response(room, rate)
        assert reverberation_time(response, rate) == pytest.approx(room.rt60_s, rel=0.1)


def test_direct_sound_comes_first_and_falls_with_distance():
    peaks = []
    for distance in (0.5, 1.0):
        response, direct = acoustic_effects._impulse_response(Room((3.0, 2.5, 2.4), 0.2, distance), 48000)
        assert np.abs(response).argmax() == direct
        early = np.abs(response[: direct - 45])
        assert early.size == 0 or early.max() < 1e-2 * response[direct]
        peaks.append(response[direct])
    assert peaks[0] / peaks[1] == pytest.approx(2.0, rel=0.1)  # 1 / distance


@pytest.mark.parametrize("effect", [SMALL, Clipping(0.3)])
@pytest.mark.parametrize("offset", [0.05, -3.0])
def test_a_constant_offset_is_no_sound(effect, offset):
    clip = voice().astype(np.float64)
    clip -= clip.mean()
    with_offset = effect(clip + offset, RATE, generator())
    np.testing.assert_allclose(with_offset, effect(clip, RATE, generator()), atol=1e-9)
    assert decibels(with_offset - clip) > decibels(clip) - 20  # something was done to the voice


def test_a_room_keeps_start_length_and_level():
    clip = np.zeros(RATE, dtype=np.float32)
    clip[[4000, 12000]] = 0.5, -0.5
    wet = SMALL(clip, RATE, generator())
    assert wet.shape == clip.shape
    assert wet.argmax() == 4000 and wet.argmin() == 12000
    assert decibels(wet) == pytest.approx(decibels(clip), abs=1e-6)
    assert band_db(wet[4400:6000], 0, RATE) > band_db(wet[:3900], 0, RATE) + 20  # a tail, but nothing comes before


def test_a_room_is_simulated_once_alike_for_any_number_of_cores_and_not_changed_by_its_user():
    constants = pyroomacoustics.parameters.constants
    before, responses = constants.get("num_threads"), []
    try:
        for threads in (1, 3):
            constants.set("num_threads", threads)
            acoustic_effects._impulse_response.cache_clear()
            responses.append(acoustic_effects._impulse_response(SMALL, RATE)[0])
            assert constants.get("num_threads") == threads
    finally:
        constants.set("num_threads", before)
    np.testing.assert_array_equal(*responses)
    assert acoustic_effects._impulse_response(SMALL, RATE)[0] is responses[1]
    with pytest.raises(ValueError, match="read-only"):
        responses[1][0] = 1


def test_threads_wait_for_one_simulation():
    acoustic_effects._impulse_response.cache_clear()
    threads = [Thread(target=SMALL, args=(voice(), RATE, generator())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert acoustic_effects._impulse_response.cache_info().misses == 1


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_telephone_lets_through_its_band_alone(rate):
    clip = generator(1).normal(0, 0.1, 4 * rate).astype(np.float32)
    heard = Telephone()(clip, rate, generator())
    assert heard.shape == clip.shape
    assert band_db(heard, 500, 3000, rate) == pytest.approx(band_db(clip, 500, 3000, rate), abs=0.1)
    flat = band_db(clip, 100, 150, rate)
    assert band_db(heard, 100, 150, rate) < flat - 30
    if rate > 8000:
        assert band_db(heard, 4100, rate / 2, rate) < band_db(clip, 4100, rate / 2, rate) - 40
    for edge in (300, 3400):
        fall = band_db(heard, edge - 10, edge + 10, rate) - band_db(clip, edge - 10, edge + 10, rate)
        assert fall == pytest.approx(-6, abs=1)


def test_a_telephone_codes_by_mu_law():
    """G.711 has 8 bits: at 8 kHz, where nothing is resampled, no more than 256 values are left."""
    clip = voice(rate=8000)
    heard = Telephone()(clip, 8000, generator())
    assert len(np.unique(heard)) <= 256
    step = np.diff(np.unique(np.abs(heard)))
    assert step.max() > 8 * step.min()  # finer for small values


@pytest.mark.parametrize("effect", [Telephone(), Codec(16.0)])
def test_coding_delays_nothing_and_scales_what_is_beyond_full_scale(effect):
    clip = voice()
    heard = effect(clip, RATE, generator())
    assert delay(clip, heard) == 0
    loud = effect(clip * 8, RATE, generator())
    assert np.abs(clip * 8).max() > 2
    assert np.abs(loud).max() > 2
    assert np.corrcoef(loud, heard)[0, 1] > 0.98


@pytest.mark.parametrize(("effect", "kept_dbfs", "lost_dbfs"), [(Telephone(), -60, -90), (Codec(16.0), -60, -100)])
def test_a_call_loses_very_quiet_voices(effect, kept_dbfs, lost_dbfs):
    clip = voice() / np.abs(voice()).max()
    likeness = []
    for peak_dbfs in (kept_dbfs, lost_dbfs):
        heard = effect(clip * 10 ** (peak_dbfs / 20), RATE, generator()) + generator().normal(0, 1e-12, len(clip))
        likeness.append(np.corrcoef(heard, effect(clip, RATE, generator()))[0, 1])
    assert likeness[0] > 0.7
    assert abs(likeness[1]) < 0.1


@pytest.mark.parametrize(("rate", "samples"), [(8000, 2880), (11025, 5001), (48000, 5001)])
def test_a_codec_keeps_length_and_voice(rate, samples):
    clip = voice(rate=rate)[:samples]
    heard = Codec(24.0)(clip, rate, generator())
    assert heard.shape == clip.shape
    assert np.corrcoef(clip, heard)[0, 1] > 0.9
    assert not np.array_equal(clip, heard)


def test_a_codec_has_the_asked_bitrate(monkeypatch):
    sizes, write = [], soundfile.write

    def measured(file, *args, **kwargs):
        write(file, *args, **kwargs)
        sizes.append(file.tell())

    monkeypatch.setattr(soundfile, "write", measured)
    clip = generator(2).normal(0, 0.1, 4 * RATE).astype(np.float32)
    errors = []
    for bitrate in (6.0, 46.0):
        errors.append(decibels(clip - Codec(bitrate)(clip, RATE, generator())))
    # The container's own bytes are in both.
    assert (sizes[1] - sizes[0]) * 8 / 4 / 1000 == pytest.approx(40, rel=0.15)
    assert errors[1] < errors[0]


def test_clipping_cuts_at_its_share_of_the_peak_and_nowhere_else():
    clip = voice() * 3
    peak = np.abs(clip).max()
    heard = Clipping(0.3)(clip, RATE, generator())
    assert np.abs(heard).max() == pytest.approx(0.3 * peak)
    within = np.abs(clip) < 0.3 * peak
    np.testing.assert_allclose(heard, np.where(within, clip, np.sign(clip) * 0.3 * peak), atol=1e-6)
    assert 0.02 < 1 - within.mean() < 0.9


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Noise(float("nan")), "nan"),
        (lambda: Room((4.0, 3.0, 2.5), 0.4, 2.4), r"2\.4"),
        (lambda: Room((4.0, 3.0, 2.5), 0.4, 0.0), r"0\.0"),
        (lambda: Room((4.0, 3.0, 1.5), 0.4, 1.0), r"\(4\.0, 3\.0, 1\.5\)"),
        (lambda: Room((4.0, 0.0, 2.5), 0.4, 1.0), r"\(4\.0, 0\.0, 2\.5\)"),
        (lambda: Telephone(3400.0, 300.0), r"3400\.0"),
        (lambda: Telephone(300.0, 4000.0), r"4000\.0"),
        (lambda: Codec(5.9), r"5\.9"),
        (lambda: Codec(257.0), r"257\.0"),
        (lambda: Clipping(1.0), r"1\.0"),
        (lambda: Clipping(0.0), r"0\.0"),
        (
            lambda: acoustic_effects._impulse_response(Room((9.0, 8.0, 5.0), 0.05, 1.0), RATE),
            r"\(9\.0, 8\.0, 5\.0\) m .* 0\.05 s",
        ),
    ],
)
def test_impossible_parameters_are_refused(make, named):
    with pytest.raises(ValueError, match=named):
        make()
