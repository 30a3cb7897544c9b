"""Read audio: decode files and bytes, average channels, resample, and name every fault."""

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


# Inside `try:`, so that a checkpoint's code loads without them; only reading audio raises an ImportError.
try:
    import soundfile
except (ImportError, OSError):  # OSError: libsndfile is missing
    soundfile = None
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

AUDIO_SUFFIXES = tuple(suffix for name, suffixes in _SUFFIXES.items() if name in _FORMATS for suffix in suffixes)
"""Endings of the audio files that can be read, in lower case."""

SILENCE_DBFS = -50.0
"""A clip whose loudest 50 ms stay below this level, in dB relative to full scale, counts as silence."""

MIN_SECONDS = 0.06
"""The shortest clip that is not "too short": openSMILE's longest window."""

LOUDEST_PEAK = 100.0
"""No float recording comes near this; 16-bit PCM that was only cast to float is far above."""

PROBLEMS = ("missing", "unreadable", "truncated", "empty", "not finite", "too short", "silent")
"""What may be wrong with a clip. A clip with one of the last two can still be read."""

_UNUSABLE = {"empty": "holds no samples", "not finite": "holds samples that are not finite (NaN or infinite)"}

# libsndfile takes the length of PCM from the file's size, and only notes in its log what the header announced.
_ANNOUNCED = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_PADDING_BYTES = 8
_UNKNOWN_LENGTH = 0x7FFF0000  # programs that write to a pipe announce this or more: they do not know the length
_MP3_SLACK_FRAMES = 2304  # an MP3 header gives the length to a block or two, and an estimate for some encoders
_MP3_SLACK = 0.02


Source = str | Path | bytes | tuple[Any, int]
"""Where a clip is: an audio file, the bytes of one, or a waveform with its rate in Hz."""


class ClipError(ValueError):
    """
    A clip that cannot be read: `problem` is one of [`PROBLEMS`], `detail` the whole message, with the clip's name.

    A data loader builds the error of a worker again from one text, so `detail` must have a default.
    """

    def __init__(self, problem: str, detail: str | None = None):
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = problem if detail is None else detail

    def __str__(self) -> str:
        return self.detail


def level_dbfs(samples: np.ndarray, sampling_rate: int) -> float:
    """Return the level of the loudest 50 ms: root mean square about the mean in dB full scale, -inf for silence."""
    window = max(1, sampling_rate // 20)
    centred = samples - samples.mean()  # a constant offset is not sound
    frames = len(centred) // window
    if frames == 0:
        energy = float(np.mean(centred**2))
    else:
        energy = float(np.mean(centred[: frames * window].reshape(frames, window) ** 2, axis=1).max())
    return 10 * float(np.log10(energy)) if energy > 0 else float("-inf")


def clip_problem(samples: np.ndarray, sampling_rate: int) -> str | None:
    """
    Return what is wrong with mono samples of full scale 1: `"empty"`, `"not finite"`, `"too short"` (under 60 ms),
    `"silent"` (the loudest 50 ms are below -50 dB full scale), or `None`.
    """
    if len(samples) == 0:
        return "empty"
    if not np.isfinite(samples).all():
        return "not finite"
    if len(samples) < MIN_SECONDS * sampling_rate:
        return "too short"
    if level_dbfs(samples, sampling_rate) < SILENCE_DBFS:
        return "silent"
    return None


def decode_audio(source: Source, name: Any = None) -> tuple[np.ndarray, int]:
    """
    Decode a clip at its own rate.

    Args:
        source (`str`, `Path`, `bytes` or `tuple`): An audio file, the bytes of one, or a waveform with its rate.
        name (*optional*): What errors call the clip; by default its path.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)`, channels averaged, and their rate in Hz.

    Raises:
        ClipError: The clip is missing, unreadable or truncated. A cut Ogg file is read as a short one, because its
            header does not give its length.
        ImportError: soundfile is not installed.
    """
    called = _called(source, name)
    if isinstance(source, tuple):
        return _checked(*source, called)
    _require(soundfile, "soundfile", "Decoding audio")
    if not isinstance(source, bytes) and not Path(source).is_file():
        is_folder = Path(source).is_dir()
        raise ClipError("missing", f"{called}: " + ("a folder, not a file" if is_folder else "there is no such file"))
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source)) as file:
            return _decode(file, called), file.samplerate
    except soundfile.LibsndfileError as error:
        raise ClipError("unreadable", f"{called} cannot be read as audio: {error.error_string}") from error
    except UnicodeEncodeError as error:
        raise ClipError("unreadable", f"{called}: the file's name is not UTF-8; rename the file") from error


def read_audio(source: Source, sampling_rate: int, name: Any = None) -> np.ndarray:
    """
    Read a clip at the rate in Hz that a model takes, as float32 samples of shape `(samples,)`.

    A file gives the same samples as `transformers.audio_utils.load_audio` with its soundfile backend: channels
    averaged, resampled by soxr's high quality. Arguments and errors are those of [`decode_audio`]; a clip that is empty
    or not finite is a `ClipError` too.
    """
    return read_and_check(source, sampling_rate, name)[0]


def read_and_check(source: Source, sampling_rate: int, name: Any = None) -> tuple[np.ndarray, str | None]:
    """
    Read a clip as [`read_audio`] does; return its samples, and `"too short"`, `"silent"` or `None` as its problem.

    The clip is checked at its own rate, see [`clip_problem`].
    """
    samples, rate = decode_audio(source, name)
    problem = clip_problem(samples, rate)
    if problem in _UNUSABLE:
        raise ClipError(problem, f"{_called(source, name)} {_UNUSABLE[problem]}")
    return resample(samples, rate, sampling_rate), problem


def resample(samples: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    """Bring mono samples from one rate in Hz to another: float32, with the number of samples rounded up."""
    if rate != sampling_rate:
        _require(soxr, "soxr", "Resampling audio")
        length = math.ceil(len(samples) * sampling_rate / rate)
        samples = soxr.resample(samples, rate, sampling_rate, quality="soxr_hq")
        samples = np.pad(samples, (0, max(0, length - len(samples))))[:length]
    return np.ascontiguousarray(samples, dtype=np.float32)


def audio_duration(source: Source) -> float | None:
    """Return the length of a clip in seconds, for a file from its header; `None` if that cannot be read."""
    if isinstance(source, tuple):
        return np.asarray(source[0]).size / source[1]
    _require(soundfile, "soundfile", "Reading audio")
    try:
        return soundfile.info(io.BytesIO(source) if isinstance(source, bytes) else str(source)).duration
    except (soundfile.LibsndfileError, OSError, UnicodeEncodeError):
        return None


def clip_source(row: Mapping[str, Any]) -> Source:
    """
    Return where the clip of a row is.

    Args:
        row (`Mapping[str, Any]`): With `path`, an audio file; or `audio`: the bytes of one, its path, or a dictionary
            with `bytes`, `path`, or `array` and `sampling_rate`, as `datasets.Audio` gives it; or `array` and
            `sampling_rate`. `path` goes first. `id` is what errors call the clip.

    Raises:
        ClipError: There is none of them, or `audio` is something else.
    """
    if row.get("path"):
        return str(row["path"])
    audio = row if row.get("array") is not None else row.get("audio")
    called = _called(None, row.get("id"))
    if isinstance(audio, Mapping) and audio.get("array") is not None:
        if not audio.get("sampling_rate"):
            raise ClipError("unreadable", f"{called} has `array` without its `sampling_rate`; add that, in Hz")
        return audio["array"], int(audio["sampling_rate"])
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


def _checked(waveform: Any, rate: int, called: str) -> tuple[np.ndarray, int]:
    samples = np.asarray(waveform)
    if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
        raise ClipError(
            "unreadable",
            f"{called} has {samples.dtype} samples of shape {samples.shape}; give mono floats of full scale 1",
        )
    return samples.astype(np.float32, copy=False), rate


def _require(module: Any, package: str, purpose: str) -> None:
    if module is None:
        raise ImportError(f"{purpose} needs the package {package!r}: pip install {package}")


def _called(source: Source | None, name: Any) -> str:
    path = str(source) if isinstance(source, str | Path) else None
    names = list(dict.fromkeys(each for each in (name, path) if each is not None))
    if not names:
        return "a clip without id or path"
    return f"clip {names[0]!r}" + "".join(f" ({each!r})" for each in names[1:])


def _decode(file: Any, called: str) -> np.ndarray:
    """Decode an open file to mono samples, and check the length that its header announces."""
    for announced, available in (map(int, pair) for pair in _ANNOUNCED.findall(file.extra_info)):
        if announced < _UNKNOWN_LENGTH and announced - available > _PADDING_BYTES:
            raise ClipError(
                "truncated", f"{called} is truncated: its header announces {announced} bytes, {available} are there"
            )
    announced = file.frames
    try:
        samples = file.read(dtype="float32", always_2d=True)  # (frames, channels)
    except soundfile.LibsndfileError as error:
        raise ClipError(
            "truncated",
            f"{called} is truncated or damaged: its header announces {announced} frames, and decoding stops before "
            f"their end ({error.error_string})",
        ) from error
    slack = _MP3_SLACK_FRAMES + _MP3_SLACK * announced if file.format == "MP3" else 0
    if len(samples) < announced - slack:
        raise ClipError(
            "truncated", f"{called} is truncated: its header announces {announced} frames, {len(samples)} are there"
        )
    # As transformers and librosa average, to the last bit.
    return samples.T.mean(axis=0) if samples.shape[1] > 1 else samples[:, 0]
