"""Publishing, with the real client, on a Hub in this process."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from smoothclap_trainer.hub import push as hub
from smoothclap_trainer.hub.push import look, publish
from tests import tiny
from tests.hub.here import FILES, hub_here, whole_checkpoint
from tests.hub.repositories import StoredFile
from tests.hub.server import ANN, BOB, READER


NAME = "ann/model"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return whole_checkpoint(tmp_path_factory.mktemp("original") / "checkpoint")


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "checkpoint"))


@pytest.fixture(autouse=True)
def _checked_elsewhere(monkeypatch):
    # Loading everything, which takes most of the time, is tested with the plan.
    monkeypatch.setattr("smoothclap_trainer.hub.plan.CheckpointKind.check_loading", lambda *_: None)


@pytest.fixture
def server(monkeypatch):
    with hub_here(monkeypatch) as running:
        yield running


@pytest.fixture
def repository(server, original):
    """A repository that holds the original."""
    publish(original, NAME)
    return server.repositories[NAME]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def of_the_model(repository, revision: str = "main") -> dict[str, bytes]:
    return {path: content for path, content in repository.files(revision).items() if path != ".gitattributes"}


def change_card(folder: Path, text: str = "\nAnother one.\n") -> None:
    with (folder / "README.md").open("a") as card:
        card.write(text)


def test_a_new_repository_gets_all_in_one_commit(server, folder):
    commit = publish(folder, NAME, message="The first")
    repository = server.repositories[NAME]
    assert of_the_model(repository) == contents(folder)
    assert repository.commits() == ["initial commit", "The first"]
    assert commit.oid == repository.branches["main"]
    assert commit.commit_url == f"{server.url}/{NAME}/commit/{commit.oid}"
    assert not repository.private


def test_links_become_files(server, folder):
    for path in [path for path in folder.iterdir() if path.suffix == ".py"]:
        path.rename(folder.parent / path.name)
        path.symlink_to(f"../{path.name}")
    publish(folder, NAME)
    assert of_the_model(server.repositories[NAME])["modeling_smoothclap.py"].startswith(b'"""')


def test_a_second_push_is_refused_and_changes_nothing(server, repository, folder):
    before = dict(repository.branches)
    change_card(folder)
    sent = len(server.writes())
    with pytest.raises(ValueError, match=r"ann/model at main already holds 14 files, among them .*\(--overwrite\)"):
        publish(folder, NAME)
    assert repository.branches == before
    assert len(server.writes()) == sent


def test_told_to_overwrite_it_leaves_nothing_of_the_earlier_model(repository, folder, server):
    (folder / "model.safetensors").unlink()
    tiny.model(seed=1).save_pretrained(folder, max_shard_size="20KB")
    publish(folder, NAME, overwrite=True)
    assert "model.safetensors" not in repository.files()
    assert "model.safetensors.index.json" in repository.files()
    # And back: the shards go, what the Hub or people put there stays.
    kept = {"LICENCE.md": StoredFile(b"words"), "last-checkpoint/config.json": StoredFile(b"{}")}
    stray = {"pytorch_model.bin": StoredFile(b"old"), "vocab.txt": StoredFile(b"old")}
    repository.commit("main", repository.trees[repository.branches["main"]] | kept | stray, "by hand")
    tiny.model(seed=2).save_pretrained(folder)
    publish(folder, NAME, overwrite=True)
    assert of_the_model(repository).keys() == FILES | set(kept)
    assert repository.files()["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert len(repository.commits()) == 5


def test_the_same_content_makes_no_new_commit(server, repository, folder, logs):
    sent = len(server.writes())
    commit = publish(folder, NAME)
    assert commit.oid == repository.branches["main"]
    assert len(server.writes()) == sent
    assert "holds exactly this already: there is no new commit" in logs.text


def test_only_what_changed_is_sent(server, repository, folder):
    change_card(folder)
    uploads = len([path for method, path in server.requests if method == "PUT"])
    publish(folder, NAME, overwrite=True)
    assert len([path for method, path in server.requests if method == "PUT"]) == uploads
    assert of_the_model(repository) == contents(folder)


def test_a_repository_with_only_a_card_counts_as_empty(server, repository, folder):
    only_a_card = {"README.md": StoredFile(b"# To come"), ".gitattributes": StoredFile(b"")}
    repository.commit("main", only_a_card, "by hand")
    publish(folder, NAME)
    assert of_the_model(repository) == contents(folder)


def test_another_revision_starts_without_mains_model(repository, folder):
    (folder / "model.safetensors").unlink()
    tiny.model(seed=1).save_pretrained(folder, max_shard_size="20KB")
    main = repository.branches["main"]
    publish(folder, NAME, revision="v2")
    assert repository.branches["main"] == main
    assert "model.safetensors" not in repository.files("v2")
    change_card(folder)
    with pytest.raises(ValueError, match="ann/model at v2 already holds"):
        publish(folder, NAME, revision="v2")


def test_a_tag_is_no_branch(repository, folder):
    repository.tags["v1"] = repository.branches["main"]
    with pytest.raises(ValueError, match="'v1' of ann/model is a tag, which stays where it is; name a branch"):
        publish(folder, NAME, revision="v1")


def test_private_is_private(server, folder):
    publish(folder, NAME, private=True)
    assert server.repositories[NAME].private
    there = look(NAME)
    assert there is not None
    assert there.private
    assert look(NAME, token=BOB) is None
    change_card(folder)
    publish(folder, NAME, private=True, overwrite=True)
    with pytest.raises(ValueError, match="The token may not write to ann/model: use one of its owner") as refused:
        publish(folder, NAME, token=BOB, overwrite=True)
    assert isinstance(refused.value.__cause__, HfHubHTTPError)


def test_a_public_repository_is_not_taken_for_private(repository, folder):
    with pytest.raises(ValueError, match="exists and is public: make it private in its settings first"):
        publish(folder, NAME, private=True)


def test_without_a_token_nothing_is_asked(server, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(hub, "get_token", lambda: None)
    with pytest.raises(ValueError, match="no token to write to ann/model with: run `hf auth login`, or set HF_TOKEN"):
        publish(folder, NAME)
    assert server.requests == []


def test_an_unknown_token_is_named_as_the_reason(server, repository, folder):
    with pytest.raises(ValueError, match="The Hub does not know the token that ann/model was asked for") as refused:
        publish(folder, NAME, token="hf_wrong")
    assert isinstance(refused.value.__cause__, HfHubHTTPError)


@pytest.mark.parametrize("token", [BOB, READER])
def test_a_token_that_may_not_write_is_named_as_the_reason(repository, folder, token):
    change_card(folder)
    before = dict(repository.branches)
    with pytest.raises(ValueError, match="The token may not write to ann/model"):
        publish(folder, NAME, token=token, overwrite=True)
    assert repository.branches == before


def test_a_repository_that_vanishes_is_named(repository, folder, server, monkeypatch):
    seen = look(NAME)
    del server.repositories[NAME]
    monkeypatch.setattr(hub, "look", lambda *_: seen)
    change_card(folder)
    with pytest.raises(ValueError, match="There is no ann/model that the token may see: check the name") as refused:
        publish(folder, NAME, overwrite=True)
    assert isinstance(refused.value.__cause__, RepositoryNotFoundError)


def test_of_two_pushes_at_once_the_later_fails(server, repository, folder):
    server.faults[NAME] = "race"
    change_card(folder)
    with pytest.raises(ValueError, match="ann/model was changed by somebody else meanwhile"):
        publish(folder, NAME, overwrite=True)
    assert repository.commits()[-1] == "a push at the same time"
    assert repository.files()["README.md"] != (folder / "README.md").read_bytes()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (500, r"ann/model could not be reached, or the Hub refused \(told so\)\. Try again\.$"),
        (400, r"ann/model could not be reached, or the Hub refused \(told so\)\. Try again\.$"),
        (
            403,
            "The token may not see ann/model: use one of its owner, or ask the owner for access; run `hf auth login`",
        ),
        (401, "The Hub does not know the token"),
    ],
)
def test_looking_is_not_told_as_writing(monkeypatch, status, said):
    def refuse(*_, **__):
        raise HfHubHTTPError("told so", response=SimpleNamespace(status_code=status, headers={}, request=None))

    monkeypatch.setattr(hub.HfApi, "repo_info", refuse)
    with pytest.raises(ValueError, match=said):
        look(NAME)


def test_a_commit_that_breaks_off_leaves_no_half_model(server, folder):
    server.faults[NAME] = "commit"
    with pytest.raises(ValueError, match="What it held is whole, because a commit is made as one or not at all"):
        publish(folder, NAME)
    repository = server.repositories[NAME]
    assert len(server.large) == 1  # the weights had come
    assert set(repository.files()) == {".gitattributes"}
    publish(folder, NAME)
    assert of_the_model(repository) == contents(folder)


def test_a_card_that_the_hub_refuses_stops_it_before_anything_is_sent(server, folder):
    (folder / "README.md").write_text("---\nlicense: nonsense\n---\n")
    with pytest.raises(ValueError, match="The Hub refused what was to go to ann/model, which is as it was") as refused:
        publish(folder, NAME)
    assert '"license" must be one of those there are' in str(refused.value)
    assert server.large == {}


def test_a_gitignore_would_keep_files_out(repository, folder):
    tree = repository.trees[repository.branches["main"]]
    repository.commit("main", tree | {".gitignore": StoredFile(b"*.safetensors")}, "by hand")
    change_card(folder)
    with pytest.raises(ValueError, match=r"has a \.gitignore, which would keep files out unsaid"):
        publish(folder, NAME, overwrite=True)


def test_offline_is_named_as_the_reason(server, folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match="HF_HUB_OFFLINE is set, so ann/model cannot be reached: unset it"):
        publish(folder, NAME)


@pytest.mark.parametrize(
    ("name", "message"),
    [("model", "'model' does not say whose the repository is: give user/name"), ("ann/a b", "Repo id must")],
)
def test_a_name_that_is_none_is_refused(server, folder, name, message):
    with pytest.raises(ValueError, match=message):
        publish(folder, name)
    assert server.requests == []


def test_a_checkpoint_that_is_not_whole_is_refused_before_the_hub_is_asked(server, folder):
    (folder / "README.md").unlink()
    with pytest.raises(ValueError, match=r"has no README\.md"):
        publish(folder, NAME)
    assert server.requests == []


def test_what_was_made_must_be_seen(server, folder, monkeypatch):
    monkeypatch.setattr(hub, "look", lambda *_: None)
    with pytest.raises(ValueError, match="ann/model was made, but the token cannot see it"):
        publish(folder, NAME)
    with pytest.raises(ValueError, match="The branch 'v2' of ann/model was made, but is not there: try again"):
        hub._new_branch(hub.HfApi(token=ANN), NAME, "v2", ANN)
