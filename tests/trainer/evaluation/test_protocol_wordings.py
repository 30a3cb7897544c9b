"""Wordings of emotion classes."""

import pytest

from smoothclap_trainer.evaluation.protocols import ADJECTIVES, GERMAN, NOUNS, wordings_of


def test_words_come_in_the_order_of_the_classes():
    assert wordings_of(("sad", "angry"), NOUNS, GERMAN) == (
        {"sad": "sadness", "angry": "anger"},
        {"sad": "traurig", "angry": "wütend"},
    )
    assert list(wordings_of(("sad", "angry"), NOUNS)[0]) == ["sad", "angry"]
    with pytest.raises(KeyError, match="calm"):
        wordings_of(("calm",), GERMAN)


def test_adjectives_and_nouns_are_of_the_same_classes():
    assert list(ADJECTIVES) == list(NOUNS)
