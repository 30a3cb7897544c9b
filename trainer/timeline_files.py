"""Segments from files of other programs, and timelines as files for them: Praat, ELAN, Audacity, players of video."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from modeling_smoothclap import Timeline, Window

from .files import write_text
from .plotting import COLOURS, canvas, wrapped


_ITEM = re.compile(r"^\s*item \[\d+\]:", re.MULTILINE)
_NAME = re.compile(r'^\s*name = "((?:[^"]|"")*)"', re.MULTILINE)
_INTERVAL = re.compile(r'xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"')


def read_segments(path: str | Path, tier: str | None = None) -> list[Window]:
    """
    Read the segments of a recording.

    Args:
        path (`str` or `Path`): RTTM (`.rttm`), as pyannote writes; a Praat TextGrid (`.TextGrid`, the long form), whose
            intervals with a text are taken; or CSV (`.csv`) with the columns `start`, `end` in seconds and maybe
            `speaker`.
        tier (`str`, *optional*): The tier of a TextGrid whose intervals are the segments. By default each tier of
            intervals is a speaker.

    Raises:
        ValueError: if the file has another ending, cannot be read, or has no segment.
    """
    path = Path(path)
    readers: dict[str, Callable[[str], list[Window]]] = {
        ".rttm": _rttm,
        ".textgrid": lambda text: _textgrid(text, tier),
        ".csv": _csv,
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"{str(path)!r} has to end in .rttm, .TextGrid or .csv.")
    try:
        content = path.read_bytes()
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")  # Praat has both
        found = readers[path.suffix.lower()](text)
    except (OSError, UnicodeDecodeError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"The segments in {str(path)!r} cannot be read: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"The segments in {str(path)!r} cannot be read: {error}") from error
    if not found:
        raise ValueError(f"{str(path)!r} has no segments.")
    return found


def _rttm(text: str) -> list[Window]:
    lines = [line.split() for line in text.splitlines() if line.startswith("SPEAKER")]
    if len(recordings := sorted({each[1] for each in lines})) > 1:
        raise ValueError(f"it is of {len(recordings)} recordings, {', '.join(recordings[:3])}: give the lines of one.")
    return [Window(float(each[3]), float(each[3]) + float(each[4]), each[7]) for each in lines]


def _csv(text: str) -> list[Window]:
    rows = csv.DictReader(text.splitlines())
    return [Window(float(row["start"]), float(row["end"]), row.get("speaker") or None) for row in rows]


def _textgrid(text: str, tier: str | None) -> list[Window]:
    found, names = [], []
    if not _ITEM.search(text):
        raise ValueError("it is not a TextGrid in the long form: save it in Praat by `Save as text file...`.")
    for item in _ITEM.split(text)[1:]:
        name = _NAME.search(item)
        names.append(name[1].replace('""', '"') if name else "")
        if tier in (None, names[-1]):
            found += [
                Window(float(start), float(end), names[-1])
                for start, end, said in _INTERVAL.findall(item)
                if said.strip()
            ]
    if tier is not None and tier not in names:
        raise ValueError(f"there is no tier {tier!r}; there are {', '.join(map(repr, names)) or 'none'}.")
    return found


class _Label(NamedTuple):
    start: float
    end: float
    speaker: str | None
    text: str
    score: float  # NaN where nothing is heard


def _labels(timeline: Timeline) -> list[_Label]:
    """Return what is best from when to when, in order; neighbours of a speaker that agree are joined."""
    best = timeline.best()
    found: list[_Label] = []
    for speaker in dict.fromkeys(window.speaker for window in timeline.windows):
        joined: list[list[Any]] = []  # start, end, text, scores
        places = [place for place, window in enumerate(timeline.windows) if window.speaker == speaker]
        for place, start, end in _shares(timeline.windows, places):
            text = " ".join((best[place] or timeline.problems[place] or "").split())
            score = timeline.scores[place].max()
            if joined and joined[-1][1:3] == [start, text]:
                joined[-1][1] = end
                joined[-1][3].append(score)
            else:
                joined.append([start, end, text, [score]])
        found += [_Label(start, end, speaker, text, float(np.mean(scores))) for start, end, text, scores in joined]
    return sorted(found, key=lambda each: each[:2])


def _shares(windows: Sequence[Window], places: Sequence[int]) -> Iterator[tuple[int, float, float]]:
    """Yield windows of one speaker without overlap: the next one begins in the middle of what both share."""
    after = 0.0
    for place, following in zip(places, [*places[1:], None], strict=True):
        start, end, _ = windows[place]
        if following is not None and (shared := min(end, windows[following].end)) > windows[following].start:
            end = (windows[following].start + shared) / 2
        if end > max(start, after):
            yield place, max(start, after), end
            after = end


def _as_csv(timeline: Timeline) -> str:
    rows = list(timeline.records())
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _number(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _number(value: object) -> object:
    """A number with four digits; nothing where there is none."""
    if isinstance(value, float):
        return "" if value != value else round(value, 4)
    return "" if value is None else value


def _as_jsonl(timeline: Timeline) -> str:
    rows = ({name: _number(value) for name, value in row.items()} for row in timeline.records())
    lines = [{name: None if value == "" else value for name, value in row.items()} for row in rows]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _as_audacity(timeline: Timeline) -> str:
    return "".join(
        f"{each.start:.3f}\t{each.end:.3f}\t{each.speaker + ': ' if each.speaker else ''}{_with_score(each)}\n"
        for each in _labels(timeline)
    )


def _as_webvtt(timeline: Timeline) -> str:
    cues = [
        f"{_clock(each.start)} --> {_clock(each.end)}\n"
        f"{f'<v {escape(each.speaker)}>' if each.speaker else ''}{escape(_with_score(each))}\n"
        for each in _labels(timeline)
    ]
    return "WEBVTT\n\n" + "\n".join(cues)


def _with_score(label: _Label) -> str:
    return label.text if label.score != label.score else f"{label.text} ({label.score:.2f})"


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _as_textgrid(timeline: Timeline) -> str:
    """A tier for each speaker, without gaps, as Praat wants it."""
    labels = _labels(timeline)
    last = max(window.end for window in timeline.windows)
    speakers = list(dict.fromkeys(each.speaker for each in labels))
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {last}",
        "tiers? <exists>",
        f"size = {len(speakers)}",
        "item []:",
    ]
    for number, speaker in enumerate(speakers, 1):
        intervals: list[tuple[float, float, str]] = []
        for each in [*(each for each in labels if each.speaker == speaker), _Label(last, last, None, "", 0)]:
            before = intervals[-1][1] if intervals else 0.0
            intervals += [(before, each.start, "")] * (each.start > before)
            intervals += [(each.start, each.end, each.text)] * (each.end > each.start)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(speaker or 'best description')}",
            "        xmin = 0",
            f"        xmax = {last}",
            f"        intervals: size = {len(intervals)}",
        ]
        for place, (start, end, text) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {start}",
                f"            xmax = {end}",
                f"            text = {_quoted(text)}",
            ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


WRITERS = {
    ".csv": _as_csv,
    ".jsonl": _as_jsonl,
    ".txt": _as_audacity,
    ".textgrid": _as_textgrid,
    ".vtt": _as_webvtt,
}
"""By a file's ending: a table, JSON lines, labels of Audacity, a TextGrid for Praat and ELAN, subtitles."""


def check_ending(path: Path, endings: Sequence[str] = tuple(WRITERS)) -> None:
    """Refuse a file whose ending says nothing about its format: a `ValueError`."""
    if path.suffix.lower() not in endings:
        raise ValueError(f"{str(path)!r} has to end in {', '.join(endings)}: that says what to write.")


def write_timeline(timeline: Timeline, path: str | Path) -> None:
    """Write a timeline as a table (`.csv`, `.jsonl`), or its best descriptions for a program (see [`WRITERS`])."""
    check_ending(Path(path))
    write_text(path, WRITERS[Path(path).suffix.lower()](timeline))


def draw_timeline(timeline: Timeline, path: str | Path, title: str = "") -> None:
    """Draw a curve of scores for each description over the recording, as a PNG; gaps are where nothing is heard."""
    with canvas(10, 4, title, path) as figure:
        axes = figure.subplots()
        minutes = max(window.end for window in timeline.windows) > 600
        times, places = _runs(timeline)
        scores = np.vstack([timeline.scores, np.full(len(timeline.texts), np.nan)])[places]
        for number, text in enumerate(timeline.texts):
            colour, curve, x = COLOURS[number % len(COLOURS)], scores[:, number], times / (60 if minutes else 1)
            axes.plot(x, curve, color=colour, label=wrapped(text, 28))
            if timeline.spread is not None:
                spread = np.append(timeline.spread[:, number], np.nan)[places]
                band = (curve - spread).clip(0), (curve + spread).clip(max=1)
                axes.fill_between(x, *band, color=colour, alpha=0.15, linewidth=0)
        axes.set(xlabel="minutes" if minutes else "seconds", ylabel="score", ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _runs(timeline: Timeline) -> tuple[np.ndarray, list[int]]:
    """Times, and whose window's score is drawn there: at its middle, and where a run begins or ends; -1 is a gap."""
    windows = timeline.windows
    heard = {place for place, best in enumerate(timeline.best()) if best is not None}
    points: list[tuple[float, int]] = []
    for speaker in dict.fromkeys(window.speaker for window in windows):
        places = [place for place, window in enumerate(windows) if window.speaker == speaker]
        follows = {b: a for a, b in pairwise(places) if {a, b} <= heard and windows[a].end >= windows[b].start}
        followed = {*follows.values()}
        for place in (place for place in places if place in heard):
            start, end, _ = windows[place]
            points += [(start, place)] * (place not in follows)
            points.append(((start + end) / 2, place))
            points += [(end, place), (end, -1)] * (place not in followed)
    return np.array([time for time, _ in points]), [place for _, place in points]
