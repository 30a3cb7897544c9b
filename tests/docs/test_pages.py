"""What the pages and the citation refer to is there."""

import re
from pathlib import Path

import pytest
import yaml

from modeling_smoothclap import __version__

from .pages import PAGES, ROOT


LINK = re.compile(r"\]\((?P<target>[^)\s#]*)(?:#(?P<anchor>[^)\s]*))?\)")
HEADING = re.compile(r"^#{1,6} +(.+?)[ #]*$", re.MULTILINE)
FENCED = re.compile(r"^ *(`{3,}|~{3,}).*?^ *\1", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"^([a-z-]+):.*##", re.MULTILINE)
MAKE = re.compile(r"(?:`|^ *|^\$ )make ([a-z-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if not re.match(r"\w+:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []


def anchors(text: str) -> set[str]:
    """What GitHub calls the headings of a page; one that comes again gets a number."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(FENCED.sub("", text)):
        plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading)  # of a link, its text
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {f"{name}-{number}" if number else name for name, last in found.items() for number in range(last + 1)}


def test_headings_are_called_as_on_github() -> None:
    text = (
        "# Of `x_y`, *in short*\n\n## C++ & Zürich ##\n## [Here](a.md#b) - 2\n```bash\n# no\n```\n# See\n## See\n#no\n"
    )
    assert anchors(text) == {"of-x_y-in-short", "c--zürich", "here---2", "see", "see-1"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_anchors_are_headings(page: Path) -> None:
    links = [match for match in LINK.finditer(page.read_text(encoding="utf-8")) if match["anchor"] is not None]
    local = [match for match in links if not re.match(r"\w+:", match["target"])]
    pages = {match[0]: page.parent / match["target"] if match["target"] else page for match in local}
    texts = {link: target.read_text(encoding="utf-8") for link, target in pages.items() if target.suffix == ".md"}
    assert [match[0] for match in local if match["anchor"] not in anchors(texts.get(match[0], ""))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_commands_exist(page: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    assert {"demo", "test"} <= targets
    assert set(MAKE.findall(page.read_text(encoding="utf-8"))) - targets == set()


def test_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
