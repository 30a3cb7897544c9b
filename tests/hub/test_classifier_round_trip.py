"""What an experiment with CLEP-DG leaves goes to the Hub and back: the classifier to the stock pipeline."""

import json

import numpy as np
import pytest
from huggingface_hub import ModelCard
from transformers import pipeline

from modeling_smoothclap import SmoothCLAPForAudioClassification
from smoothclap_trainer.clep_dg.experiment import fit_clep_dg
from smoothclap_trainer.hub.push import push
from tests import tiny
from tests.clean_process import FORGET_THE_PACKAGES, run_python
from tests.hub.here import hub_here
from tests.hub.server import ANN
from tests.trainer.clep_dg.made_up_corpora import experiment, write


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
    pipe = pipeline("audio-classification", model=str(classifier))
    assert type(pipe.model) is SmoothCLAPForAudioClassification  # with the package no code of the checkpoint runs
    return {each["label"]: each["score"] for each in pipe(clip, top_k=None)}


@pytest.fixture(scope="module")
def pushed(classifier):
    """The Hub that it was pushed to, and the result."""
    with pytest.MonkeyPatch.context() as patches, hub_here(patches) as server:
        result = push(classifier, NAME)
        yield server, result


def test_it_is_pushed_whole_in_one_commit(pushed, classifier):
    server, result = pushed
    repository = server.repositories[NAME]
    assert result.commit == repository.branches["main"]
    assert len(repository.commits()) == 2  # the first is what every repository begins with
    assert set(repository.files()) == FILES | {".gitattributes"}
    assert all(repository.files()[name] == (classifier / name).read_bytes() for name in FILES)


def test_its_card_has_the_results_of_the_experiment(pushed):
    card = ModelCard(pushed[0].repositories[NAME].files()["README.md"].decode())
    assert card.data.pipeline_tag == "audio-classification" and card.data.language == ["de", "en"]
    assert {each.dataset_name for each in card.data.eval_results} == {"EmoDB", "TESS"}


def test_without_the_package_the_pipeline_loads_it_from_the_hub_and_from_its_folder(
    pushed, classifier, expected, tmp_path
):
    np.save(tmp_path / "clip.npy", tiny.clips(0.1)[0])
    variables = {"HF_ENDPOINT": pushed[0].url, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": ANN}
    variables |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    printed = run_python(["-I", "-c", PULL_WITHOUT_THE_PACKAGE, NAME, str(classifier)], tmp_path, **variables)
    found, packages = json.loads(printed.splitlines()[-1])
    assert len(expected) == 6 and packages == []
    for scores in found:
        assert scores == pytest.approx(expected, abs=1e-6)
