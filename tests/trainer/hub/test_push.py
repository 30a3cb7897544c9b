"""Pushing with the real client, to a Hub in this process."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from smoothclap_trainer.hub import push as under_test
from smoothclap_trainer.hub.plan import PACKAGE
from smoothclap_trainer.hub.push import HubError, Remote, push
from tests import tiny
from tests.hub.here import FILES, hub_here, talk_to, whole_checkpoint
from tests.hub.repositories import StoredFile
from tests.hub.server import BOB, READER


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
    push(original, NAME)
    return server.repositories[NAME]


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def of_the_model(repository, revision: str = "main") -> dict[str, bytes]:
    return {path: content for path, content in repository.files(revision).items() if path != ".gitattributes"}


def change_card(folder: Path) -> None:
    with (folder / "README.md").open("a") as card:
        card.write("\nAnother one.\n")


def save_in_shards(folder: Path) -> set[str]:
    (folder / "model.safetensors").unlink()
    tiny.model(seed=1).save_pretrained(folder, max_shard_size="20KB")
    return {path.name for path in folder.glob("model[.-]*")}


def test_a_new_repository_gets_everything_in_one_commit(server, folder):
    result = push(folder, NAME, message="The first")
    repository = server.repositories[NAME]
    assert of_the_model(repository) == contents(folder)
    assert repository.commits() == ["initial commit", "The first"]
    assert result.remote is Remote.NO_REPOSITORY and set(result.changed) == FILES
    assert result.commit == repository.branches["main"]
    assert result.url == f"{server.url}/{NAME}/commit/{result.commit}"
    assert not repository.private and result.private is False


def test_links_to_the_package_become_files(server, folder):
    for path in [path for path in folder.iterdir() if path.suffix == ".py"]:
        path.unlink()
        path.symlink_to(PACKAGE / path.name)
    push(folder, NAME)
    assert of_the_model(server.repositories[NAME])["modeling_smoothclap.py"].startswith(b'"""')


# Dry runs


def test_a_dry_run_of_a_new_repository_lists_files_and_changes_nothing(server, folder):
    result = push(folder, NAME, private=True, dry_run=True)
    assert {file.name: file.size for file in result.plan.files} == {
        name: (folder / name).stat().st_size for name in FILES
    }
    assert result.remote is Remote.NO_REPOSITORY and result.commit is result.url is None
    assert server.writes() == [] and server.repositories == {}
    text = result.describe()
    assert all(name in text for name in FILES) and NAME in text and "optimizer.pt" in text
    assert f"{(folder / 'model.safetensors').stat().st_size:,}" in text


def test_a_dry_run_says_what_would_be_replaced_and_deleted(server, repository, folder):
    sent = len(server.writes())
    assert push(folder, NAME, dry_run=True).remote is Remote.SAME
    assert push(folder, NAME, revision="v2", dry_run=True).remote is Remote.NO_BRANCH
    weights = save_in_shards(folder)
    result = push(folder, NAME, dry_run=True)
    assert result.remote is Remote.ANOTHER_MODEL and result.needs_overwrite
    assert set(result.changed) == weights and result.deleted == ("model.safetensors",)
    assert "--overwrite" in result.describe()
    allowed = push(folder, NAME, overwrite=True, dry_run=True)
    assert not allowed.needs_overwrite and "--overwrite" not in allowed.describe()
    repository.branches["new"] = repository.titles[0][0]
    assert push(folder, NAME, revision="new", dry_run=True).remote is Remote.NO_MODEL
    assert len(server.writes()) == sent


def test_a_dry_run_works_offline_and_without_a_token(folder, monkeypatch):
    monkeypatch.setattr(under_test, "get_token", lambda: None)
    result = push(folder, NAME, dry_run=True)
    assert result.remote is Remote.UNKNOWN and {file.name for file in result.plan.files} == FILES
    assert "HF_HUB_OFFLINE" in str(result.problem) and "HF_HUB_OFFLINE" in result.describe()


def test_a_dry_run_where_the_hub_is_down_does_not_promise_an_upload(folder, monkeypatch):
    talk_to("http://127.0.0.1:9", monkeypatch)
    text = push(folder, NAME, dry_run=True).describe()
    assert f"{NAME} holds now is not known" in text and "again" not in text


# What is there already


def test_a_second_push_is_refused_and_changes_nothing(server, repository, folder):
    before, sent = dict(repository.branches), len(server.writes())
    change_card(folder)
    with pytest.raises(ValueError, match=rf"ann/model at main .* {len(FILES) + 1} files"):
        push(folder, NAME)
    assert repository.branches == before
    assert len(server.writes()) == sent


def test_with_overwrite_nothing_of_the_earlier_model_is_left(repository, folder, server):
    save_in_shards(folder)
    push(folder, NAME, overwrite=True)
    assert "model.safetensors" not in repository.files()
    assert "model.safetensors.index.json" in repository.files()
    # And back: the shards are deleted, and what the Hub or people put there stays.
    kept = {"LICENCE.md": StoredFile(b"words"), "last-checkpoint/config.json": StoredFile(b"{}")}
    stray = {"pytorch_model.bin": StoredFile(b"old"), "vocab.txt": StoredFile(b"old")}
    repository.commit("main", repository.trees[repository.branches["main"]] | kept | stray, "by hand")
    tiny.model(seed=2).save_pretrained(folder)
    push(folder, NAME, overwrite=True)
    assert of_the_model(repository).keys() == FILES | set(kept)
    assert repository.files()["model.safetensors"] == (folder / "model.safetensors").read_bytes()
    assert len(repository.commits()) == 5


def test_the_same_content_makes_no_new_commit(server, repository, folder, logs):
    sent = len(server.writes())
    result = push(folder, NAME)
    assert result.remote is Remote.SAME and result.commit == repository.branches["main"]
    assert len(server.writes()) == sent
    assert "no new commit" in logs.text


def test_only_what_changed_is_sent(server, repository, folder):
    change_card(folder)
    uploads = len([path for method, path in server.requests if method == "PUT"])
    assert push(folder, NAME, overwrite=True).changed == ("README.md",)
    assert len([path for method, path in server.requests if method == "PUT"]) == uploads
    assert of_the_model(repository) == contents(folder)


def test_a_repository_with_only_a_card_counts_as_empty(server, repository, folder):
    repository.commit("main", {"README.md": StoredFile(b"# To come"), ".gitattributes": StoredFile(b"")}, "by hand")
    push(folder, NAME)
    assert of_the_model(repository) == contents(folder)


def test_a_new_branch_starts_without_the_model_of_main(repository, folder):
    save_in_shards(folder)
    main = repository.branches["main"]
    push(folder, NAME, revision="v2")
    assert repository.branches["main"] == main
    assert "model.safetensors" not in repository.files("v2")
    change_card(folder)
    with pytest.raises(ValueError, match="ann/model at v2"):
        push(folder, NAME, revision="v2")


def test_a_tag_is_not_a_branch(repository, folder):
    repository.tags["v1"] = repository.branches["main"]
    for dry_run in (True, False):
        with pytest.raises(ValueError, match="'v1' of ann/model is a tag"):
            push(folder, NAME, revision="v1", dry_run=dry_run)


def test_a_gitignore_would_keep_files_out(repository, folder):
    tree = repository.trees[repository.branches["main"]]
    repository.commit("main", tree | {".gitignore": StoredFile(b"*.safetensors")}, "by hand")
    change_card(folder)
    with pytest.raises(ValueError, match=r"\.gitignore"):
        push(folder, NAME, overwrite=True)


# Who may do what


def test_private_stays_private(server, folder):
    push(folder, NAME, private=True)
    assert server.repositories[NAME].private
    assert push(folder, NAME, dry_run=True).private
    assert push(folder, NAME, token=BOB, dry_run=True).remote is Remote.NO_REPOSITORY
    change_card(folder)
    assert push(folder, NAME, overwrite=True).private
    with pytest.raises(ValueError, match="ann/model exists and is private"):
        push(folder, NAME, private=False, overwrite=True)
    with pytest.raises(HubError, match="may not write to ann/model") as refused:
        push(folder, NAME, token=BOB, overwrite=True)
    assert isinstance(refused.value.__cause__, HfHubHTTPError)


def test_a_public_repository_is_not_taken_for_a_private_one(repository, folder):
    with pytest.raises(ValueError, match="ann/model exists and is public"):
        push(folder, NAME, private=True)


def test_without_a_token_the_hub_is_not_asked(server, folder, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(under_test, "get_token", lambda: None)
    with pytest.raises(ValueError, match="no token to write to ann/model"):
        push(folder, NAME)
    assert server.requests == []


def test_an_unknown_token_is_named_as_the_reason(server, repository, folder):
    with pytest.raises(HubError, match=r"does not know the token .* ann/model") as refused:
        push(folder, NAME, token="hf_wrong")
    assert isinstance(refused.value.__cause__, HfHubHTTPError)


@pytest.mark.parametrize("token", [BOB, READER])
def test_a_token_that_may_not_write_is_named_as_the_reason(repository, folder, token):
    change_card(folder)
    before = dict(repository.branches)
    with pytest.raises(HubError, match="may not write to ann/model"):
        push(folder, NAME, token=token, overwrite=True)
    assert repository.branches == before


@pytest.mark.parametrize("name", ["model", "ann/a b", "a/b/c"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_an_impossible_name_is_refused(server, folder, name, dry_run):
    with pytest.raises(ValueError, match=f"{name}.*give user/name"):
        push(folder, name, dry_run=dry_run)
    assert server.requests == []


def test_a_checkpoint_that_is_not_whole_is_refused_before_the_hub_is_asked(server, folder):
    (folder / "README.md").unlink()
    with pytest.raises(ValueError, match=r"README\.md"):
        push(folder, NAME)
    assert server.requests == []


# When something goes wrong


def test_a_repository_that_vanishes_is_named(repository, folder, server, monkeypatch):
    seen = under_test._look(NAME, "main", None)
    del server.repositories[NAME]
    monkeypatch.setattr(under_test, "_look", lambda *_: seen)
    change_card(folder)
    with pytest.raises(HubError, match="no ann/model") as refused:
        push(folder, NAME, overwrite=True)
    assert isinstance(refused.value.__cause__, RepositoryNotFoundError)


def test_a_repository_that_moved_on_meanwhile_fails(server, repository, folder):
    server.faults[NAME] = "race"
    change_card(folder)
    with pytest.raises(HubError, match="ann/model was changed by somebody else"):
        push(folder, NAME, overwrite=True)
    assert repository.commits()[-1] == "a push at the same time"
    assert repository.files()["README.md"] != (folder / "README.md").read_bytes()


def test_a_commit_that_breaks_off_leaves_no_half_model(server, folder):
    server.faults[NAME] = "commit"
    with pytest.raises(HubError, match="ann/model could not be reached"):
        push(folder, NAME)
    repository = server.repositories[NAME]
    assert len(server.large) == 1  # the weights had arrived
    assert set(repository.files()) == {".gitattributes"}
    push(folder, NAME)
    assert of_the_model(repository) == contents(folder)


def test_a_card_that_the_hub_refuses_stops_it_before_anything_is_sent(server, folder):
    (folder / "README.md").write_text("---\nlicense: nonsense\n---\n")
    with pytest.raises(HubError, match='"license" must be one of those there are'):
        push(folder, NAME)
    assert server.large == {}


def test_what_was_made_must_be_visible(server, folder, monkeypatch):
    monkeypatch.setattr(under_test, "_look", lambda *_: under_test._Branch())
    with pytest.raises(ValueError, match="ann/model at main was made"):
        push(folder, NAME)
