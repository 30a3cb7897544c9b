"""Decode audio in blocks: from a file or bytes to mono samples, within limits, by libsndfile or else by ffmpeg."""

import errno
import io
import os
import re
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from .lengths_smoothclap import mp3_gives_length, with_length


# Inside `try:`, so that a checkpoint's code loads without it; only reading audio raises an ImportError.
try:
    import soundfile
except (ImportError, OSError):  # OSError: libsndfile is missing
    soundfile = None


LIMITS = {"SECONDS": 6 * 3600, "SAMPLES": 500_000_000, "RATE": 384_000, "CHANNELS": 64}
"""
What a clip may have at most: seconds, samples of one channel (2 GB as they are read), Hz, and channels. Environment
variables replace them: `SMOOTHCLAP_MAX_SECONDS`, and so on.
"""

LOWEST_RATE = 1000
"""In Hz; no speech is sampled below."""

PROBLEMS = (
    "missing",
    "unreadable",
    "truncated",
    "too long",
    "impossible segment",
    "empty",
    "not finite",
    "out of scale",
    "too short",
    "channels cancel",
    "silent",
)
"""What may be wrong with a clip. A clip with one of the last three can still be read."""

BLOCK = 1 << 18
"""Frames that are decoded together."""

_UNKNOWN_FRAMES = 1 << 62  # libsndfile gives the largest integer for a length that the header does not give
_CANCELLED = 1e-3  # power of the average by that of the channels
_CANCELLED_BELOW = 1e-5  # power of channels that are silent anyway
_SEGMENT_SLACK = 0.01  # in seconds: tables round the ends of segments

# libsndfile takes the length of PCM from the file's size, and only notes in its log what the header announced.
_ANNOUNCED = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_SURPLUS_BYTES = 36  # padding, or a header that a program counted among the data
_UNKNOWN_BYTES = 0x7FFF0000  # programs that write to a pipe announce this or more: they do not know the length
_MP3_SLACK_FRAMES = 2304  # an MP3 header gives the length to a block or two, and an estimate for some encoders
_MP3_SLACK = 0.02
_MP3_HEAD = 1 << 14  # bytes in which the length of an MP3 file usually is
_DAMAGED_WAV = re.compile(r"^RIFF : (\d+)$.*^data : (\d+)$.*Unknown chunk marker", re.MULTILINE | re.DOTALL)
_OGG_START = re.compile(rb"OggS\0[\x02\x06]")

_NOT_AUDIO = {
    b"version https://git-lfs": "a Git LFS pointer, not the audio: fetch that with `git lfs pull`",
    b"/annex/objects": "a git-annex pointer, not the audio: fetch that with `git annex get`",
    b"<!doctype html": "a web page, not audio: download the file again",
    b"<html": "a web page, not audio: download the file again",
    b"pk\x03\x04": "a ZIP archive, not audio: unpack it",
}
_ONLY_FFMPEG = re.compile(
    rb"(?P<WebM>\x1aE\xdf\xa3)|(?P<MP4>....ftyp)|(?P<AMR>#!AMR)|(?P<WMA>0&\xb2u\x8ef\xcf\x11)|(?P<AAC>\xff[\xf0\xf1\xf8\xf9])",
    re.DOTALL,
)
# Containers of sound. Others, such as playlists, could make ffmpeg read further files.
_FFMPEG_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,eac3,flac,flv,matroska,mov,mp3,mpc,mpc8,mpegts,ogg,shn,tta,voc,"
    "w64,wav,wv"
)

_FFMPEG_PLACE = re.compile(r"^(\[[^]]* @ 0x\w+\]|file:\S+:) ")  # ours is the clip's name


class ClipError(ValueError):
    """
    A clip that cannot be used: `problem` is one of [`PROBLEMS`], `detail` the whole message, with the clip's name.

    A data loader builds the error of a worker again from one text, so `detail` must have a default.
    """

    def __init__(self, problem: str, detail: str | None = None):
        super().__init__(problem, detail)
        self.problem = problem
        self.detail = problem if detail is None else detail

    def __str__(self) -> str:
        return self.detail


class Decoded(NamedTuple):
    """Float32 samples of shape `(samples,)`, their rate in Hz, and whether channels cancelled when averaged."""

    samples: np.ndarray
    rate: int
    cancelled: bool


class Sound(NamedTuple):
    """An open file: `read(n)` gives its next n frames, float32 `(frames, channels)`, or fewer at its end."""

    rate: int
    channels: int
    frames: int | None  # as its header announces
    read: Callable[[int], np.ndarray]
    slack: float = 0  # of what is announced, in frames
    seek: Callable[[int], Any] | None = None  # where that is exact


def decode_file(source: str | Path | bytes, called: str, start: float = 0.0, end: float | None = None) -> Decoded:
    """
    Decode an audio file, or the bytes of one, from `start` to `end` in seconds; `called` names it in errors.

    Raises:
        ClipError: The file is missing, unreadable, truncated or too long, or has no such segment.
        ImportError: soundfile is not installed.
    """
    with open_sound(source, called) as sound:
        return decode_part(sound, called, start, end)


@contextmanager
def open_sound(source: str | Path | bytes, called: str) -> Iterator[Sound]:
    """Open an audio file, or the bytes of one; what fails in the block is a [`ClipError`], see [`decode_file`]."""
    require_soundfile("Decoding audio")
    for name in LIMITS:
        _limit(name)  # a wrong setting is not a fault of the clip
    head = _head(source, called)
    for beginning, what in _NOT_AUDIO.items():
        if head.lstrip().lower().startswith(beginning):
            raise ClipError("unreadable", f"{called} is {what}")
    try:
        with _opened(source, head, called) as sound:
            yield sound
    except ClipError:
        raise
    except UnicodeEncodeError as error:
        raise ClipError("unreadable", f"{called}: the file's name is not UTF-8; rename the file") from error
    except Exception as error:  # decoders raise what they like
        raise ClipError("unreadable", f"{called} cannot be decoded: {error!r}") from error


def file_duration(source: str | Path | bytes) -> float | None:
    """Return the seconds of an audio file by its header, or `None` if that cannot be read."""
    require_soundfile("Reading audio")
    try:
        head = _head(source, "", _MP3_HEAD)
        info = soundfile.info(io.BytesIO(source) if isinstance(source, bytes) else str(source))
        if info.format == "MP3" and not mp3_gives_length(head):
            return None  # libsndfile estimates it
    except Exception:  # the fault is named where the clip is decoded
        return None
    return info.frames / info.samplerate if info.samplerate and info.frames < _UNKNOWN_FRAMES else None


def require_soundfile(purpose: str) -> None:
    """Raise an `ImportError` if soundfile is missing."""
    if soundfile is None:
        raise ImportError(f"{purpose} needs the package 'soundfile': pip install soundfile")


def check_limits(called: str, rate: int, channels: int, frames: int) -> None:
    """Raise a [`ClipError`] if a clip is beyond [`LIMITS`], before its samples take memory."""
    if not LOWEST_RATE <= rate <= _limit("RATE"):
        fix = "if that is right, set SMOOTHCLAP_MAX_RATE" if rate > LOWEST_RATE else "correct its header"
        raise ClipError("unreadable", f"{called} claims a sampling rate of {rate} Hz; {fix}")
    if not 1 <= channels <= _limit("CHANNELS"):
        fix = "if that is right, set SMOOTHCLAP_MAX_CHANNELS" if channels else "correct its header"
        raise ClipError("unreadable", f"{called} claims {channels} channels; {fix}")
    for name, value in (("SECONDS", frames / rate), ("SAMPLES", frames)):
        if value > _limit(name):
            raise ClipError(
                "too long",
                f"{called} has {value:,.0f} {name.lower()}, more than {_limit(name):,.0f}; cut it into parts, or set "
                f"SMOOTHCLAP_MAX_{name}",
            )


def check_segment(called: str, start: float, end: float | None, seconds: float) -> None:
    """Raise a [`ClipError`] if a clip of so many seconds has no such segment, but for the rounding of its end."""
    if (start and start >= seconds) or (end is not None and end > seconds + _SEGMENT_SLACK):
        raise ClipError(
            "impossible segment",
            f"{called} has no segment from {start:g} s to {'its end' if end is None else f'{end:g} s'}: it ends at "
            f"{seconds:g} s; correct `start` and `end`",
        )


def _limit(name: str) -> float:
    text = os.environ.get(f"SMOOTHCLAP_MAX_{name}", str(LIMITS[name]))
    try:
        if (value := float(text)) >= 1:
            return value
    except ValueError:
        pass
    raise ValueError(f"SMOOTHCLAP_MAX_{name} is {text!r}; give a number of at least 1")


def _head(source: str | Path | bytes, called: str, size: int = 64) -> bytes:
    """Return the first bytes; raise a ClipError if there is no plain file that can be opened."""
    if isinstance(source, bytes):
        return source[:size]
    try:
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            raise ClipError("missing", f"{called}: a folder, not a file")
        if not stat.S_ISREG(mode):
            raise ClipError("unreadable", f"{called} is not a plain file")
        with open(source, "rb") as file:
            return file.read(size)
    except ClipError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        link = f"; it is a link to {os.readlink(source)!r}" if os.path.islink(source) else ""
        raise ClipError("missing", f"{called}: there is no such file{link}") from error
    except UnicodeEncodeError as error:
        raise ClipError("unreadable", f"{called}: the file's name is not UTF-8; rename the file") from error
    except ValueError as error:
        raise ClipError("missing", f"{called}: no file can have this name ({error})") from error
    except OSError as error:
        problem = "missing" if error.errno == errno.ENAMETOOLONG else "unreadable"
        raise ClipError(problem, f"{called} cannot be opened: {error.strerror}") from error


@contextmanager
def _opened(source: str | Path | bytes, head: bytes, called: str) -> Iterator[Sound]:
    """Open a file by libsndfile, and what that cannot open by ffmpeg."""
    foreign = _ONLY_FFMPEG.match(head)
    try:
        file, announced = (None, None) if foreign else _libsndfile(source, called)
    except soundfile.LibsndfileError as error:
        file, fault = None, str(error.error_string).rstrip(".") if head else "the file is empty"
    if file is None:
        with _ffmpeg(source, called, f"it is {foreign.lastgroup}" if foreign else fault) as sound:
            yield sound
        return
    with file:
        is_mp3 = file.subtype.startswith("MPEG")
        slack = _MP3_SLACK_FRAMES + _MP3_SLACK * (announced or 0) if is_mp3 else 0
        is_exact = file.format == "FLAC" or file.subtype.startswith(("PCM", "FLOAT", "DOUBLE", "ULAW", "ALAW"))

        def read(frames: int) -> np.ndarray:
            try:
                return file.read(frames, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise ClipError(
                    "truncated",
                    f"{called} is truncated or damaged: decoding stops before its end ({error.error_string})",
                ) from error

        yield Sound(file.samplerate, file.channels, announced, read, slack, file.seek if is_exact else None)


def _libsndfile(source: str | Path | bytes, called: str) -> tuple[Any, int | None]:
    """Open a file, and return how many frames it announces; without that, libsndfile is made to read to the end."""
    file = soundfile.SoundFile(io.BytesIO(source) if isinstance(source, bytes) else str(source))
    for announced, available in (map(int, pair) for pair in _ANNOUNCED.findall(file.extra_info)):
        if announced < _UNKNOWN_BYTES and announced - available > _SURPLUS_BYTES:
            file.close()
            raise ClipError(
                "truncated", f"{called} is truncated: its header announces {announced} bytes, {available} are there"
            )
    for whole, announced in (map(int, pair) for pair in _DAMAGED_WAV.findall(file.extra_info)):
        if whole > 2 * announced > 0:
            raise ClipError(
                "truncated",
                f"{called} is damaged: its header announces {announced} bytes of samples, {whole} are there",
            )
    frames: int | None = file.frames
    if file.format in ("MP3", "OGG") or not 0 < file.frames < _UNKNOWN_FRAMES:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        if file.format == "OGG" and any(each.start() > len(data) // 100 for each in _OGG_START.finditer(data)):
            raise ClipError(
                "truncated", f"{called} holds several recordings, of which only the first would be read: split it"
            )
        if (completed := with_length(data, file.frames)) is not None:
            file.close()
            file, frames = soundfile.SoundFile(io.BytesIO(completed)), None
    file.seekable = lambda: False  # else soundfile seeks after every block, after which lossy formats differ
    return file, frames


@contextmanager
def _ffmpeg(source: str | Path | bytes, called: str, fault: str) -> Iterator[Sound]:
    """Open a file by the program ffmpeg; `fault` says why libsndfile could not."""
    fault = f"{called} cannot be read as audio: {fault}"
    if (program := shutil.which("ffmpeg")) is None:
        raise ClipError("unreadable", f"{fault}; install ffmpeg, which reads more formats, or convert the file to WAV")
    with tempfile.NamedTemporaryFile() as copied, tempfile.TemporaryFile() as log:
        if isinstance(source, bytes):
            copied.write(source)
            copied.flush()
        path = os.path.abspath(copied.name if isinstance(source, bytes) else source)
        options = ["-protocol_whitelist", "file", "-format_whitelist", _FFMPEG_FORMATS, "-i", f"file:{path}"]
        output = ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "pipe:1"]
        command = [program, "-nostdin", "-v", "error", *options, *output]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log) as process:
            try:
                yield _au_sound(process, log, called, fault)
            finally:
                process.kill()


def _au_sound(process: "subprocess.Popen[bytes]", log: IO[bytes], called: str, fault: str) -> Sound:
    """Read the AU header that ffmpeg writes."""

    def complaint() -> str:
        process.wait()
        log.seek(0)
        lines = [_FFMPEG_PLACE.sub("", line.strip()) for line in log.read().decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line and not line.startswith("Last message")), "")

    stream: Any = process.stdout
    header = stream.read(24)
    if len(header) < 24:
        raise ClipError("unreadable", f"{fault}; ffmpeg: {complaint() or 'it gives no sound'}")
    _, offset, _, _, rate, channels = struct.unpack(">6I", header)  # without the length, which ffmpeg does not know
    stream.read(offset - 24)

    def read(frames: int) -> np.ndarray:
        block = np.frombuffer(stream.read(4 * channels * frames), ">f4").astype(np.float32).reshape(-1, channels)
        if len(block) < frames and (why := complaint()):
            raise ClipError("truncated", f"{called} is truncated or damaged; ffmpeg: {why}")
        return block

    return Sound(rate, channels, None, read)


def decode_part(sound: Sound, called: str, start: float, end: float | None) -> Decoded:
    """Decode a part of an open file, block by block; of one that is decoded again, `seek` must go back."""
    rate, announced = sound.rate, sound.frames
    check_limits(called, rate, sound.channels, 0)
    first = round(start * rate)
    if announced is not None:
        check_segment(called, start, end, (announced + sound.slack) / rate)
    until = announced if end is None else round(end * rate)
    wanted = None if until is None else max(0, until - first)
    check_limits(called, rate, sound.channels, wanted or 0)
    skipped = sound.seek(first) if sound.seek else 0
    while skipped < first and len(block := sound.read(min(BLOCK, first - skipped))):
        skipped += len(block)
    samples, cancelled = _averaged(sound, called, wanted)
    if announced is None:
        check_segment(called, start, end, (skipped + len(samples)) / rate)
    elif skipped + len(samples) < min(until or 0, announced) - sound.slack:
        raise truncated(called, announced, first + len(samples))
    return Decoded(samples, rate, cancelled)


def truncated(called: str, announced: int, found: int) -> ClipError:
    """Return the error of a file that ends too early."""
    return ClipError("truncated", f"{called} is truncated: its header announces {announced} frames, {found} are there")


def _averaged(sound: Sound, called: str, wanted: int | None) -> tuple[np.ndarray, bool]:
    """Read up to `wanted` frames, averaged over channels, and say whether the channels cancel each other."""
    samples = np.empty(BLOCK if wanted is None else wanted, dtype=np.float32)
    count, moments = 0, np.zeros((2, sound.channels + 1))  # sums and squares of the channels and their average
    while wanted is None or count < wanted:
        block = sound.read(BLOCK if wanted is None else min(BLOCK, wanted - count))
        if not len(block):
            break
        check_limits(called, sound.rate, sound.channels, count + len(block))
        if count + len(block) > len(samples):
            samples.resize((count + len(block)) * 3 // 2, refcheck=False)
        # As transformers and librosa average, to the last bit.
        mono = block.T.mean(axis=0) if sound.channels > 1 else block[:, 0]
        samples[count : count + len(block)] = mono
        count += len(block)
        if sound.channels > 1:
            for index, each in enumerate((*block.T, mono)):
                moments[:, index] += each.sum(), np.vdot(each, each)
    samples.resize(count, refcheck=False)
    sums, squares = moments / max(1, count)
    power = squares - sums**2
    usual = power[:-1].mean()
    return samples, bool(usual > _CANCELLED_BELOW and power[-1] < _CANCELLED * usual)
