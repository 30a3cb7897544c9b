"""The zero-shot evaluation by its command line."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from tests.corpus_trees import build_tree


SCRIPT = Path(__file__).parents[2] / "examples" / "run_zero_shot_evaluation.py"


@pytest.fixture
def run(monkeypatch):
    """Runs the script's `main` with a command line."""
    spec = importlib.util.spec_from_file_location("run_zero_shot_evaluation", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)  # where dataclasses look for the fields' types
    spec.loader.exec_module(script)

    def main(*arguments):
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
        script.main()

    return main


def test_the_list_says_what_there_is_and_where_to_ask(run, capsys):
    run("--list")
    printed = capsys.readouterr().out
    assert all(name in printed for name in PROTOCOLS)
    assert all(corpus.licence in printed and corpus.ask in printed for corpus in EMOTION_CORPORA.values())


def test_the_shipped_checkpoint_by_its_name(run, tmp_path, capsys):
    alc = ("--tasks", "alc-2", "--data-root", f"alc={build_tree('alc', tmp_path, takes=1)}")
    run("--model", "smoothclap-tiny", *alc, "--bootstrap-samples", 10, "--output", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [model["name"] for model in found["models"]] == ["smoothclap-tiny"]
    assert PROTOCOLS["alc-2"].title in capsys.readouterr().out
    with pytest.raises(SystemExit, match="'alc-3'"):
        run("--model", "smoothclap-tiny", "--tasks", "alc-3")
