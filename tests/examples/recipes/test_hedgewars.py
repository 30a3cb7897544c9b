"""Hedgewars' shouts and what their names mean."""

import pytest
from speech.hedgewars import AROUSAL_INTENTS, EMOTION_INTENTS, read_hedgewars

from .archive_makers import write_hedgewars


def test_names_tell_language_and_intents(tmp_path):
    clips = list(read_hedgewars([write_hedgewars(tmp_path)]))
    assert [(clip.name, clip.speaker, clip.language, *clip.columns.values()) for clip in clips] == [
        ("Default/Ow2", "Default", "en", "Ow", None, None),
        ("Default/Victory", "Default", "en", "Victory", "happy", "high"),
        ("Default_pl/Hmm", "Default_pl", "pl", "Hmm", "sad or bored", "low"),
        ("Pirate/Hello", "Pirate", "en", "Hello", None, None),
    ]


def test_no_name_has_two_meanings():
    for intents, count in ((EMOTION_INTENTS, 37), (AROUSAL_INTENTS, 22)):
        names = " ".join(intents.values()).split()
        assert len(set(names)) == len(names) == count


def test_a_package_without_voices_is_refused(tmp_path):
    with pytest.raises(ValueError, match=str(tmp_path)):
        list(read_hedgewars([tmp_path]))
