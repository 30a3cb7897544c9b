"""The cards of saved classifiers and of context banks: what the Hub reads, the facts, and that their examples run."""

import copy
import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file
from transformers import pipeline

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.clep_dg.acpt import ACPTSettings, untrained_bank
from smoothclap_trainer.clep_dg.cards import SavedClassifier, eval_results, write_cards
from smoothclap_trainer.clep_dg.results import ExperimentResults
from smoothclap_trainer.evaluation.corpus_names import LICENCES_OF_CORPORA
from smoothclap_trainer.hub import licences
from smoothclap_trainer.hub.facts import licences_of
from smoothclap_trainer.hub.licences import InputKind, LicensedInput
from smoothclap_trainer.hub.plan import plan
from tests import tiny
from tests.trainer.clep_dg import encoders, judged_classifiers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two encoders, and an experiment's output for one of them, `out`, and for both, `both`."""
    folder = tmp_path_factory.mktemp("cards")
    judged_classifiers.with_clap(folder)
    judged_classifiers.save(folder / "encoder", folder / "out" / "classifier")
    judged_classifiers.save(folder / "encoder", folder / "both" / "classifier" / "one")
    judged_classifiers.save(folder / "clap", folder / "both" / "classifier" / "two")
    return folder


@pytest.fixture(scope="module")
def made(folder):
    return judged_classifiers.results(folder)


@pytest.fixture
def results(made):
    return copy.deepcopy(made)


def classifier(results) -> SavedClassifier:
    typed = ExperimentResults.from_json(results)
    return SavedClassifier(typed, typed.encoders[0])


def written(results, folder) -> str:
    (path,) = write_cards(ExperimentResults.from_json(results), folder / "out")
    assert path == folder / "out" / "classifier" / "README.md"
    return path.read_text(encoding="utf-8")


def rows(text: str, first: str) -> list[str]:
    """The rows of the table whose first column is headed so."""
    return text.split(f"\n| {first} |")[1].split("\n\n")[0].splitlines()[2:]


def run(text: str, **replaced: str) -> str:
    """What the card's Python prints."""
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    for old, new in replaced.items():
        assert f'"{old}"' in code
        code = code.replace(f'"{old}"', repr(new))
    with redirect_stdout(StringIO()) as printed:
        exec(code, {})
    return printed.getvalue()


def test_what_the_hub_reads(results, folder):
    data = ModelCard(written(results, folder)).data
    assert (data.library_name, data.pipeline_tag) == ("transformers", "audio-classification")
    assert data.language == ["en", "de"] and data.metrics == ["recall", "accuracy"]
    assert {"smoothclap", "clep-dg"} <= set(data.tags)
    assert data.license is None and data.base_model is None  # nobody said so, and it is a folder
    assert data.model_name == "CLEP-DG classifier on encoder"
    found = {(each.dataset_type, each.dataset_config, each.metric_name): each for each in data.eval_results}
    assert len(found) == 8
    uar = found["one", "clean", "UAR"]
    assert (uar.task_type, uar.metric_type, uar.metric_value) == ("audio-classification", "recall", 0.75)
    assert uar.metric_args == {"average": "macro"} and uar.dataset_name == "One"
    assert found["two", "noise", "Accuracy (not zero-shot)"].metric_value == pytest.approx(0.42)


def test_the_table_has_the_results_of_the_first_seed(results, folder):
    found = [row.replace(", below chance", " (below)") for row in rows(written(results, folder), "corpus")]
    assert found == [
        "| One | as recorded | 0.710 | 0.710 | 0.750 | 0.760 |",
        "| One | in noise | 0.710, at chance | 0.710, at chance | 0.520, at chance | 0.530 |",
        "| two (SYNTHETIC) | as recorded | 0.710 † | 0.710 † | 0.700 † | 0.710 |",
        "| two (SYNTHETIC) | in noise | 0.710 (below) † | 0.710 (below) † | 0.410 (below) † | 0.420 |",
    ]
    results["settings"]["seeds"] = [7, 4]
    assert rows(written(results, folder), "corpus")[0] == "| One | as recorded | 0.710 | 0.810 | 0.700 | 0.710 |"


def test_cautions_hold_for_the_results_that_they_are_about(results):
    mine = classifier(results)
    assert mine.synthetic == ["two (SYNTHETIC)"] and mine.is_above_chance and mine.seed == 4
    assert {"at chance", "below chance"} < mine.places
    assert mine.not_better_on("zero-shot") == mine.not_better_on("context-free") == ["two (SYNTHETIC)"]
    results["settings"]["corpora"][1]["synthetic"] = False
    assert classifier(results).synthetic == []


@pytest.mark.parametrize(("low", "high", "above"), [(0.51, 0.9, True), (0.5, 0.9, False), (0.1, 0.4, False)])
def test_above_chance_means_over_all_seeds_on_a_corpus_as_recorded(results, folder, low, high, above):
    elsewhere = judged_classifiers.entry("one", "noise", 0.9, low=0.8, high=0.95)
    results["generalisation"] = [judged_classifiers.entry("two", "clean", 0.7, low=low, high=high), elsewhere]
    assert classifier(results).is_above_chance is above
    assert ("does better than guessing" in written(results, folder)) is not above


def test_without_leave_one_corpus_out_the_supervised_results_are_shown(results, folder):
    test = results["generalisation"][0]
    del test["sha256"], test["speakers_in_others"]
    refusal = {"corpus": "two", "zero_shot": test["zero_shot"], "refused": "2 are known"}
    results |= {"supervised": [test | {"folds": 5, "speakers": 9, "left_out": 0}, refusal], "generalisation": []}
    assert rows(written(results, folder), "corpus") == ["| One | as recorded | 0.710 | 0.710 | 0.750 | 0.760 |"]
    results["supervised"] = results["supervised"][1:]
    assert "two (SYNTHETIC): 2 are known." in written(results, folder)
    assert not classifier(results).is_above_chance and list(eval_results(classifier(results))) == []


def test_the_example_runs_both_ways_and_gives_the_answers_of_the_pipeline(results, folder):
    text = written(results, folder)
    checkpoint = str(folder / "out" / "classifier")
    clip = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    expected = {each["label"]: each["score"] for each in pipeline("audio-classification", model=checkpoint)(clip)}
    answers = [eval(line) for line in run(text, **{"user/name": checkpoint}).splitlines()]
    assert len(answers) == 2 and set(expected) == {"sad", "glad"}
    for answer in answers:
        assert {each["label"]: each["score"] for each in answer} == pytest.approx(expected, abs=1e-6)


# Licence and base model


@pytest.mark.parametrize(
    ("front", "expected"),
    [
        ("license: mit", {"license": "mit"}),
        ("license: other\nlicense_name: mine\nlicense_link: LICENSE", {"license": "other", "license_name": "mine"}),
        ("license: other\nlicense_link: https://a.org/l", {"license": "other", "license_link": "https://a.org/l"}),
        ("tags: [a]", {}),
        ("license: [", {}),
        ("- a list", {}),
    ],
)
def test_the_licence_is_the_one_on_the_card_of_the_encoder(results, folder, front, expected):
    card = folder / "encoder" / "README.md"
    card.write_text(f"---\n{front}\n---\n\n# It\n")
    try:
        data = ModelCard(written(results, folder)).data.to_dict()
    finally:
        card.unlink()
    assert {name: value for name, value in data.items() if name.startswith("license")} == expected


def test_the_licences_of_the_encoder_are_those_of_the_classifier(results, folder):
    results["encoders"][0]["training_corpora"] = ["iemocap", "mine"]
    free, bound = LicensedInput(InputKind.CORPUS, "mine", "MIT"), LicensedInput(InputKind.WEIGHTS, "w", "CC BY-NC 4.0")
    licences.write_licences(folder / "encoder", [free, bound])
    (folder / "encoder" / "README.md").write_text("---\nlicense: mit\n---\n\n# It\n")
    try:
        card = written(results, folder)
    finally:
        for name in ("README.md", "licences.json"):
            (folder / "encoder" / name).unlink()
    found = {each.name: each.licence for each in licences_of(folder / "out" / "classifier").inputs}
    iemocap = {"iemocap": LICENCES_OF_CORPORA["iemocap"]}
    assert found == {"encoder": "mit", "mine": "MIT", "w": "CC BY-NC 4.0"} | iemocap
    assert "| `w` | weights | CC BY-NC 4.0 | non-commercial |" in card
    with pytest.raises(ValueError, match=r"mit.*'w'.*CC BY-NC 4\.0"):
        plan(folder / "out" / "classifier")


def of_the_hub(results):
    results["settings"]["encoder"] = "mine=someone/clep@v2"
    results["encoders"][0] |= {"name": "mine", "revision": "c0ffee"}
    return results


def test_an_encoder_on_the_hub_is_the_base_model_and_its_card_is_read_at_its_commit(
    results, folder, monkeypatch, tmp_path
):
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    asked = []

    def cached(*arguments, **options):
        asked.append((*arguments, options))
        return str(tmp_path / "README.md")

    monkeypatch.setattr(licences, "cached_file", cached)
    data = ModelCard(written(of_the_hub(results), folder)).data
    assert (data.base_model, data.license) == ("someone/clep", "cc-by-4.0")
    assert asked and all(each == ("someone/clep", "README.md", {"revision": "c0ffee"}) for each in asked)


def test_what_cannot_be_read_is_not_claimed(results, folder, monkeypatch):
    data = ModelCard(written(of_the_hub(copy.deepcopy(results)), folder)).data  # tests are offline
    assert (data.base_model, data.license) == ("someone/clep", None)
    monkeypatch.setattr(licences, "cached_file", None)
    results["settings"]["encoder"] = "build/gone"  # not a repository, but a folder that no longer exists
    data = ModelCard(written(results, folder)).data
    assert (data.base_model, data.license) == (None, None)


# Several classifiers, and those of other encoders


def test_each_classifier_has_its_own_card_with_the_corpora_that_it_was_tested_on(folder):
    results = ExperimentResults.from_json(judged_classifiers.with_clap(folder))
    one, two = write_cards(results, folder / "both")
    assert [path.parent.name for path in (one, two)] == ["one", "two"]
    first, second = (ModelCard(path.read_text(encoding="utf-8")) for path in (one, two))
    assert (first.data.language, second.data.language) == (["en"], ["de"])
    assert "SYNTHETIC" not in first.text and "| One |" not in second.text
    assert first.data.pipeline_tag == "audio-classification"
    assert second.data.pipeline_tag is None and second.data.library_name is None
    assert {each.dataset_type for each in second.data.eval_results} == {"two"}


def test_class_vectors_are_used_as_the_card_says(folder, monkeypatch):
    results = judged_classifiers.with_clap(folder)
    text = write_cards(ExperimentResults.from_json(results), folder / "both")[1].read_text(encoding="utf-8")
    there = folder / "both" / "classifier" / "two"
    monkeypatch.chdir(there)
    encoder = SmoothCLAPEncoder.from_pretrained(str(folder / "clap"))
    clip = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    expected = encoder.encode_audio([clip]) @ load_file(there / "classifier.safetensors")["weights"].T
    assert run(text, FOLDER=str(folder / "clap")).strip() == str(expected)
    results["settings"]["encoder"]["two"] = "someone/clap"
    results["encoders"][1]["revision"] = "c0ffee"
    text = write_cards(ExperimentResults.from_json(results), folder / "both")[1].read_text(encoding="utf-8")
    assert '"someone/clap", revision="c0ffee"' in text


def test_a_classifier_that_is_missing_is_named(results, tmp_path):
    with pytest.raises(ValueError, match="classifier'"):
        write_cards(ExperimentResults.from_json(results), tmp_path)


# Context banks

SETTINGS = ACPTSettings(num_contexts=3, context_length=2, steps=1)


def test_the_example_of_a_bank_loads_it(tmp_path):
    bank = untrained_bank(encoders.encoder(), encoders.SHORT, SETTINGS)
    bank.save_pretrained(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "README.md").read_text(encoding="utf-8"), re.S)
    there = {"model": encoders.model(), "tokenizer": copy.deepcopy(tiny.tokenizer())}
    exec(code.replace("user/name", str(tmp_path)), there)
    assert there["bank"].record == bank.record
