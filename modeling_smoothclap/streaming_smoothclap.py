"""Read parts of a long recording one after another, in one pass over its file, with one part in memory."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .audio_smoothclap import Segment, called_in_errors, check_and_resample, decode_audio
from .batching_smoothclap import Clip, read_clip
from .decoding_smoothclap import BLOCK, PROBLEMS, ClipError, Sound, decode_part, open_sound, truncated


_OF_PARTS = PROBLEMS[PROBLEMS.index("empty") :]  # the others are problems of the recording

Recording = str | Path | bytes | tuple[Any, int]
"""A file, the bytes of one, or a waveform with its rate in Hz."""


def recording_seconds(source: Recording) -> float:
    """
    Return the length of a recording.

    A file of a format whose header may be missing or wrong (MP3, Ogg, m4a) is decoded to its end, block by block.

    Raises:
        ClipError: if the recording cannot be read.
    """
    if isinstance(source, tuple):
        samples, rate = decode_audio(source)
        return len(samples) / rate
    called = called_in_errors(source)
    with open_sound(source, called) as sound:
        if sound.seek and sound.frames is not None:
            return sound.frames / sound.rate
        frames = 0
        while count := len(sound.read(BLOCK)):
            frames += count
        if sound.frames is not None and frames < sound.frames - sound.slack:
            raise truncated(called, sound.frames, frames)
        return frames / sound.rate


def read_parts(source: Recording, parts: Sequence[tuple[float, float]], sampling_rate: int) -> Iterator[Clip]:
    """
    Yield parts of a recording, each with the samples that [`~audio_smoothclap.read_audio`] gives of it.

    Args:
        source (`Recording`): Where it is.
        parts (`Sequence[tuple[float, float]]`): Start and end in seconds, in the order of their start.
        sampling_rate (`int`): The rate of what is yielded, in Hz.

    Raises:
        ClipError: if the recording cannot be read or has no such part. What is wrong with the samples of one part is
            the problem of its [`~batching_smoothclap.Clip`].
    """
    clips: Iterator[Clip]
    if isinstance(source, tuple):
        clips = (read_clip(Segment(source, *part), number, sampling_rate) for number, part in enumerate(parts))
    else:
        clips = _from_file(source, parts, sampling_rate)
    for clip in clips:
        if clip.problem and clip.problem.problem not in _OF_PARTS:
            raise clip.problem
        yield clip


def _from_file(source: str | Path | bytes, parts: Sequence[tuple[float, float]], sampling_rate: int) -> Iterator[Clip]:
    called = called_in_errors(source)
    with open_sound(source, called) as sound:
        sound = sound if sound.seek else _with_seek(sound)
        for start, end in parts:
            decoded = decode_part(sound, called, start, end)
            try:
                clip = Clip(*check_and_resample(decoded, sampling_rate, f"{called} from {start:g} s"))
            except ClipError as error:
                clip = Clip(None, error)
            yield clip


def _with_seek(sound: Sound) -> Sound:
    """Let a sound that can only be read on go back to where it last went, by keeping what was read since."""
    kept, first, place = np.empty((0, sound.channels), np.float32), 0, 0

    def seek(frame: int) -> int:
        nonlocal kept, first, place
        while first + len(kept) < frame and len(block := sound.read(min(BLOCK, frame - first - len(kept)))):
            first, kept = first + len(kept), block
        dropped = min(frame - first, len(kept))
        first, kept = first + dropped, kept[dropped:].copy()
        place = first
        return first

    def read(frames: int) -> np.ndarray:
        nonlocal kept, place
        missing = place + frames - first - len(kept)
        if missing > 0:
            kept = np.concatenate([kept, sound.read(missing)])
        block = kept[place - first :][:frames]
        place += len(block)
        return block

    return sound._replace(seek=seek, read=read)
