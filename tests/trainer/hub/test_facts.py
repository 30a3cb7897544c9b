"""What is read of a folder, and what is refused."""

import json
import shutil

import pytest

from smoothclap_trainer.hub.provenance import weights_sha256
from tests import tiny
from tests.trainer.model_card import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return folders.bare(tmp_path_factory.mktemp("bare"))


def test_what_is_not_there_is_none_or_empty(bare):
    facts = folders.facts(bare)
    assert facts.json("data.json") is None and facts.attributes is None and facts.zero_shot is None
    assert facts.evaluated_as is None
    assert facts.settings == facts.data == {} and facts.log == facts.pictures == []
    assert facts.notes == ({}, "", "")
    assert facts.title == "tiny"


def test_parameters_are_those_of_the_parts(bare):
    model, counted = tiny.model(), folders.facts(bare).parameters
    towers = {"audio tower": model.audio_model, "text tower": model.text_model}
    for part, module in towers.items():
        assert counted[part] == sum(each.numel() for each in module.parameters())
    assert sum(counted.values()) == sum(each.numel() for each in model.parameters())


def test_the_extractor_is_found_in_either_file(bare, tmp_path):
    assert folders.facts(bare).extractor["sampling_rate"] == 16000
    (tmp_path / "config.json").write_text("{}")
    assert folders.facts(tmp_path).extractor == {}
    folders.write(tmp_path, preprocessor_config_json={"sampling_rate": 48000})
    assert folders.facts(tmp_path).extractor["sampling_rate"] == 48000


def test_notes_fall_into_front_matter_introduction_and_sections(whole, tmp_path):
    assert folders.facts(whole).notes == ({"license": "mit", "tags": ["tiny"]}, "It is *tiny*.", "## Notes\n\n- One.")
    (tmp_path / "config.json").write_text("{}")
    for notes, expected in {
        "Plain.\n": ({}, "Plain.", ""),
        "## Only\n\ntext\n": ({}, "", "## Only\n\ntext"),
        "---\nlicense: mit\n---\n": ({"license": "mit"}, "", ""),
    }.items():
        (tmp_path / "notes.md").write_text(notes)
        assert folders.facts(tmp_path).notes == expected


@pytest.mark.parametrize("notes", ["---\nlicense: mit\n", "---\njust text\n---\n"])
def test_front_matter_that_is_none_is_refused(tmp_path, notes):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.md").write_text(notes)
    with pytest.raises(ValueError, match=r"notes\.md' is YAML, `name: value`, between two lines of ---"):
        _ = folders.facts(tmp_path).notes


def test_front_matter_that_is_damaged_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "notes.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(ValueError, match=r"(?s)The front matter of .*notes\.md' is no YAML: "):
        _ = folders.facts(tmp_path).notes


def test_names_of_corpora_are_words_also_where_they_are_numbers(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "attributes.csv").write_text("corpus,auc\n2024,0.5\n")
    assert folders.facts(tmp_path).attributes["corpus"].tolist() == ["2024"]


@pytest.mark.parametrize("content", [[], {"models": []}, {"format": 2, "models": []}])
def test_what_is_no_evaluation_is_not_taken_for_one(bare, tmp_path, content):
    shutil.copytree(bare, tmp_path, dirs_exist_ok=True)
    folders.write(tmp_path, zero_shot_json=content)
    with pytest.raises(ValueError, match=r"zero_shot\.json' is no results\.json of format 1: evaluate this checkpoint"):
        _ = folders.facts(tmp_path).zero_shot


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds no config\.json: save the model there first"):
        folders.facts(tmp_path)


@pytest.mark.parametrize(("name", "content"), [("data.json", "{"), ("training_config.yaml", "a: [")])
def test_a_damaged_file_is_named(tmp_path, name, content):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=rf"(?s){name}' is damaged: .* Mend it, or take it away"):
        _ = folders.facts(tmp_path).data, folders.facts(tmp_path).settings


def test_zero_shot_figures_are_those_of_these_weights(whole, tmp_path):
    assert folders.facts(whole).evaluated_as == "user/name"
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    other = json.loads((tmp_path / "zero_shot.json").read_text())
    other["models"][0]["weights_sha256"] = weights_sha256(whole)[::-1]
    folders.write(tmp_path, zero_shot_json=other)
    with pytest.raises(
        ValueError, match=r"zero_shot\.json' holds figures of other weights .*: evaluate this checkpoint"
    ):
        _ = folders.facts(tmp_path).zero_shot
