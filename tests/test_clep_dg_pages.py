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
PAGES = ("attributes", "arousal", "synthetic", "tuned")
ENCODERS = ("tuned", "augmented", "conditions", "e5")
ZERO_SHOT, CLEP_DG = "zero-shot text prototypes", "CLEP-DG"


def report(name: str) -> str:
    return (ROOT / "docs" / "clep-dg" / name / "report.md").read_text(encoding="utf-8")


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def uar(name: str) -> dict[str, list[str]]:
    """Of the first table, method to figures."""
    lines = report(name).split("UAR:\n\n")[1].split("\n\n")[0].splitlines()
    return {method: figures for method, *figures in map(cells, lines[2:])}


def table(lines: list[str]) -> dict[str, dict[str, str]]:
    """Of a table's lines, first column to the other columns by their heads."""
    head = cells(lines[0])
    return {first: dict(zip(head[1:], others, strict=True)) for first, *others in map(cells, lines[2:])}


def shown(head: str) -> dict[str, list[str]]:
    """Of the handbook's table that begins with a head, first column to the others."""
    page = (ROOT / "docs" / "clep-dg.md").read_text(encoding="utf-8")
    lines = page.split(head)[1].split("\n\n")[0].splitlines()[2:]
    return {first: others for first, *others in map(cells, lines)}


def in_conditions(name: str) -> list[list[str]]:
    """Of each corpus, zero-shot and CLEP-DG under each condition, and where a whole interval lies."""
    rows = []
    for corpus in report(name).split("## Acoustic conditions")[1].split("## Texts")[0].split("\n### ")[1:]:
        uars, differences = (
            table(each.splitlines()) for each in corpus.split("\n\n") if each.startswith("| condition")
        )
        rows.append([])
        for condition, row in uars.items():
            zero_shot, clep_dg = (row[method].split(" ")[0] for method in (ZERO_SHOT, CLEP_DG))
            sure = re.search(", (above|below)$", differences[condition][CLEP_DG])
            rows[-1].append(f"{zero_shot} / {clep_dg}{sure[0] if sure else ''}")
    return rows


def test_the_handbooks_table_is_made_of_the_reports() -> None:
    methods = shown("| | Dutch, pitch | Czech, pitch |")
    reports = [uar(name) for name in PAGES]
    assert list(methods) == list(reports[0]) and len(methods) == 10
    for method, figures in methods.items():
        assert figures == [figure for each in reports for figure in each[method]]


def test_the_handbooks_table_of_first_stages_is_made_of_the_reports() -> None:
    encoders = shown("| after stage 1 | as recorded |")
    expected = {
        f"{name}, {language}": row
        for name in ENCODERS
        for language, row in zip(("English", "German"), in_conditions(name), strict=True)
    }
    assert {name: [each for each in row if each] for name, row in encoders.items()} == expected


@pytest.mark.parametrize("name", ["attributes", "arousal", "synthetic"])
def test_the_report_is_of_the_shipped_weights(name: str) -> None:
    weights = weights_sha256(Path(SMOOTHCLAP_TINY))[:12]
    assert f"`smoothclap-tiny`, SmoothCLAPModel, weights `{weights}`" in report(name)


@pytest.mark.parametrize("name", ENCODERS[1:])
def test_the_report_is_of_its_own_first_stage(name: str) -> None:
    assert f"`clep-{name}`, SmoothCLAPModel, weights `" in report(name)


def test_the_analysis_is_of_the_experiment_that_is_here() -> None:
    weights = re.search("`clep-synthetic`, SmoothCLAPModel, weights `(.+?)`", report("tuned"))
    assert weights is not None and f"`clep-synthetic`, weights `{weights[1]}`" in report("analysis")


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
