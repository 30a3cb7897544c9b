"""Training on open corpora, two of them on the Hub, without one that the result is then tested on."""

import json
import re

import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard

from smoothclap_trainer.data import functionals
from smoothclap_trainer.evaluation.results import EvaluationResults
from tests.corpus_trees import build_tree
from tests.examples.test_corpora import EXAMPLES
from tests.hub.data import audio, hub_with_data, put
from tests.invariants import command_line
from tests.smoothclap import smoothclap


ON_HUB = {
    "crema-d": ("mteb/crema-d", "label", ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"]),
    "ravdess": ("mteb/RavdessZeroshot", "labels", ["01", "02", "03", "04", "05", "06", "07", "08"]),
}
"""Corpus to its data set, the column of labels there, and what its numbers mean."""
QUICK = {"max_train_clips": 60, "max_steps": 2, "per_device_train_batch_size": 4, "dataloader_num_workers": 0}
QUICK |= {"eval_strategy": "no", "save_strategy": "no", "load_best_model_at_end": False, "metric_for_best_model": None}
QUICK |= {"greater_is_better": None, "save_total_limit": None, "preparation_workers": 1, "use_cpu": True}
QUICK |= {"report_attributes": False}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A folder with the files of the corpora as they are, but for commits and folders; the Hub has what they name."""
    folder = tmp_path_factory.mktemp("corpora")
    with pytest.MonkeyPatch.context() as patches, hub_with_data(patches, folder / "cache") as server:
        for seed, file in enumerate((EXAMPLES / "corpora").glob("*.yaml")):
            tree = build_tree(file.stem, folder / "trees", takes=1, seed=seed)
            said = yaml.safe_load(file.read_text()) | {"data_root": str(tree)}
            if file.stem in ON_HUB:
                name, column, codes = ON_HUB[file.stem]
                paths = [path for path in tree.rglob("*.wav") if "Song" not in str(path)]
                places = [codes.index(re.split("[-_]", path.stem)[2]) for path in paths]
                rows = [{"audio": audio(path), column: place} for path, place in zip(paths, places, strict=True)]
                said["data_root"] = f"{name}@{put(server, name, rows)}"
            (folder / file.name).write_text(yaml.safe_dump(said))
        yield folder


@pytest.fixture(scope="module")
def trained(corpora, tmp_path_factory):
    """The folder of a checkpoint that `open-emotion.yaml` made without RAVDESS, in two steps of tiny encoders."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    files = [str(corpora / f"{name}.yaml") for name in ("crema-d", "ravdess", "emodb", "tess")]
    encoders = {name: each for name, each in command_line.encoders(folder / "encoders").items() if "encoder" in name}
    changes = {"dataset": files, "leave_out": "ravdess", "cache_dir": str(folder / "cache"), **encoders, **QUICK}
    options = [word for name, value in changes.items() for word in (f"--{name}", json.dumps(value))]
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(functionals, "_functionals", lambda samples, rate: (rng.normal(1, 0.1, 88).astype("f4"), None))
        recipe = EXAMPLES / "configs" / "open-emotion.yaml"
        smoothclap("train", recipe, "--output_dir", folder / "out", *options)
    return folder / "out"


def test_the_record_says_which_corpora_licences_and_commits(trained, corpora):
    assert json.loads((trained / "config.json").read_text())["training_corpora"] == ["crema-d", "emodb", "tess"]
    data = json.loads((trained / "data.json").read_text())
    assert {name: each["speakers"] for name, each in data["validation"].items()} == {"crema-d": 9, "emodb": 2}
    assert data["validation"]["crema-d"]["licence"] == "ODbL 1.0" and data["test"]["tess"]["clips"] == 7
    source = yaml.safe_load((corpora / "crema-d.yaml").read_text())["data_root"]
    assert json.loads((trained / "origin.json").read_text())["datasets"] == [source]
    card = ModelCard((trained / "README.md").read_text())
    assert card.data.datasets == ["mteb/crema-d"]
    for fact in (
        "| `crema-d` | corpus | ODbL 1.0 | share-alike |",
        "| `tess` | corpus | CC BY-NC-ND 4.0 | no derivatives, non-commercial |",
        *("`license: cc-by-nc-4.0`", "`emodb`.**"),  # what follows, and what is not known
    ):
        assert fact in card.text, fact


def test_it_is_zero_shot_on_the_corpus_left_out_alone(trained, corpora, tmp_path):
    on_hub = yaml.safe_load((corpora / "ravdess.yaml").read_text())["data_root"]
    words = ("--data-root", corpora, f"ravdess={on_hub}", "--bootstrap-samples", 20, "--output", tmp_path)
    smoothclap("evaluate", "--model", trained, "--tasks", "ravdess-8", "tess-7", *words)
    results = EvaluationResults.load(tmp_path / "results.json")
    judged = {task.protocol.name: (task.data.clips, str(result.zero_shot.status)) for task, result in results.judged}
    assert judged == {"ravdess-8": (24, "zero-shot"), "tess-7": (14, "not zero-shot")}
    (trained / "zero_shot.json").write_text((tmp_path / "results.json").read_text())
    smoothclap("card", trained)
    named = {each.dataset_name for each in ModelCard((trained / "README.md").read_text()).data.eval_results}
    assert "RAVDESS 8" in named
