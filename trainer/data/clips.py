"""Reading the clip of a manifest row: from its file or from encoded bytes, with every fault by name."""

import io
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from datasets import Audio, Dataset



SILENCE_DBFS = -50.0
"""A clip whose loudest 50 ms stay below this level, in dB relative to full scale, counts as silence."""

MIN_SECONDS = 0.06
"""openSMILE's longest window: a shorter clip has no functionals."""
PROBLEMS = ("missing", "unreadable", "truncated", "empty", "not finite", "too short", "silent")
"""What may be wrong with a clip. Those before the last two also keep it from being read."""

# libsndfile takes the length of PCM from the file's size, and only notes in its log what the header announced.
_ANNOUNCED = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_PADDING_BYTES = 8
_UNKNOWN_LENGTH = 0x7FFF0000  # programs that write to a pipe announce this or more: they do not know the length
_MP3_SLACK_FRAMES = 2304  # an MP3 header gives the length to a block or two, and an estimate for some encoders
_MP3_SLACK = 0.02


class ClipError(ValueError):
    """
    A clip that cannot be read.

    Args:
        problem (`str`):
            One of [`PROBLEMS`].
        detail (`str`, *optional*):
            The whole story, with the clip's name; by default the problem. torch makes an error that a data loader's
            worker raised again from one text.
    """

    def __init__(self, problem: str, detail: str | None = None):
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = problem if detail is None else detail

    def __str__(self) -> str:
        return self.detail


def level_dbfs(samples: np.ndarray, sampling_rate: int) -> float:
    """
    Level of the loudest 50 ms.

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            Mono waveform, full scale 1.
        sampling_rate (`int`):
            Its rate in Hz.

    Returns:
        `float`: Root mean square in dB relative to full scale, about its mean; -inf for digital silence.
    """
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
    Says what is wrong with decoded samples, if anything.

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            Mono waveform, full scale 1.
        sampling_rate (`int`):
            Its rate in Hz.

    Returns:
        `str` or `None`: `"empty"`, `"not finite"`, `"too short"` (under 60 ms) or `"silent"` (its loudest 50 ms are
        below -50 dB relative to full scale); `None` for a good clip.
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


def decode_clip_of(row: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """
    Decodes a row's clip at its own rate, mono.

    Args:
        row (`Mapping[str, Any]`):
            With `path`, an audio file, or else `audio`: an encoded file's bytes, or a dictionary with `bytes` or `path`
            as `datasets.Audio(decode=False)` gives it. `id` is what errors call the clip, else its path.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)`, channels averaged, and their rate in Hz.

    Raises:
        ClipError: The clip is missing, unreadable, or truncated: a `ValueError`.
    """
    source = _source(row)
    called = _called(row)
    if source is None:
        raise ClipError("missing", f"{called} has neither `path` nor `audio`")
    if isinstance(source, str) and not Path(source).is_file():
        raise ClipError("missing", f"{called}: there is no such file")
    try:
        with soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            return _decode(file, called), file.samplerate
    except soundfile.LibsndfileError as error:
        raise ClipError("unreadable", f"{called} cannot be read as audio: {error.error_string}") from error


def _source(row: Mapping[str, Any]) -> str | bytes | None:
    if row.get("path"):
        return str(row["path"])
    audio = row.get("audio")
    if isinstance(audio, Mapping):
        audio = audio.get("bytes") or audio.get("path")
    if audio is None or isinstance(audio, str | bytes):
        return audio or None
    raise ClipError(
        "unreadable",
        f"{_called(row)} has `audio` of type {type(audio).__name__}; give the bytes of an audio file, or cast the "
        "column with `datasets.Audio(decode=False)`",
    )


def _called(row: Mapping[str, Any]) -> str:
    names = [row[column] for column in ("id", "path") if row.get(column) is not None]
    if not names:
        return "a clip without id or path"
    return f"clip {names[0]!r}" + (f" ({names[1]!r})" if len(names) > 1 and names[0] != names[1] else "")


def _decode(file: soundfile.SoundFile, called: str) -> np.ndarray:
    """Samples of an open file, mono; its announced length is checked."""
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


def read_clip(row: Mapping[str, Any], sampling_rate: int) -> np.ndarray:
    """
    Reads a row's clip as a model wants it. A file gives the same samples as `transformers.audio_utils.load_audio`
    with its soundfile backend: channels averaged, resampled by soxr's high quality.

    Args:
        row (`Mapping[str, Any]`):
            With `path`, an audio file, or else `audio`: an encoded file's bytes, or a dictionary with `bytes` or `path`
            as `datasets.Audio(decode=False)` gives it. `id` is what errors call the clip, else its path.
        sampling_rate (`int`):
            The wanted rate in Hz.

    Returns:
        `np.ndarray` of shape `(samples,)`: float32 mono.

    Raises:
        ClipError: The clip is missing, unreadable, empty, truncated or not finite: a `ValueError` with its `id`.
        A cut Ogg file passes as a short one, for its header announces no length.
    """
    samples, rate = decode_clip_of(row)
    problem = clip_problem(samples, rate)
    if problem in ("empty", "not finite"):
        story = "holds no samples" if problem == "empty" else "holds samples that are not finite (NaN or infinite)"
        raise ClipError(problem, f"{_called(row)} {story}")
    return resampled(samples, rate, sampling_rate)


def resampled(samples: np.ndarray, rate: int, sampling_rate: int) -> np.ndarray:
    """
    Brings decoded samples to another rate.

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            Mono waveform.
        rate (`int`):
            Its rate in Hz.
        sampling_rate (`int`):
            The wanted rate in Hz.

    Returns:
        `np.ndarray` of shape `(samples * sampling_rate / rate,)`, rounded up: float32.
    """
    if rate != sampling_rate:
        length = math.ceil(len(samples) * sampling_rate / rate)
        samples = soxr.resample(samples, rate, sampling_rate, quality="soxr_hq")
        samples = np.pad(samples, (0, max(0, length - len(samples))))[:length]
    return np.ascontiguousarray(samples, dtype=np.float32)


def with_encoded_audio(rows: Dataset) -> Dataset:
    """
    Leaves `audio` encoded, so that reading a row does not decode it.

    Args:
        rows (`Dataset`):
            Any rows.

    Returns:
        `Dataset`: With an `audio` column of `datasets.Audio` cast to `Audio(decode=False)`; else the same.
    """
    if isinstance(rows.features.get("audio"), Audio):
        return rows.cast_column("audio", Audio(decode=False))
    return rows


def clip_columns(rows: Dataset) -> Dataset:
    """
    Takes only what reading a clip needs, so that other columns need not travel to workers.

    Args:
        rows (`Dataset`):
            Manifest rows.

    Returns:
        `Dataset`: `id`, `path` and `audio`, those that there are.

    Raises:
        ValueError: There is neither `path` nor `audio`.
    """
    if not {"path", "audio"} & set(rows.column_names):
        raise ValueError(f"rows need `path` or `audio`; they have {rows.column_names}")
    kept = [column for column in ("id", "path", "audio") if column in rows.column_names]
    return with_encoded_audio(rows.select_columns(kept))
