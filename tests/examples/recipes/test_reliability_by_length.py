"""How long a piece of speech has to be: pieces of clips that are joined and cut, and the table of their AUC."""

import numpy as np
import pandas as pd
import pytest
import reliability_by_length
import soundfile
from reliability_by_length import cut, main, pieces

from smoothclap_trainer.evaluation.attributes import ATTRIBUTE_QUERIES


PITCH = ATTRIBUTE_QUERIES[0].column


def test_pieces_are_the_middle_of_what_is_long_enough():
    waveforms = [np.arange(3), np.arange(10, 14), np.arange(20, 29), np.arange(30, 35)]
    found = [piece.tolist() for piece in pieces(waveforms, 6)]
    assert found == [[0, 1, 2, 10, 11, 12], [21, 22, 23, 24, 25, 26]]


def test_pieces_are_of_one_speaker_and_one_third():
    rows = pd.DataFrame({"id": list("abcdef"), "speaker": list("xyxyxy"), PITCH: [1.0, 1, 5, 5, 9, 9]})
    waveforms = [np.full(4, index) for index in range(6)]
    found = cut(rows, waveforms, PITCH, 4)
    assert [(piece[0], high, speaker) for piece, high, speaker in found.itertuples(index=False)] == [
        (4, True, "x"),
        (5, True, "y"),
        (0, False, "x"),
        (1, False, "y"),
    ]
    assert cut(rows, waveforms, PITCH, 5).empty  # nobody has two clips of one third


@pytest.fixture
def manifest(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(30):
        soundfile.write(tmp_path / f"{number}.wav", rng.normal(0, 0.1, 16000).astype(np.float32), 16000)
    cells = {"path": [f"{number}.wav" for number in range(30)], "speaker": ["x", "y"] * 15, "corpus": "c"}
    pd.DataFrame(cells | {PITCH: np.arange(30.0), "split": "test"}).to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


def test_the_table_has_a_cell_where_there_are_enough_pieces(manifest, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(reliability_by_length, "SECONDS", (0.5, 30))
    monkeypatch.setattr("sys.argv", ["", str(manifest), "--output", str(tmp_path / "out")])
    main()
    table = pd.read_csv(tmp_path / "out" / "reliability.csv")
    assert table["seconds"].tolist() == [0.5, 30] and table["high"].tolist() == [10, 0]
    assert 0 <= table["auc"][0] <= 1 and np.isnan(table["auc"][1])
    assert (tmp_path / "out" / "reliability.md").read_text() in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--split", "train"], []])
def test_what_is_missing_is_named(manifest, monkeypatch, arguments):
    if not arguments:
        pd.read_csv(manifest).drop(columns=PITCH).to_csv(manifest, index=False)
    monkeypatch.setattr("sys.argv", ["", str(manifest), *arguments])
    with pytest.raises(SystemExit, match="train" if arguments else "functionals"):
        main()
