"""The script from a folder to answers, and what it says when it cannot."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.search import SpeechIndex
from tests import tiny


SCRIPT = Path(__file__).parents[2] / "examples" / "search_speech.py"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture
def search(monkeypatch, tmp_path, capsys):
    """Runs the script in a folder with `speech/`, three clips."""
    monkeypatch.chdir(tmp_path)
    for number, clip in enumerate(tiny.clips(0.3, 0.2, 0.25)):
        (tmp_path / "speech").mkdir(exist_ok=True)
        sf.write(f"speech/{number}.wav", clip, tiny.SAMPLING_RATE, subtype="FLOAT")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["search_speech.py", *map(str, arguments)])
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def made(search, checkpoint):
    """An index of `speech/` with two texts."""
    Path("texts.txt").write_text("a low voice\n\n  eine leise Stimme \n", encoding="utf-8")
    return search("index", "speech", "--model", checkpoint, "--index", "index", "--texts", "texts.txt")


def test_index_find_and_describe(search, made, checkpoint):
    assert made == "index: 3 clips (3 new, 0 no longer there), 2 texts, folder speech\n"
    index = SpeechIndex.load("index", SmoothCLAPEncoder.from_pretrained(str(checkpoint)))
    printed = search("find", "a low voice", "a high voice", "--index", "index", "--k", 2)
    lines = []
    texts = ["a low voice", "a high voice"]
    for text, found in zip(texts, index.find_clips(texts, 2), strict=True):
        lines += ["", text] + [f"  {cosine:6.3f}  {path}" for path, cosine in found]
    assert printed.splitlines() == lines
    assert search("find", "a low voice", "a high voice", "--index", "index", "--k", 2, "--backend", "faiss") == printed
    printed = search("describe", "speech/1.wav", "--index", "index", "--model", checkpoint)
    assert printed.splitlines() == ["", "speech/1.wav"] + [
        f"  {cosine:6.3f}  {text}" for text, cosine in index.find_texts(["speech/1.wav"])[0]
    ]
    assert "eine leise Stimme" in printed


def test_indexing_again_takes_over_what_is_known(search, made, checkpoint):
    Path("speech/0.wav").rename("speech/renamed.wav")
    Path("speech/1.wav").unlink()
    sf.write("speech/new.wav", tiny.clips(0.2, seed=9)[0], tiny.SAMPLING_RATE)
    printed = search("index", "speech", "--model", checkpoint, "--index", "index")
    assert printed == "index: 3 clips (1 new, 2 no longer there), 2 texts, folder speech\n"


def test_bad_clips_are_told(search, checkpoint):
    sf.write("speech/empty.wav", np.zeros(0), tiny.SAMPLING_RATE)
    index = ("index", "speech", "--model", checkpoint, "--index", "index")
    with pytest.raises(SystemExit, match=r"1 of 4 clips(.|\n)*empty\.wav: empty"):
        search(*index)
    assert not Path("index").exists()
    printed = search(*index, "--bad-clips", "skip")
    assert printed.splitlines()[0] == "left out: 'empty.wav': empty (0 samples at 16000 Hz)"
    assert "3 clips (3 new" in printed
    assert "3 clips (0 new" in search(*index, "--bad_clips", "skip", "--batch_size", 2, "--num-workers", 1)


def test_clips_that_moved(search, made):
    Path("speech").rename("moved")
    with pytest.raises(
        SystemExit, match=r"^error: The clips of the index are not where .*speech'\. Say .*\(--folder\)"
    ):
        search("find", "a low voice", "--index", "index")
    assert f"  {Path('moved/0.wav').absolute()}\n" in search(
        "find", "a low voice", "--index", "index", "--folder", "moved"
    )
    Path("moved/1.wav").rename("own.wav")
    for clip in Path("moved").iterdir():
        clip.unlink()
    Path("moved").rmdir()
    assert "a low voice" in search("describe", "own.wav", "--index", "index")


def test_another_folder_does_not_replace_an_index(search, made, checkpoint):
    Path("other").mkdir()
    sf.write("other/new.wav", tiny.clips(0.2, seed=9)[0], tiny.SAMPLING_RATE)
    before = Path("index/speech_index.safetensors").read_bytes()
    with pytest.raises(SystemExit, match=r"^error: The earlier index is of '.*speech'.*'.*other'.*\(--index\)"):
        search("index", "other", "--model", checkpoint, "--index", "index")
    assert Path("index/speech_index.safetensors").read_bytes() == before
    Path("speech").rename("moved")
    printed = search("index", "moved", "--model", checkpoint, "--index", "index")
    assert printed == "index: 3 clips (0 new, 0 no longer there), 2 texts, folder moved\n"


@pytest.mark.parametrize("task", ["index", "find"])
def test_help_says_what_is_taken_where_nothing_is_said(search, capsys, task):
    with pytest.raises(SystemExit):
        search(task, "--help")
    said = " ".join(capsys.readouterr().out.split())
    assert "(default: build/speech-index)" in said and "(default: cpu)" in said
    of_task = {"index": ["smoothclap-tiny", "raise", "16", "2"], "find": ["10", "numpy"]}
    assert all(f"(default: {value})" in said for value in of_task[task])
    assert "--trust-remote-code, --trust_remote_code" in said


def test_no_audio_files(search, checkpoint):
    Path("documents").mkdir()
    with pytest.raises(SystemExit, match=r"^error: No audio files in 'documents' or below: looked for \.wav"):
        search("index", "documents", "--model", checkpoint)


def test_no_index(search):
    with pytest.raises(SystemExit, match=r"^error: There is no speech index in 'build/speech-index'.* Build one first"):
        search("find", "a low voice")


def test_another_model(search, made, tmp_path):
    tiny.model(seed=1).save_pretrained("other")
    tiny.processor().save_pretrained("other")
    with pytest.raises(
        SystemExit, match=r"^error: The index in 'index' was made with .* of 'other' .* cannot be compared"
    ):
        search("find", "a low voice", "--index", "index", "--model", "other")


def test_no_checkpoint(search):
    with pytest.raises(SystemExit, match=r"^error: .*\bspeech\b"):
        search("index", "speech", "--model", "speech")


@pytest.mark.parametrize(
    ("content", "said"), [(b"\n \n", "'texts.txt' holds no texts; write one"), (b"\xff\xfe", "cannot be read as UTF-8")]
)
def test_texts_that_are_none(search, checkpoint, content, said):
    Path("texts.txt").write_bytes(content)
    with pytest.raises(SystemExit, match=f"^error: .*{said}"):
        search("index", "speech", "--model", checkpoint, "--texts", "texts.txt")


def test_without_faiss(search, made, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(SystemExit, match=r"^error: backend='faiss' needs FAISS.*smoothclap\[search\]"):
        search("find", "a low voice", "--index", "index", "--backend", "faiss")
