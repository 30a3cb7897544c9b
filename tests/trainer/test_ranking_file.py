"""Many clips into one table: a run that was killed ends with the same table as one that was not."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer import ranking_file
from smoothclap_trainer.ranking_file import rank_to_file
from tests import tiny


TEXTS = ["a low voice", "a high voice"]
RUN = """
import sys, time
from pathlib import Path
from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer import ranking_file
ranking_file.CHUNK = 3
encoder = SmoothCLAPEncoder.from_pretrained(sys.argv[1], "cpu")
encode = encoder.encode_audio
encoder.encode_audio = lambda *a, **k: (time.sleep(0.1), encode(*a, **k))[1]
clips = {path.name: path for path in sorted(Path(sys.argv[2]).glob("*.wav"))}
print("ready", flush=True)
ranking_file.rank_to_file(encoder, clips, ["a low voice", "a high voice"], Path(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return tiny.checkpoint(tmp_path_factory.mktemp("tiny"), "wav2vec2")


@pytest.fixture(scope="module")
def encoder(checkpoint):
    return SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu")


@pytest.fixture
def clips(tmp_path):
    folder = tmp_path / "clips"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(14):
        samples = np.zeros(8000) if number == 4 else rng.normal(0, 0.1, 8000 + 400 * number)
        soundfile.write(folder / f"{number:02}.wav", samples.astype(np.float32), 16000)
    (folder / "05.wav").write_text("not audio")
    return {path.name: path for path in sorted(folder.iterdir())}


def test_rows_are_the_rankings_of_the_clips(encoder, clips, tmp_path):
    rows = rank_to_file(encoder, clips, TEXTS, tmp_path / "x.csv", "this is {}")
    read = list(csv.DictReader((tmp_path / "x.csv").open()))
    assert [row["clip"] for row in read] == list(clips)
    assert [row["problem"] for row in read if row["problem"]] == ["silent", "unreadable"]
    for name in ("00.wav", "13.wav"):
        ranked = encoder.rank(clips[name], TEXTS, "this is {}")
        row = next(row for row in read if row["clip"] == name)
        assert row["best"] == ranked[0].text
        assert [float(row[each.text]) for each in ranked] == pytest.approx([each.score for each in ranked], abs=1e-5)
    rank_to_file(encoder, clips, TEXTS, tmp_path / "x.jsonl", "this is {}")
    assert [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()] == rows
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_killed_run_goes_on_to_the_same_table(checkpoint, encoder, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(ranking_file, "CHUNK", 3)
    whole = tmp_path / "whole.csv"
    rank_to_file(encoder, clips, TEXTS, whole)
    output = tmp_path / "x.csv"
    command = [sys.executable, "-c", RUN, str(checkpoint), str(tmp_path / "clips"), str(output)]
    done = []
    for seconds in (0.02, 0.25):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        rows = tmp_path / "x.csv.unfinished" / "rows.jsonl"
        done.append(len(rows.read_text().splitlines()) if rows.exists() else 0)
        assert not output.exists()
    encoded = []
    encode = encoder.encode_audio
    monkeypatch.setattr(
        encoder, "encode_audio", lambda audio, **kw: (encoded.append(len(audio)), encode(audio, **kw))[1]
    )
    monkeypatch.setattr(encoder, "describe", lambda: SmoothCLAPEncoder.from_pretrained(checkpoint, "cpu").describe())
    rank_to_file(encoder, clips, TEXTS, output)
    assert output.read_bytes() == whole.read_bytes()
    assert sum(encoded) == 14 - 3 * max(0, done[-1] - 1)  # the first line says what the rows are of


def interrupted(encoder, clips, output, monkeypatch, after=2):
    """A run that fails after so many chunks."""
    monkeypatch.setattr(ranking_file, "CHUNK", 3)
    calls: list[object] = []
    encode = encoder.encode_audio

    def failing(audio, **options):
        calls.append(audio)
        if len(calls) > after:
            raise KeyboardInterrupt
        return encode(audio, **options)

    monkeypatch.setattr(encoder, "encode_audio", failing)
    with pytest.raises(KeyboardInterrupt):
        rank_to_file(encoder, clips, TEXTS, output)
    monkeypatch.setattr(encoder, "encode_audio", encode)


def test_a_line_that_was_cut_is_dropped(encoder, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(ranking_file, "CHUNK", 3)
    expected = rank_to_file(encoder, clips, TEXTS, tmp_path / "whole.csv")
    interrupted(encoder, clips, tmp_path / "x.csv", monkeypatch)
    with (tmp_path / "x.csv.unfinished" / "rows.jsonl").open("ab") as file:
        file.write(b'[{"clip": "06.wav", "sco')
    assert rank_to_file(encoder, clips, TEXTS, tmp_path / "x.csv") == expected


def test_a_file_that_has_changed_is_ranked_again(encoder, clips, tmp_path, monkeypatch):
    interrupted(encoder, clips, tmp_path / "x.csv", monkeypatch)
    soundfile.write(clips["00.wav"], np.random.default_rng(9).normal(0, 0.2, 16000).astype(np.float32), 16000)
    row = rank_to_file(encoder, clips, TEXTS, tmp_path / "x.csv")[0]
    scores = {each.text: each.score for each in encoder.rank(clips["00.wav"], TEXTS)}
    assert {text: row[text] for text in TEXTS} == pytest.approx(scores, abs=1e-5)


def test_other_settings_do_not_mix(encoder, clips, tmp_path, monkeypatch):
    interrupted(encoder, clips, tmp_path / "x.csv", monkeypatch)
    with pytest.raises(ValueError, match="unfinished"):
        rank_to_file(encoder, clips, [*TEXTS, "a sad voice"], tmp_path / "x.csv")


def test_bad_clips_can_be_an_error_that_loses_nothing(encoder, clips, tmp_path):
    with pytest.raises(ValueError, match=r"05\.wav"):
        rank_to_file(encoder, clips, TEXTS, tmp_path / "x.csv", bad_clips="raise")
    assert not (tmp_path / "x.csv").exists()
    stamp = os.stat(tmp_path / "x.csv.unfinished" / "rows.jsonl").st_size
    assert stamp and len(rank_to_file(encoder, clips, TEXTS, tmp_path / "x.csv")) == 14


@pytest.mark.parametrize(
    ("texts", "name", "named"), [(["a"], "x.csv", "two"), (TEXTS, "x.txt", r"x\.txt"), (["best", "a"], "x.csv", "best")]
)
def test_what_cannot_be_written(encoder, clips, tmp_path, texts, name, named):
    with pytest.raises(ValueError, match=named):
        rank_to_file(encoder, clips, texts, tmp_path / name)
    with pytest.raises(ValueError, match="no clips"):
        rank_to_file(encoder, {}, TEXTS, tmp_path / "x.csv")
