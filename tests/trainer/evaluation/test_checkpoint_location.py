import pytest
from huggingface_hub import constants

from smoothclap_trainer.evaluation import checkpoint_location
from smoothclap_trainer.evaluation.checkpoint_location import find_checkpoint


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
    (tmp_path / name).touch()
    assert find_checkpoint(str(tmp_path)) == (tmp_path, None)


def test_a_folder_without_a_configuration(tmp_path):
    with pytest.raises(ValueError, match=r"' has no config\.json \(nor adapter_config\.json, .+: give the folder that"):
        find_checkpoint(str(tmp_path))


def test_a_file_is_no_checkpoint_and_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint_location, "cached_file", lambda *_, **__: pytest.fail("the Hub was asked"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.safetensors").touch()
    for name in ("model.safetensors", str(tmp_path / "model.safetensors")):
        with pytest.raises(
            ValueError, match=r"model\.safetensors' is a file; give the folder of the checkpoint, in which"
        ):
            find_checkpoint(name)


@pytest.mark.parametrize("name", ["./x", "../x", "/x", "~/x", "a/b/c", "x/", "a\\b", "C:\\x"])
def test_what_can_only_be_a_path_is_not_looked_for_on_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.setattr(checkpoint_location, "cached_file", lambda *_, **__: pytest.fail("the Hub was asked"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as caught:
        find_checkpoint(name)
    assert str(caught.value) == f"{name!r} is no checkpoint: there is no such folder."


def test_there_is_no_such_checkpoint(downloaded):
    told = r"'user/model' is no folder, and no checkpoint of that name \(revision main\) was found"
    with pytest.raises(ValueError, match=told):
        find_checkpoint("user/model")  # of which another revision was downloaded
    with pytest.raises(ValueError, match="'my model' could not be loaded as a checkpoint: "):
        find_checkpoint("my model")
