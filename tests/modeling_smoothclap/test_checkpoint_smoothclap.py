"""Finding the checkpoint that a user means."""

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPEncoder, checkpoint_smoothclap
from modeling_smoothclap.checkpoint_smoothclap import find_checkpoint, parse_model, weights_sha256
from tests import tiny


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def downloaded(tmp_path, monkeypatch):
    """A model and adapters of the Hub as the cache has them, for there is no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, file in (("model", "config.json"), ("adapters", "adapter_config.json")):
        folder = tmp_path / f"models--user--{name}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "v1").write_text(COMMIT)
        (folder / "snapshots" / COMMIT).mkdir(parents=True)
        (folder / "snapshots" / COMMIT / file).write_text("{}")
    return tmp_path


@pytest.mark.parametrize("name", ["model", "adapters"])
@pytest.mark.parametrize("revision", ["v1", COMMIT])
def test_a_checkpoint_of_the_hub_has_a_commit(downloaded, name, revision):
    folder = downloaded / f"models--user--{name}" / "snapshots" / COMMIT
    assert find_checkpoint(f"user/{name}", revision) == (folder, COMMIT)


@pytest.mark.parametrize("name", ["config.json", "adapter_config.json"])
def test_a_folder_has_none(tmp_path, name):
    (tmp_path / name).write_text(json.dumps({"base_model_name_or_path": SMOOTHCLAP_TINY}))
    assert find_checkpoint(str(tmp_path)) == (tmp_path, None)


def test_a_folder_without_a_configuration(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json.+adapter_config\.json"):
        find_checkpoint(str(tmp_path))


def test_a_file_is_no_checkpoint_and_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_smoothclap, "cached_file", lambda *_, **__: pytest.fail("the Hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").touch()
    for name in ("model.safetensors", str(tmp_path / "model.safetensors")):
        with pytest.raises(ValueError, match=r"model\.safetensors"):
            find_checkpoint(name)


@pytest.mark.parametrize("name", ["./x", "../x", "/x", "~/x", "a/b/c", "x/", "a\\b", "C:\\x"])
def test_what_can_only_be_a_path_is_not_looked_for_on_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.setattr(checkpoint_smoothclap, "cached_file", lambda *_, **__: pytest.fail("the Hub was asked"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=re.escape(repr(name))):
        find_checkpoint(name)


@pytest.mark.parametrize("name", ["", " ", "\0", "x" * 5000, "a/" + "b" * 300, "\udcff", "a\nb", "e\u0301" * 90])
def test_names_that_nothing_can_have(name):
    with pytest.raises(ValueError, match=r"."):
        SmoothCLAPEncoder.from_pretrained(name, "cpu")


def test_a_mistyped_folder_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_smoothclap, "cached_file", lambda *_, **__: pytest.fail("the Hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build" / "encoders").mkdir(parents=True)
    for name in ("build/encodrs", "./build/encodrs", str(tmp_path / "build" / "encodrs")):
        with pytest.raises(ValueError, match=f"{re.escape(repr(name))}.*encoders'"):
            find_checkpoint(name)
    with pytest.raises(ValueError, match="'build/x'"):
        find_checkpoint("build/x")


def test_a_hub_that_cannot_be_reached_is_asked_once(tmp_path, monkeypatch):
    asked = []

    def head(*_, **__):
        asked.append(1)
        raise OSError("no network")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(checkpoint_smoothclap, "get_session", lambda: SimpleNamespace(head=head))
    monkeypatch.setattr(checkpoint_smoothclap, "cached_file", None)
    with pytest.raises(ValueError, match=r"'user/modle'.*no network"):
        find_checkpoint("user/modle")
    assert asked == [1]


# Hostile and broken folders


@pytest.fixture
def checkpoint(tmp_path):
    return tiny.checkpoint(tmp_path / "checkpoint")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file", "keys", "value"),
    [
        ("config.json", ("audio_config", "num_hidden_layers"), 10**7),
        ("config.json", ("text_config", "num_hidden_layers"), 5000),
        ("config.json", ("text_config", "vocab_size"), 10**12),
        ("config.json", ("text_config", "intermediate_size"), 10**6),
        ("config.json", ("audio_config", "conv_dim"), [10**6, 10**6]),
        ("config.json", ("projection_dim",), 10**9),
        ("config.json", ("projection_dim",), -(10**9)),
        ("processor_config.json", ("feature_extractor", "feature_size"), 10**6),
    ],
)
def test_sizes_are_held_against_the_weights_before_anything_is_made(checkpoint, file, keys, value):
    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    edit(checkpoint / file, change)
    with pytest.raises(ValueError, match="json'"):
        SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu")


@pytest.mark.parametrize("content", ["", "[]", "null", "[" * 100_000, '{"a": ' * 900 + "1" + "}" * 900, "\0", "{}"])
@pytest.mark.parametrize("file", ["config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json"])
def test_a_broken_file_is_a_value_error(checkpoint, file, content):
    (checkpoint / file).write_text(content)
    try:
        SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu").encode_text("a low voice")
    except ValueError:
        return
    assert file.startswith("tokenizer_config")  # which has nothing that is not known without it


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["logit_scale.weight", "audio_projection.linear1.weight"])
def test_weights_that_are_not_finite_are_never_used(checkpoint, name, value):
    weights = load_file(checkpoint / "model.safetensors")
    weights[name].view(-1)[0] = value
    save_file(weights, checkpoint / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=re.escape(name)):
        SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu")


@pytest.mark.parametrize("base", [None, 5, "/gone/model", "me/typo", "."])
def test_adapters_without_their_model_are_one_sentence_at_once(tmp_path, monkeypatch, base):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    with pytest.raises(ValueError, match=re.escape(repr(base) if isinstance(base, str) else str(base))):
        find_checkpoint(str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_may_not_be_read_is_named(checkpoint, monkeypatch, name):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != name)
    with pytest.raises(ValueError, match=re.escape(name)):
        find_checkpoint(str(checkpoint))


@pytest.mark.parametrize("shard", ["../secret.safetensors", "/etc/hosts", 3])
def test_an_index_of_weights_reaches_nothing_else(checkpoint, shard):
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(ValueError, match=r"index\.json"):
        find_checkpoint(str(checkpoint))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "notes.md"])
def test_a_pipe_is_not_read(checkpoint, name):
    (checkpoint / name).unlink(missing_ok=True)
    os.mkfifo(checkpoint / name)
    with pytest.raises(ValueError, match=name):
        find_checkpoint(str(checkpoint))


def test_there_is_no_such_checkpoint(downloaded):
    with pytest.raises(ValueError, match=r"'user/model'.*main"):
        find_checkpoint("user/model")  # of which another revision was downloaded
    with pytest.raises(ValueError, match="'my model'"):
        find_checkpoint("my model")


def test_a_model_may_be_given_a_name_and_a_revision():
    assert parse_model("user/model") == ("user/model", "user/model", None)
    assert parse_model("user/model@v2") == ("user/model@v2", "user/model", "v2")
    assert parse_model("ours=user/model@v2") == ("ours", "user/model", "v2")


def test_a_folder_is_called_by_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "runs" / "lr=1@2").mkdir(parents=True)
    folder = str(tmp_path / "runs" / "lr=1@2")
    assert parse_model(folder) == ("lr=1@2", folder, None)  # an equals sign and an at sign of its own
    assert parse_model(f"{folder}/") == ("lr=1@2", f"{folder}/", None)
    assert parse_model(f"ours={folder}") == ("ours", folder, None)
    (tmp_path / "run@2").mkdir()
    assert parse_model(f"ours={tmp_path / 'run@2'}") == ("ours", str(tmp_path / "run@2"), None)
    monkeypatch.chdir(tmp_path / "runs")
    assert parse_model("./lr=1@2").name == "lr=1@2" and parse_model("..").name == tmp_path.name
    assert parse_model(".") == ("runs", ".", None)
    assert parse_model("/") == ("/", "/", None)


def test_a_file_is_left_to_be_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b@c.bin").touch()
    assert parse_model("a=b@c.bin").checkpoint == parse_model("ours=a=b@c.bin").checkpoint == "a=b@c.bin"


def test_the_shipped_checkpoint_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_model("smoothclap-tiny") == ("smoothclap-tiny", SMOOTHCLAP_TINY, None)
    assert parse_model("ours=smoothclap-tiny") == ("ours", SMOOTHCLAP_TINY, None)
    Path("smoothclap-tiny").mkdir()
    assert parse_model("smoothclap-tiny") == ("smoothclap-tiny", "smoothclap-tiny", None)


@pytest.mark.parametrize("asked", ["", "=user/model", "ours=", "user/model@"])
def test_what_names_no_model_is_refused(asked):
    with pytest.raises(ValueError, match=repr(asked)):
        parse_model(asked)


def test_a_folder_has_no_revisions(tmp_path):
    for folder in (tmp_path, "smoothclap-tiny"):
        with pytest.raises(ValueError, match="@v2"):
            parse_model(f"{folder}@v2")


def test_the_hash_of_one_file_it_is_that_files(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "config.json"):
        (tmp_path / name).write_bytes(b"something else")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"weights").hexdigest()


def test_the_hash_of_several_it_is_that_of_their_listing(tmp_path):
    for part in ("2-of-2", "1-of-2"):
        (tmp_path / f"model-{part}.safetensors").write_bytes(part.encode())
    (tmp_path / "adapter_model.safetensors").write_bytes(b"adapters")
    listed = subprocess.run("sha256sum *.safetensors | sha256sum", shell=True, cwd=tmp_path, capture_output=True)
    assert weights_sha256(tmp_path) == listed.stdout.decode().split()[0]


def test_without_safetensors_the_hash_is_that_of_pickled_weights(tmp_path):
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        weights_sha256(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"weights")
    (tmp_path / "training_args.bin").write_bytes(b"something else")
    assert weights_sha256(tmp_path) == hashlib.sha256(b"weights").hexdigest()


def test_a_misspelt_name_of_the_small_checkpoint_is_suggested_before_the_hub_is_asked(monkeypatch):
    monkeypatch.setattr(checkpoint_smoothclap, "cached_file", None)
    with pytest.raises(ValueError, match="'smoothclap-tiny'"):
        find_checkpoint("smoothclap-tinny")
