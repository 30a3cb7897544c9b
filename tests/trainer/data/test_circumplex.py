import math

import pytest
from expressive.prosody import CIRCUMPLEX_DEGREES

from smoothclap_trainer.evaluation.valence_arousal import RUSSELL_DEGREES, RUSSELL_WORDS, place_of


def test_words_lie_on_the_unit_circle_at_their_angle():
    for word, degrees in RUSSELL_DEGREES.items():
        valence, arousal = place_of(word)
        assert math.degrees(math.atan2(arousal, valence)) % 360 == pytest.approx(degrees)
        assert math.hypot(valence, arousal) == pytest.approx(1)


@pytest.mark.parametrize(
    ("emotion", "word"),
    [
        ("anger", "angry"),
        ("Fear", "afraid"),
        ("pleasant surprise", "astonished"),
        (" SADNESS ", "sad"),
        ("joy", "happy"),
        ("anxious", "afraid"),
    ],
)
def test_names_of_emotions_stand_where_their_word_does(emotion, word):
    assert place_of(emotion) == place_of(word) is not None


def test_neutral_is_the_centre_and_not_every_class_has_a_place():
    assert place_of("neutral") == (0, 0)
    for name in ("disgust", "contempt", "non-negative", "likeable", "emphatic", ""):
        assert place_of(name) is None


def test_every_name_leads_to_a_word_of_russells():
    assert set(RUSSELL_WORDS.values()) == set(RUSSELL_DEGREES)


def test_the_expressive_corpus_keeps_its_angles_in_their_order():
    # Manifests and records that were written with them are told apart by a hash.
    assert list(CIRCUMPLEX_DEGREES.items()) == [
        ("happy", 7.8), ("angry", 99.0), ("fearful", 116.0), ("sad", 207.5), ("bored", 242.0), ("calm", 316.2),
    ]  # fmt: skip
