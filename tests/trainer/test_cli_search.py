"""`smoothclap search` from a folder to answers, and how it fails."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.files import held
from smoothclap_trainer.search import SpeechIndex
from tests import tiny
from tests.smoothclap import error, smoothclap


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(autouse=True)
def _speech(tmp_path, monkeypatch):
    """A folder with `speech/`, three clips."""
    monkeypatch.chdir(tmp_path)
    Path("speech").mkdir()
    for number, clip in enumerate(tiny.clips(0.3, 0.2, 0.25)):
        sf.write(f"speech/{number}.wav", clip, tiny.SAMPLING_RATE, subtype="FLOAT")


@pytest.fixture
def index(checkpoint):
    """How to index `speech/`, which is done."""
    words = ("search", "index", "speech", "--model", checkpoint, "--index", "index")
    Path("texts.txt").write_text("a low voice\n\n  eine leise Stimme \n", encoding="utf-8")
    assert "3 clips (3 new, 0 no longer there), 2 texts" in smoothclap(*words, "--texts", "texts.txt").stdout
    return words


def test_two_do_not_write_one_index(index):
    with ThreadPoolExecutor() as pool, held("index"):  # for a thread of its own another run has the folder
        assert "'index' is in use" in pool.submit(error, *index).result()


def find(*words):
    return ("search", "find", *words, "--index", "index")


def test_index_find_and_describe(index, checkpoint):
    loaded = SpeechIndex.load("index", SmoothCLAPEncoder.from_pretrained(checkpoint, device="cpu"))
    texts = ["a low voice", "a high voice"]
    lines = []
    for text, found in zip(texts, loaded.find_clips(texts, 2), strict=True):
        lines += ["", text] + [f"  {cosine:6.3f}  {path}" for path, cosine in found]
    printed = smoothclap(*find(*texts, "--k", 2)).stdout
    assert printed.splitlines() == lines
    printed = smoothclap("search", "describe", "speech/1.wav", "--index", "index", "--model", checkpoint).stdout
    assert "a low voice" in printed and "eine leise Stimme" in printed


def test_indexing_again_takes_over_what_is_known(index):
    Path("speech/0.wav").rename("speech/renamed.wav")
    Path("speech/1.wav").unlink()
    sf.write("speech/new.wav", tiny.clips(0.2, seed=9)[0], tiny.SAMPLING_RATE)
    assert "3 clips (1 new, 2 no longer there), 2 texts" in smoothclap(*index).stdout


def test_bad_clips_stop_an_index_or_are_left_out(checkpoint):
    sf.write("speech/empty.wav", np.zeros(0), tiny.SAMPLING_RATE)
    words = ("search", "index", "speech", "--model", checkpoint, "--index", "index")
    assert "empty.wav" in error(*words) and not list(Path("index").iterdir())
    printed = smoothclap(*words, "--bad-clips", "skip")
    assert "empty.wav" in printed.stderr and "3 clips (3 new" in printed.stdout


def test_clips_that_moved(index, checkpoint):
    Path("speech").rename("moved")
    assert "speech" in error(*find("a low voice"))
    assert str(Path("moved/0.wav").absolute()) in smoothclap(*find("a low voice", "--folder", "moved")).stdout


def test_what_is_not_there(checkpoint, monkeypatch):
    Path("documents").mkdir()
    assert "documents" in error("search", "index", "documents", "--model", checkpoint)
    assert "index" in error(*find("a low voice"))
    Path("texts.txt").write_bytes(b"\n \n")
    assert "texts.txt" in error("search", "index", "speech", "--model", checkpoint, "--texts", "texts.txt")


def test_files_that_are_left_out_are_reported(checkpoint, logs):
    for name in ("speech/a.docx", "speech/b.docx", "speech/.hidden.wav"):
        Path(name).write_bytes(b"")
    for words in (("search", "index", "speech", "--index", "index"), ("embed", "speech")):
        logs.clear()
        smoothclap(*words, "--model", checkpoint)
        assert "2 .docx (a.docx, b.docx), 1 hidden (.hidden.wav)" in logs.text


def test_a_byte_order_mark_is_not_part_of_a_description(index, checkpoint):
    Path("texts.txt").write_text("a low voice\n", encoding="utf-8-sig")
    smoothclap(*index, "--texts", "texts.txt")
    assert SpeechIndex.load("index", str(checkpoint)).texts == ["a low voice"]


def test_remote_code_needs_the_model_by_name(index, checkpoint):
    assert "--model" in error(*find("a low voice"), "--trust-remote-code")
    assert "a low voice" in smoothclap(*find("a low voice"), "--trust-remote-code", "--model", checkpoint).stdout


def test_a_manifest_says_which_parts_of_files_are_clips(checkpoint):
    Path("clips.csv").write_text("path,start,end\nspeech/0.wav,0,0.1\nspeech/0.wav,0.1,\nspeech/gone.wav,,\n")
    options = ("clips.csv", "--model", checkpoint, "--bad-clips", "skip")
    assert "2 clips (2 new" in smoothclap("search", "index", *options, "--index", "index").stdout
    assert "speech/0.wav#t=0.1," in smoothclap(*find("a low voice")).stdout
    smoothclap("embed", *options)
    with np.load("embeddings.npz") as written:
        assert [Path(path).name for path in written["paths"]] == ["0.wav#t=0.0,0.1", "0.wav#t=0.1,"]
