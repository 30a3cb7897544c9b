"""A trainer leaves a record of what it heard in every checkpoint, and writes the card itself."""

import json

import pytest
from huggingface_hub import ModelCard
from transformers import AutoConfig

from modeling_smoothclap import SmoothCLAPConfig
from smoothclap_trainer.files import file_sha256
from smoothclap_trainer.hub.provenance import TrainingSources, recordings_of_checkpoint
from tests import tiny
from tests.trainer import rows
from tests.trainer.test_trainer import trainer


@pytest.fixture
def data(tmp_path):
    return rows.dataset(tmp_path / "audio")


def corpora(folder):
    return AutoConfig.from_pretrained(folder).training_corpora


def test_checkpoints_and_the_saved_model_record_training_and_validation_corpora(tmp_path, data):
    the_trainer = trainer(tmp_path / "out", data, max_steps=1, save_strategy="steps", save_steps=1)
    the_trainer.eval_dataset = data.remove_columns("corpus")
    assert the_trainer.model.config.training_corpora is None
    the_trainer.train()
    the_trainer.save_model()
    assert corpora(tmp_path / "out" / "checkpoint-1") == corpora(tmp_path / "out") == ["noise", "unrecorded"]
    assert recordings_of_checkpoint(None, tmp_path / "out") == {file_sha256(path) for path in data["path"]}


def test_the_encoder_behind_the_targets_has_heard_its_corpora_too(tmp_path, data):
    tiny.audio_config(training_corpora=["msp-podcast"]).save_pretrained(tmp_path / "encoder")
    the_trainer = trainer(tmp_path, data, max_steps=1)
    the_trainer.sources = TrainingSources({"train": data}, feature_encoder=str(tmp_path / "encoder"))
    the_trainer.train()
    assert the_trainer.model.config.training_corpora == ["msp-podcast", "noise"]


def test_the_card_is_ours_and_comes_with_the_records(tmp_path, data):
    the_trainer = trainer(tmp_path / "my-model", data, max_steps=1)
    the_trainer.train()
    the_trainer.save_model()
    the_trainer.create_model_card(license="mit", tags="mine", finetuned_from="a/b", dataset_tags=["c/d"], language="de")
    text = (tmp_path / "my-model" / "README.md").read_text()
    card = ModelCard(text).data
    assert (card.license, card.base_model, card.datasets, card.language) == ("mit", "a/b", ["c/d"], "de")
    assert {"smoothclap", "mine"} <= set(card.tags)
    assert "# my-model\n" in text and "## Objective" in text and "## Cautions" in text
    assert "selected on: `noise`" in text
    written = {path.name for path in (tmp_path / "my-model").iterdir()}
    assert {
        "objective.json",
        "data.json",
        "origin.json",
        "versions.json",
        "training_log.yaml",
        "thresholds.json",
    } <= written
    described = json.loads((tmp_path / "my-model" / "data.json").read_text())
    assert {split: corpora["noise"]["clips"] for split, corpora in described.items()} == {"train": 8, "validation": 8}
    assert set(json.loads((tmp_path / "my-model" / "versions.json").read_text())) >= {"smoothclap", "torch", "python"}


def test_the_hubs_name_is_the_models(tmp_path, data):
    the_trainer = trainer(tmp_path, data, hub_model_id="user/fine")
    the_trainer.save_model()
    for given, expected in ((None, "user/fine"), ("user/other", "user/other")):
        the_trainer.create_model_card(model_name=given)
        assert f'checkpoint = "{expected}"' in (tmp_path / "README.md").read_text()


def test_what_the_card_has_no_place_for_is_refused(tmp_path, data):
    with pytest.raises(ValueError, match=r"dataset.*tasks"):
        trainer(tmp_path, data).create_model_card(tasks="asr", dataset="Mine")


def test_a_start_without_a_record_stays_unrecorded(tmp_path, data):
    start = tiny.model(text_config=tiny.text_config(max_position_embeddings=256))
    start.config._name_or_path = "user/old"
    the_trainer = trainer(tmp_path, data, start, max_steps=1)
    the_trainer.train()
    assert isinstance(the_trainer.model.config, SmoothCLAPConfig)
    assert the_trainer.model.config.training_corpora == ["noise", "unrecorded"]
