"""Read clips: files, bytes, arrays and segments of them, at the rate that is wanted, and name every fault."""

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .decoding_smoothclap import PROBLEMS as PROBLEMS
from .decoding_smoothclap import (
    ClipError,
    Decoded,
    check_limits,
    check_segment,
    decode_file,
    file_duration,
    soundfile,
)


# Inside `try:`, so that a checkpoint's code loads without it; only reading audio raises an ImportError.
try:
    import soxr
except ImportError:
    soxr = None


# Formats of libsndfile. Left out are those without a rate (RAW, XI), and those whose suffix seldom means audio.
_SUFFIXES = {
    "WAV": (".wav", ".wave"),
    "FLAC": (".flac",),
    "MP3": (".mp3",),
    "OGG": (".ogg", ".oga", ".opus"),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "W64": (".w64",),
    "RF64": (".rf64",),
    "NIST": (".sph", ".nist"),
    "VOC": (".voc",),
    "IRCAM": (".sf",),
    "AVR": (".avr",),
    "PAF": (".paf",),
    "PVF": (".pvf",),
    "SVX": (".svx", ".8svx"),
    "SDS": (".sds",),
    "WVE": (".wve",),
}
_FORMATS = _SUFFIXES if soundfile is None else soundfile.available_formats()

FFMPEG_SUFFIXES = (
    *(".m4a", ".m4b", ".aac", ".webm", ".weba", ".mka", ".amr", ".awb", ".3gp", ".wma", ".ape", ".wv", ".tta"),
)
"""Endings of audio files that are read by the program ffmpeg."""

AUDIO_SUFFIXES = tuple(suffix for name, suffixes in _SUFFIXES.items() if name in _FORMATS for suffix in suffixes) + (
    FFMPEG_SUFFIXES if shutil.which("ffmpeg") else ()
)
"""Endings of the audio files that can be read, in lower case."""

SILENCE_DBFS = -50.0
"""A clip whose loudest 50 ms stay below this level, in dB relative to full scale, counts as silence."""

MIN_SECONDS = 0.06
"""The shortest clip that is not "too short": openSMILE's longest window."""

LOUDEST_PEAK = 100.0
"""No float recording comes near this; 16-bit PCM that was only cast to float is far above."""

_FAULTS = {
    "empty": "holds no samples",
    "not finite": "holds samples that are not finite (NaN or infinite)",
    "out of scale": f"has samples beyond {LOUDEST_PEAK:g}, but full scale is 1; it was scaled wrongly, for instance by "
    "storing 16-bit values as floats: divide those by 32768",
    "too short": f"is too short, under {1000 * MIN_SECONDS:g} ms",
    "channels cancel": "is silent when its channels are averaged, because they cancel each other; keep one of them",
    "silent": f"is silent: its loudest 50 ms are below {SILENCE_DBFS:g} dB of full scale",
}
_UNUSABLE = ("empty", "not finite", "out of scale")

_BLOCK = 1 << 18  # samples that are checked together


@dataclass(frozen=True)
class Segment:
    """A part of a clip, from `start` to `end` in seconds; by default from its beginning and to its end."""

    source: Any
    start: float = 0.0
    end: float | None = None

    @property
    def suffix(self) -> str:
        """`str`: What names of segments end with, as in "talk.wav#t=1.5,3.0"; nothing for a whole clip."""
        return f"#t={self.start},{'' if self.end is None else self.end}" if self.start or self.end is not None else ""

    def __str__(self) -> str:
        return f"{self.source}{self.suffix}"


Source = str | Path | bytes | tuple[Any, int] | Segment
"""Where a clip is: an audio file, the bytes of one, a waveform with its rate in Hz, or a segment of one of these."""


def level_dbfs(samples: np.ndarray, sampling_rate: int) -> float:
    """Return the level of the loudest 50 ms: root mean square about the mean in dB full scale, -inf for silence."""
    window, mean = min(max(1, sampling_rate // 20), len(samples)), samples.mean()  # a constant offset is not sound
    ends = len(samples) - len(samples) % window
    step = window * max(1, _BLOCK // window)
    energy = max(
        float(np.mean((samples[start : min(start + step, ends)] - mean).reshape(-1, window) ** 2, axis=1).max())
        for start in range(0, ends, step)
    )
    return 10 * float(np.log10(energy)) if energy > 0 else float("-inf")


def clip_problem(samples: np.ndarray, sampling_rate: int) -> str | None:
    """
    Return what is wrong with mono samples of full scale 1: `"empty"`, `"not finite"`, `"out of scale"` (beyond 100),
    `"too short"` (under 60 ms), `"silent"` (the loudest 50 ms are below -50 dB full scale), or `None`.
    """
    if len(samples) == 0:
        return "empty"
    lowest, highest = float(samples.min()), float(samples.max())  # NaN if one is
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        return "not finite"
    if max(-lowest, highest) > LOUDEST_PEAK:
        return "out of scale"
    if len(samples) < MIN_SECONDS * sampling_rate:
        return "too short"
    if level_dbfs(samples, sampling_rate) < SILENCE_DBFS:
        return "silent"
    return None


def decode_audio(source: Source, name: Any = None) -> tuple[np.ndarray, int]:
    """
    Decode a clip at its own rate.

    What libsndfile cannot read (m4a, webm, amr, wma) is read by the program ffmpeg, if it is installed.

    Args:
        source: An audio file, the bytes of one, a waveform with its rate, or a [`Segment`] of one of these.
        name (*optional*): What errors call the clip; by default its path.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)`, channels averaged, and their rate in Hz.

    Raises:
        ClipError: The clip is missing, unreadable, truncated or beyond [`~decoding_smoothclap.LIMITS`], or has no such
            segment. A cut Ogg file is read as a short one, because its header does not give its length.
        ImportError: soundfile is not installed.
    """
    return _decoded(source, called_in_errors(source, name))[:2]


def examine(source: Source, name: Any = None) -> tuple[np.ndarray, int, ClipError | None]:
    """Decode a clip as [`decode_audio`] does, and also return what is wrong with it, see [`clip_problem`]."""
    called = called_in_errors(source, name)
    return _examined(_decoded(source, called), called)


def _examined(decoded: Decoded, called: str) -> tuple[np.ndarray, int, ClipError | None]:
    samples, rate, cancelled = decoded
    problem = clip_problem(samples, rate)
    if cancelled and problem in (None, "silent"):
        problem = "channels cancel"
    fault = f"{called} {_FAULTS[problem]} ({len(samples)} samples at {rate} Hz)" if problem else None
    return samples, rate, ClipError(problem, fault) if problem else None


def read_audio(source: Source, sampling_rate: int, name: Any = None) -> np.ndarray:
    """
    Read a clip at the rate in Hz that a model takes, as float32 samples of shape `(samples,)`.

    A file gives the same samples as `transformers.audio_utils.load_audio` with its soundfile backend: channels
    averaged, resampled by soxr's high quality. Arguments and errors are those of [`decode_audio`]; a clip that is
    empty, not finite or out of scale is a `ClipError` too.
    """
    return read_and_check(source, sampling_rate, name)[0]


def read_and_check(source: Source, sampling_rate: int, name: Any = None) -> tuple[np.ndarray, ClipError | None]:
    """
    Read a clip as [`read_audio`] does; return its samples and what is wrong with it if it can still be read: it is too
    short or silent, or its channels cancel each other. The clip is checked at its own rate.
    """
    called = called_in_errors(source, name)
    return check_and_resample(_decoded(source, called), sampling_rate, called)


def check_and_resample(decoded: Decoded, sampling_rate: int, called: str) -> tuple[np.ndarray, ClipError | None]:
    """Finish a clip that was decoded as [`read_and_check`] does."""
    samples, rate, fault = _examined(decoded, called)
    if fault is not None and fault.problem in _UNUSABLE:
        raise fault
    return resample(samples, rate, sampling_rate), fault


def resample(samples: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    """Bring mono samples from one rate in Hz to another: float32, with the number of samples rounded up."""
    if rate != sampling_rate and len(samples):
        if soxr is None:
            raise ImportError("Resampling audio needs the package 'soxr': pip install soxr")
        length = math.ceil(len(samples) * sampling_rate / rate)
        samples = soxr.resample(samples, rate, sampling_rate, quality="soxr_hq")[:length]
        if len(samples) < length:
            samples = np.pad(samples, (0, length - len(samples)))
    return np.ascontiguousarray(samples, dtype=np.float32)


def audio_duration(source: Source) -> float | None:
    """Return the length of a clip in seconds, for a file from its header; `None` if that cannot be read."""
    if isinstance(source, Segment):
        end = audio_duration(source.source) if source.end is None else source.end
        return None if end is None else end - source.start
    if isinstance(source, tuple):
        return _array_duration(*source)
    return file_duration(source)


def clip_source(row: Mapping[str, Any]) -> Source:
    """
    Return where the clip of a row is.

    Args:
        row (`Mapping[str, Any]`): With `path`, an audio file; or `audio`: the bytes of one, its path, or a dictionary
            with `bytes`, `path`, or `array` and `sampling_rate`, as `datasets.Audio` gives it; or `array` and
            `sampling_rate`. `path` goes first. `id` is what errors call the clip. `start` and `end`, in seconds or as
            time differences, make it a [`Segment`].

    Raises:
        ClipError: There is none of them, `audio` is something else, or the segment is impossible.
    """
    source = _whole_source(row)
    called = called_in_errors(source, row.get("id"))
    start, end = (_seconds(row[name], name, called) if name in row else None for name in ("start", "end"))
    if start is None and end is None:
        return source
    if (start or 0) < 0 or (end is not None and end <= (start or 0)):
        raise ClipError(
            "impossible segment",
            f"{called} has start {start} and end {end} in seconds; correct them: neither is negative, and `end` is "
            "after `start`",
        )
    return Segment(source, start or 0.0, end)


def _seconds(value: Any, name: str, called: str) -> float | None:
    if value is None or value != value:  # NaN, and NaT of pandas
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ClipError("impossible segment", f"{called} has {name} {value!r}; give seconds")
    return float(value)


def _whole_source(row: Mapping[str, Any]) -> Source:
    if row.get("path"):
        return str(row["path"])
    audio = row if row.get("array") is not None else row.get("audio")
    called = called_in_errors(None, row.get("id"))
    if isinstance(audio, Mapping) and audio.get("array") is not None:
        if not audio.get("sampling_rate"):
            raise ClipError("unreadable", f"{called} has `array` without its `sampling_rate`; add that, in Hz")
        return audio["array"], audio["sampling_rate"]
    if isinstance(audio, Mapping):
        audio = audio.get("bytes") or audio.get("path")
    if isinstance(audio, str | bytes) and audio:
        return audio
    if audio is None or isinstance(audio, str | bytes):
        raise ClipError("missing", f"{called} has none of `path`, `audio` and `array`")
    raise ClipError(
        "unreadable",
        f"{called} has `audio` of type {type(audio).__name__}; give the bytes of an audio file, or cast the column "
        "with `datasets.Audio(decode=False)`",
    )


def _decoded(source: Source, called: str) -> Decoded:
    part = source if isinstance(source, Segment) else Segment(source)
    if isinstance(part.source, tuple):
        waveform, rate = part.source
        return _from_array(waveform, rate, called, part.start, part.end)
    if not isinstance(part.source, str | Path | bytes):
        kind = type(part.source).__name__
        raise ClipError("unreadable", f"{called} is a {kind}; give a path, the bytes of an audio file, or a waveform")
    return decode_file(part.source, called, part.start, part.end)


def _from_array(waveform: Any, rate: Any, called: str, start: float, end: float | None) -> Decoded:
    """Check a waveform and its rate, and cut its segment."""
    try:
        is_whole = not isinstance(rate, bool) and rate == int(rate)
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise ClipError("unreadable", f"{called} has the sampling rate {rate!r}; give a whole number of Hz")
    if isinstance(waveform, torch.Tensor):
        waveform = waveform.detach().cpu()
        waveform = waveform.float() if waveform.is_floating_point() else waveform  # numpy has no bfloat16
    try:
        samples = np.asarray(waveform)
    except Exception as error:  # what else has `__array__` raises what it likes
        raise ClipError("unreadable", f"{called} cannot be made an array: {error!r}") from error
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise ClipError(
            "unreadable",
            f"{called} has {samples.dtype} samples of shape {samples.shape}; give mono floats of full scale 1, for "
            "16-bit integers `samples.astype('float32') / 32768`",
        )
    check_limits(called, int(rate), 1, len(samples))
    first, last = round(start * rate), len(samples) if end is None else round(end * rate)
    check_segment(called, start, end, len(samples) / rate)
    with np.errstate(over="ignore"):  # a number too large for float32 is caught as infinity
        return Decoded(samples[first:last].astype(np.float32, copy=False), int(rate), False)


def _array_duration(waveform: Any, rate: Any) -> float | None:
    try:
        return float(len(waveform) / rate)
    except Exception:  # the fault is named where the clip is read
        return None


def called_in_errors(source: Any, name: Any = None) -> str:
    """Return what errors call a clip: its name and its path, and where its segment starts."""
    path = source.source if isinstance(source, Segment) else source
    names = [each for each in (name, str(path) if isinstance(path, str | Path) else None) if each is not None]
    if not names:
        return "a clip without id or path"
    called = f"clip {names[0]!r}" + "".join(f" ({each!r})" for each in names[1:] if each != names[0])
    return called + (f" from {source.start:g} s" if isinstance(source, Segment) else "")
