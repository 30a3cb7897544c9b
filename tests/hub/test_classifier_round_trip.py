"""What an experiment with CLEP-DG leaves goes to the Hub and back: the classifier to the stock pipeline."""

import json

import numpy as np
import pytest
from huggingface_hub import ModelCard
from transformers import pipeline

from smoothclap_trainer.clep_dg.experiment import fit_clep_dg
from tests import tiny
from tests.clean_process import FORGET_THE_PACKAGES, run_python
from tests.hub.server import ANN, hub
from tests.trainer.clep_dg.made_up_corpora import experiment, write


PUSH = ["-m", "smoothclap_trainer.cli", "push"]
NAME = "ann/emotions"
CODE = ("classification", "configuration", "feature_extraction", "loss", "modeling", "towers")
FILES = {"README.md", "config.json", "model.safetensors", "preprocessor_config.json"}
FILES |= {f"{name}_smoothclap.py" for name in CODE}

PULL_WITHOUT_THE_PACKAGE = f"""{FORGET_THE_PACKAGES}
import numpy as np
from transformers import pipeline

clip = np.load("clip.npy")
pipes = [pipeline("audio-classification", model=name, trust_remote_code=True) for name in sys.argv[1:]]
found = [{{each["label"]: each["score"] for each in pipe(clip, top_k=None)}} for pipe in pipes]
packages = [name for name in sys.modules if name.split(".")[0] in ("modeling_smoothclap", "smoothclap_trainer")]
print(json.dumps([found, packages]))
"""
PULL_WITH_THE_PACKAGE = """
import json, sys
import numpy as np
import modeling_smoothclap
from transformers import pipeline

pipe = pipeline("audio-classification", model=sys.argv[1])
found = {each["label"]: each["score"] for each in pipe(np.load("clip.npy"), top_k=None)}
print(json.dumps([found, type(pipe.model).__module__]))
"""


@pytest.fixture(scope="module")
def server():
    with hub() as running:
        yield running


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The folder that the experiment leaves."""
    folder = tmp_path_factory.mktemp("experiment")
    changes = {"protocols": "generalisation", "seeds": [0], "acpt": {"num_contexts": 1, "steps": 1}}
    fit_clep_dg(write(experiment(folder, **changes), folder / "it.yaml"))
    return folder / "out" / "classifier"


@pytest.fixture(scope="module")
def expected(classifier):
    clip = tiny.clips(0.1)[0]
    found = pipeline("audio-classification", model=str(classifier))(clip, top_k=None)
    return {each["label"]: each["score"] for each in found}


@pytest.fixture(scope="module")
def process(server, tmp_path_factory):
    """Runs Python as Ann, who has downloaded nothing yet, and returns what it printed."""

    def run(*arguments: str) -> str:
        folder = tmp_path_factory.mktemp("process")
        np.save(folder / "clip.npy", tiny.clips(0.1)[0])
        variables = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "hf"), "HF_TOKEN": ANN}
        return run_python(list(arguments), folder, **variables, HF_HUB_DISABLE_XET="1", HF_HUB_OFFLINE="0")

    return run


@pytest.fixture(scope="module")
def pushed(server, classifier, process):
    """The repository, and what pushing printed."""
    printed = process(*PUSH, str(classifier), NAME, "--push")
    return server.repositories[NAME], printed


def test_it_is_pushed_whole_in_one_commit(pushed, classifier):
    repository, printed = pushed
    assert f"commit {repository.branches['main']}" in printed
    assert len(repository.commits()) == 2  # the first is what every repository begins with
    assert set(repository.files()) == FILES | {".gitattributes"}
    assert all(repository.files()[name] == (classifier / name).read_bytes() for name in FILES)


def test_its_card_has_the_results_of_the_experiment(pushed):
    card = ModelCard(pushed[0].files()["README.md"].decode())
    assert card.data.pipeline_tag == "audio-classification" and card.data.language == ["de", "en"]
    assert {each.dataset_name for each in card.data.eval_results} == {"EmoDB", "TESS"}
    assert "unknown whether zero-shot" in card.text


def test_without_the_package_the_pipeline_loads_it_from_the_hub_and_from_its_folder(
    pushed, classifier, expected, process
):
    printed = process("-I", "-c", PULL_WITHOUT_THE_PACKAGE, NAME, str(classifier))
    found, packages = json.loads(printed.splitlines()[-1])
    assert len(expected) == 6 and packages == []
    for scores in found:
        assert scores == pytest.approx(expected, abs=1e-6)


def test_with_the_package_no_code_of_the_checkpoint_runs(pushed, expected, process):
    found, module = json.loads(process("-I", "-c", PULL_WITH_THE_PACKAGE, NAME).splitlines()[-1])
    assert found == pytest.approx(expected, abs=1e-6)
    assert module == "modeling_smoothclap.classification_smoothclap"
