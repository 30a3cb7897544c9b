"""
What happens to a voice between mouth and recording: noise, a room, a telephone, a codec, a clipping amplifier.

Well-kept libraries do the work: pyroomacoustics (MIT) simulates rooms, libsndfile codes (Opus, mu-law), soxr resamples,
SciPy filters. audiomentations, which is made for augmentation, was left aside: it draws from global random states, so
that the noise of a clip would depend on what was drawn before, and brings librosa with numba and LLVM. So was
torch-audiomentations, which needs a torchaudio that fits torch. MP3 shifts a clip in time; Opus keeps it in place.

Which effects there are, and how strong they are by default, is this project's choice.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
import soundfile
import soxr


PINK_FROM_HZ = 50.0
"""Pink noise has nothing below: there it would have power that is hardly heard."""
FRAME_SECONDS = 0.05
ACTIVE_DB = 30.0
"""The voice is heard in the 50 ms frames that are at most this much below the loudest."""
TELEPHONE_RATE = 8000
OPUS_RATE = 16000
"""Opus takes few rates; at a low bitrate it codes no more than this one's band."""
OPUS_KBPS = (6.0, 256.0)
"""libsndfile maps its compression level, 1 to 0, onto these bitrates."""
FILTER_ORDER = 4
MICROPHONE_AT = (0.4, 0.45)
"""Of the room's length and width: off the centre, where many reflections would coincide."""
MICROPHONE_HEIGHT_M = 1.5

_ONE_ROOM_AT_A_TIME = Lock()


def speech_power(clip: np.ndarray, sampling_rate: int) -> float:
    """
    Mean power where the voice is heard, so that pauses in a clip do not change how much noise it gets.

    Args:
        clip (`np.ndarray` of shape `(samples,)`): Mono waveform of at least 50 ms.
        sampling_rate (`int`): Its rate in Hz.

    Returns:
        `float`: Mean square about the clip's mean, over the 50 ms frames that are within 30 dB of the loudest one. The
        threshold is ours.
    """
    window = round(FRAME_SECONDS * sampling_rate)
    frames = len(clip) // window
    power = np.mean(_centred(clip)[: frames * window].reshape(frames, window) ** 2, axis=1)  # (frames,)
    return float(power[power >= power.max() * 10 ** (-ACTIVE_DB / 10)].mean())


@dataclass(frozen=True)
class Noise:
    """
    Pink noise, as loud in every octave. The voice keeps its level.

    Args:
        snr_db (`float`): Power of the voice where it is heard, see [`speech_power`], over that of the noise, in dB.

    Raises:
        ValueError: if it is not finite.
    """

    snr_db: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.snr_db):
            raise ValueError(f"`snr_db` is {self.snr_db}; give a finite number of decibels, e.g. 10.")

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        spectrum = np.fft.rfft(generator.standard_normal(len(clip)))
        frequencies = np.fft.rfftfreq(len(clip), 1 / sampling_rate)
        heard = frequencies >= PINK_FROM_HZ
        spectrum[heard] /= np.sqrt(frequencies[heard])
        spectrum[~heard] = 0
        noise = np.fft.irfft(spectrum, len(clip))
        wanted = speech_power(clip, sampling_rate) / 10 ** (self.snr_db / 10)
        return clip + noise * math.sqrt(wanted / np.mean(noise**2))


@dataclass(frozen=True)
class Room:
    """
    An empty room with six equal walls. The direct sound stays where the voice was, the tail ends with the clip, and
    the clip, without a constant offset, keeps its root mean square, as if the microphone's gain had been set to it.

    Args:
        size_m (`tuple[float, float, float]`): Length, width and height in metres.
        rt60_s (`float`): Reverberation time in seconds: how long sound takes to fall by 60 dB. It sets the walls'
            absorption by Sabine's formula, so it holds (to 10 % in the rooms of
            [`~smoothclap_trainer.data.acoustic_conditions.CONDITIONS`]) in rooms that are not very long or flat.
        distance_m (`float`): From mouth to microphone, in metres.

    Raises:
        ValueError: if the mouth or the microphone is not in the room; when used, if no walls give that time.
    """

    size_m: tuple[float, float, float]
    rt60_s: float
    distance_m: float

    def __post_init__(self) -> None:
        length, width, height = self.size_m
        beyond = length * (1 - MICROPHONE_AT[0])
        if not 0 < self.distance_m < beyond:
            raise ValueError(
                f"`distance_m` is {self.distance_m}, but a room {length} m long leaves between 0 and {beyond:g} m from "
                "the microphone to the wall."
            )
        if width <= 0 or height <= MICROPHONE_HEIGHT_M:
            raise ValueError(f"A room of {self.size_m} m has no place for a microphone {MICROPHONE_HEIGHT_M} m high.")

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        response, direct = impulse_response(self, sampling_rate)
        voice = _centred(clip)
        wet = _scipy_signal().fftconvolve(voice, response)[direct : direct + len(clip)]
        return wet * math.sqrt(np.mean(voice**2) / np.mean(wet**2))


def impulse_response(room: Room, sampling_rate: int) -> tuple[np.ndarray, int]:
    """
    Simulates a room by the image-source method (Allen and Berkley, 1979), with pyroomacoustics.

    Args:
        room ([`Room`]): The room.
        sampling_rate (`int`): In Hz.

    Returns:
        `tuple[np.ndarray, int]`: float64 samples, read-only, and the index at which the direct sound arrives.

    Raises:
        ValueError: See [`Room`].
        ImportError: The extra `acoustics` is not installed.
    """
    with _ONE_ROOM_AT_A_TIME:
        return _impulse_response(room, sampling_rate)


@lru_cache(maxsize=16)
def _impulse_response(room: Room, sampling_rate: int) -> tuple[np.ndarray, int]:
    pra = _pyroomacoustics()
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
    constants.set("num_threads", 1)  # sums are rounded otherwise with every other number of cores
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
    """
    A fixed-line call: 8 kHz, the telephone's band, and mu-law (ITU-T G.711). What is in the band keeps its level.
    As in a call, a voice may be too quiet: of one whose peak is below about -85 dB full scale, mu-law leaves zeros.

    Args:
        low_hz (`float`, defaults to 300): Lower edge of the band, in Hz, where the level is down by 6 dB.
        high_hz (`float`, defaults to 3400): Its upper edge.

    Raises:
        ValueError: if the edges are not in order between 0 and 4000 Hz.
    """

    low_hz: float = 300.0
    high_hz: float = 3400.0

    def __post_init__(self) -> None:
        if not 0 < self.low_hz < self.high_hz < TELEPHONE_RATE / 2:
            raise ValueError(
                f"A telephone's band from {self.low_hz} to {self.high_hz} Hz is none; give two rising frequencies "
                f"between 0 and {TELEPHONE_RATE // 2} Hz."
            )

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        signal = _scipy_signal()
        band = signal.butter(FILTER_ORDER, (self.low_hz, self.high_hz), "bandpass", fs=TELEPHONE_RATE, output="sos")
        # Both ways: nothing is delayed.
        narrow = signal.sosfiltfilt(band, _resampled(clip, sampling_rate, TELEPHONE_RATE))
        return _back(_coded(narrow, TELEPHONE_RATE, "WAV", "ULAW"), sampling_rate, TELEPHONE_RATE, len(clip))


@dataclass(frozen=True)
class Codec:
    """
    Opus, which internet calls and voice messages use. As in a call, a voice may be too quiet: of one whose peak is
    below about -90 dB full scale, nothing is left but the codec's own noise.

    Args:
        bitrate_kbps (`float`, defaults to 6): Aimed at, on the average, in kbit/s: 6, Opus's lowest, to 256. A clip is
            coded at 16 kHz.

    Raises:
        ValueError: if it is another bitrate.
    """

    bitrate_kbps: float = 6.0

    def __post_init__(self) -> None:
        if not OPUS_KBPS[0] <= self.bitrate_kbps <= OPUS_KBPS[1]:
            raise ValueError(
                f"`bitrate_kbps` is {self.bitrate_kbps}; Opus codes at {OPUS_KBPS[0]:g} to {OPUS_KBPS[1]:g} kbit/s."
            )

    def __call__(self, clip: np.ndarray, sampling_rate: int, generator: np.random.Generator) -> np.ndarray:
        lowest, highest = OPUS_KBPS
        level = (highest - self.bitrate_kbps) / (highest - lowest)
        sent = _resampled(clip, sampling_rate, OPUS_RATE)
        return _back(_coded(sent, OPUS_RATE, "OGG", "OPUS", level), sampling_rate, OPUS_RATE, len(clip))


@dataclass(frozen=True)
class Clipping:
    """
    An amplifier that is driven too far, without gain and without a constant offset: whatever is beyond a share of the
    clip's peak is cut off there.

    Args:
        share_of_peak (`float`, defaults to 0.2): What is left of the peak; with 0.2 about a tenth of a voice's samples
            is cut off.

    Raises:
        ValueError: if it is not between 0 and 1.
    """

    share_of_peak: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.share_of_peak < 1:
            raise ValueError(f"`share_of_peak` is {self.share_of_peak}; what is left of the peak is between 0 and 1.")

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
    """At the clip's own rate again, and to the sample as long as it was."""
    restored = _resampled(clip, from_rate, to_rate)[:length]
    return np.pad(restored, (0, length - len(restored)))


def _coded(
    clip: np.ndarray, sampling_rate: int, container: str, subtype: str, level: float | None = None
) -> np.ndarray:
    """Encoded and decoded. What is beyond full scale is brought below it and back: nothing is clipped unasked."""
    scale = max(1.0, float(np.abs(clip).max()))
    file = io.BytesIO()
    soundfile.write(file, clip / scale, sampling_rate, format=container, subtype=subtype, compression_level=level)
    file.seek(0)
    return soundfile.read(file, dtype="float64")[0] * scale


def _scipy_signal() -> Any:
    try:
        import scipy.signal
    except ImportError as error:
        raise ImportError("Rooms and telephones need SciPy: pip install 'smoothclap[acoustics]'.") from error
    return scipy.signal


def _pyroomacoustics() -> Any:
    try:
        import pyroomacoustics
    except ImportError as error:
        raise ImportError("Simulated rooms need pyroomacoustics: pip install 'smoothclap[acoustics]'.") from error
    return pyroomacoustics
