"""Stages 2 and 3 and their evaluation by the command line; killed in the middle, it goes on and ends the same."""

import json
import signal
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import pipeline

from tests import processes, tiny
from tests.smoothclap import error, smoothclap
from tests.trainer.clep_dg.made_up_corpora import experiment, write


ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "examples" / "configs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clep-dg")


def config(folder, name, **changes):
    changes = {"output": str(folder / name), "acpt": {"num_contexts": 6, "steps": 40}, "seeds": [0]} | changes
    return write(experiment(folder, **changes), folder / f"{name}.yaml")


def without_times(path):
    text = path.read_text(encoding="utf-8")
    return text.split('\n  "times": ')[0]


def test_killed_in_the_middle_of_stage_2_it_ends_with_the_same_results(folder):
    printed = smoothclap("clep-dg", config(folder, "whole")).stdout
    whole, killed = folder / "whole", folder / "killed"
    assert "| method | EmoDB | TESS |" in printed and "| CLEP-DG |" in printed
    assert str(whole) in printed

    path = config(folder, "killed")
    contexts = killed / "contexts" / "seed-0" / "both-losses" / "contexts.safetensors"
    with processes.script("smoothclap_trainer.cli", ["clep-dg", str(path)], folder / "logs") as script:
        script.wait_for(contexts.is_file)
        script.kill(signal.SIGKILL)
        assert script.end() == [-signal.SIGKILL]
    assert len(load_file(contexts)["contexts"]) < 6 and not (killed / "results.json").exists()
    smoothclap("clep-dg", path)
    kept = [file.relative_to(whole) for file in whole.glob("contexts/*/*/*.safetensors")]
    assert len(kept) == 3
    for name in (*kept, Path("classifier/model.safetensors"), Path("report.md")):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert without_times(killed / "results.json") == without_times(whole / "results.json")
    assert json.loads((killed / "results.json").read_text(encoding="utf-8"))["times"]["seconds"] > 0

    found = pipeline("audio-classification", model=str(killed / "classifier"))(tiny.clips(0.3)[0], top_k=None)
    assert {each["label"] for each in found} == {"angry", "disgusted", "fearful", "happy", "sad", "neutral"}


def test_supervised_alone_prints_no_table_of_the_other_protocol(folder):
    path = config(folder, "alone", protocols="supervised", acpt={"num_contexts": 1, "steps": 1})
    assert "| method |" not in smoothclap("clep-dg", path).stdout
    assert (folder / "alone" / "report.md").is_file()
    changed = ["--seeds", "[4]", "--output", folder / "changed", "--acpt", "{num_contexts: 1, steps: 2}"]
    smoothclap("clep-dg", path, *changed)
    settings = json.loads((folder / "changed" / "results.json").read_text(encoding="utf-8"))["settings"]
    assert (settings["seeds"], settings["acpt"]["steps"], settings["protocols"]) == ([4], 2, ["supervised"])


def test_mistakes_are_reported_in_a_line(folder, tmp_path):
    assert "none.yaml" in error("clep-dg", tmp_path / "none.yaml")
    assert "seeds" in error("clep-dg", config(folder, "wrong", seeds=[1, 1]))
    assert "sedes" in error("clep-dg", config(folder, "wrong"), "--sedes", "[1]")
    absent = str(tmp_path / "absent")
    assert absent in error("clep-dg", config(folder, "wrong", encoder=absent))
