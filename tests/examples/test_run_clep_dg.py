"""Stages 2 and 3 and their evaluation by the command line; killed in the middle, it goes on and ends the same."""

import importlib.util
import json
import signal
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import pipeline

from smoothclap_trainer.clep_dg.prompts import ENGLISH
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml
from tests import processes, tiny
from tests.trainer.clep_dg.made_up_corpora import experiment, write


ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "run_clep_dg.py"
CONFIGS = ROOT / "examples" / "configs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("clep-dg")


def main(monkeypatch, *arguments):
    spec = importlib.util.spec_from_file_location("run_clep_dg", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    module.main()


def config(folder, name, **changes):
    changes = {"output": str(folder / name), "acpt": {"num_contexts": 6, "steps": 40}, "seeds": [0]} | changes
    return write(experiment(folder, **changes), folder / f"{name}.yaml")


def without_times(path):
    text = path.read_text(encoding="utf-8")
    return text.split('\n  "times": ')[0]


def test_killed_in_the_middle_of_stage_2_it_ends_with_the_same_results(folder, monkeypatch, capsys):
    main(monkeypatch, config(folder, "whole"))
    whole, killed = folder / "whole", folder / "killed"
    printed = capsys.readouterr().out
    assert "| method | EmoDB | TESS |" in printed and "| CLEP-DG |" in printed
    assert str(whole / "results.json") in printed and str(whole / "report.md") in printed

    path = config(folder, "killed")
    contexts = killed / "contexts" / "seed-0" / "content-loss-only" / "contexts.safetensors"
    with processes.script(SCRIPT, [str(path)], folder / "logs") as script:
        script.wait_for(contexts.is_file)
        script.kill(signal.SIGKILL)
        assert script.end() == [-signal.SIGKILL]
    assert len(load_file(contexts)["contexts"]) < 6 and not (killed / "results.json").exists()
    main(monkeypatch, path)
    kept = [file.relative_to(whole) for file in whole.glob("contexts/*/*/*.safetensors")]
    assert len(kept) == 3
    for name in (*kept, Path("classifier/model.safetensors"), Path("report.md")):
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert without_times(killed / "results.json") == without_times(whole / "results.json")
    assert json.loads((killed / "results.json").read_text(encoding="utf-8"))["times"]["seconds"] > 0

    found = pipeline("audio-classification", model=str(killed / "classifier"))(tiny.clips(0.3)[0], top_k=None)
    assert {each["label"] for each in found} == {"angry", "disgusted", "fearful", "happy", "sad", "neutral"}


def test_supervised_alone_prints_no_table_of_the_other_protocol(folder, monkeypatch, capsys):
    main(monkeypatch, config(folder, "alone", protocols="supervised", acpt={"num_contexts": 1, "steps": 1}))
    assert "leave one corpus out" not in capsys.readouterr().out
    assert "classifier on audio of other speakers" in (folder / "alone" / "report.md").read_text(encoding="utf-8")


def test_mistakes_are_told_in_a_line(folder, monkeypatch, tmp_path):
    def error(*arguments):
        with pytest.raises(SystemExit) as stopped:
            main(monkeypatch, *arguments)
        return str(stopped.value.code)

    assert error(tmp_path / "none.yaml").startswith(f"error: There is no file '{tmp_path / 'none.yaml'}'")
    assert "`seeds`" in error(config(folder, "wrong", seeds=[1, 1]))
    absent = str(tmp_path / "absent")
    assert error(config(folder, "wrong", encoder=absent)).startswith(f"error: {absent!r} ")


def test_the_configurations_are_read():
    five = read_yaml(CONFIGS / "clep_dg.yaml", ExperimentSettings)
    assert [corpus.name for corpus in five.corpora] == ["ravdess", "crema-d", "tess", "iemocap", "emodb"]
    defaults = read_yaml(CONFIGS / "clep_dg_synthetic.yaml", ExperimentSettings)
    assert five.templates == defaults.templates == ENGLISH
    assert five.acpt == type(five.acpt)() and five.classifier == type(five.classifier)()
    assert five.seeds == defaults.seeds == [0, 1, 2] and five.protocols == ["generalisation", "supervised"]
    assert all(corpus.synthetic for corpus in defaults.corpora)
    attributes = read_yaml(CONFIGS / "clep_dg_attributes.yaml", ExperimentSettings)
    assert not any(corpus.synthetic for corpus in attributes.corpora)
    for settings in (defaults, attributes):
        assert (ROOT / str(settings.encoder) / "config.json").is_file()
        assert settings.acpt.num_contexts < five.acpt.num_contexts
        ratio = settings.acpt.num_contexts / five.acpt.num_contexts
        assert settings.classifier.batch_size == int(five.classifier.batch_size * ratio)
