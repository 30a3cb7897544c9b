"""The clips of manifest rows: reading them, finding bad ones, and cutting training crops."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import pandas as pd
import torch
from datasets import Audio, Dataset
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import ClipError, clip_problem, clip_source, decode_audio, read_audio

from .workers import ordered_map


logger = logging.get_logger(__name__)


def decode_clip_of(row: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """
    Decode a row's clip at its own rate, mono, see [`~modeling_smoothclap.audio_smoothclap.decode_audio`].

    Args:
        row (`Mapping[str, Any]`): With `path`, an audio file, or else `audio`: an encoded file's bytes, or a dictionary
            with `bytes` or `path` as `datasets.Audio(decode=False)` gives it. `id` is what errors call the clip, else
            its path.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)`, channels averaged, and their rate in Hz.

    Raises:
        ClipError: if the clip is missing, unreadable, or truncated: a `ValueError`.
    """
    return decode_audio(clip_source(row), row.get("id"))


def read_clip(row: Mapping[str, Any], sampling_rate: int) -> np.ndarray:
    """
    Read a row's clip at the rate that a model takes, see [`~modeling_smoothclap.audio_smoothclap.read_audio`].

    Args:
        row (`Mapping[str, Any]`): As [`decode_clip_of`] takes it.
        sampling_rate (`int`): The wanted rate in Hz.

    Returns:
        `np.ndarray` of shape `(samples,)`: float32 mono.

    Raises:
        ClipError: if the clip is missing, unreadable, truncated, empty or not finite: a `ValueError`.
    """
    return read_audio(clip_source(row), sampling_rate, row.get("id"))


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


CLIPS_PER_BATCH = 16
SHOWN = 50
"""At most this many bad clips are listed in an error; a report lists all."""


def check_clips(
    rows: Dataset,
    policy: Literal["raise", "skip"],
    num_workers: int = 1,
    report: str | Path | None = None,
) -> Dataset:
    """
    Decodes every clip once, finds the bad ones, and measures how long the good ones are.

    A clip is bad if it is missing, unreadable, truncated, empty, not finite, shorter than 60 ms or silent, see
    [`~modeling_smoothclap.audio_smoothclap.clip_problem`].

    Args:
        rows (`Dataset`):
            Manifest rows with `path` or `audio`.
        policy (`str`):
            `"raise"`: bad clips are an error that lists them. `"skip"`: they are left out, with a warning.
        num_workers (`int`, defaults to 1):
            Processes. With more than one, a script needs the usual `if __name__ == "__main__"`.
        report (`str` or `Path`, *optional*):
            With `"skip"`, a CSV file of the bad clips to write: `id`, `path`, `problem`, `detail`. It is written
            even if there are none.

    Returns:
        `Dataset`: The good rows, in order, with `duration` in seconds; where it is given, it is left as it is.

    Raises:
        ValueError: The policy is unknown; there are bad clips and the policy is `"raise"`; no clip is good; there is
            neither `path` nor `audio`.
    """
    if policy not in ("raise", "skip"):
        raise ValueError(f"unknown policy {policy!r} for bad clips; give 'raise' or 'skip'")
    clips = clip_columns(rows)
    inspected = ordered_map(_inspect, clips, num_workers, batch=CLIPS_PER_BATCH)
    results = list(logging.tqdm(inspected, total=len(clips), desc="checking clips", unit="clip"))
    slim = clips.remove_columns([column for column in ("audio",) if column in clips.column_names])
    bad = pd.DataFrame(
        [
            {"id": names.get("id", index), "path": names.get("path"), "problem": problem, "detail": detail}
            for index, (names, (_, problem, detail)) in enumerate(zip(_each(slim, len(rows)), results, strict=True))
            if problem is not None
        ],
        columns=["id", "path", "problem", "detail"],
    )
    if policy == "skip":
        _tell(bad, len(rows), report)
    if len(bad) and (policy == "raise" or len(bad) == len(rows)):
        raise ValueError(_complaint(bad, len(rows)))
    good = [index for index, (_, problem, _) in enumerate(results) if problem is None]
    rows = _with_durations(rows, [duration for duration, _, _ in results])
    return rows.select(good) if len(good) < len(rows) else rows


def _each(rows: Dataset, count: int) -> list[dict[str, Any]]:
    return rows.to_list() if rows.column_names else [{}] * count


def _inspect(row: Mapping[str, Any]) -> tuple[float | None, str | None, str | None]:
    """Duration in seconds, problem and its detail: either the first or the other two are `None`."""
    try:
        samples, rate = decode_clip_of(row)
    except ClipError as error:
        return None, error.problem, error.detail
    if problem := clip_problem(samples, rate):
        return None, problem, f"{len(samples)} samples at {rate} Hz"
    return len(samples) / rate, None, None


def _tell(bad: pd.DataFrame, count: int, report: str | Path | None) -> None:
    if report is not None:
        Path(report).parent.mkdir(parents=True, exist_ok=True)
        bad.to_csv(report, index=False)
    if len(bad):
        counts = ", ".join(f"{number} {problem}" for problem, number in Counter(bad["problem"]).most_common())
        where = f"; listed in {str(report)!r}" if report is not None else ""
        logger.warning(f"{len(bad)} of {count} clips are left out: {counts}{where}")


def _complaint(bad: pd.DataFrame, count: int) -> str:
    lines = [f"{row.id}: {row.problem} ({row.detail})" for row in bad.head(SHOWN).itertuples()]
    if len(bad) > SHOWN:
        lines.append(f"... and {len(bad) - SHOWN} more")
    cure = "mend them" if len(bad) == count else "mend them, or leave them out with the policy 'skip'"
    return "\n  ".join([f"{len(bad)} of {count} clips are bad; {cure}:", *lines])


def _with_durations(rows: Dataset, measured: list[float | None]) -> Dataset:
    """Fills `duration` where it is missing."""
    if "duration" not in rows.column_names:
        return rows.add_column("duration", measured)
    given = rows["duration"]
    if all(value is not None for value in given):
        return rows
    columns = rows.column_names
    filled = [value if value is not None else found for value, found in zip(given, measured, strict=True)]
    return rows.remove_columns("duration").add_column("duration", filled).select_columns(columns)


@dataclass(frozen=True)
class Crops:
    """
    Random crops of training clips, the same in every run: what is drawn depends on `seed`, the clip's id and the
    epoch alone, so that a resumed run, another batch size or another number of workers gets the same.

    Args:
        seconds (`float`, *optional*, defaults to 5.0): Length of a crop (5 s in ParaCLAP); `None` takes clips whole.
        per_clip (`int`, *optional*): How many different crops a clip has; each epoch hears one of them, drawn at
            random. `None` cuts a new one in every epoch, as ParaCLAP does, and then nothing can be cached.
        seed (`int`, defaults to 0): Another seed, other crops.

    Raises:
        ValueError: if `seconds` is not a positive number or `per_clip` is less than 1.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.data.clips import Crops
    >>> crops = Crops(seconds=2.0, per_clip=4)
    >>> number = crops.number("clip-7", epoch=3)
    >>> 0 <= number < 4
    True
    >>> crops.cut(np.zeros(80000, dtype=np.float32), 16000, "clip-7", number).shape
    (32000,)

    ```
    """

    seconds: float | None = 5.0
    per_clip: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise ValueError(
                f"`seconds` is the length of a crop and must be positive, not {self.seconds}; None takes clips whole."
            )
        if self.per_clip is not None and self.per_clip < 1:
            raise ValueError(
                f"`per_clip` is {self.per_clip}, but a clip needs at least one crop; None cuts a new one every epoch."
            )

    def number(self, row_id: str, epoch: int) -> int:
        """Which of its crops the clip `row_id` gives in `epoch`; the number 0 where clips are taken whole."""
        if self.seconds is None:
            return 0
        if self.per_clip is None:
            return epoch
        return self._draw(f"epoch/{epoch}", row_id, self.per_clip)

    def cut(self, samples: np.ndarray, sampling_rate: int, row_id: str, number: int) -> np.ndarray:
        """
        Crop `number` of a clip: any start is as likely as any other. A clip no longer than `seconds` stays whole.

        Args:
            samples (`np.ndarray` of shape `(samples,)`): The whole clip, mono.
            sampling_rate (`int`): Its rate in Hz.
            row_id (`str`): The clip's id.
            number (`int`): From [`~Crops.number`].

        Returns:
            `np.ndarray` of shape `(min(samples, seconds * sampling_rate),)`, a view of `samples`.
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
