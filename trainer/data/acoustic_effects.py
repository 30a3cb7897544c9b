"""
Effects on a voice between mouth and recording: noise, a room, a telephone, a codec, a clipping amplifier.

audiomentations is not used: it draws from global random states, so the noise of a clip would depend on what was drawn
before. The codec is Opus, because MP3 shifts a clip in time. Which effects, and how strong, is this project's choice.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from threading import Lock
from typing import Any

import numpy as np
import soundfile
import soxr


PINK_FROM_HZ = 50.0
"""Pink noise starts here: below, it would have power that is hardly audible."""
FRAME_SECONDS = 0.05
ACTIVE_DB = 30.0
"""Frames of 50 ms that are at most this much below the loudest count as voice."""
TELEPHONE_RATE = 8000
OPUS_RATE = 16000
"""Opus takes few rates; at a low bitrate it codes only the band of this one."""
OPUS_KBPS = (6.0, 256.0)
"""libsndfile maps its compression level, 1 to 0, onto these bitrates."""
FILTER_ORDER = 4
MICROPHONE_AT = (0.4, 0.45)
"""Share of the room's length and width: not the centre, where many reflections would coincide."""
MICROPHONE_HEIGHT_M = 1.5

_ONE_ROOM_AT_A_TIME = Lock()


def _speech_power(clip: np.ndarray, sampling_rate: int) -> float:
    """Return the mean square about the mean, over the frames within 30 dB of the loudest: without pauses."""
    window = round(FRAME_SECONDS * sampling_rate)
    frames = len(clip) // window
    power = np.mean(_centred(clip)[: frames * window].reshape(frames, window) ** 2, axis=1)  # (frames,)
    return float(power[power >= power.max() * 10 ** (-ACTIVE_DB / 10)].mean())


@dataclass(frozen=True)
class Noise:
    """Pink noise, equally loud in every octave, `snr_db` below the voice. The voice keeps its level."""

    snr_db: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.snr_db):
            raise ValueError(f"`snr_db` is {self.snr_db}; give a finite number of decibels, e.g. 10.")

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        spectrum = np.fft.rfft(generator.standard_normal(len(clip)))
        frequencies = np.fft.rfftfreq(len(clip), 1 / sampling_rate)
        audible = frequencies >= PINK_FROM_HZ
        spectrum[audible] /= np.sqrt(frequencies[audible])
        spectrum[~audible] = 0
        noise = np.fft.irfft(spectrum, len(clip))
        wanted = _speech_power(clip, sampling_rate) / 10 ** (self.snr_db / 10)
        return clip + noise * math.sqrt(wanted / np.mean(noise**2))


@dataclass(frozen=True)
class Room:
    """An empty room with six equal walls; direct sound keeps its place in time, and the root mean square stays."""

    size_m: tuple[float, float, float]  # length, width and height
    rt60_s: float  # sets absorption by Sabine's formula, exact to 10 % in rooms that are not very long or flat
    distance_m: float  # from the mouth

    def __post_init__(self) -> None:
        length, width, height = self.size_m
        beyond = length * (1 - MICROPHONE_AT[0])
        if not 0 < self.distance_m < beyond:
            raise ValueError(
                f"`distance_m` is {self.distance_m}; in a room {length} m long, give more than 0 and less than "
                f"{beyond:g} m."
            )
        if width <= 0 or height <= MICROPHONE_HEIGHT_M:
            raise ValueError(
                f"`size_m` is {self.size_m}; the microphone is {MICROPHONE_HEIGHT_M} m high: make the room larger."
            )

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        with _ONE_ROOM_AT_A_TIME:
            response, direct = _impulse_response(self, sampling_rate)
        voice = _centred(clip)
        wet = acoustics_module("scipy.signal").fftconvolve(voice, response)[direct : direct + len(clip)]
        return wet * math.sqrt(np.mean(voice**2) / np.mean(wet**2))


@lru_cache(maxsize=16)
def _impulse_response(room: Room, sampling_rate: int) -> tuple[np.ndarray, int]:
    """Simulate a room by image sources (Allen and Berkley, 1979); also return the index of the direct sound."""
    pra = acoustics_module("pyroomacoustics")
    try:
        absorption, order = pra.inverse_sabine(room.rt60_s, room.size_m)
    except ValueError as error:
        raise ValueError(
            f"No walls give a room of {room.size_m} m a reverberation time of {room.rt60_s} s: make it longer."
        ) from error
    box = pra.ShoeBox(room.size_m, fs=sampling_rate, materials=pra.Material(absorption), max_order=order)
    x, y = (share * side for share, side in zip(MICROPHONE_AT, room.size_m, strict=False))
    box.add_source([x + room.distance_m, y, MICROPHONE_HEIGHT_M])
    box.add_microphone([x, y, MICROPHONE_HEIGHT_M])
    constants = pra.parameters.constants
    threads = constants.get("num_threads")
    constants.set("num_threads", 1)  # else sums are rounded differently for each number of cores
    try:
        box.compute_rir()
    finally:
        constants.set("num_threads", threads)
    response = np.asarray(box.rir[0][0], dtype=np.float64)
    response.flags.writeable = False
    direct = round(room.distance_m / constants.get("c") * sampling_rate) + constants.get("frac_delay_length") // 2
    return response, direct


@dataclass(frozen=True)
class Telephone:
    """A fixed-line call: 8 kHz, a band with -6 dB at its edges, and mu-law (ITU-T G.711); zeros below -85 dB."""

    low_hz: float = 300.0
    high_hz: float = 3400.0

    def __post_init__(self) -> None:
        if not 0 < self.low_hz < self.high_hz < TELEPHONE_RATE / 2:
            raise ValueError(
                f"The band is {self.low_hz} to {self.high_hz} Hz; give two rising frequencies between 0 and "
                f"{TELEPHONE_RATE // 2} Hz."
            )

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        signal = acoustics_module("scipy.signal")
        band = signal.butter(FILTER_ORDER, (self.low_hz, self.high_hz), "bandpass", fs=TELEPHONE_RATE, output="sos")
        # Filtered both ways, so that nothing is delayed.
        narrow = signal.sosfiltfilt(band, _resampled(clip, sampling_rate, TELEPHONE_RATE))
        return _back(_coded(narrow, TELEPHONE_RATE, "WAV", "ULAW"), sampling_rate, TELEPHONE_RATE, len(clip))


@dataclass(frozen=True)
class Codec:
    """Opus at 16 kHz and an average bitrate, as internet calls use it; below -90 dB only its own noise is left."""

    bitrate_kbps: float = 6.0

    def __post_init__(self) -> None:
        if not OPUS_KBPS[0] <= self.bitrate_kbps <= OPUS_KBPS[1]:
            raise ValueError(
                f"`bitrate_kbps` is {self.bitrate_kbps}; give {OPUS_KBPS[0]:g} to {OPUS_KBPS[1]:g} kbit/s."
            )

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        lowest, highest = OPUS_KBPS
        level = (highest - self.bitrate_kbps) / (highest - lowest)
        sent = _resampled(clip, sampling_rate, OPUS_RATE)
        return _back(_coded(sent, OPUS_RATE, "OGG", "OPUS", level), sampling_rate, OPUS_RATE, len(clip))


@dataclass(frozen=True)
class Clipping:
    """An overdriven amplifier: samples beyond a share of the peak are cut off; by default a tenth of a voice's."""

    share_of_peak: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.share_of_peak < 1:
            raise ValueError(f"`share_of_peak` is {self.share_of_peak}; give a number between 0 and 1.")

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        voice = _centred(clip)
        limit = self.share_of_peak * np.abs(voice).max()
        return np.clip(voice, -limit, limit)


def _centred(clip: np.ndarray) -> np.ndarray:
    return clip.astype(np.float64) - clip.mean(dtype=np.float64)  # a constant offset is not sound


def _resampled(clip: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    clip = clip.astype(np.float64)
    return clip if from_rate == to_rate else soxr.resample(clip, from_rate, to_rate)


def _back(clip: np.ndarray, to_rate: int, from_rate: int, length: int) -> np.ndarray:
    """Bring a clip back to its own rate and to its exact length."""
    restored = _resampled(clip, from_rate, to_rate)[:length]
    return np.pad(restored, (0, length - len(restored)))


def _coded(
    clip: np.ndarray, sampling_rate: int, container: str, subtype: str, level: float | None = None
) -> np.ndarray:
    """Encode and decode; a clip beyond full scale is scaled down before and up after, so that nothing is clipped."""
    scale = max(1.0, float(np.abs(clip).max()))
    file = io.BytesIO()
    soundfile.write(file, clip / scale, sampling_rate, format=container, subtype=subtype, compression_level=level)
    file.seek(0)
    return soundfile.read(file, dtype="float64")[0] * scale


def acoustics_module(name: str) -> Any:
    """Import a module that the extra `acoustics` brings; an `ImportError` that names the extra if it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"This effect needs {name}: pip install 'smoothclap[acoustics]'") from error
