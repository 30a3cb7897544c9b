"""A whole experiment on tiny encoders and corpora: metrics by hand, and what they do and do not depend on."""

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPForAudioClassification
from smoothclap_trainer.clep_dg import experiment as under_test
from smoothclap_trainer.clep_dg import report
from smoothclap_trainer.clep_dg.acpt import ACPTSettings
from smoothclap_trainer.clep_dg.classifier import ClassifierSettings, train_classifier
from smoothclap_trainer.clep_dg.experiment import fit_clep_dg
from smoothclap_trainer.clep_dg.methods import METHODS, text_stages
from smoothclap_trainer.clep_dg.prompts import PromptEncoder
from smoothclap_trainer.clep_dg.results import (
    AUDIO_OF_OTHERS,
    AUDIO_OF_SPEAKERS,
    AUGMENTED,
    ExperimentResults,
    RefusalReason,
)
from smoothclap_trainer.data.clips import read_clip
from smoothclap_trainer.evaluation.corpora import read_task
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from smoothclap_trainer.files import held
from tests import tiny
from tests.trainer.clep_dg.encoders import SHORT
from tests.trainer.clep_dg.made_up_corpora import experiment, write
from tests.trainer.evaluation.tiny_clap import clap


CLASSIFIER = {"epochs": 2, "scale": 7.0}
SHARED = ("angry", "disgusted", "fearful", "happy", "sad", "neutral")  # in the order of EmoDB, without its boredom


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("experiment")


def run(folder, **changes):
    return fit_clep_dg(write(experiment(folder, **changes), folder / "it.yaml"))


@pytest.fixture(scope="module")
def results(folder):
    return run(folder, conditions=["clean", "noise-0db"], seeds=[3, 0], classifier=CLASSIFIER)


@pytest.fixture
def _without_plots(monkeypatch):
    for module in (under_test, report):
        for name in ("draw_contexts", "draw_conditions"):
            monkeypatch.setattr(module, name, lambda *_: None, raising=False)


def without_times(results):
    return replace(results, times=None)


def test_what_is_compared(results, folder):
    assert tuple(results.classes) == SHARED and set(results.classes.values()) == set(SHARED)
    assert results.chance == pytest.approx(1 / 6, abs=1e-6)
    assert list(results.titles) == ["emodb", "tess"]
    assert "class 'bored', which not all corpora have" in results.corpora[0].data.left_out
    names = [method.name for method in METHODS]
    assert [each.name for each in results.methods] == names
    assert [(each.corpus, each.condition) for each in results.generalisation] == [
        (corpus, condition) for corpus in ("emodb", "tess") for condition in ("clean", "noise-0db")
    ]
    for entry in results.generalisation:
        assert [each.method for each in entry.methods] == [*names, AUDIO_OF_OTHERS, AUGMENTED[AUDIO_OF_OTHERS]]
        assert entry.zero_shot.status == "unknown"  # the tiny checkpoint has no record
        assert [each.method for each in entry.methods if not each.differences] == ["zero-shot"]
    assert len({entry.sha256 for entry in results.generalisation}) == 4
    first, second, refused = results.supervised
    assert [each.condition for each in (first, second)] == ["clean", "noise-0db"]
    assert [each.method for each in first.methods] == [*names, AUDIO_OF_SPEAKERS, AUGMENTED[AUDIO_OF_SPEAKERS]]
    assert refused.corpus == "tess" and refused.reason is RefusalReason.FEW_SPEAKERS
    assert results.settings["acpt"]["num_contexts"] == 2


def test_hand_written_contexts_that_are_too_long_are_found_before_anything_is_done(folder):
    templates = {name: getattr(SHORT, name) for name in ("context", "joint")} | {"content": "{emotion}" + " a" * 60}
    with pytest.raises(ValueError, match="recorded"):
        run(folder, templates=templates, output=str(folder / "long"))
    assert not (folder / "long" / "contexts").exists()


def test_what_is_written(results, folder):
    out = folder / "out"
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert ExperimentResults.from_json(written) == results
    assert {path.name for path in out.iterdir()} == {
        "results.json", "report.md", "pictures", "contexts", "conditions", "classifier",
    }  # fmt: skip
    assert {path.name for path in (out / "pictures").iterdir()} == {
        "contexts.png", "conditions-emodb.png", "conditions-tess.png",
    }  # fmt: skip
    assert (out / "classifier" / "README.md").is_file()


@pytest.fixture(scope="module")
def by_hand(results, folder):
    """Of each corpus the embeddings of its clips, and their class ids."""
    encoder, found = SmoothCLAPEncoder.from_pretrained(str(folder / "encoder")), {}
    for name in ("emodb", "tess"):
        rows = read_task(PROTOCOLS[f"{name}-7"], folder / name)
        rows = rows[rows["label"].isin(SHARED)]
        audio = encoder.encode_audio([read_clip({"path": path}, 16000) for path in rows["path"]])
        found[name] = audio, np.array([SHARED.index(label) for label in rows["label"]])
    return found


def test_zero_shot_metrics_by_hand(results, folder, by_hand):
    texts = SmoothCLAPEncoder.from_pretrained(str(folder / "encoder")).encode_text(SHARED)
    for entry in results.clean_generalisation:
        audio, labels = by_hand[entry.corpus]
        answers = (audio @ texts.T).argmax(axis=1)
        found = entry.of_method("zero-shot").metrics
        assert found["uar"].value == pytest.approx(balanced_accuracy_score(labels, answers), abs=1e-6)
        assert found["accuracy"].value == pytest.approx(accuracy_score(labels, answers), abs=1e-6)
        assert found["uar"].sd is None and entry.of_method("clep-dg").uar.sd is not None


def test_the_classifier_of_the_other_corpus_by_hand(results, by_hand):
    for entry, other in zip(results.clean_generalisation, ("tess", "emodb"), strict=True):
        weights = train_classifier(*map(torch.from_numpy, by_hand[other]), ClassifierSettings(**CLASSIFIER, seed=0))
        audio, labels = by_hand[entry.corpus]
        expected = balanced_accuracy_score(labels, (audio @ weights.numpy().T).argmax(axis=1))
        assert entry.of_method(AUDIO_OF_OTHERS).seeds[1].uar == pytest.approx(expected, abs=1e-6)


def test_the_saved_classifier_is_that_of_the_first_seed_with_the_scale_of_its_training(results, folder):
    encoder = SmoothCLAPEncoder.from_pretrained(str(folder / "encoder"))
    stages = text_stages(
        PromptEncoder(encoder.model, encoder.processor.tokenizer),
        SHORT,
        SHARED,
        ACPTSettings(num_contexts=2, steps=2, seed=3),
        ClassifierSettings(**CLASSIFIER, seed=3),
        folder / "out" / "contexts" / "seed-3",
    )
    model = SmoothCLAPForAudioClassification.from_pretrained(folder / "out" / "classifier")
    torch.testing.assert_close(model.classifier.weight, stages.weights["clep-dg"], atol=1e-6, rtol=0)
    assert model.logit_scale().item() == pytest.approx(7.0, abs=1e-4)


@pytest.mark.usefixtures("_without_plots")
def test_the_same_again_elsewhere_and_from_contexts_that_were_moved(results, folder, monkeypatch):
    shutil.copytree(folder / "out" / "contexts", folder / "moved" / "contexts")
    monkeypatch.setattr("smoothclap_trainer.clep_dg.acpt._fit_group", None)  # nothing is fitted
    changes = {"conditions": ["clean", "noise-0db"], "seeds": [3, 0], "classifier": CLASSIFIER}
    again = run(folder, output=str(folder / "moved"), **changes)
    assert without_times(again) == without_times(results)
    one, other = (load_file(folder / each / "classifier" / "model.safetensors") for each in ("out", "moved"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("_without_plots")
def test_labels_of_speech_do_nothing_but_score(results, folder, monkeypatch):
    def shuffled(settings):
        corpora = read_corpora(settings)
        for each in corpora:
            each.rows["label"] = np.random.default_rng(0).permutation(each.rows["label"])
        return corpora

    read_corpora = under_test.read_corpora
    monkeypatch.setattr(under_test, "read_corpora", shuffled)
    changes = {"protocols": ["generalisation"], "seeds": [3], "classifier": CLASSIFIER}
    again = run(folder, output=str(folder / "shuffled"), **changes)
    for kind in ("both-losses", "content-loss-only", "style-loss-only"):
        name = f"contexts/seed-3/{kind}/contexts.safetensors"
        assert (folder / "shuffled" / name).read_bytes() == (folder / "out" / name).read_bytes()
    name = "classifier/model.safetensors"
    assert (folder / "shuffled" / name).read_bytes() == (folder / "out" / name).read_bytes()
    first, second = (each.generalisation[0].of_method(AUDIO_OF_OTHERS).seeds[0] for each in (again, results))
    assert first.seed == second.seed == 3 and first != second
    assert again.supervised == ()


@pytest.mark.usefixtures("_without_plots")
def test_a_checkpoint_for_each_corpus_and_what_it_was_trained_on(folder):
    clap(folder / "clap")
    recorded = tiny.model(training_corpora=["tess"])
    recorded.save_pretrained(folder / "recorded")
    tiny.processor().save_pretrained(folder / "recorded")
    encoders = {"emodb": str(folder / "clap"), "tess": str(folder / "recorded")}
    changes = {"protocols": ["generalisation"], "seeds": [0], "conditions": ["clean", "noise-0db"]}
    found = run(folder, encoder=encoders, output=str(folder / "two"), **changes)
    assert [(each.class_name, each.corpora) for each in found.encoders] == [
        ("ClapModel", ["emodb"]),
        ("SmoothCLAPModel", ["tess"]),
    ]
    statuses = ["unknown", "unknown", "not zero-shot", "not zero-shot"]
    assert [each.zero_shot.status for each in found.generalisation] == statuses
    for of_clap in found.generalisation[:2]:
        zero_shot = of_clap.of_method("zero-shot").uar.value
        for method in ("written-contexts", "clep-dg", AUGMENTED[AUDIO_OF_OTHERS]):
            compared = of_clap.of_method(method)
            difference = compared.differences["uar"]
            assert difference.value == pytest.approx(compared.uar.value - zero_shot, abs=2e-6)
            assert difference.low <= difference.value <= difference.high
    assert {path.name for path in (folder / "two" / "contexts").iterdir()} == {"emodb", "tess"}
    assert (folder / "two" / "classifier" / "emodb" / "classifier.safetensors").is_file()
    assert (folder / "two" / "classifier" / "tess" / "model.safetensors").is_file()
    assert [each.seed for each in found.generalisation[0].of_method(AUDIO_OF_OTHERS).seeds] == [0]


def test_what_cannot_be_run(results, folder):
    with pytest.raises(ValueError, match="bored"):
        run(folder, words={"bored": "dull"})
    with pytest.raises(ValueError, match="gloomy"):
        run(folder, words={"sad": "gloomy"})


def test_contexts_of_another_fit_are_found_before_anything_is_done(results, folder, monkeypatch):
    shutil.copytree(folder / "out" / "contexts", folder / "mixed" / "contexts")
    other = {"acpt": {"num_contexts": 2, "steps": 3}, "conditions": ["clean", "noise-0db"], "seeds": [3, 0]}
    for kept in ("seed-3/both-losses", "seed-3/content-loss-only", "seed-3/style-loss-only"):
        with pytest.raises(ValueError, match=kept):
            run(folder, **other, output=str(folder / "mixed"))
        shutil.rmtree(folder / "mixed" / "contexts" / kept)
        assert not (folder / "mixed" / "contexts" / kept).exists() and not (folder / "mixed" / "conditions").exists()
    with pytest.raises(ValueError, match="seed-0/both-losses"):
        run(folder, **other, output=str(folder / "mixed"))


def test_two_fits_do_not_share_a_folder(tmp_path):
    content = experiment(tmp_path)
    with ThreadPoolExecutor() as pool:
        other = held(content["output"])
        pool.submit(other.__enter__).result()
        with pytest.raises(ValueError, match=f"process {os.getpid()}"):
            fit_clep_dg(write(content, tmp_path / "it.yaml"))
        pool.submit(other.__exit__, None, None, None).result()
