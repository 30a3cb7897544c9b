"""The project's pages and the Python in them."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).parents[2]

PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md") for page in ROOT.glob(pattern))

FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,}) *(?P<language>\w*)")
NOT_RUN = re.compile(r"^ *<!-- not run: (?P<reason>\S.*) -->$")


@dataclass(frozen=True)
class Snippet:
    """
    A fenced block of a page.

    Args:
        language (`str`): the word behind the opening fence, `""` if there is none.
        line (`int`): number of the line the code starts on, counted from 1.
        code (`str`): what is between the fences, without their indentation.
        not_run (`str`, *optional*): the reason of a `<!-- not run: reason -->` on the line before the block.
    """

    language: str
    line: int
    code: str
    not_run: str | None = None


def snippets(text: str) -> Iterator[Snippet]:
    """Yields the fenced blocks of a Markdown text. Raises a `ValueError` for a block that is never closed."""
    lines = text.splitlines()
    index = 0
    while index < len(lines):
        opening = FENCE.match(lines[index])
        if not opening:
            index += 1
            continue
        marker = NOT_RUN.match(lines[index - 1]) if index else None
        start = index = index + 1
        while index < len(lines) and not lines[index].strip().startswith(opening["fence"]):
            index += 1
        if index == len(lines):
            raise ValueError(f"the block that opens in line {start} is never closed: end it with {opening['fence']}")
        code = textwrap.dedent("\n".join(lines[start:index]))
        yield Snippet(opening["language"], start + 1, code, marker and marker["reason"])
        index += 1
