"""The comparison from a YAML file to its page, with a training script that only copies a checkpoint."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from speech.dataset import save_splits

from tests.examples.recipes import comparison_data


SCRIPT = Path(__file__).parents[3] / "examples" / "recipes" / "compare_objectives.py"

TRAINING = """
import shutil, sys

prepared = open(sys.argv[1]).read().split("prepared: ")[1].split()[0]
shutil.copytree(prepared, sys.argv[sys.argv.index("--output_dir") + 1])
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    """The script as a module, with another training script."""
    spec = importlib.util.spec_from_file_location("compare_objectives", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    training = tmp_path / "train.py"
    training.write_text(TRAINING)
    monkeypatch.setattr(module, "TRAINING", [str(training)])
    return module


@pytest.fixture
def arguments(tmp_path, script):
    expressive, speech, config = tmp_path / "expressive", tmp_path / "speech", tmp_path / "config.yaml"
    english = comparison_data.expressive(expressive, "made-en", "en", 12)
    german = comparison_data.expressive(expressive, "made-de", "de", 12, seed=100)
    train = comparison_data.expressive(expressive, "made-train", "en", 6, seed=300)
    save_splits({"train": train, "test": pd.concat([english, german], ignore_index=True)}, expressive)
    heard = comparison_data.clips(speech, "heard", "en", 12, seed=400)
    save_splits({"train": heard, "test": comparison_data.clips(speech, "real", "cs", 12, seed=200)}, speech)
    prepared = comparison_data.checkpoint(tmp_path / "prepared")
    config.write_text(
        yaml.safe_dump({"dataset": [str(expressive)], "prepared": str(prepared), "audio_encoder": str(prepared)})
    )
    return config, script.ComparisonArguments(
        seeds=2,
        output=str(tmp_path / "out"),
        table=str(tmp_path / "docs" / "objectives.md"),
        expressive=str(expressive),
        speech=str(speech),
    )


def test_from_yaml_to_the_page(script, arguments, capsys):
    config, arguments = arguments
    script.main(config, arguments)
    results = pd.read_csv(Path(arguments.output) / "results.csv")
    assert len(results) == 16 and results["steps"].unique() == [7]
    assert {"uar_en", "uar_de", "intensity", "text_to_audio_r@10", "chance_r@1"} <= {*results.columns}
    page = Path(arguments.table).read_text()
    assert page.split("## Reading")[0].count("| InfoNCE (one-hot targets) |") == 4
    made_with = json.loads((Path(arguments.output) / "infonce-seed0" / "made_with.json").read_text())
    assert {*made_with["data"]} == {"train", "expressive", "speech", "audio_encoder"}
    assert "Training: 6 clips of SYNTHETIC speech in en by 4 voices (made-train); 20 of them were used." in page
    assert "12 clips of real speech in cs" in page
    assert "results.csv" in capsys.readouterr().out
    # All models have one tower, so each test set was listened to once.
    assert len(list((Path(arguments.output) / "cache").iterdir())) == 2


def test_runs_are_not_mixed_with_those_of_other_clips(script, arguments):
    config, arguments = arguments
    script.main(config, arguments)
    folder = Path(arguments.speech)
    heard = comparison_data.clips(folder, "heard", "en", 12, seed=400)
    save_splits({"train": heard, "test": comparison_data.clips(folder, "real", "cs", 12, seed=201)}, folder)
    with pytest.raises(SystemExit, match=r"error: '.+infonce-seed0' holds a run with other .+: data\.speech\. Choose"):
        script.main(config, arguments)


def test_what_is_wrong_is_said_without_a_traceback(script, arguments):
    config, arguments = arguments
    Path(script.TRAINING[0]).write_text("raise SystemExit('out of paper')")
    with pytest.raises(SystemExit, match=r"error: Training .+-seed0 ended with status 1;(?s:.*)out of paper"):
        script.main(config, arguments)
    arguments.speech = arguments.output
    with pytest.raises(SystemExit, match="error: no dataset in"):
        script.main(config, arguments)


def test_usage(tmp_path):
    command = [sys.executable, str(SCRIPT), "nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("There is no file nowhere.yaml; examples/configs/ holds some.\n")
