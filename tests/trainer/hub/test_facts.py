"""What is read of a checkpoint's folder, and what is refused."""

import json
import os
import shutil
from pathlib import Path

import pytest

from smoothclap_trainer.hub.card import model_card
from smoothclap_trainer.hub.facts import CardFacts, Selection
from smoothclap_trainer.hub.records import Notes
from tests import tiny
from tests.trainer.clep_dg import judged_classifiers
from tests.trainer.hub import folders


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return folders.whole(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return folders.bare(tmp_path_factory.mktemp("bare"))


@pytest.fixture
def folder(tmp_path):
    """With a configuration and nothing else."""
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_what_has_no_file_is_none_or_empty(bare):
    facts = CardFacts(bare, "user/tiny")
    assert facts.title == "tiny"
    assert facts.evaluation is facts.run is facts.objective is facts.thresholds is facts.text_tower is None
    assert not any((facts.settings, facts.corpora, facts.attributes, facts.images, facts.metrics, facts.starts))
    assert facts.notes == Notes() and facts.frozen_towers == [] and facts.task_results == []


def test_parts_have_the_sizes_of_the_model(bare):
    model = tiny.model()
    parts = {part.name: part for part in CardFacts(bare).parts}
    towers = {"audio tower": model.audio_model, "text tower": model.text_model}
    for name, module in towers.items():
        assert parts[name].parameters == sum(each.numel() for each in module.parameters())
    assert sum(part.parameters for part in parts.values()) == sum(each.numel() for each in model.parameters())
    assert [part.description for part in parts.values()] == [
        *("wav2vec2, 2 layers, 32 wide", "bert, 1 layer, 24 wide, 292 tokens", "16 wide")
    ]


def test_a_classifier_has_vectors_and_no_text_tower(tmp_path):
    folder = judged_classifiers.save(tiny.checkpoint(tmp_path / "encoder"), tmp_path / "classifier")
    facts = CardFacts(folder)
    assert facts.is_classifier and facts.parts[-1].parameters == 32
    assert [part.name for part in facts.parts] == ["audio tower", "projection heads and scale", "classifier"]


def test_the_sampling_rate_is_in_either_file(bare, folder):
    assert CardFacts(bare).sampling_rate == CardFacts(folder).sampling_rate == 16000
    folders.write(folder, preprocessor_config_json={"sampling_rate": 48000})
    assert CardFacts(folder).sampling_rate == 48000


def test_records_are_read_as_they_were_written(whole):
    facts = CardFacts(whole)
    assert (facts.starts[0].role, facts.starts[0].name, facts.starts[0].revision, len(facts.starts)) == (
        *("audio encoder", "someone/speech", "c0ffee", 1),  # the other encoder is a folder
    )
    assert facts.datasets == ["someone/emotions"]
    assert facts.metrics == {"loss": 1.25, "uar": 0.625}
    assert [(each.split, each.name, each.clips, each.minutes, each.synthetic) for each in facts.corpora] == [
        ("train", "queen", 1200, 61.5, None),
        ("train", "made-up", 34, 2.0, True),
        ("test", "fillets", 5, None, None),
    ]
    assert facts.language_of("queen", "train") == "en" and facts.language_of("made-up", "train") is None
    assert facts.versions["smoothclap"] == "0.1.0"
    assert facts.images == [("ravdess map", "pictures/ravdess-map.png")]
    assert facts.evaluated_as == "user/name" and len(facts.task_results) == 2


@pytest.mark.parametrize(
    ("settings", "frozen", "adapted"),
    [
        ({"freeze_audio_tower": False, "freeze_text_tower": True}, ["text"], []),
        ({"freeze_text_tower": True}, ["audio", "text"], []),
        ({"freeze_text_tower": True, "lora_towers": ["audio"]}, ["text"], ["audio"]),
        ({"lora_towers": "both"}, [], ["audio", "text"]),
        ({"lora_towers": "text"}, ["audio"], ["text"]),
        ({"seed": 1}, ["audio"], []),
    ],
)
def test_what_was_trained_is_known_from_the_settings(folder, settings, frozen, adapted):
    facts = CardFacts(folders.write(folder, training_config_yaml=settings))
    assert (facts.frozen_towers, facts.adapted_towers) == (frozen, adapted)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, Selection.NONE),
        ({"load_best_model_at_end": True, "early_stopping_patience": 2}, Selection.BEST),
        ({"early_stopping_patience": 2}, Selection.STOPPED),
    ],
)
def test_how_the_checkpoint_was_selected(folder, settings, expected):
    assert CardFacts(folders.write(folder, training_config_yaml=settings)).selection is expected


def test_time_and_mean_loss_of_a_resumed_run_are_those_from_a_recorded_step_on(folder):
    run = CardFacts(folders.write(folder, training_log_yaml=folders.LOG)).run
    assert (run.steps, run.epochs, run.minutes, run.mean_loss, run.losses) == (1400, 2.5, 10, 2.875, (3.5, 2.25))
    for recorded, first in (({}, 0), ({"first_step": 700}, 700)):
        log = [folders.LOG[-1] | {"train_steps_per_second": 0.001} | recorded]
        assert CardFacts(folders.write(folder, training_log_yaml=log)).run.first_step == first


def test_attributes_are_arranged_by_pair_of_texts_and_corpus(whole, folder):
    facts = CardFacts(whole)
    assert facts.attribute_places == [("queen", "validation"), ("fillets", "test")]
    found = {row: [each and each.auc for each in results] for row, results in facts.attribute_rows.items()}
    assert found == {
        ("pitch", "a high voice", "a low voice"): [0.81234, 0.96],
        ("rate", "fast speech", "slow speech"): [None, 0.5],
    }
    header, first, *_ = (whole / "attributes.csv").read_text().splitlines()
    (folder / "attributes.csv").write_text(f"{header}\n{first.replace('queen', '2024')}\n")
    assert CardFacts(folder).attributes[0].corpus == "2024"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Plain.\n", Notes({}, "Plain.", "")),
        ("## Only\n\ntext\n", Notes({}, "", "## Only\n\ntext")),
        ("---\nlicense: mit\n---\n", Notes({"license": "mit"}, "", "")),
        ("---\nlicense: mit\n---\n\nIt.\n\n## One\n\n---\n", Notes({"license": "mit"}, "It.", "## One\n\n---")),
    ],
)
def test_notes_are_front_matter_introduction_and_sections(folder, text, expected):
    (folder / "notes.md").write_text(text)
    assert CardFacts(folder).notes == expected


@pytest.mark.parametrize("text", ["---\nlicense: mit\n", "---\njust text\n---\n", "---\nlicense: [\n---\n"])
def test_damaged_front_matter_is_refused(folder, text):
    (folder / "notes.md").write_text(text)
    with pytest.raises(ValueError, match=r"notes\.md"):
        CardFacts(folder)


@pytest.mark.parametrize("content", [[], {"models": []}, {"format": 2, "models": []}, {"format": 1, "models": []}])
def test_what_is_not_an_evaluation_is_refused(bare, tmp_path, content):
    shutil.copytree(bare, tmp_path, dirs_exist_ok=True)
    with pytest.raises(ValueError, match=r"zero_shot\.json"):
        CardFacts(folders.write(tmp_path, zero_shot_json=content))


def test_results_of_other_weights_are_refused(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    other = json.loads((tmp_path / "zero_shot.json").read_text())
    other["models"][0]["weights_sha256"] = other["models"][0]["weights_sha256"][::-1]
    with pytest.raises(ValueError, match=r"zero_shot\.json.* other weights"):
        CardFacts(folders.write(tmp_path, zero_shot_json=other))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json"):
        CardFacts(tmp_path)
    with pytest.raises(ValueError, match="missing"):
        CardFacts(tmp_path / "missing")


RECORDS = ("config.json", "data.json", "origin.json", "objective.json", "metrics.json", "versions.json")
RECORDS += ("provenance.json", "thresholds.json", "text_tower.json", "training_config.yaml", "training_log.yaml")
CONTENTS = ("{", "a: [", "3", '"text"', "[3]", '{"a": 3}', '{"a": {"b": 3}}', "[[]]", "[" * 1100, "\x00", "", "null")


@pytest.mark.parametrize("name", [*RECORDS, "attributes.csv", "zero_shot.json", "notes.md"])
def test_a_damaged_file_is_a_value_error_or_leaves_a_card(whole, tmp_path, name):
    folder = Path(shutil.copytree(whole, tmp_path / "checkpoint"))
    refused = 0
    for content in CONTENTS:
        (folder / name).write_text(content)
        try:
            assert model_card(folder)
        except ValueError as error:
            refused += 1
            assert name in str(error) or str(folder) in str(error)
    assert refused > 3 or name == "notes.md"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "data.json", "notes.md", "pictures"])
def test_a_pipe_is_not_read(whole, tmp_path, name):
    folder = Path(shutil.copytree(whole, tmp_path / "checkpoint", ignore=shutil.ignore_patterns(name)))
    os.mkfifo(folder / name)
    with pytest.raises(ValueError, match=name):
        CardFacts(folder)


def test_damaged_weights_are_named(whole, tmp_path):
    folder = Path(shutil.copytree(whole, tmp_path / "checkpoint"))
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        CardFacts(folder)
