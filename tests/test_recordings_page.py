"""The tables on the page of recordings are those that the recipes wrote next to it."""

from pathlib import Path

import pytest


DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["hour.md", "reliability.md"])
def test_the_page_shows_what_a_recipe_wrote(name: str) -> None:
    table = (DOCS / "recordings" / name).read_text(encoding="utf-8")
    assert table.startswith("| ") and table in (DOCS / "recordings.md").read_text(encoding="utf-8")
