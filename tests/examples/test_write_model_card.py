"""The script that writes cards: one of any checkpoint, or both of the shipped one."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

from modeling_smoothclap import SMOOTHCLAP_TINY
from tests.trainer.hub import folders


SCRIPT = Path(__file__).parents[2] / "examples" / "write_model_card.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("write_model_card_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_a_checkpoints_card_is_written_beside_it(script, tmp_path, capsys):
    script.main([str(folders.bare(tmp_path)), "--name", "user/fine"])
    assert 'checkpoint = "user/fine"' in (tmp_path / "README.md").read_text()
    assert capsys.readouterr().out.strip() == f"Wrote {tmp_path / 'README.md'}."


def test_without_a_folder_both_cards_of_the_shipped_checkpoint_are(script, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "checkpoints" / "smoothclap-tiny"
    shutil.copytree(SMOOTHCLAP_TINY, folder, ignore=shutil.ignore_patterns("*.py"))
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("notes.md")  # as it was once: a link is replaced, not written through
    notes = (folder / "notes.md").read_text()
    monkeypatch.setattr(script, "SMOOTHCLAP_TINY", str(folder))
    monkeypatch.setattr(script, "ROOT", tmp_path)
    script.main([])
    assert not (folder / "README.md").is_symlink() and (folder / "notes.md").read_text() == notes
    assert (folder / "README.md").read_text() == (Path(SMOOTHCLAP_TINY) / "README.md").read_text()
    root = (tmp_path / "model_card.md").read_text()
    assert root.replace("](checkpoints/smoothclap-tiny/", "](") == (folder / "README.md").read_text()
    assert "README.md and " in capsys.readouterr().out


def test_mistakes_are_told_in_a_line(script, tmp_path, capsys):
    with pytest.raises(SystemExit, match=r"error: .*config\.json"):
        script.main([str(tmp_path)])
    with pytest.raises(SystemExit):
        script.main(["--name", "x"])
    assert "--name is for a FOLDER" in capsys.readouterr().err
