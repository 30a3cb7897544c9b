"""The comparison from a YAML file to its page, with a training script that only copies a checkpoint."""

import importlib.util
import json
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
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


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """The script as a module, with another training script."""
    spec = importlib.util.spec_from_file_location("compare_objectives", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    training = tmp_path_factory.mktemp("training") / "train.py"
    training.write_text(TRAINING)
    with pytest.MonkeyPatch.context() as patches:
        patches.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        patches.setattr(module, "TRAINING", [str(training)])
        yield module


@pytest.fixture(scope="module")
def given(tmp_path_factory, script):
    """A configuration and arguments."""
    folder = tmp_path_factory.mktemp("given")
    expressive, speech, config = folder / "expressive", folder / "speech", folder / "config.yaml"
    english = comparison_data.expressive(expressive, "made-en", "en", 12)
    german = comparison_data.expressive(expressive, "made-de", "de", 12, seed=100)
    train = comparison_data.expressive(expressive, "made-train", "en", 6, seed=300)
    save_splits({"train": train, "test": pd.concat([english, german], ignore_index=True)}, expressive)
    heard = comparison_data.clips(speech, "heard", "en", 12, seed=400)
    save_splits({"train": heard, "test": comparison_data.clips(speech, "real", "cs", 12, seed=200)}, speech)
    prepared = comparison_data.checkpoint(folder / "prepared")
    config.write_text(
        yaml.safe_dump({"dataset": [str(expressive)], "prepared": str(prepared), "audio_encoder": str(prepared)})
    )
    return config, script.ComparisonArguments(
        seeds=2,
        output=str(folder / "out"),
        table=str(folder / "docs" / "objectives.md"),
        expressive=str(expressive),
        speech=str(speech),
    )


@pytest.fixture(scope="module")
def printed(script, given):
    """What a whole comparison prints."""
    with redirect_stdout(StringIO()) as shown:
        script.main(*given)
    return shown.getvalue()


def test_from_yaml_to_the_page(given, printed):
    _, arguments = given
    results = pd.read_csv(Path(arguments.output) / "results.csv")
    assert len(results) == 16 and results["steps"].unique() == [7]
    assert {"uar_en", "uar_de", "intensity", "text_to_audio_r@10", "chance_r@1"} <= {*results.columns}
    page = Path(arguments.table).read_text()
    assert page.split("## Reading")[0].count("| InfoNCE (one-hot targets) |") == 4
    made_with = json.loads((Path(arguments.output) / "infonce-seed0" / "made_with.json").read_text())
    assert {*made_with["data"]} == {"train", "expressive", "speech", "audio_encoder"}
    assert "Training: 6 clips of SYNTHETIC speech in en by 4 voices (made-train); 20 of them were used." in page
    assert "12 clips of real speech in cs" in page
    assert "results.csv" in printed
    # All models have one tower, so each test set was listened to once.
    assert len(list((Path(arguments.output) / "cache").iterdir())) == 2


def test_runs_are_not_mixed_with_those_of_other_clips(script, given, printed, tmp_path):
    config, arguments = given
    heard = comparison_data.clips(tmp_path, "heard", "en", 12, seed=400)
    save_splits({"train": heard, "test": comparison_data.clips(tmp_path, "real", "cs", 12, seed=201)}, tmp_path)
    with pytest.raises(SystemExit, match=r"infonce-seed0.*data\.speech"):
        script.main(config, replace(arguments, speech=str(tmp_path)))


def test_what_is_wrong_is_said_without_a_traceback(script, given, tmp_path, monkeypatch):
    config, arguments = given
    (tmp_path / "train.py").write_text("raise SystemExit('out of paper')")
    monkeypatch.setattr(script, "TRAINING", [str(tmp_path / "train.py")])
    with pytest.raises(SystemExit, match=r"(?s)-seed0.*out of paper"):
        script.main(config, replace(arguments, output=str(tmp_path / "out")))
    with pytest.raises(SystemExit, match=str(tmp_path)):
        script.main(config, replace(arguments, speech=str(tmp_path)))
    with pytest.raises(SystemExit, match=r"nowhere\.yaml"):
        script.main(Path("nowhere.yaml"), arguments)
