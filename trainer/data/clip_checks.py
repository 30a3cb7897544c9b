"""What to do about bad clips: every clip is decoded once, and the bad ones are refused or left out with a report."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from datasets import Dataset
from transformers.utils import logging

from .clips import ClipError, clip_columns, clip_problem, decode_clip_of
from .workers import ordered_map


logger = logging.get_logger(__name__)

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
    [`~smoothclap_trainer.data.clips.clip_problem`].

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
