"""Feed clips to a model: longest first, decoded ahead, in batches of limited number and padded length."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from transformers.utils import logging

from .audio_smoothclap import ClipError, Segment, Source, audio_duration, clip_source, read_and_check


logger = logging.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

SECONDS_PER_CLIP = 10
"""
A batch holds at most `batch_size` times this many seconds, padding included. So `batch_size` bounds the memory, however
long the longest clip is. Most clips of speech emotion corpora are shorter; for them only `batch_size` counts.
"""

AHEAD = 4
"""Items that wait for each worker: enough to keep it busy, few enough for memory."""


QUIET_BATCHES = 4
"""So many are over before a progress bar would be read."""


class Clip(NamedTuple):
    """Samples of a clip, unless it cannot be read, and its problem, if it has one."""

    samples: np.ndarray | None
    problem: ClipError | None


def as_clips(audio: Any) -> tuple[Sequence[Any], bool]:
    """Return one clip or many as a sequence, and whether it is one; the rows of a data set are read later."""
    if isinstance(audio, str | Path | bytes | bytearray | memoryview | Mapping | Segment):
        return [audio], True
    if isinstance(audio, np.ndarray | torch.Tensor) and not _holds_clips(audio):
        if audio.ndim != 1:
            raise ValueError(
                f"An array of shape {tuple(audio.shape)} may be one clip of several channels or several clips: average "
                "the channels, or give a list of one-dimensional waveforms."
            )
        return [audio], True
    if not isinstance(audio, Iterable) or hasattr(audio, "read"):
        fix = ": pass what its `read()` gives, as bytes" if hasattr(audio, "read") else ""
        raise ValueError(f"Give clips as paths, bytes, waveforms or rows, not {audio!r}{fix}.")
    if hasattr(audio, "to_dict") and hasattr(audio, "columns"):  # a table of pandas
        return audio.to_dict("records"), False
    clips: Any = audio if hasattr(audio, "column_names") or isinstance(audio, list | tuple) else list(audio)
    if len(clips) and isinstance(clips[0], int | float | np.number):
        raise ValueError("A list of numbers is not a clip: make it an array, `np.array(samples, dtype='float32')`.")
    return clips, False


def _holds_clips(array: np.ndarray | torch.Tensor) -> bool:
    """Whether an array is one of paths or other objects."""
    return isinstance(array, np.ndarray) and array.ndim > 0 and array.dtype.kind in "OSU"


def longest_first(clips: Sequence[Any], sampling_rate: int) -> tuple[list[int], list[int]]:
    """
    Order clips by their length, which for a file is read from its header.

    Returns for each clip its place, which for a repeated path is that of the first one; and the distinct places,
    longest clip first. A clip whose length is not known comes before all others.
    """
    first: dict[Any, int] = {}
    seconds: dict[int, float] = {}
    places = []
    for number in range(len(clips)):
        clip = clips[number]
        key = str(clip) if isinstance(clip, Path) else clip
        place = first.setdefault(key, number) if _is_named(key) else number
        if place == number:
            seconds[place] = _seconds(clip, sampling_rate)
        places.append(place)
    return places, sorted(seconds, key=seconds.__getitem__, reverse=True)  # stable


def read_clip(clip: Any, number: int, sampling_rate: int) -> Clip:
    """Read one of [`as_clips`]; `number` is its name in errors if it has no other."""
    name = clip.get("id") if isinstance(clip, Mapping) else None
    try:
        source = _source(clip, sampling_rate)
        return Clip(*read_and_check(source, sampling_rate, number if name is None and not _is_named(source) else name))
    except ClipError as error:
        return Clip(None, error)


def longest_batch(batch_size: int, sampling_rate: int) -> int:
    """Return how many samples a batch of clips holds at most, padding included."""
    return SECONDS_PER_CLIP * batch_size * sampling_rate


def limited_groups(
    read: Iterable[tuple[int, Clip]], batch_size: int, sampling_rate: int
) -> Iterator[list[tuple[int, Clip]]]:
    """Yield clips, in their order, in groups of at most `batch_size` clips and [`SECONDS_PER_CLIP`] for each."""
    limit = longest_batch(batch_size, sampling_rate)
    group: list[tuple[int, Clip]] = []
    longest = 0
    for place, clip in read:
        length = 0 if clip.samples is None else len(clip.samples)
        if group and (len(group) == batch_size or max(longest, length) * (len(group) + 1) > limit):
            yield group
            group, longest = [], 0
        group.append((place, clip))
        longest = max(longest, length)
    if group:
        yield group


def batches_by_length(
    lengths: Sequence[int], batch_size: int, only_equal: bool, limit: float = math.inf
) -> Iterator[list[int]]:
    """
    Yield indices of clips or texts that go together, shortest first, at most `batch_size`.

    With `only_equal` only equal lengths go together, for a model that padding would disturb. `limit` is how much a
    batch of several may hold, padding included.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        is_full = len(batch) == batch_size or lengths[index] * (len(batch) + 1) > limit
        if batch and (is_full or (only_equal and lengths[index] != lengths[batch[0]])):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int, pool: Executor | None = None
) -> Iterator[Result]:
    """
    Yield `function(item)` in order, computed a few items ahead in threads; with one worker, when it is needed.

    `pool` replaces the threads. It is shut down at the end, or when the iterator is closed.
    """
    if num_workers == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = pool or ThreadPoolExecutor(num_workers)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= AHEAD * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def report_unread(unread: Sequence[ClipError], count: int, policy: str) -> None:
    """Raise a ValueError about clips that cannot be read, or with the policy "skip" log a warning."""
    if count == 1:
        raise unread[0]
    if policy == "skip" and len(unread) < count:
        logger.warning(f"{len(unread)} of {count} clips cannot be read; their embeddings are NaN. One is: {unread[0]}")
        return
    listed = first_lines(sorted(map(str, unread)))
    raise ValueError(f"{len(unread)} of {count} clips cannot be read; fix or remove them:\n  {listed}")


def first_lines(lines: Sequence[str], most: int = 20) -> str:
    """Join lines for an error: the first ones, indented, and how many more there are."""
    more = [f"... and {len(lines) - most} more"] if len(lines) > most else []
    return "\n  ".join([*lines[:most], *more])


def _source(clip: Any, sampling_rate: int) -> Source:
    if isinstance(clip, Mapping):
        return clip_source(clip)
    if isinstance(clip, bytearray | memoryview):
        return bytes(clip)
    return clip if isinstance(clip, str | Path | bytes | Segment) else (clip, sampling_rate)


def _is_named(source: Any) -> bool:
    """Whether errors can call a clip by its path, by which it is also recognised when it is repeated."""
    return isinstance(source.source if isinstance(source, Segment) else source, str | Path)


def _seconds(clip: Any, sampling_rate: int) -> float:
    try:
        duration = audio_duration(_source(clip, sampling_rate))
    except ClipError:
        return math.inf
    return math.inf if duration is None else duration
