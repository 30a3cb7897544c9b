"""Words for results that are still dictionaries; it goes when cards and the report of CLEP-DG are typed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..templating import MARKS, code, counts, image, number, table
from ..templating import footnotes as typed_footnotes
from .results import AgainstChance, ZeroShot, ZeroShotStatus


__all__ = ["MARKS", "code", "image", "number", "table"]


def task_titles(tasks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the titles of tasks by their names; tasks that share a title have their name behind it."""
    count = Counter(task["protocol"]["title"] for task in tasks)
    titles = {task["protocol"]["name"]: task["protocol"]["title"] for task in tasks}
    return {name: title if count[title] == 1 else f"{title} {code(name)}" for name, title in titles.items()}


def doubtful_clips(data: Mapping[str, Any]) -> str:
    """Return a sentence about clips that may hold no speech, or `""` if they were not checked."""
    if (doubtful := data.get("doubtful")) is None:
        return ""
    return f"Doubtful clips, judged all the same: {counts(doubtful)}."


def against_chance(figure: Mapping[str, float | None], chance: float) -> AgainstChance:
    """Return where the interval of a metric lies."""
    return AgainstChance.of(figure["low"], figure["high"], chance)


def footnotes(noted: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Explain the marks of a table."""
    return typed_footnotes(
        (name, ZeroShot(ZeroShotStatus(result["zero_shot"]["status"]), result["zero_shot"]["why"]))
        for name, result in noted
    )
