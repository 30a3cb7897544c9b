"""How a report writes tables, figures and what they are worth."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote


MARKS = {"zero-shot": "", "not zero-shot": " †", "unknown": " ‡"}
"""What follows a figure, by what is known of the model's training."""
NO_WIDTH = "An interval without width is no certainty: all that was drawn agrees, so the bootstrap shows no spread."


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """
    Writes a Markdown table.

    Args:
        head (`Sequence[str]`): Names of the columns.
        rows (`Sequence[Sequence[str]]`): Cells; what Markdown would take for the end of one is escaped.
        words (`int`, defaults to 1): How many columns, from the left, hold words. Figures stand to the right.

    Returns:
        `str`: Lines, the last with its end.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.report_cells import table
    >>> print(table(["class", "clips"], [["sad|blue", "3"]]), end="")
    | class | clips |
    | --- | ---: |
    | sad\\|blue | 3 |

    ```
    """
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    lines = [head, rule, *rows]
    return "".join(f"| {' | '.join(map(_escaped, line))} |\n" for line in lines)


def _escaped(cell: str) -> str:
    return " ".join(cell.replace("|", "\\|").split())


def code(name: str) -> str:
    """Marks a name that Markdown must leave as it is."""
    return f"`{name}`"


def image(alt: str, path: str) -> str:
    """
    Shows a picture.

    Args:
        alt (`str`): What one is told who does not see it.
        path (`str`): Where it is, with `/` between the parts; what would end a link early is escaped.

    Returns:
        `str`: Markdown.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.report_cells import image
    >>> image("Confusions [of all]", "pictures/a b.png")
    '![Confusions (of all)](pictures/a%20b.png)'

    ```
    """
    return f"![{alt.replace('[', '(').replace(']', ')')}]({quote(path)})"


def task_titles(tasks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """
    Titles that tell tasks apart.

    Args:
        tasks (`Sequence[Mapping[str, Any]]`): The `tasks` of results.

    Returns:
        `dict[str, str]`: By the tasks' names, their titles; with the name behind it, where tasks share a title.
    """
    count = Counter(task["protocol"]["title"] for task in tasks)
    titles = {task["protocol"]["name"]: task["protocol"]["title"] for task in tasks}
    return {name: title if count[title] == 1 else f"{title} {code(name)}" for name, title in titles.items()}


def doubtful_clips(data: Mapping[str, Any]) -> str:
    """
    Says which clips may hold no speech, and were judged with the others.

    Args:
        data (`Mapping[str, Any]`): Of a task. Older results do not say it.

    Returns:
        `str`: A sentence, or `""` if nobody looked.
    """
    if (doubtful := data.get("doubtful")) is None:
        return ""
    return f"Doubtful clips, judged all the same: {counts(doubtful)}."


def counts(of: Mapping[str, int]) -> str:
    """Numbers by what they are of: `"silent: 1; too short: 2"`, or `"none"`."""
    return "; ".join(f"{what}: {count:,}" for what, count in of.items()) or "none"


def number(value: float | None) -> str:
    """A figure to three decimals, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def with_interval(figure: Mapping[str, float | None]) -> str:
    """
    Writes a figure with its interval.

    Args:
        figure (`Mapping[str, float | None]`): `value`, `low` and `high`.

    Returns:
        `str`: For instance `"0.412 [0.380, 0.441]"`; without the interval where there is none.
    """
    if figure["low"] is None or figure["high"] is None:
        return number(figure["value"])
    return f"{number(figure['value'])} [{number(figure['low'])}, {number(figure['high'])}]"


def no_width(figures: Iterable[Mapping[str, float | None]]) -> str:
    """[`NO_WIDTH`] if the interval of any of the figures has none, else `""`."""
    return NO_WIDTH if any(each["low"] is not None and each["low"] == each["high"] for each in figures) else ""


def against_chance(figure: Mapping[str, float | None], chance: float) -> str:
    """
    Says where a figure lies, by its interval.

    Args:
        figure (`Mapping[str, float | None]`): `value`, `low` and `high`.
        chance (`float`): What guessing gives.

    Returns:
        `str`: `"above chance"`, `"at chance"` if the interval holds it, `"below chance"`, or `"no interval"`.
    """
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return "no interval"
    return "at chance" if low <= chance <= high else "above chance" if low > chance else "below chance"


def judged(result: Mapping[str, Any]) -> str:
    """
    Writes a UAR with all that keeps it from being misread.

    Args:
        result (`Mapping[str, Any]`): One model's of one task.

    Returns:
        `str`: Figure, interval, a word unless it is above chance, and one of [`MARKS`].
    """
    uar = result["figures"]["uar"]
    place = against_chance(uar, result["chance"])
    said = "" if place == "above chance" else f", {place}"
    return f"{with_interval(uar)}{said}{MARKS[result['zero_shot']['status']]}"


def drawn_units(interval: Mapping[str, Any]) -> str:
    """
    Names what the bootstrap drew.

    Args:
        interval (`Mapping[str, Any]`): `unit` and `units`.

    Returns:
        `str`: `"24 speakers"`, `"1,440 clips"` or `"5 groups by session"`.
    """
    unit = interval["unit"] if interval["unit"] in ("clips", "speakers") else f"groups by {interval['unit']}"
    return f"{interval['units']:,} {unit}"


def footnotes(noted: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """
    Explains the marks of a table, and the words beside chance.

    Args:
        noted (`Sequence[tuple[str, Mapping[str, Any]]]`): What each figure is called, and its result.

    Returns:
        `str`: Bullets, each reason once with the figures that it holds for; `""` where nothing needs a word.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, result in noted:
        status, why = result["zero_shot"]["status"], result["zero_shot"]["why"]
        if mark := MARKS[status].strip():
            said = "not zero-shot" if status == "not zero-shot" else "unknown whether it is zero-shot"
            reasons.setdefault((mark, f"{said}. {why}"), []).append(name)
    lines = [f"- {mark} {', '.join(names)}: {reason}\n" for (mark, reason), names in reasons.items()]
    places = {against_chance(result["figures"]["uar"], result["chance"]) for _, result in noted}
    if "at chance" in places:
        lines.append("- At chance: the interval holds chance; this does not show more than guessing.\n")
    if "below chance" in places:
        lines.append("- Below chance: the whole interval is; the model takes the classes for each other.\n")
    if said := no_width(result["figures"]["uar"] for _, result in noted):
        lines.append(f"- {said}\n")
    return "".join(lines)
