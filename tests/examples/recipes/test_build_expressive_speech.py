"""The script that builds the expressive corpus, with a program that answers with tones instead of espeak-ng."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from expressive import build as expressive
from speech.dataset import load_splits
from transformers import HfArgumentParser

from smoothclap_trainer.files import held
from tests.examples.recipes.fake_espeak import write_espeak


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import build_expressive_speech


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Runs the script with options; few emotions, the stand-in on the `PATH`, and no change of verbosity."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(expressive, "PROSODIES", {"neutral": expressive.PROSODIES["neutral"]})
    monkeypatch.setattr(build_expressive_speech.logging, "set_verbosity_info", lambda: None)

    def run(*options):
        options = ["--output", f"{tmp_path}/speech", "--cache", f"{tmp_path}/cache", "--num_workers", "1", *options]
        parser = HfArgumentParser(build_expressive_speech.ExpressiveArguments)
        build_expressive_speech.main(parser.parse_args_into_dataclasses(options)[0])

    return run


def test_it_builds_and_shows_what_came_out(tmp_path, script, capsys):
    write_espeak(tmp_path / "bin")
    script("--trial")
    assert {name: len(split) for name, split in load_splits(tmp_path / "speech").items()} == {
        "train": 1,
        "validation": 1,
        "test": 4,
    }
    shown = capsys.readouterr().out
    assert "expressive-synthetic-de, all 3 clips:" in shown
    assert "loudness peaks/s" in shown
    assert "All of it is synthetic." in shown


def test_two_do_not_build_in_one_folder(tmp_path, script):
    write_espeak(tmp_path / "bin")
    with ThreadPoolExecutor() as pool, held(tmp_path / "speech"):  # for a thread of its own another run has the folder
        other = pool.submit(script, "--trial")
        with pytest.raises(SystemExit, match=r"speech.*in use"):
            other.result()


def test_errors_are_told_without_a_traceback(script):
    with pytest.raises(SystemExit, match="'espeak-ng'"):
        script()
