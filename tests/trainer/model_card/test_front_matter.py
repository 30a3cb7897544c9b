"""What the Hub reads of a card: checked by its own client, which parses it back."""

import json

import pytest
from huggingface_hub import ModelCard

from smoothclap_trainer.model_card import model_card
from smoothclap_trainer.model_card.front_matter import front_matter
from tests.trainer.model_card import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


def test_what_is_known_comes_with_what_notes_say(whole):
    data = ModelCard(model_card(whole, "user/tiny")).data
    assert data.license == "mit"
    assert data.language == ["en", "de"]
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "zero-shot-audio-classification"
    assert data.base_model == ["someone/speech"]  # the other encoder is a folder
    assert data.datasets == ["someone/emotions"]
    assert data.tags == ["audio", "speech", "paralinguistics", "contrastive", "smoothclap", "tiny"]


def test_what_is_given_takes_precedence_and_tags_are_added(whole):
    given = {"license": "cc0-1.0", "language": "cs", "base_model": None, "tags": "smoothclap"}
    data = front_matter(folders.facts(whole), given)
    assert (data.license, data.language, data.base_model) == ("cc0-1.0", "cs", ["someone/speech"])
    assert data.tags.count("smoothclap") == 1


def test_figures_come_back_from_the_model_index(whole):
    data = ModelCard(model_card(whole, "user/tiny")).data
    assert data.model_name == "tiny"
    found = {(each.dataset_config, each.dataset_split, each.metric_name): each for each in data.eval_results}
    uar = found["sessions-4", "all clips", "UAR"]
    assert (uar.metric_type, uar.metric_value, uar.metric_args) == ("recall", 0.5, {"average": "macro"})
    assert (uar.dataset_type, uar.dataset_name) == ("sessions", "Sessions 4")
    assert found["Made up/2", "test", "Accuracy"].metric_value == 0.45
    assert found["Made up/2", "test", "Macro F1"].metric_type == "f1"
    auc = found[None, "test", 'AUC of pitch: "a high voice" / "a low voice"']
    assert (auc.dataset_type, auc.metric_type, auc.metric_value) == ("fillets", "roc_auc", 0.96)
    assert len(found) == len(data.eval_results) == 2 * 3 + 2  # nothing of the validation split


def test_a_figure_that_is_not_zero_shot_says_so(tmp_path):
    folder = folders.bare(tmp_path)
    results = folders.evaluated(folder)
    results["tasks"][0]["results"][0]["zero_shot"]["status"] = "not zero-shot"
    folders.write(folder, zero_shot_json=results)
    names = [each.metric_name for each in front_matter(folders.facts(folder)).eval_results]
    assert names[:3] == ["UAR (not zero-shot)", "Accuracy (not zero-shot)", "Macro F1 (not zero-shot)"]
    assert names[3] == "UAR"
    results["tasks"][0]["results"][0]["zero_shot"]["status"] = "unknown"
    folders.write(folder, zero_shot_json=results)
    assert front_matter(folders.facts(folder)).eval_results[0].metric_name == "UAR (unknown whether zero-shot)"


def test_tasks_of_one_corpus_stay_apart(tmp_path):
    """The Hub's client joins figures of equal data sets under the first one's name."""
    folder = folders.bare(tmp_path)
    results = folders.evaluated(folder)
    for task in results["tasks"]:
        task["protocol"] |= {"corpus": "fau-aibo", "split": "school Mont"}
    folders.write(folder, zero_shot_json=results)
    names = {each.dataset_name for each in ModelCard(model_card(folder)).data.eval_results}
    assert names == {"Sessions 4", "Made up 2 (SYNTHETIC)"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"seed": 1}, ["en"]), ({"languages": "de"}, ["de"]), ({"captions": "given"}, None), (None, None)],
)
def test_languages_are_those_of_the_captions(tmp_path, settings, expected):
    (tmp_path / "config.json").write_text(json.dumps({}))
    if settings is not None:
        folders.write(tmp_path, training_config_yaml=settings)
    assert front_matter(folders.facts(tmp_path)).language == expected
