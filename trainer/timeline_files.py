"""Segments from files of other programs, and timelines as files for them: Praat, ELAN, Audacity, players of video."""

import csv
import io
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

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
    except (OSError, UnicodeDecodeError, KeyError, IndexError) as error:
        raise ValueError(f"The segments in {str(path)!r} cannot be read: {error!r}") from error
    except ValueError as error:
        raise ValueError(f"The segments in {str(path)!r} cannot be read: {error}") from error
    if not found:
        raise ValueError(f"{str(path)!r} has no segments.")
    return found


def _rttm(text: str) -> list[Window]:
    lines = [line.split() for line in text.splitlines() if line.startswith("SPEAKER")]
    return [Window(float(each[3]), float(each[3]) + float(each[4]), each[7]) for each in lines]


def _csv(text: str) -> list[Window]:
    rows = csv.DictReader(text.splitlines())
    return [Window(float(row["start"]), float(row["end"]), row.get("speaker") or None) for row in rows]


def _textgrid(text: str, tier: str | None) -> list[Window]:
    found, names = [], []
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


def _labels(timeline: Timeline) -> list[tuple[float, float, str]]:
    """What players show: the best description, from each window's start to the next one's, neighbours joined."""
    found: list[tuple[float, float, str]] = []
    for index, (window, best) in enumerate(zip(timeline.windows, timeline.best(), strict=True)):
        following = [each.start for each in timeline.windows[index + 1 : index + 2]]
        text = best or timeline.problems[index] or ""
        end = min([window.end, *following])
        if found and found[-1][2] == text and found[-1][1] == window.start:
            found[-1] = (found[-1][0], end, text)
        elif end > window.start:
            found.append((window.start, end, text))
    return found


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
    return "".join(f"{start:.3f}\t{end:.3f}\t{text}\n" for start, end, text in _labels(timeline))


def _as_webvtt(timeline: Timeline) -> str:
    cues = [
        f"{_clock(start)} --> {_clock(end)}\n{text.replace('-->', '->')}\n" for start, end, text in _labels(timeline)
    ]
    return "WEBVTT\n\n" + "\n".join(cues)


def _clock(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}.{milliseconds % 1000:03}"


def _as_textgrid(timeline: Timeline) -> str:
    """One tier, without gaps, as Praat wants it."""
    intervals: list[tuple[float, float, str]] = []
    for start, end, text in _labels(timeline):
        before = intervals[-1][1] if intervals else 0.0
        intervals += [(before, start, "")] * (start > before) + [(max(start, before), end, text)]
    last = intervals[-1][1]
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {last}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "best description"',
        "        xmin = 0",
        f"        xmax = {last}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, end, text) in enumerate(intervals, 1):
        quoted = text.replace('"', '""')
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start}",
            f"            xmax = {end}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(lines) + "\n"


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
        middles = [(each.start + each.end) / 2 for each in timeline.windows]
        minutes = middles[-1] > 600
        times = [each / 60 if minutes else each for each in middles]
        for number, text in enumerate(timeline.texts):
            colour = COLOURS[number % len(COLOURS)]
            curve = timeline.scores[:, number]
            axes.plot(times, curve, color=colour, label=wrapped(text, 28), marker="." if len(times) < 60 else "")
            if timeline.spread is not None:
                low, high = curve - timeline.spread[:, number], curve + timeline.spread[:, number]
                axes.fill_between(times, low.clip(0), high.clip(max=1), color=colour, alpha=0.15, linewidth=0)
        axes.set(xlabel="minutes" if minutes else "seconds", ylabel="score", ylim=(-0.02, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
