"""The card of a saved classifier: what the Hub reads of it, what a reader must know, and that its examples run."""

import json
import re
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import pytest
from huggingface_hub import ModelCard
from safetensors.numpy import load_file
from transformers import pipeline

from smoothclap_trainer.clep_dg.cards import classifier as under_test
from smoothclap_trainer.clep_dg.cards.classifier import write_cards
from smoothclap_trainer.evaluation.dual_encoders import load_dual_encoder
from tests.trainer.clep_dg import judged_classifiers


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two encoders, and an experiment's output for one of them, `out`, and for both, `both`."""
    folder = tmp_path_factory.mktemp("cards")
    judged_classifiers.with_clap(folder)
    judged_classifiers.save(folder / "heard", folder / "out" / "classifier")
    judged_classifiers.save(folder / "heard", folder / "both" / "classifier" / "one")
    judged_classifiers.save(folder / "clap", folder / "both" / "classifier" / "two")
    return folder


@pytest.fixture
def results(folder):
    return judged_classifiers.results(folder)


def written(results, folder) -> str:
    (path,) = write_cards(results, folder / "out")
    assert path == folder / "out" / "classifier" / "README.md"
    return path.read_text(encoding="utf-8")


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


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
    assert data.model_name == "CLEP-DG classifier on heard"
    assert len(data.eval_results) == 8


def test_what_a_reader_must_know(results, folder):
    text = flat(written(results, folder))
    sha256 = results["encoders"][0]["weights_sha256"]
    assert "A classifier of speech into 2 classes: `sad`, `glad`. It was trained on text alone" in text
    assert f"of `heard` (weights `{sha256[:12]}`)" in text and "in 16 acoustic contexts, with seed 4;" in text
    assert "by stages 2 and 3 of CLEP-DG after PromptStyler" in text
    assert "**Not people's speech: two (SYNTHETIC).**" in text
    assert "not shown to do better than guessing" not in text
    assert "| glad | `cheerful` |" in text and "- Joint prompt: `{emotion} speech recorded in a <ctx>" in text
    assert "- Stage 2, contexts (ACPT): num_contexts 16, steps 100." in text and "- Seed: 4." in text
    assert "| classifier | a vector for each of 2 classes | 32 |" in text
    assert "Which corpora it was trained on is not recorded in its configuration." in text
    assert "smoothclap 0.1.0, python 3.11.7" in text
    for said in ("**Out of scope**", "**Expressed, not felt.**", "arXiv:2507.04048", "arXiv:2307.15199"):
        assert said in text
    assert "is not the papers' authors' work and does not reproduce" in text
    assert str(folder) not in text


def test_at_chance_it_says_so_at_once_and_speech_of_people_is_not_called_synthetic(results, folder):
    results["corpora"][1]["title"] = "Two"
    for entry in results["generalisation"]:
        for method in entry["methods"]:
            method["figures"]["uar"] |= {"low": 0.4, "high": 0.6}
    head = flat(written(results, folder)).split("## How to use it")[0]
    assert "**It is not shown to do better than guessing, on any of the corpora below.**" in head
    assert "Not people's speech" not in head


def test_equal_results_give_equal_cards_from_json_too(results, folder):
    first = written(results, folder)
    assert written(json.loads(json.dumps(results)), folder) == first


def test_the_example_runs_both_ways_and_gives_the_pipelines_answers(results, folder):
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
        (
            "license: other\nlicense_name: mine\nlicense_link: LICENSE",
            {"license": "other", "license_name": "mine"},
        ),
        (
            "license: other\nlicense_link: https://example.org/l",
            {"license": "other", "license_link": "https://example.org/l"},
        ),
        ("tags: [a]", {}),
        ("license: [", {}),
        ("- a list", {}),
    ],
)
def test_the_licence_is_what_the_encoders_card_states(results, folder, front, expected):
    card = folder / "heard" / "README.md"
    card.write_text(f"---\n{front}\n---\n\n# It\n")
    try:
        data = ModelCard(written(results, folder)).data.to_dict()
    finally:
        card.unlink()
    assert {name: value for name, value in data.items() if name.startswith("license")} == expected


def of_the_hub(results):
    results["settings"]["encoder"] = "mine=someone/clep@v2"
    results["encoders"][0] |= {"name": "mine", "revision": "c0ffee"}
    return results


def test_an_encoder_of_the_hub_is_the_base_model_and_its_card_is_read_at_its_commit(
    results, folder, monkeypatch, tmp_path
):
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    asked = []

    def cached(*arguments, **options):
        asked.append((*arguments, options))
        return str(tmp_path / "README.md")

    monkeypatch.setattr(under_test, "cached_file", cached)
    data = ModelCard(written(of_the_hub(results), folder)).data
    assert (data.base_model, data.license) == ("someone/clep", "cc-by-4.0")
    assert asked == [("someone/clep", "README.md", {"revision": "c0ffee"})]


def test_what_cannot_be_reached_is_not_claimed(results, folder):
    data = ModelCard(written(of_the_hub(results), folder)).data  # tests are offline
    assert (data.base_model, data.license) == ("someone/clep", None)


def test_a_folder_that_is_gone_is_not_taken_for_a_repository(results, folder, monkeypatch):
    monkeypatch.setattr(under_test, "cached_file", None)
    results["settings"]["encoder"] = "build/gone"
    data = ModelCard(written(results, folder)).data
    assert (data.base_model, data.license) == (None, None)


# Several classifiers, and those of other encoders


def test_each_classifier_has_a_card_of_its_own_with_the_corpora_that_it_judges(folder):
    results = judged_classifiers.with_clap(folder)
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
    text = write_cards(results, folder / "both")[1].read_text(encoding="utf-8")
    assert "No pipeline loads it" in text and "## Model" not in text
    there = folder / "both" / "classifier" / "two"
    monkeypatch.chdir(there)
    encoder = load_dual_encoder(str(folder / "clap"))
    clip = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    expected = encoder.embed_clips([clip]) @ load_file(there / "classifier.safetensors")["weights"].T
    assert run(text, FOLDER=str(folder / "clap")).strip() == str(expected)

    results["settings"]["encoder"]["two"] = "someone/clap"
    results["encoders"][1]["revision"] = "c0ffee"
    text = write_cards(results, folder / "both")[1].read_text(encoding="utf-8")
    assert 'load_dual_encoder("someone/clap", "c0ffee")' in text


def test_a_classifier_that_is_not_there_is_named(results, tmp_path):
    with pytest.raises(ValueError, match=r"classifier' holds no config\.json"):
        write_cards(results, tmp_path)
