"""Files of an earlier version: results of an experiment with two encoders on two corpora, and a bank of contexts."""

import json
from pathlib import Path
from typing import Any

from smoothclap_trainer.clep_dg.results import ExperimentResults


FOLDER = Path(__file__).parent / "written_before"


def content() -> dict[str, Any]:
    """What the `results.json` holds."""
    return json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))


def results() -> ExperimentResults:
    """The same, typed."""
    return ExperimentResults.from_json(content())
