"""The script that pushes: what it shows, and that it changes nothing unless told to."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

from tests import tiny
from tests.hub.here import FILES, hub_here, whole_checkpoint


SCRIPT = Path(__file__).parents[2] / "examples" / "push_to_hub.py"
NAME = "ann/model"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return whole_checkpoint(tmp_path_factory.mktemp("original") / "checkpoint")


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "checkpoint"))


@pytest.fixture
def server(monkeypatch):
    with hub_here(monkeypatch) as running:
        yield running


@pytest.fixture
def script(monkeypatch, capsys):
    """Runs the script and returns what it printed."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["push_to_hub.py", *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_without_push_it_shows_all_and_changes_nothing(server, folder, script):
    printed = script(folder, NAME, "--private", "--revision", "it's")
    lines = printed.splitlines()
    shown = {line.split()[0]: line for line in lines[: len(FILES)]}
    assert set(shown) == FILES
    size = (folder / "model.safetensors").stat().st_size
    assert shown["model.safetensors"].split() == ["model.safetensors", f"{size:,}", "weights"]
    total = sum((folder / name).stat().st_size for name in FILES)
    assert lines[len(FILES)] == f"{len(FILES)} files, {total:,} bytes."
    assert "Not uploaded: checkpoint-2/, notes.json, optimizer.pt" in printed
    assert f"There is no {NAME} yet, or none that you may see: it would be made." in printed
    command = f"""python {SCRIPT} {folder} {NAME} --private --revision 'it'"'"'s' --push"""
    assert lines[-1] == f"Nothing was changed. To upload: {command}"
    assert server.writes() == []
    assert server.repositories == {}


def test_it_says_what_a_push_would_meet(server, folder, script):
    script(folder, NAME, "--private", "--push")
    sent = len(server.writes())
    assert f"{NAME} (private) at main holds exactly this already." in script(folder, NAME)
    assert f"{NAME} (private) at v2: there is no such branch yet; it would be made." in script(
        folder, NAME, "--revision", "v2"
    )
    (folder / "model.safetensors").unlink()
    tiny.model(seed=1).save_pretrained(folder, max_shard_size="60KB")
    shards = len(list(folder.glob("model-*.safetensors")))
    assert (
        f"holds {len(FILES) + 1} files: {shards + 1} would be written, 1 deleted (model.safetensors). That needs "
        "--overwrite." in script(folder, NAME)
    )
    repository = server.repositories[NAME]
    repository.branches["new"] = repository.titles[0][0]
    assert f"{NAME} (private) at new holds no model yet." in script(folder, NAME, "--revision", "new")
    assert len(server.writes()) == sent


def test_what_is_given_is_not_asked_for(server, folder, script):
    script(folder, NAME, "--push")
    (folder / "README.md").write_text("# Another\n")
    assert "--overwrite" in script(folder, NAME).splitlines()[-2]
    said = script(folder, NAME, "--overwrite").splitlines()[-2]
    assert said == f"{NAME} (public) at main holds {len(FILES) + 1} files: 1 would be written."


@pytest.mark.parametrize("name", ["my model", "my-model", "a/b/c", "ann/-model"])
@pytest.mark.parametrize("push", [[], ["--push"]])
def test_an_impossible_name_is_an_error_and_nothing_else(server, folder, script, capsys, name, push):
    with pytest.raises(SystemExit, match="^error: .*" + name):
        script(folder, name, *push)
    assert capsys.readouterr().out == ""
    assert server.requests == []


def test_without_a_connection_it_speaks_of_looking(folder, script, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_: exec("raise OSError('no network')"))
    said = script(folder, NAME).splitlines()[-2]
    assert said == (
        f"The Hub was not asked what {NAME} holds now: {NAME} could not be reached, or the Hub refused (no network). "
        "Try again."
    )


def test_it_pushes_when_told_to(server, folder, script):
    printed = script(folder, NAME, "--push")
    repository = server.repositories[NAME]
    assert set(repository.files()) > FILES
    commit = repository.branches["main"]
    assert printed.strip() == f"The model is at {NAME}, in commit {commit}: {server.url}/{NAME}/commit/{commit}"
    (folder / "README.md").write_text("# Another\n")
    with pytest.raises(SystemExit, match=r"error: ann/model at main already holds 14 files.*\(--overwrite\)"):
        script(folder, NAME, "--push")
    script(folder, NAME, "--overwrite", "--push")
    assert repository.files()["README.md"] == b"# Another\n"


def test_offline_it_shows_the_plan_and_says_that_it_did_not_ask(folder, script):
    printed = script(folder, NAME)
    assert f"{len(FILES)} files" in printed
    assert f"The Hub was not asked what {NAME} holds now: HF_HUB_OFFLINE is set" in printed


def test_what_is_not_whole_gets_one_line(folder, script):
    (folder / "README.md").unlink()
    with pytest.raises(SystemExit, match=r"error: .* is not a whole checkpoint: it has no README\.md"):
        script(folder, NAME)
