"""Markdown from typed results: the Jinja templates in `templates/`, and the small functions that they share."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote


if TYPE_CHECKING:
    from huggingface_hub import CardData
    from jinja2 import Environment

    from .evaluation.corpus_names import ZeroShot
    from .evaluation.results import Metric, ModelResult


MARKS = {"zero-shot": "", "not zero-shot": " †", "unknown": " ‡"}
"""What follows a result in a table, by its zero-shot status; [`footnotes`] explains it."""
NAMED = 20
"""A report names at most this many clips."""
NO_WIDTH = "An interval of zero width is not certainty: all samples agree, so the bootstrap shows no spread."
PLACES = {
    "at chance": "At chance: the interval contains chance, so the result does not differ from guessing.",
    "below chance": "Below chance: the whole interval is below it; classes are systematically confused.",
}


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(
        loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "cell": cell,
        "code": code,
        "counts": counts,
        "duration": duration,
        "judged": judged,
        "mark": mark,
        "named": named,
        "number": number,
        "thousands": "{:,}".format,
        "with_interval": with_interval,
    }
    environment.globals["image"] = image
    return environment


def render(template: str, **values: Any) -> str:
    """Return a template of `templates/`, filled in; a name that it uses and that is not given is an error."""
    return _environment().get_template(template).render(**values)


def with_front_matter(data: "CardData", body: str) -> str:
    """Return a whole card; a `ValueError` says what huggingface_hub could not read back."""
    from huggingface_hub import ModelCard

    text = f"---\n{data.to_yaml()}\n---\n\n{body.strip()}\n"
    ModelCard(text)
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Write a Markdown table; the first `words` columns hold words, the others numbers, which are aligned right."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    return "".join(f"| {' | '.join(map(cell, line))} |\n" for line in [head, rule, *rows])


def cell(text: str) -> str:
    """Return text for one cell of a Markdown table: on one line, with `|` escaped."""
    return " ".join(text.replace("|", "\\|").split())


def code(name: str) -> str:
    """Return a name that Markdown leaves as it is."""
    return f"`{name}`"


def image(alt: str, path: str) -> str:
    """Show an image, with a description for those who cannot see it; what would end a link early is escaped."""
    return f"![{alt.replace('[', '(').replace(']', ')')}]({quote(path)})"


def counts(of: Mapping[str, int]) -> str:
    """Return numbers by what they count: `"silent: 1; too short: 2"`, or `"none"`."""
    return "; ".join(f"{what}: {count:,}" for what, count in of.items()) or "none"


def duration(minutes: float) -> str:
    """Return minutes as a whole number, or seconds where there are less than two minutes."""
    return f"{60 * minutes:.0f} seconds" if minutes < 2 else f"{minutes:,.0f} minutes"


def named(names: Mapping[str, Any]) -> str:
    """Return the first names, in brackets and after a space; nothing if there is none."""
    shown = ", ".join(map(code, list(names)[:NAMED]))
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f" ({shown}{more})" if names else ""


def number(value: float | None) -> str:
    """Return a number with three decimals, or a dash for none."""
    return "–" if value is None else f"{value:.3f}"


def with_interval(metric: "Metric") -> str:
    """Return a metric and its interval, `"0.412 [0.380, 0.441]"`; without the interval if there is none."""
    if metric.low is None or metric.high is None:
        return number(metric.value)
    return f"{number(metric.value)} [{number(metric.low)}, {number(metric.high)}]"


def mark(status: str) -> str:
    """Return the mark of [`MARKS`] for a zero-shot status."""
    return MARKS[status]


def zero_shot_reason(zero_shot: "ZeroShot", recorded: Sequence[str] | None, corpus: str) -> str:
    """Say why a result on a corpus has its zero-shot status; `recorded` is what the checkpoint was trained on."""
    return render("zero_shot_reason.md.jinja", zero_shot=zero_shot, recorded=recorded, corpus=corpus).strip()


def judged(result: "ModelResult") -> str:
    """Return a UAR with all that keeps it from being misread: interval, a word unless it is above chance, and mark."""
    place = "" if result.place == "above chance" else f", {result.place}"
    return f"{with_interval(result.uar)}{place}{mark(result.zero_shot.status)}"


def footnotes(
    noted: Iterable[tuple[str, str, str]], places: Collection[str] = (), metrics: Iterable["Metric"] = ()
) -> str:
    """
    Explain the marks of a table, and the words about chance: a list, with each reason once.

    `noted` has the name, the zero-shot status and its reason for each result, `places` where they are against chance,
    and `metrics` those whose intervals are shown.
    """
    reasons: dict[tuple[str, str], list[str]] = {}
    for name, status, why in noted:
        if sign := mark(status).strip():
            words = "unknown whether it is zero-shot" if status == "unknown" else status
            reasons.setdefault((sign, f"{words}. {why}"), []).append(name)
    lines = [f"{sign} {', '.join(names)}: {reason}" for (sign, reason), names in reasons.items()]
    lines += [sentence for place, sentence in PLACES.items() if place in places]
    lines += [NO_WIDTH] if any(metric.without_width for metric in metrics) else []
    return "".join(f"- {line}\n" for line in lines)
