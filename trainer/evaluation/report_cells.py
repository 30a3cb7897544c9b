"""How a report writes tables, figures and what they are worth."""

from collections.abc import Mapping, Sequence
from typing import Any


MARKS = {"zero-shot": "", "not zero-shot": " †", "unknown": " ‡"}
"""What follows a figure, by what is known of the model's training."""


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
    return "".join(lines)
