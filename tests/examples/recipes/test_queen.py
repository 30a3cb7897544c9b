"""Flight of the Amazon Queen, on a tiny archive written here in the real formats."""

import numpy as np
import pytest
from speech.audio import decode_clip
from speech.corpora import CORPORA
from speech.queen import ACTORS, SHARED, VALIDATION_ACTORS, queen_entries, queen_lines, read_queen

from .archive_makers import queen_archive, scripts, write_queen


def test_queen_entries_come_back_whole():
    content = {"A.SB": b"one", "LONGNAME.DOG": b"", "B.SB": b"three"}
    assert queen_entries(queen_archive(content)) == content


def test_queen_lines_have_their_texts_and_characters():
    lines = queen_lines(scripts())
    assert lines["51SSSSJ1"] == ("joe", "Hi.")
    assert lines["51001FJ1"] == ("joe", "Sure...")
    assert lines["51001FPA"] == ("sparky", "Part 10")
    assert lines["51XXXXP2"] == ("sparky", "See you!")
    assert lines["51XXXXJ1"] == ("joe", "Bye.")
    assert lines["C41B_022"] == ("prin", "Help me!")
    assert lines["C41B_031"] == (None, "Nobody knows.")
    assert lines["CINTR011"] == ("joe", "Let us go")
    assert lines["CINTR021"] == ("bob", "Stop...")
    assert lines["JOE00401"] == ("joe", "Answer 40!")
    assert lines["JOE00411"] == ("joe", "A rock.")


def test_queen_clips_have_speaker_actor_and_text(tmp_path):
    clips = list(read_queen([write_queen(tmp_path)]))
    assert [(clip.name, clip.speaker, clip.columns["actor"], clip.transcript) for clip in clips] == [
        ("51001FJ1", "joe", "Brad Lavelle", "Sure..."),
        ("51001FP1", "sparky", "Tom Hill", "Part 1"),
        ("51001FPA", "sparky", "Tom Hill", "Part 10"),
        ("51XXXXP2", "sparky", "Tom Hill", "See you!"),
        ("C41B_022", "prin", "Debbie Arnold", "Help me!"),
        ("CINTR021", "bob", "Jon Coleman", "Stop..."),
        ("JOE00011", "joe", "Brad Lavelle", "Answer 1!"),
    ]
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


def test_a_character_has_one_actor_and_those_with_two_are_not_held_out():
    characters = [name for names in ACTORS.values() for name in names]
    assert len(set(characters)) == len(characters)
    assert not set(characters) & set(SHARED)
    assert set(VALIDATION_ACTORS) < set(ACTORS)
    assert "joe" not in CORPORA["queen"].validation_speakers
    assert {"bob", "naomi", "chief"} < set(CORPORA["queen"].validation_speakers)
