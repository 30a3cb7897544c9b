from pathlib import Path

import pytest

from modeling_smoothclap import SMOOTHCLAP_TINY
from smoothclap_trainer.evaluation.named_checkpoint import parse_model


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
    with pytest.raises(ValueError, match="names no model: write a Hub id or a folder, as NAME=MODEL"):
        parse_model(asked)


def test_a_folder_has_no_revisions(tmp_path):
    for folder in (tmp_path, "smoothclap-tiny"):
        with pytest.raises(ValueError, match=r"@v2' is a folder, which has no revisions: leave out '@v2'"):
            parse_model(f"{folder}@v2")
