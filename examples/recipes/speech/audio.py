"""Decoding clips and bringing every corpus to the same band, rate and channel count."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from modeling_smoothclap.audio_smoothclap import SILENCE_DBFS, level_dbfs


SAMPLING_RATE = 16000
"""Rate of every stored clip, in Hz."""
BAND_RATE = 11025
"""Every clip passes through this rate, in Hz, so that no corpus holds anything above half of it (5.5 kHz)."""
MIN_DURATION = 0.5
MAX_DURATION = 15.0
"""Clips outside these bounds, in seconds, are dropped by the builder; a corpus may have its own minimum."""


@dataclass(frozen=True)
class RawClip:
    """
    One clip as it lies in its archive.

    Args:
        name (`str`):
            Unique within the corpus; also the stored file's name, so letters, digits, `.`, `_`, `-` and `/` only.
        speaker (`str`):
            Who speaks, as far as the archive tells; unique within the corpus.
        data (`bytes`):
            The encoded audio.
        transcript (`str`, *optional*):
            What is said, in the language of the speech.
        pcm_rate (`int`, *optional*):
            Sampling rate in Hz when `data` is headerless unsigned 8-bit mono PCM. Without it `data` is a container
            that libsndfile reads (MP3, OGG, WAV, FLAC).
        language (`str`, *optional*):
            BCP-47 tag of the speech, if not that of the corpus.
        columns (`Mapping[str, str | None]`, *optional*):
            Further columns of the clip's row.
    """

    name: str
    speaker: str
    data: bytes
    transcript: str | None = None
    pcm_rate: int | None = None
    language: str | None = None
    columns: Mapping[str, str | None] = field(default_factory=dict)


def decode_clip(clip: RawClip) -> tuple[np.ndarray, int]:
    """
    Decodes a clip to mono.

    Args:
        clip ([`RawClip`]):
            The clip.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)` in [-1, 1], and their rate in Hz.

    Raises:
        ValueError: The data cannot be decoded.
    """
    if clip.pcm_rate is not None:
        pcm = np.frombuffer(clip.data, dtype=np.uint8)
        return (pcm.astype(np.float32) - 128.0) / 128.0, clip.pcm_rate
    try:
        samples, rate = soundfile.read(io.BytesIO(clip.data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"clip {clip.name!r} ({len(clip.data)} bytes) cannot be decoded: {error}") from error
    return samples.mean(axis=1), rate


def to_common_band(samples: np.ndarray, sampling_rate: int) -> np.ndarray:
    """
    Resamples through [`BAND_RATE`] to [`SAMPLING_RATE`], so that 11 kHz and 44 kHz sources hold the same band.

    Without this a model can tell corpora apart by what lies above 5.5 kHz and learns the corpus instead of the voice.

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            Mono waveform.
        sampling_rate (`int`):
            Its rate in Hz.

    Returns:
        `np.ndarray` of shape `(new_samples,)`: float32, 16 kHz, peak at most 1.
    """
    if sampling_rate != BAND_RATE:
        samples = soxr.resample(samples, sampling_rate, BAND_RATE)
    samples = soxr.resample(samples, BAND_RATE, SAMPLING_RATE)
    # Resampling may overshoot full scale; FLAC would wrap or clip, so the few overshoots are clipped here.
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


def reason_to_drop(
    samples: np.ndarray, sampling_rate: int = SAMPLING_RATE, min_duration: float = MIN_DURATION
) -> str | None:
    """
    Says why a clip cannot serve, if so.

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            Mono waveform.
        sampling_rate (`int`, defaults to 16000):
            Its rate in Hz.
        min_duration (`float`, defaults to 0.5):
            Length in seconds below which a clip is too short.

    Returns:
        `str` or `None`: `"too short"`, `"too long"`, `"silent"`, or `None` for a good clip.
    """
    duration = len(samples) / sampling_rate
    if duration < min_duration:
        return "too short"
    if duration > MAX_DURATION:
        return "too long"
    if level_dbfs(samples, sampling_rate) < SILENCE_DBFS:
        return "silent"
    return None


def write_flac(path: str | Path, samples: np.ndarray) -> None:
    """
    Writes 16 kHz, 16-bit mono FLAC; parent folders are made, and the file appears whole or not at all.

    Args:
        path (`str` or `Path`):
            Where to.
        samples (`np.ndarray` of shape `(samples,)`):
            Waveform at 16 kHz.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    soundfile.write(partial, samples, SAMPLING_RATE, subtype="PCM_16", format="FLAC")
    partial.replace(path)
