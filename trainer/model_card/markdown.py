"""Markdown in lines of a readable length."""

import textwrap
from collections.abc import Iterable, Sequence


WIDTH = 120


def paragraph(text: str) -> str:
    """One paragraph, in lines of up to 120 characters."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def bullets(items: Iterable[str]) -> str:
    """A list, an item each."""
    return "\n".join(
        textwrap.fill(f"- {item}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for item in items
    )


def sections(parts: Iterable[tuple[str, Sequence[str | None]]]) -> str:
    """Sections with their headings; those of which nothing is known are left out."""
    written = []
    for heading, blocks in parts:
        if told := [block.strip() for block in blocks if block]:
            written.append("\n\n".join([f"## {heading}", *told]))
    return "\n\n".join(written)
