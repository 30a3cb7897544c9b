"""Training with `push_to_hub=True`, with the real client, on a Hub in this process."""

import json

import pytest
import torch

from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from smoothclap_trainer.towers import LoraSettings, add_lora
from tests import tiny
from tests.hub.here import FILES, hub_here
from tests.hub.server import ANN, BOB, READER
from tests.trainer import rows


NAME = "ann/trained"


@pytest.fixture
def server(monkeypatch):
    with hub_here(monkeypatch) as running:
        yield running


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return rows.dataset(tmp_path_factory.mktemp("rows"))


def trainer(folder, data, adapted=False, **changes) -> SmoothCLAPTrainer:
    fields = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "max_steps": 2,
        "save_steps": 1,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    model = tiny.model(text_config=tiny.text_config(max_position_embeddings=400))
    if adapted:
        model = add_lora(model, LoraSettings(lora_towers=["audio"]), freeze_audio=True, freeze_text=False)
    return SmoothCLAPTrainer(
        model=model,
        args=SmoothCLAPTrainingArguments(**fields | changes),
        data_collator=rows.collator(data),
        train_dataset=data,
        processing_class=tiny.processor(),
    )


def to_the_hub(folder, data, **changes) -> SmoothCLAPTrainer:
    return trainer(folder, data, push_to_hub=True, hub_model_id=NAME, **changes)


def test_it_pushes_whole_models_and_nothing_private(tmp_path, data, server, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    work = tmp_path / "work"
    work.mkdir()
    (work / "rows.csv").write_text("clips of people")
    the_trainer = to_the_hub(tmp_path, data, hub_token=ANN, hub_private_repo=True)
    repository = server.repositories[NAME]
    assert repository.private
    assert set(repository.files()) == {".gitattributes"}
    the_trainer.train()
    assert repository.commits() == ["initial commit", "Training in progress, step 1", "Training in progress, step 2"]
    commit = the_trainer.push_to_hub(license="cc-by-4.0")
    assert repository.commits()[-1] == "End of training"
    assert commit.oid == repository.branches["main"]
    for tree in list(repository.trees.values())[1:]:
        assert set(tree) > FILES
        assert {name for name in tree if name.endswith((".bin", ".pt")) or "/" in name} == set()
        assert not any(ANN.encode() in file.content for file in tree.values())
    assert ANN.encode() not in b"".join(path.read_bytes() for path in tmp_path.rglob("*.bin"))
    assert repository.files()["model.safetensors"] == (tmp_path / "model.safetensors").read_bytes()
    assert b"license: cc-by-4.0" in repository.files()["README.md"]
    assert json.loads(repository.files()["config.json"])["model_type"] == "smoothclap"


def test_pushing_does_not_change_what_is_learned(tmp_path, data, server):
    learned = []
    for make in (to_the_hub, trainer):
        the_trainer = make(tmp_path / make.__name__, data)  # which sets the seed
        the_trainer.train()
        learned.append(the_trainer.model.state_dict())
    for name, weight in learned[0].items():
        assert torch.equal(weight, learned[1][name]), name


def test_at_the_end_means_once(tmp_path, data, server):
    the_trainer = to_the_hub(tmp_path, data, hub_strategy="end", hub_revision="v2")
    the_trainer.train()
    repository = server.repositories[NAME]
    assert repository.commits() == ["initial commit"]
    the_trainer.push_to_hub("Done", blocking=False).result()
    assert repository.commits() == ["initial commit", "Done"]
    assert set(repository.files()) == {".gitattributes"}
    assert set(repository.files("v2")) > FILES


def test_a_repository_is_made_when_it_is_first_asked_for(tmp_path, data, server):
    the_trainer = trainer(tmp_path / "named-after-the-folder", data, save_strategy="no", save_steps=500)
    assert server.requests == []
    the_trainer.push_to_hub(private=True, revision="v3")
    repository = server.repositories["ann/named-after-the-folder"]
    assert repository.private
    assert set(repository.files("v3")) > FILES


def test_a_push_that_fails_while_it_trains_is_a_warning(tmp_path, data, server, logs):
    the_trainer = to_the_hub(tmp_path, data)
    server.faults[NAME] = "commit"
    the_trainer.train()
    assert "The model of step 1 was not pushed: ann/trained could not be reached" in logs.text
    assert server.repositories[NAME].commits() == ["initial commit", "Training in progress, step 2"]


def test_adapters_alone_are_neither_pushed_nor_left_beside_what_is(tmp_path, data, server, logs):
    the_trainer = to_the_hub(tmp_path, data, adapted=True)
    the_trainer.train()
    assert "step 1 was not pushed: Adapters alone" in logs.text
    with pytest.raises(ValueError, match="save_model"):
        the_trainer.push_to_hub()
    assert server.repositories[NAME].commits() == ["initial commit"]
    assert not list(tmp_path.glob("adapter*"))


@pytest.mark.parametrize("token", [BOB, READER])
def test_a_token_that_may_not_write_is_named_before_training(tmp_path, data, server, token):
    with pytest.raises(ValueError, match="The token may not write to ann/trained"):
        to_the_hub(tmp_path, data, hub_token=token)


def test_only_the_first_process_pushes(tmp_path, data, server, monkeypatch):
    the_trainer = to_the_hub(tmp_path, data)
    monkeypatch.setattr(the_trainer, "is_world_process_zero", lambda: False)
    assert the_trainer.push_to_hub() is None
    assert server.repositories[NAME].commits() == ["initial commit"]
