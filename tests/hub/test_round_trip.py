"""To the Hub and back: `smoothclap push`, then transformers alone, in a process of its own."""

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard
from transformers import pipeline

from modeling_smoothclap import SmoothCLAPForAudioClassification
from smoothclap_trainer.clep_dg.experiment import fit_clep_dg
from smoothclap_trainer.hub.push import push
from tests import processes, tiny
from tests.clean_process import FORGET_THE_PACKAGES, run_python
from tests.hub.here import FILES, hub_here, talk_to, whole_checkpoint
from tests.hub.repositories import Repository
from tests.hub.server import ANN, BOB
from tests.smoothclap import smoothclap
from tests.trainer.clep_dg.made_up_corpora import experiment, write


NAME, CLASSIFIER = "ann/tiny", "ann/emotions"
FILES_OF_A_CLASSIFIER = {
    "README.md",
    "config.json",
    "licences.json",
    "model.safetensors",
    "preprocessor_config.json",
} | {
    f"{name}_smoothclap.py"
    for name in (
        *("audio", "classification", "configuration", "decoding", "feature_extraction"),
        *("lengths", "loss", "modeling", "towers"),
    )
}
LABELS = ["a low voice", "a high voice", "низкий голос"]

PULL = f"""
import numpy as np
from transformers import AutoModel, AutoProcessor, pipeline

name, token, others, *classifiers = sys.argv[1:]
clip = np.load("clip.npy")
pipe = pipeline("zero-shot-audio-classification", model=name, trust_remote_code=True)
found = pipe(clip, candidate_labels={LABELS!r}, hypothesis_template="{{}}")
describe = pipeline("zero-shot-speech-description", model=name, trust_remote_code=True)
described = describe(clip, candidate_labels={LABELS!r})
model = AutoModel.from_pretrained(name, trust_remote_code=True)
processor = AutoProcessor.from_pretrained(name, trust_remote_code=True)
batch = processor(text={LABELS!r}, audio=clip, sampling_rate=16000, return_tensors="pt")
logits = model.eval()(**batch).logits_per_audio[0]

def asked_with(token):
    try:
        AutoModel.from_pretrained(others, trust_remote_code=True, token=token)
    except OSError as error:
        return str(error)
    return "loaded"

pipes = [pipeline("audio-classification", model=each, trust_remote_code=True) for each in classifiers]
result = {{
    "pipeline": {{each["label"]: each["score"] for each in found}},
    "own pipeline": {{each["label"]: each["score"] for each in described}},
    "model": logits.softmax(-1).tolist(),
    "module": type(model).__module__,
    "packages": [name for name in sys.modules if name.split(".")[0] in ("modeling_smoothclap", "smoothclap_trainer")],
    "private": [asked_with(each) for each in (None, False, token)],
    "classifiers": [{{each["label"]: each["score"] for each in pipe(clip, top_k=None)}} for pipe in pipes],
}}
"""


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patches, hub_here(patches) as running:
        yield running


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return whole_checkpoint(tmp_path_factory.mktemp("round-trip") / "checkpoint")


def client(server, folder: Path) -> dict[str, str]:
    """Variables of a process of Ann's that talks to the server and has downloaded nothing yet."""
    variables = {"HF_ENDPOINT": server.url, "HF_HOME": str(folder / "hf"), "HF_TOKEN": ANN}
    return variables | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1"}


def push_there(url: str, folder: Path) -> None:
    """The command, as Ann."""
    with pytest.MonkeyPatch.context() as patches:
        talk_to(url, patches)
        smoothclap("push", folder, NAME, "--push")


@pytest.fixture(scope="module")
def pushed(server, checkpoint):
    """The repository, its files after a push that was killed in the middle of the weights, and a second push."""
    server.faults[NAME] = "upload"
    process = processes.context().Process(target=push_there, args=(server.url, checkpoint))
    process.start()
    try:
        while not server.halfway.wait(0.05):
            assert process.is_alive(), "it ended before it sent the weights"
    finally:
        process.kill()
        process.join()
    after_the_kill = dict(server.repositories[NAME].files())
    return server.repositories[NAME], after_the_kill, push(checkpoint, NAME)


def test_a_killed_upload_leaves_no_half_model(pushed):
    assert set(pushed[1]) == {".gitattributes"}


def test_the_next_push_makes_it_whole(pushed, checkpoint):
    repository, _, result = pushed
    assert repository.commits() == ["initial commit", "Upload model, processor, code and card"]
    assert result.commit == repository.branches["main"]
    assert set(repository.files()) == FILES | {".gitattributes"}
    assert all(repository.files()[name] == (checkpoint / name).read_bytes() for name in FILES)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """The folder of a classifier that an experiment with CLEP-DG leaves."""
    folder = tmp_path_factory.mktemp("experiment")
    changes = {"protocols": "generalisation", "seeds": [0], "acpt": {"num_contexts": 1, "steps": 1}}
    fit_clep_dg(write(experiment(folder, **changes), folder / "it.yaml"))
    return folder / "out" / "classifier"


@pytest.fixture(scope="module")
def pushed_classifier(server, classifier):
    return push(classifier, CLASSIFIER)


def test_a_classifier_is_pushed_whole_in_one_commit(server, pushed_classifier, classifier):
    repository = server.repositories[CLASSIFIER]
    assert pushed_classifier.commit == repository.branches["main"]
    assert len(repository.commits()) == 2  # the first is what every repository begins with
    assert set(repository.files()) == FILES_OF_A_CLASSIFIER | {".gitattributes"}
    assert all(repository.files()[name] == (classifier / name).read_bytes() for name in FILES_OF_A_CLASSIFIER)


def test_its_card_has_the_results_of_the_experiment(server, pushed_classifier):
    card = ModelCard(server.repositories[CLASSIFIER].files()["README.md"].decode())
    assert card.data.pipeline_tag == "audio-classification" and card.data.language == ["de", "en"]
    assert {each.dataset_name for each in card.data.eval_results} == {"EmoDB", "TESS"}


@pytest.fixture(scope="module")
def pulled(server, pushed, classifier, pushed_classifier, tmp_path_factory):
    """What a process without this package found, with an empty cache."""
    folder = tmp_path_factory.mktemp("pull")
    np.save(folder / "clip.npy", tiny.clips(0.1)[0])
    server.repositories["ann/secret"] = Repository("ann", private=True, trees=dict(pushed[0].trees))
    server.repositories["ann/secret"].branches["main"] = pushed[0].branches["main"]
    script = f"{FORGET_THE_PACKAGES}\n{PULL}\nprint(json.dumps(result))"
    arguments = [NAME, BOB, "ann/secret", CLASSIFIER, str(classifier)]
    printed = run_python(["-I", "-c", script, *arguments], folder, **client(server, folder))
    return json.loads(printed.splitlines()[-1])


def test_it_is_pulled_and_gives_the_same_scores_without_the_package(pulled, checkpoint):
    pipe = pipeline("zero-shot-audio-classification", model=str(checkpoint))
    found = pipe(tiny.clips(0.1)[0], candidate_labels=LABELS, hypothesis_template="{}")
    expected = {each["label"]: each["score"] for each in found}
    assert pulled["pipeline"] == pytest.approx(expected, abs=1e-6)
    assert pulled["own pipeline"] == pytest.approx(expected, abs=1e-5)
    assert dict(zip(LABELS, pulled["model"], strict=True)) == pytest.approx(expected, abs=1e-6)
    assert pulled["packages"] == []
    assert pulled["module"].startswith("transformers_modules.ann.tiny.")


def test_a_private_model_is_pulled_by_its_owner_alone(pulled):
    assert pulled["private"][0] == "loaded"
    for refused in pulled["private"][1:]:
        assert "ann/secret is not a local folder and is not a valid model identifier" in refused
        assert "private repository" in refused


def test_the_pipeline_loads_the_classifier_from_the_hub_and_from_its_folder(pulled, classifier):
    pipe = pipeline("audio-classification", model=str(classifier))
    assert type(pipe.model) is SmoothCLAPForAudioClassification  # with the package no code of the checkpoint runs
    expected = {each["label"]: each["score"] for each in pipe(tiny.clips(0.1)[0], top_k=None)}
    assert len(expected) == 6
    for scores in pulled["classifiers"]:
        assert scores == pytest.approx(expected, abs=1e-6)
