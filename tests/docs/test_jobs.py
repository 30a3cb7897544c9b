"""`docs/jobs.md` counts the lines of its blocks, and shows the settings that they run with."""

import re

import yaml

from .given import FILES
from .pages import ROOT, snippets


PAGE = ROOT / "docs" / "jobs.md"
ROW = re.compile(r"^\| \[.*?\]\(#(?P<job>[\w-]+)\) \| (?P<here>\d+) \| (?P<there>\d+|–) \|", re.MULTILINE)
OTHER_LIBRARY = "needs sentence-transformers"
MOST = 8


def test_the_table_counts_the_lines() -> None:
    head, *sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    rows = {row["job"]: (row["here"], row["there"]) for row in ROW.finditer(head)}
    assert len(rows) == 8
    counted = {}
    for section in sections:
        blocks = [block for block in snippets(section) if block.language == "python"]
        here = next(block for block in blocks if block.not_run is None)
        there = next((block for block in blocks if block.not_run == OTHER_LIBRARY), None)
        job = section.partition("\n")[0].lower().replace(" ", "-")
        counted[job] = (str(len(here.code_lines)), str(len(there.code_lines)) if there else "–")
        assert len(here.code_lines) <= MOST, job
    assert counted == rows


def test_the_settings_shown_are_those_that_run() -> None:
    shown = [
        yaml.safe_load(block.code) for block in snippets(PAGE.read_text(encoding="utf-8")) if block.language == "yaml"
    ]
    given = [yaml.safe_load(text) for name, text in FILES.items() if name.endswith(".yaml")]
    assert len(shown) == len(given)
    for page, file in zip(shown, given, strict=True):
        assert page.items() <= file.items()
