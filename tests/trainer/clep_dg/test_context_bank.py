"""A bank of contexts: written, moved, sent to a Hub and back, and refused where it does not belong."""

import copy
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.clep_dg.acpt import ACPTSettings, prepare_fit, untrained_bank
from smoothclap_trainer.clep_dg.context_bank import (
    CONTEXTS_FILE,
    RECORD_FILE,
    AcousticContextBank,
    write_contexts,
)
from smoothclap_trainer.clep_dg.methods import joint_features
from smoothclap_trainer.clep_dg.prompts import PromptEncoder
from smoothclap_trainer.files import write_json
from tests import tiny
from tests.hub.here import hub_here
from tests.trainer.clep_dg import encoders, written_before


def bank(encoder=None) -> AcousticContextBank:
    encoder = encoder or encoders.encoder()
    drawn = untrained_bank(encoder, encoders.SHORT, ACPTSettings(num_contexts=3, context_length=2))
    fitted = {"settings": {"steps": 7, "content_temperature": 0.2}, "class_names": ["sad", "wütend"]}
    return AcousticContextBank(drawn.contexts, drawn.templates, drawn.fingerprints, fitted)


@pytest.fixture
def saved(tmp_path) -> Path:
    bank().save_pretrained(tmp_path / "bank")
    return tmp_path / "bank"


def load(folder) -> AcousticContextBank:
    return AcousticContextBank.from_pretrained(folder, encoders.encoder())


def test_the_round_trip_keeps_everything(saved):
    loaded, expected = load(saved), bank()
    assert torch.equal(loaded.contexts, expected.contexts) and loaded.contexts.dtype == torch.float32
    assert loaded.templates == expected.templates
    assert loaded.record == expected.record
    assert len(loaded) == 3
    assert {path.name for path in saved.iterdir()} == {CONTEXTS_FILE, RECORD_FILE, "README.md"}


def test_a_bank_that_an_earlier_version_wrote_is_loaded_and_used(tmp_path):
    tokenizer = SmoothCLAPProcessor.from_pretrained(SMOOTHCLAP_TINY).tokenizer
    encoder = PromptEncoder(SmoothCLAPModel.from_pretrained(SMOOTHCLAP_TINY), tokenizer)
    old = shutil.copytree(written_before.FOLDER / "bank", tmp_path / "bank")
    record = json.loads((old / RECORD_FILE).read_text())  # of the weights that were shipped then
    write_json(old / RECORD_FILE, record | {"fingerprints": encoder.fingerprints})
    loaded = AcousticContextBank.from_pretrained(old, encoder)
    assert loaded.contexts.shape == (2, 1, 256)
    assert loaded.fitted_with["settings"]["content_temperature"] == "none"
    settings = ACPTSettings(num_contexts=2, steps=2, content_temperature="none")
    start = untrained_bank(encoder, loaded.templates, settings).contexts
    assert 0 < (loaded.contexts - start).abs().max() < 0.1
    prepare_fit(encoder, loaded.templates, ["happy", "sad"], settings, old)
    with pytest.raises(ValueError, match=r"content_temperature is 'none' there and 0\.07"):
        settings = settings.changed(content_temperature=0.07)
        prepare_fit(encoder, loaded.templates, ["happy", "sad"], settings, old)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"contexts": torch.zeros(3, 24)}, r"\(3, 24\)"),
        ({"contexts": torch.zeros(0, 2, 24)}, r"\(0, 2, 24\)"),
        ({"contexts": torch.tensor([[[1.0]], [[math.nan]], [[math.inf]]])}, "2 of 3"),
        ({"fingerprints": {}}, r"\[\]"),
        ({"fingerprints": {"encoder": "a", "tower": "b"}}, r"\['encoder', 'tower'\]"),
    ],
)
def test_what_makes_no_bank(changes, wanted):
    with pytest.raises(ValueError, match=wanted):
        replace(bank(), **changes)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"templates": {"kontext": "a <ctx>"}}, "kontext"),
        ({"templates": None}, "bank"),
        ({"fingerprints": {}}, r"\[\]"),
    ],
)
def test_a_record_of_something_else_is_refused(changes, wanted, saved):
    write_json(saved / RECORD_FILE, bank().record | changes)
    with pytest.raises(ValueError, match=wanted):
        load(saved)


@pytest.mark.parametrize("kind", ["bert", "roberta", "clap"])
def test_moved_to_another_directory_it_gives_the_same_features(kind, tmp_path):
    encoder = encoders.encoder(kind)
    first = bank(encoder)
    expected = joint_features(encoder, first, encoders.NAMES)
    first.save_pretrained(tmp_path / "here" / "bank")
    encoder.model.save_pretrained(tmp_path / "here" / "model")
    tiny.tokenizer().save_pretrained(tmp_path / "here" / "model")
    shutil.move(tmp_path / "here", tmp_path / "there")

    there = tmp_path / "there"
    model = type(encoder.model).from_pretrained(there / "model")
    other = PromptEncoder(model, type(tiny.tokenizer()).from_pretrained(there / "model"))
    found = joint_features(other, AcousticContextBank.from_pretrained(there / "bank", other), encoders.NAMES)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_a_foreign_encoder_is_refused_and_its_foreign_part_named(saved):
    head, tower = encoders.model(), encoders.model()
    head.text_projection.linear2.weight.data[0, 0] += 1e-3
    tower.text_model.get_input_embeddings().weight.data[7, 0] += 1e-3
    tokenizer = copy.deepcopy(tiny.tokenizer())
    tokenizer.add_tokens(["melancholy"])
    for model, words, wanted in (
        (head, tiny.tokenizer(), "text tower or projection"),
        (tower, tiny.tokenizer(), "text tower or projection"),
        (encoders.model(), tokenizer, "tokenizer"),
        (tower, tokenizer, "text tower or projection.*tokenizer"),
    ):
        with pytest.raises(ValueError, match=wanted):
            AcousticContextBank.from_pretrained(saved, PromptEncoder(model, words))


@pytest.mark.parametrize("name", [CONTEXTS_FILE, RECORD_FILE])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ValueError, match=name):
        load(saved)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (CONTEXTS_FILE, b"\x08\0\0\0"),
        (RECORD_FILE, b"{"),
        (RECORD_FILE, b"\xff"),
        (RECORD_FILE, b"[]"),
        (RECORD_FILE, b"[" * 100_000),
        (RECORD_FILE, b'{"shape": [3, 2, 24]}'),
    ],
)
def test_a_damaged_file_is_named(saved, name, content):
    (saved / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        load(saved)


def test_an_unfinished_bank_is_refused(saved):
    write_contexts(saved, bank().contexts[:2])
    with pytest.raises(ValueError, match=r"\[2, 2, 24\]"):
        load(saved)


def test_saving_over_another_bank_never_leaves_its_contexts_with_a_new_record(saved, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("smoothclap_trainer.clep_dg.context_bank.write_contexts", killed)
    with pytest.raises(KeyboardInterrupt):
        bank(encoders.encoder("roberta")).save_pretrained(saved)
    with pytest.raises(ValueError, match=CONTEXTS_FILE):
        load(saved)


@pytest.mark.parametrize("name", ["contexts", "build/contexts/seed-0", "ann/contexts"])
def test_a_mistyped_folder_is_named(name):
    with pytest.raises(ValueError, match=f"'{name}'"):  # tests are offline
        AcousticContextBank.from_pretrained(Path(name), encoders.encoder(), revision="v1")


def test_it_travels_to_a_hub_and_back_in_one_commit(saved, tmp_path, monkeypatch):
    with hub_here(monkeypatch) as server:
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        load(saved).push_to_hub("ann/contexts")
        pulled = AcousticContextBank.from_pretrained("ann/contexts", encoders.encoder(), revision="main")
    pulled.save_pretrained(tmp_path / "pulled")
    pushed = server.repositories["ann/contexts"]
    assert len(pushed.titles) == 2  # the first is what every repository begins with
    assert set(pushed.trees[pushed.branches["main"]]) == {".gitattributes", RECORD_FILE, CONTEXTS_FILE, "README.md"}
    for name in (RECORD_FILE, CONTEXTS_FILE, "README.md"):
        assert (tmp_path / "pulled" / name).read_bytes() == (saved / name).read_bytes()


def test_a_push_to_an_impossible_name_is_refused(saved):
    with pytest.raises(ValueError, match="my contexts"):
        bank().push_to_hub("my contexts")


def test_the_classes_of_the_package_do_not_matter(saved):
    """Remote code's model is another class of the same kind."""
    other = type("SmoothCLAPModelFromElsewhere", (SmoothCLAPModel,), {})
    model = other(tiny.config()).eval()
    model.load_state_dict(encoders.model().state_dict())
    assert len(AcousticContextBank.from_pretrained(saved, PromptEncoder(model, tiny.tokenizer()))) == 3
