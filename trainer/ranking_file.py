"""Rank descriptions for many clips, into a file: a run that was killed goes on where it was."""

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from modeling_smoothclap.audio_smoothclap import ClipError, Segment
from modeling_smoothclap.scores_smoothclap import check_comparable, probabilities

from .data.clips import BadClip, apply_policy
from .files import held, write_text


if TYPE_CHECKING:
    from modeling_smoothclap import SmoothCLAPEncoder


CHUNK = 64
"""Clips that are on the disk for good together: at most so many are encoded again after a kill."""
ENDINGS = (".csv", ".jsonl")
COLUMNS = {"clip", "best", "problem"}
Row = dict[str, Any]


def rank_to_file(
    encoder: "SmoothCLAPEncoder",
    clips: Mapping[str, Any],
    texts: Sequence[str],
    output: Path,
    template: str = "{}",
    bad_clips: str = "skip",
) -> list[Row]:
    """
    Write one row for each clip: `clip`, `best`, `problem`, and the score of each text among the texts.

    What was ranked is kept in the folder `OUTPUT.unfinished`, from which the same command goes on; a clip whose file
    has changed since is ranked again. When all are there, the file takes its place at once, and the folder goes.

    Args:
        encoder (`SmoothCLAPEncoder`): The model.
        clips (`Mapping[str, Any]`): Name to clip, as for `encode_audio`.
        texts (`Sequence[str]`): Two or more descriptions.
        output (`Path`): To end in `.csv` or `.jsonl`.
        template (`str`, defaults to `"{}"`): What each text is put into.
        bad_clips (`str`, defaults to `"skip"`): Or `"raise"`: clips with a problem are an error that lists them; the
            folder stays, so that the command ends at once when it is repeated with `"skip"`.

    Returns:
        `list[Row]`: The rows of the file, in the order of the clips.

    Raises:
        ValueError: if there is no clip, `output` has another ending, the texts cannot be compared, or the unfinished
            results are of another model, other texts or another template.
    """
    listed = check_comparable(texts, [template])
    if output.suffix not in ENDINGS:
        raise ValueError(f"{str(output)!r} has to end in {' or '.join(ENDINGS)}: that says what to write.")
    if not clips:
        raise ValueError("There are no clips to rank: give at least one.")
    if taken := COLUMNS & set(listed):
        raise ValueError(f"{sorted(taken)} are names of columns: describe the voice in other words.")
    folder = output.with_name(output.name + ".unfinished")
    about = {"model": encoder.describe(), "texts": listed, "template": template}
    with held(folder):
        results = _Results(folder / "rows.jsonl", about)
        left = [name for name in clips if results.rows.get(name, {}).get("file") != _stamp(clips[name])]
        wordings = encoder.encode_text([template.replace("{}", text) for text in listed])
        with tqdm(total=len(clips), initial=len(clips) - len(left), desc="ranking", unit="clip") as progress:
            for start in range(0, len(left), CHUNK):
                names = left[start : start + CHUNK]
                results.append(_ranked(encoder, {name: clips[name] for name in names}, wordings))
                progress.update(len(names))
        if bad_clips == "raise":
            bad = [(name, results.rows[name]) for name in clips if results.rows[name]["problem"]]
            apply_policy([BadClip(name, row["problem"], row["detail"]) for name, row in bad], len(clips), bad_clips)
        rows = [_row(name, results.rows[name], listed) for name in clips]
        write_text(output, _as_csv(rows) if output.suffix == ".csv" else _as_lines(rows))
    shutil.rmtree(folder)
    return rows


class _Results:
    """Rows on the disk. A line holds what was encoded together, so that a run that goes on encodes the rest alike."""

    def __init__(self, path: Path, about: Row) -> None:
        self.path = path
        self.rows: dict[str, Row] = {}
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]  # a kill may have cut the last one
        if whole and json.loads(whole[0]) != about:
            raise ValueError(
                f"{str(path.parent)!r} has unfinished results of another model, other texts or another template: "
                "choose another output, or remove that folder."
            )
        with path.open("ab") as file:
            file.truncate(sum(map(len, whole)))
        for line in whole[1:]:
            self.rows |= {row["clip"]: row for row in json.loads(line)}
        if not whole:
            self._write(about)

    def append(self, rows: Sequence[Row]) -> None:
        """Add rows; they are on the disk when this returns."""
        self._write(rows)
        self.rows |= {row["clip"]: row for row in rows}

    def _write(self, content: Any) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(content, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _ranked(encoder: "SmoothCLAPEncoder", clips: Mapping[str, Any], wordings: Any) -> list[Row]:
    """The scores or the problem of each clip."""
    problems: dict[int, ClipError] = {}
    stamps = [_stamp(clip) for clip in clips.values()]  # before it is read
    try:
        embeds = encoder.encode_audio(
            list(clips.values()), show_progress_bar=False, bad_clips="skip", problems=problems
        )
    except ValueError:
        if len(problems) < len(clips):
            raise
        embeds = None  # none of them can be read
    rows = []
    for place, (name, stamp) in enumerate(zip(clips, stamps, strict=True)):
        row: Row = {"clip": name, "file": stamp, "problem": None, "detail": None, "scores": None}
        if place in problems:
            row |= {"problem": problems[place].problem, "detail": str(problems[place])}
        else:
            row["scores"] = probabilities(embeds[place] @ wordings.T, encoder.logit_scale).tolist()
        rows.append(row)
    return rows


def _stamp(clip: Any) -> list[int] | None:
    """The size of a clip's file and when it was changed; `None` if it is no file."""
    source = clip.source if isinstance(clip, Segment) else clip
    if not isinstance(source, str | Path) or not os.path.isfile(source):
        return None
    stat = os.stat(source)
    return [stat.st_size, stat.st_mtime_ns]


def _row(name: str, found: Row, texts: Sequence[str]) -> Row:
    scores = found["scores"] or [None] * len(texts)
    best = texts[scores.index(max(scores))] if found["scores"] else None
    rounded = [None if score is None else round(score, 6) for score in scores]
    return {"clip": name, "best": best, "problem": found["problem"], **dict(zip(texts, rounded, strict=True))}


def _as_csv(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _as_lines(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
