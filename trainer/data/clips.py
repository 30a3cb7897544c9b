"""The clips of manifest rows: read them, find bad ones, and cut training crops."""

import csv
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from zlib import crc32

import numpy as np
import torch
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import (
    AUDIO_SUFFIXES,
    ClipError,
    Segment,
    Source,
    clip_source,
    examine,
    read_audio,
)
from modeling_smoothclap.batching_smoothclap import first_lines

from ..files import file_sha256, whole_file
from .workers import ordered_map


if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset


logger = logging.get_logger(__name__)


def read_clip(row: Mapping[str, Any], sampling_rate: int) -> np.ndarray:
    """Return the mono samples of a row's clip at a rate in Hz, see [`read_audio`]."""
    return read_audio(clip_source(row), sampling_rate, row.get("id"))


def clips_of(rows: "pd.DataFrame") -> list[Source]:
    """Return where the clips of rows with `path` are; of those with `start` or `end`, segments."""
    columns = [name for name in ("id", "path", "start", "end") if name in rows.columns]
    return [clip_source(cast(Any, row)) for row in rows[columns].to_dict("records")]


def encoded_bytes(row: Mapping[str, Any]) -> bytes:
    """Return the bytes of the audio file of a row with `id`, also of a segment; a [`ClipError`] if there is none."""
    source: Any = clip_source(row)
    source = source.source if isinstance(source, Segment) else source
    try:
        return source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ClipError("missing", f"clip {row['id']!r} cannot be read: {error}") from error


def with_encoded_audio(rows: "Dataset") -> "Dataset":
    """Return the rows with `datasets.Audio` columns left encoded, so that reading a row does not decode them."""
    from datasets import Audio

    for name, feature in rows.features.items():
        if isinstance(feature, Audio):
            rows = rows.cast_column(name, Audio(decode=False))
    return rows


def with_column(rows: "Dataset", name: str, values: Sequence[Any]) -> "Dataset":
    """Return the rows with other values in a column, which keeps its place; a new column comes last."""
    columns = rows.column_names
    if name not in columns:
        return rows.add_column(name, values)
    return rows.remove_columns(name).add_column(name, values).select_columns(columns)


def as_table(rows: "Dataset | pd.DataFrame", columns: Sequence[str]) -> "pd.DataFrame":
    """Return those of the columns that the rows have as a pandas table."""
    from datasets import Dataset

    if isinstance(rows, Dataset):
        return cast("pd.DataFrame", rows.select_columns([c for c in columns if c in rows.column_names]).to_pandas())
    return rows[[column for column in columns if column in rows.columns]]


def clip_columns(rows: "Dataset") -> "Dataset":
    """
    Return `id`, `path`, `audio`, `start` and `end`, as far as the rows have them: no others travel to workers.

    Audio stays encoded. A `ValueError` if there is neither `path` nor `audio`.
    """
    if not {"path", "audio"} & set(rows.column_names):
        raise ValueError(f"rows need `path` or `audio`; they have {rows.column_names}")
    kept = [column for column in ("id", "path", "audio", "start", "end") if column in rows.column_names]
    return with_encoded_audio(rows.select_columns(kept))


def find_audio(folder: str | Path) -> list[Path]:
    """
    List the audio files in a folder and below it, in the order of their paths.

    A warning counts what is left out: hidden names, folders that are links or cannot be read, pipes and devices, and
    files whose suffix is not in [`~modeling_smoothclap.audio_smoothclap.AUDIO_SUFFIXES`]. Links to files are followed.
    A `ValueError` if there is no such folder, or no audio file in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"There is no folder {str(folder)!r}. Give a folder of audio files.")
    found: list[Path] = []
    left_out: dict[str, list[str]] = {}

    def leave_out(reason: str, path: str | Path) -> None:
        left_out.setdefault(reason, []).append(Path(path).relative_to(folder).as_posix())

    for parent, folders, files in os.walk(folder, onerror=lambda error: leave_out("unreadable folder", error.filename)):
        for path in [Path(parent, name) for name in folders]:
            if path.name.startswith(".") or path.is_symlink():
                leave_out("hidden" if path.name.startswith(".") else "linked folder", path)
                folders.remove(path.name)
        for path in [Path(parent, name) for name in files]:
            if reason := _reason_to_leave_out(path):
                leave_out(reason, path)
            else:
                found.append(path)
    counted = [
        f"{len(names)} {reason} ({', '.join(sorted(names)[:3])}{', ...' if len(names) > 3 else ''})"
        for reason, names in sorted(left_out.items())
    ]
    listed = f"; left out: {', '.join(counted)}" if counted else ""
    if not found:
        raise ValueError(f"There is no audio file in {str(folder)!r}{listed}. Formats: {', '.join(AUDIO_SUFFIXES)}.")
    if counted:
        logger.warning(f"{str(folder)!r} has {len(found)} audio files{listed}")
    return sorted(found, key=Path.as_posix)


def _reason_to_leave_out(path: Path) -> str | None:
    if path.name.startswith("."):
        return "hidden"
    if path.suffix.lower() not in AUDIO_SUFFIXES:
        return path.suffix.lower() or "without suffix"
    return "not a file" if os.path.exists(path) and not os.path.isfile(path) else None


RECORDING = "recording_sha256"
"""Column with the SHA-256 of the audio file that a clip is, or is a part of."""
SEGMENT = ("start", "end")
"""Columns that make a row's clip a part of its file, in seconds."""

POLICIES = ("raise", "skip", "trust")
"""What to do about bad clips: raise an error that lists them; leave them out, with a warning; skip the check."""
SHOWN = 50
"""An error lists at most this many bad clips; a report lists all."""
CLIPS_PER_BATCH = 16


@dataclass(frozen=True)
class BadClip:
    """A clip that cannot be used: its id, file name or row number, kind of fault, whole message, and file."""

    name: str
    problem: str
    detail: str
    path: str | None = None

    def line(self) -> str:
        """Return a line that names the clip once; a clip with an id, of which `detail` adds the path, twice."""
        rest = self.detail.removeprefix(f"clip {self.name!r}").lstrip(": ")
        return f"{self.name}: {self.problem} ({self.detail if rest.startswith('(') else rest})"


def apply_policy(bad: Sequence[BadClip], count: int, policy: str, report: str | Path | None = None) -> None:
    """
    Apply a policy, one of [`POLICIES`], to the bad ones of `count` clips.

    `"skip"` warns, and the caller leaves the clips out; it writes `id`, `path`, `problem` and `detail` of each to the
    CSV file `report`, also if no clip is bad. Clips found bad without a check are an error under `"trust"`, too.

    Raises:
        ValueError: The policy is unknown; or there are bad clips, and the policy is not `"skip"` or no clip is good.
    """
    if policy not in POLICIES:
        raise ValueError(f"unknown policy {policy!r} for bad clips; give one of {POLICIES}")
    if policy == "skip" and report is not None:
        _write_report(bad, report)
    if not bad:
        return
    counts = ", ".join(f"{n} {problem}" for problem, n in Counter(clip.problem for clip in bad).most_common())
    if policy == "skip" and len(bad) < count:
        where = f"; listed in {str(report)!r}" if report is not None else ""
        logger.warning(f"{len(bad)} of {count} clips are left out: {counts}{where}")
        return
    lines = [clip.line() for clip in bad]
    fix = "fix them"
    if len(bad) < count:
        fix += ', or leave them out: --bad-clips skip (in YAML: bad_clips: skip, in Python: bad_clips="skip")'
    raise ValueError(f"{len(bad)} of {count} clips are bad ({counts}); {fix}:\n  {first_lines(lines, SHOWN)}")


def _write_report(bad: Sequence[BadClip], report: str | Path) -> None:
    with whole_file(report) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "path", "problem", "detail"))
        writer.writerows((clip.name, clip.path, clip.problem, clip.detail) for clip in bad)


def encode_good_clips(
    encoder: Any, clips: Mapping[str, Any], batch_size: int, num_workers: int
) -> tuple[dict[str, np.ndarray], list[BadClip]]:
    """Return the embeddings of good clips by name, and the bad clips."""
    if not clips:
        return {}, []
    problems: dict[int, ClipError] = {}
    names, sources = list(clips), list(clips.values())
    try:
        embeds = encoder.encode_audio(sources, batch_size, None, num_workers, bad_clips="skip", problems=problems)
    except ValueError:
        if len(problems) < len(names):
            raise
        embeds = np.empty((0, 0))  # there is no good clip among them
    bad = [BadClip(names[place], fault.problem, str(fault)) for place, fault in sorted(problems.items())]
    return {name: embeds[place] for place, name in enumerate(names) if place not in problems}, bad


class GoodClip(NamedTuple):
    """The length of a clip in seconds, and the SHA-256 of its recording."""

    seconds: float
    sha256: str


def inspect_clip(row: Mapping[str, Any]) -> GoodClip | BadClip:
    """Decode and hash the clip of a row with `id`, or return what is wrong with it."""
    try:
        samples, rate, fault = examine(clip_source(row), row["id"])
        if fault is None:
            path = row.get("path")
            digest = _file_hash(path, os.stat(path).st_mtime_ns) if path else sha256(encoded_bytes(row)).hexdigest()
            return GoodClip(len(samples) / rate, digest)
    except ClipError as error:
        fault = error
    return BadClip(row["id"], fault.problem, fault.detail, row.get("path"))


@lru_cache(maxsize=CLIPS_PER_BATCH)
def _file_hash(path: str, changed: int) -> str:
    """Hash a file, of whose segments the next ones are probably in the same batch; `changed` is its time."""
    return file_sha256(path)


def check_clips(rows: "Dataset", policy: str, num_workers: int = 1, report: str | Path | None = None) -> "Dataset":
    """
    Decode every clip once, find the bad ones, and measure and hash the good ones.

    A clip is bad if it has one of [`~modeling_smoothclap.decoding_smoothclap.PROBLEMS`]: for instance if it is missing,
    truncated, shorter than 60 ms or silent.

    Args:
        rows (`Dataset`): Manifest rows with `path` or `audio`.
        policy (`str`): One of [`POLICIES`]; `"trust"` returns the rows as they are.
        num_workers (`int`, defaults to 1): Processes.
        report (`str` or `Path`, *optional*): See [`apply_policy`].

    Returns:
        `Dataset`: The good rows, in order, with `duration` in seconds, where it is not given, and [`RECORDING`].

    Raises:
        ValueError: See [`apply_policy`]; or there is neither `path` nor `audio`.
    """
    if policy == "trust":
        return rows
    apply_policy([], len(rows), policy)  # an unknown policy fails before the work
    clips = clip_columns(rows)
    if "id" not in clips.column_names:
        clips = with_column(clips, "id", [str(index) for index in range(len(clips))])
    inspected = ordered_map(inspect_clip, clips, num_workers, batch=CLIPS_PER_BATCH)
    results = list(logging.tqdm(inspected, total=len(clips), desc="checking clips", unit="clip"))
    bad = [result for result in results if isinstance(result, BadClip)]
    apply_policy(bad, len(rows), policy, report)
    good = [index for index, result in enumerate(results) if isinstance(result, GoodClip)]
    rows = rows.select(good) if bad else rows
    found = [result for result in results if isinstance(result, GoodClip)]
    rows = with_column(rows, RECORDING, [each.sha256 for each in found])
    return _with_durations(rows, [each.seconds for each in found])


def _with_durations(rows: "Dataset", measured: list[float]) -> "Dataset":
    """Fill `duration` where it is missing."""
    if "duration" in rows.column_names:
        given = rows["duration"][:]
        if None not in given:
            return rows
        measured = [found if value is None else value for value, found in zip(given, measured, strict=True)]
    return with_column(rows, "duration", measured)


@dataclass(frozen=True)
class Crops:
    """
    Random crops of training clips, the same in every run.

    What is drawn depends on `seed`, the clip's id and the epoch alone, so a resumed run, another batch size or another
    number of workers gets the same crops.

    Args:
        seconds (`float`, *optional*, defaults to 5.0): Length of a crop (5 s in ParaCLAP); `None` takes clips whole.
        per_clip (`int`, *optional*): How many different crops a clip has; each epoch draws one of them at random.
            `None` cuts a new one in every epoch, as ParaCLAP does, and then nothing can be cached.
        seed (`int`, defaults to 0): Another seed gives other crops.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.data.clips import Crops
    >>> crops = Crops(seconds=2.0, per_clip=4)
    >>> number = crops.number("clip-7", epoch=3)
    >>> crops.cut(np.zeros(80000, dtype=np.float32), 16000, "clip-7", number).shape
    (32000,)

    ```
    """

    seconds: float | None = 5.0
    per_clip: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(f"`seconds` is {self.seconds}; give a crop's positive length, or None for whole clips.")
        if self.per_clip is not None and self.per_clip < 1:
            raise ValueError(f"`per_clip` is {self.per_clip}; give 1 or more, or None for a new crop every epoch.")

    def number(self, row_id: str, epoch: int) -> int:
        """Return which of its crops the clip `row_id` gives in `epoch`; 0 where clips are taken whole."""
        if self.seconds is None:
            return 0
        if self.per_clip is None:
            return epoch
        return self._draw(f"epoch/{epoch}", row_id, self.per_clip)

    def cut(self, samples: np.ndarray, sampling_rate: int, row_id: str, number: int) -> np.ndarray:
        """
        Return a crop of mono samples, a view; every start is equally likely.

        A clip that is not longer than `seconds` stays whole. `number` is from [`~Crops.number`].
        """
        if self.seconds is None:
            return samples
        length = max(1, round(self.seconds * sampling_rate))
        if len(samples) <= length:
            return samples
        start = self._draw(f"crop/{number}", row_id, len(samples) - length + 1)
        return samples[start : start + length]

    def _draw(self, what: str, row_id: str, count: int) -> int:
        generator = torch.Generator().manual_seed(crc32(f"{self.seed}/{what}/{row_id}".encode()))
        return int(torch.randint(count, (1,), generator=generator))
