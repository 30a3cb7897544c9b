"""The project's pages and the blocks of code in them."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


ROOT = Path(__file__).parents[2]

PAGES = sorted(page for pattern in ("*.md", "docs/**/*.md") for page in ROOT.glob(pattern))

FENCE = re.compile(r"^ *(?P<fence>`{3,}|~{3,}) *(?P<language>\w*)")
MARKER = re.compile(r"^ *<!-- (?P<name>not run|given): (?P<value>\S.*) -->$")


@dataclass(frozen=True)
class Snippet:
    """
    A fenced block of a page.

    Args:
        language (`str`): The word after the opening fence, `""` if there is none.
        line (`int`): Number of the line that the code starts on, counted from 1.
        code (`str`): What is between the fences, without their indentation.
        not_run (`str`, *optional*): The reason in `<!-- not run: reason -->` before the block.
        given (`str`, *optional*): The folder of files in `<!-- given: name -->` before the block.
    """

    language: str
    line: int
    code: str
    not_run: str | None = None
    given: str | None = None

    @property
    def code_lines(self) -> list[str]:
        """The lines that are neither blank nor a comment."""
        return [line for line in self.code.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def snippets(text: str) -> Iterator[Snippet]:
    """Yield the fenced blocks of a Markdown text. Raise a `ValueError` for a block that is never closed."""
    lines = text.splitlines()
    markers: dict[str, str] = {}
    index = 0
    while index < len(lines):
        if marker := MARKER.match(lines[index]):
            markers[marker["name"].replace(" ", "_")] = marker["value"]
        elif opening := FENCE.match(lines[index]):
            start = index = index + 1
            while index < len(lines) and not lines[index].strip().startswith(opening["fence"]):
                index += 1
            if index == len(lines):
                raise ValueError(
                    f"the block that opens in line {start} is never closed: end it with {opening['fence']}"
                )
            yield Snippet(opening["language"], start + 1, textwrap.dedent("\n".join(lines[start:index])), **markers)
            markers = {}
        else:
            markers = {}
        index += 1
