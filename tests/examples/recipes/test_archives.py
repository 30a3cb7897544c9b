"""Readers, on tiny archives written here in the real formats."""

import numpy as np
import pytest
from speech.archives import queen_characters, queen_entries, read_drascula, read_fillets, read_queen
from speech.audio import decode_clip

from .archive_makers import dialogue_file, queen_archive, write_drascula, write_fillets, write_queen


def test_queen_entries_come_back_whole():
    content = {"A.SB": b"one", "LONGNAME.DOG": b"", "B.SB": b"three"}
    assert queen_entries(queen_archive(content)) == content


def test_queen_characters_by_dialogue_number():
    entries = {"SPARKY3.DOG": dialogue_file(53), "APE.DOG": dialogue_file(3), "X.PCX": b"53"}
    assert queen_characters(entries) == {53: "sparky", 3: "ape"}


def test_queen_lines_and_speakers(tmp_path):
    clips = list(read_queen([write_queen(tmp_path)]))
    assert {clip.name: clip.speaker for clip in clips} == {
        "51001FJ1": "joe",
        "51001FP1": "sparky",
        "51001FPA": "sparky",
        "51XXXXP2": "sparky",
        "C41B_082": "cutaways",
        "CINTR571": "cutaways",
        "JOE00011": "joe",
    }
    samples, rate = decode_clip(clips[0])
    assert rate == 11025
    assert len(samples) / rate == pytest.approx(1.0, abs=0.2)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() * rate / len(samples) == pytest.approx(120, abs=3)


@pytest.mark.parametrize(
    ("archive", "message"),
    [
        (b"RIFF....WAVE", "not an English talkie"),
        (b"QTBLCEM10", "not an English talkie"),
        (queen_archive({"A.SB": b"x"}, compression=2), "compression 2"),
        (queen_archive({"A.SB": b"xyz"})[:-1], "cut short"),
    ],
)
def test_queen_refuses_other_files(archive, message):
    with pytest.raises(ValueError, match=message):
        queen_entries(archive)


def test_missing_and_ambiguous_archives(tmp_path):
    with pytest.raises(ValueError, match=r"'queen\.1c'"):
        list(read_queen([tmp_path]))
    write_queen(tmp_path / "a")
    write_queen(tmp_path / "b")
    with pytest.raises(ValueError):
        list(read_queen([tmp_path]))


def test_drascula_prefix_is_the_character(tmp_path):
    clips = list(read_drascula([write_drascula(tmp_path)]))
    assert [(clip.name, clip.speaker) for clip in clips] == [
        ("52", "hacker"),
        ("53", "hacker"),
        ("BJ1", "bj"),
        ("VB7", "vb"),
    ]
    samples, rate = decode_clip(clips[0])
    assert (len(samples), rate) == (int(0.8 * 11025), 11025)
    assert abs(samples.mean()) < 0.01


def test_drascula_errors(tmp_path):
    with pytest.raises(ValueError, match=r"\*\.ALS"):
        list(read_drascula([tmp_path]))
    (tmp_path / "7x.ALS").write_bytes(b"\x80")
    with pytest.raises(ValueError, match=r"'7x\.ALS'"):
        list(read_drascula([tmp_path]))


def test_fillets_speakers_and_texts_come_from_the_scripts(tmp_path):
    clips = list(read_fillets(write_fillets(tmp_path / "cs", tmp_path / "data")))
    assert [(clip.name, clip.speaker, clip.transcript) for clip in clips] == [
        ("city/vit-hs-klid1", "city-statue", "Zachovejte klid."),
        ("city/vit-m-hlava", "small-fish", "Hlava!"),
        ("border/cil-v-hlaska0", "big-fish", None),
    ]
    samples, rate = decode_clip(clips[0])
    assert samples.ndim == 1
    assert rate == 22050


def test_fillets_errors(tmp_path):
    roots = write_fillets(tmp_path / "cs", tmp_path / "data")
    with pytest.raises(ValueError, match="fillets-ng-data"):
        list(read_fillets(roots[:1]))
    with pytest.raises(ValueError):
        list(read_fillets(roots[1:]))
    write_fillets(tmp_path / "cs", tmp_path / "more", language="nl")
    with pytest.raises(ValueError, match=r"\['cs', 'nl'\]"):
        list(read_fillets(roots))
