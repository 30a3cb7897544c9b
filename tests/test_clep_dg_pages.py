"""The handbook's figures are those of the reports beside it; these are of the weights and the files that are here."""

import re
from pathlib import Path

import pytest
import yaml

from modeling_smoothclap import SMOOTHCLAP_TINY
from modeling_smoothclap.checkpoint_smoothclap import weights_sha256
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml


ROOT = Path(__file__).parents[1]
PAGES = ("attributes", "synthetic", "tuned")


def report(name: str) -> str:
    return (ROOT / "docs" / "clep-dg" / name / "report.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def uar(name: str) -> dict[str, list[str]]:
    """Of the first table, method to figures."""
    lines = report(name).split("UAR:\n\n")[1].split("\n\n")[0].splitlines()
    return {method: figures for method, *figures in map(cells, lines[2:])}


def test_the_handbooks_table_is_made_of_the_reports() -> None:
    page = (ROOT / "docs" / "clep-dg.md").read_text(encoding="utf-8")
    lines = page.split("| | Dutch | Czech |")[1].split("\n\n")[0].splitlines()[2:]
    shown = {method: figures for method, *figures in map(cells, lines)}
    reports = [uar(name) for name in PAGES]
    assert list(shown) == list(reports[0]) and len(shown) == 8
    for method, figures in shown.items():
        assert figures == [figure for each in reports for figure in each[method]]


@pytest.mark.parametrize("name", ["attributes", "synthetic"])
def test_the_report_is_of_the_shipped_weights_unless_the_page_says_otherwise(name: str) -> None:
    page = (ROOT / "docs" / "clep-dg.md").read_text(encoding="utf-8")
    weights = weights_sha256(Path(SMOOTHCLAP_TINY))[:12]
    of_shipped = f"`smoothclap-tiny`, SmoothCLAPModel, weights `{weights}`" in report(name)
    assert of_shipped != ("`smoothclap-tiny` before the present one" in page)


@pytest.mark.parametrize("name", PAGES)
def test_the_report_is_of_the_configuration(name: str) -> None:
    path = ROOT / "examples" / "configs" / f"clep_dg_{name}.yaml"
    settings = read_yaml(path, ExperimentSettings)
    text = report(name)
    assert f"over the seeds {', '.join(map(str, settings.seeds))}" in text
    assert f"num_contexts {settings.acpt.num_contexts}, " in text
    assert f"batch_size {settings.classifier.batch_size}." in text
    assert f"Joint prompt: `{settings.templates.joint}`" in text
    head = next(line for line in text.splitlines() if line.startswith("| method |"))
    found = [re.sub(r" \(SYNTHETIC\)$", "", cell) for cell in cells(head)[1:]]
    assert found == [corpus["name"] for corpus in yaml.safe_load(path.read_text())["corpora"]]
