"""A bank of contexts: written, moved, sent to a Hub and back, and refused where it does not belong."""

import copy
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import smoothclap_trainer
from modeling_smoothclap import SmoothCLAPModel
from smoothclap_trainer.clep_dg.acpt import ACPTSettings, untrained_bank
from smoothclap_trainer.clep_dg.context_bank import (
    CONTEXTS_FILE,
    RECORD_FILE,
    AcousticContextBank,
    record_differences,
    write_contexts,
    write_record,
)
from smoothclap_trainer.clep_dg.prompts import PromptEncoder
from smoothclap_trainer.clep_dg.text_features import joint_features
from tests import tiny
from tests.clean_process import run_python
from tests.hub.server import ANN, hub
from tests.trainer.clep_dg import encoders


def bank(encoder=None) -> AcousticContextBank:
    encoder = encoder or encoders.encoder()
    drawn = untrained_bank(encoder, encoders.SHORT, ACPTSettings(num_contexts=3, context_length=2))
    fitted = {"settings": {"steps": 7}, "class_names": ["sad", "wütend"]}
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


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"contexts": torch.zeros(3, 24)}, r"shape \(K, M, D\), none of them 0, not \(3, 24\)\."),
        ({"contexts": torch.zeros(0, 2, 24)}, r"shape \(K, M, D\), none of them 0, not \(0, 2, 24\)\."),
        ({"contexts": torch.tensor([[[1.0]], [[math.nan]], [[math.inf]]])}, "2 of 3 contexts are not finite"),
        ({"templates": {"context": "a <ctx>"}}, r"`templates` is a PromptTemplates, not \{'context': 'a <ctx>'\}"),
        ({"fingerprints": {}}, r"`fingerprints` are of \['encoder', 'tokenizer'\], .* not of \[\]\."),
        ({"fingerprints": {"encoder": "a", "tower": "b"}}, r"not of \['encoder', 'tower'\]\."),
    ],
)
def test_what_makes_no_bank(changes, wanted):
    with pytest.raises(ValueError, match=wanted):
        replace(bank(), **changes)


def test_its_vectors_are_not_printed():
    assert "tensor" not in repr(bank()) and "PromptTemplates" in repr(bank())


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"templates": {"kontext": "a <ctx>"}}, "holds no usable context bank: .*kontext"),
        ({"templates": None}, "holds no usable context bank: "),
        ({"fingerprints": {}}, r"holds no usable context bank: `fingerprints` are of .* not of \[\]\."),
    ],
)
def test_a_record_of_something_else_is_refused(changes, wanted, saved):
    write_record(saved, bank().record | changes)
    with pytest.raises(ValueError, match=wanted):
        load(saved)


def test_the_record_is_readable(saved):
    text = (saved / RECORD_FILE).read_text(encoding="utf-8")
    assert "wütend" in text
    record = json.loads(text)
    assert record["shape"] == [3, 2, 24]
    assert record["templates"] == {
        "context": "a <ctx> room", "joint": "{emotion} in a <ctx> room", "content": "{emotion}",
    }  # fmt: skip
    assert set(record["fingerprints"]) == {"encoder", "tokenizer"}


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


def test_a_foreign_encoder_is_refused_and_told_what_is_foreign(saved):
    head, tower = encoders.model(), encoders.model()
    head.text_projection.linear2.weight.data[0, 0] += 1e-3
    tower.text_model.get_input_embeddings().weight.data[7, 0] += 1e-3
    tokenizer = copy.deepcopy(tiny.tokenizer())
    tokenizer.add_tokens(["melancholy"])
    for model, words, wanted in (
        (head, tiny.tokenizer(), "its text tower or projection differs from"),
        (tower, tiny.tokenizer(), "its text tower or projection differs from"),
        (encoders.model(), tokenizer, "its tokenizer differs from"),
        (tower, tokenizer, "its text tower or projection and its tokenizer differs from"),
    ):
        with pytest.raises(ValueError, match=f"belong to another encoder: {wanted}.*or fit new ones"):
            AcousticContextBank.from_pretrained(saved, PromptEncoder(model, words))


def test_another_audio_half_is_not_foreign(saved):
    model = encoders.model()
    model.audio_projection.linear1.weight.data += 1
    assert len(AcousticContextBank.from_pretrained(saved, PromptEncoder(model, tiny.tokenizer()))) == 3


@pytest.mark.parametrize("name", [CONTEXTS_FILE, RECORD_FILE])
def test_a_missing_file_is_named(saved, name):
    (saved / name).unlink()
    with pytest.raises(ValueError, match=f"no finished context bank: it has no {name}"):
        load(saved)


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        (CONTEXTS_FILE, b"\x08\0\0\0", "contexts.safetensors is damaged or holds something else"),
        (RECORD_FILE, b"{", "context_bank.json is damaged"),
        (RECORD_FILE, b"\xff", "context_bank.json is damaged"),
        (RECORD_FILE, b"[]", "is not the record of a context bank"),
        (RECORD_FILE, b'{"shape": [3, 2, 24]}', "is not the record of a context bank"),
    ],
)
def test_a_damaged_file_is_named(saved, name, content, wanted):
    (saved / name).write_bytes(content)
    with pytest.raises(ValueError, match=wanted):
        load(saved)


def test_an_unfinished_bank_is_refused(saved):
    write_contexts(saved, bank().contexts[:2])
    with pytest.raises(ValueError, match=r"holds contexts of shape \[2, 2, 24\] where \[3, 2, 24\] are to be"):
        load(saved)


def test_saving_over_another_bank_never_leaves_its_contexts_with_a_new_record(saved, monkeypatch):
    def killed(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("smoothclap_trainer.clep_dg.context_bank.write_contexts", killed)
    with pytest.raises(KeyboardInterrupt):
        bank(encoders.encoder("roberta")).save_pretrained(saved)
    with pytest.raises(ValueError, match=f"it has no {CONTEXTS_FILE}"):
        load(saved)


def test_a_file_whose_writing_fails_stays_as_it_was(saved, monkeypatch):
    def half_written(file):
        file.write_bytes(b"\x08\0")
        raise KeyboardInterrupt

    before, other = {path.name: path.read_bytes() for path in saved.iterdir()}, bank()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_text", lambda file, text, encoding: half_written(file))
        broken.setattr("smoothclap_trainer.clep_dg.context_bank.save_file", lambda tensors, file: half_written(file))
        with pytest.raises(KeyboardInterrupt):
            write_record(saved, other.record)
        with pytest.raises(KeyboardInterrupt):
            write_contexts(saved, other.contexts)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_two_runs_that_write_at_once_do_not_meet(saved, monkeypatch):
    one, other = bank().contexts, bank().contexts + 1

    def meanwhile(tensors, file):
        save_file(tensors, file)
        if torch.equal(tensors["contexts"], one):
            write_contexts(saved, other)
            assert torch.equal(load(saved).contexts, other)

    monkeypatch.setattr("smoothclap_trainer.clep_dg.context_bank.save_file", meanwhile)
    write_contexts(saved, one)
    assert torch.equal(load(saved).contexts, one)
    assert len(list(saved.iterdir())) == 3


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("contexts", "'contexts' does not say whose the repository is"),
        ("build/contexts/seed-0", "Repo id must be in the form"),
        ("ann/contexts", r"ann/contexts at v1 could not be reached, or the Hub refused \("),
    ],
)
def test_a_mistyped_folder_is_called_one(name, why):
    told = f"There is no folder '{name}', nor can a repository of that name be read from the Hub: {why}"
    with pytest.raises(ValueError, match=told):
        AcousticContextBank.from_pretrained(Path(name), encoders.encoder(), revision="v1")


def test_differences_are_named_by_their_place():
    there = {"a": {"b": 1, "c": 2}, "d": [1], "e": {}}
    assert record_differences(there, copy.deepcopy(there)) == []
    assert record_differences(there, {"a": {"b": 1, "c": 3}, "d": [1], "e": {"f": 1}}) == [
        "a.c is 2 there and 3 now",
        "e.f is None there and 1 now",
    ]


def test_of_a_repository_it_asks_for_its_two_files_at_the_revision(saved, monkeypatch):
    asked = {}

    def download(name, **options):
        asked.update(options, name=name)
        return str(saved)

    monkeypatch.setattr("smoothclap_trainer.clep_dg.context_bank.snapshot_download", download)
    loaded = AcousticContextBank.from_pretrained("someone/contexts", encoders.encoder(), revision="v1")
    assert asked == {"name": "someone/contexts", "revision": "v1", "allow_patterns": [CONTEXTS_FILE, RECORD_FILE]}
    assert torch.equal(loaded.contexts, bank().contexts)


PUSH_AND_PULL = """
import sys
from smoothclap_trainer.clep_dg.context_bank import AcousticContextBank
from tests.trainer.clep_dg import encoders

encoder = encoders.encoder()
AcousticContextBank.from_pretrained(sys.argv[1], encoder).push_to_hub("ann/contexts")
AcousticContextBank.from_pretrained("ann/contexts", encoder).save_pretrained(sys.argv[2])
"""


def test_it_travels_to_a_hub_and_back_in_one_commit(saved, tmp_path):
    paths = [Path(__file__).parents[3], Path(smoothclap_trainer.__file__).parents[1]]
    with hub() as server:
        environment = {"HF_ENDPOINT": server.url, "HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
        environment |= {"HF_TOKEN": ANN, "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}
        environment["PYTHONPATH"] = os.pathsep.join(map(str, paths))
        run_python(["-c", PUSH_AND_PULL, str(saved), str(tmp_path / "pulled")], tmp_path, **environment)
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
