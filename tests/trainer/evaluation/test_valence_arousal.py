import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from smoothclap_trainer.evaluation.valence_arousal import (
    RUSSELL_DEGREES,
    Pair,
    ValenceArousal,
    class_centres,
    class_pairs,
    pair_correlation,
    place_of,
    spearman,
    valence_arousal,
)


def correlation(embeds, classes):
    return pair_correlation(class_pairs(embeds, classes))


RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")


def test_pairs_have_their_distance_and_cosine():
    embeds = np.array([[3.0, 0.0], [7.0, 7.0], [0.0, 2.0], [1.0, 1.0]])
    first, second, third = class_pairs(embeds, ["neutral", "disgust", "happy", "sad"])
    assert first[:2] == ("neutral", "happy") and first.distance == pytest.approx(1) and first.cosine == 0
    assert second[:2] == ("neutral", "sad") and second.cosine == pytest.approx(math.sqrt(0.5))
    # The chord of an angle on the unit circle.
    assert third == Pair("happy", "sad", pytest.approx(2 * math.sin(math.radians((207.5 - 7.8) / 2))), second.cosine)


def test_embeddings_that_lie_as_the_words_do_correlate_fully():
    words = ["happy", "surprised", "angry", "fearful", "sad", "calm"]
    places = np.array([place_of(word) for word in words])
    assert correlation(places, words) == pytest.approx(1)


def test_correlation_is_scipys():
    embeds = np.random.default_rng(0).normal(size=(8, 5))
    pairs = class_pairs(embeds, RAVDESS)
    assert len(pairs) == 7 * 6 // 2
    distances = [round(pair.distance, 9) for pair in pairs]
    expected = spearmanr([pair.cosine for pair in pairs], np.negative(distances)).statistic
    assert correlation(embeds, RAVDESS) == pytest.approx(expected)


def test_rounding_does_not_order_the_words_around_neutral():
    words = [name for name in RAVDESS if name not in ("neutral", "disgust")]
    distances = [1, np.nextafter(1, 0), np.nextafter(1, 2), 1, 1, 1]
    spokes = [Pair("neutral", word, distances[i], 0.1 * i) for i, word in enumerate(words)]
    assert pair_correlation(spokes) is None
    middle = Pair("happy", "happy", 0.5, 0.9)
    expected = spearmanr([*[0.1 * i for i in range(6)], 0.9], [-1] * 6 + [-0.5]).statistic
    assert pair_correlation([*spokes, middle]) == pytest.approx(expected)


def test_too_few_places_have_no_correlation():
    embeds = np.random.default_rng(0).normal(size=(3, 4))
    assert correlation(embeds, ["happy", "sad", "disgust"]) is None
    assert correlation(embeds, ["likeable", "rest", "disgust"]) is None
    assert correlation(embeds, ["happy", "sad", "neutral"]) is not None


def test_embeddings_that_fall_together_keep_nothing():
    assert correlation(np.tile([[1.0, 0.0]], (3, 1)), ["happy", "sad", "angry"]) == 0


def test_centres_are_means_of_unit_embeddings():
    embeds = np.array([[2.0, 0.0], [0.0, 5.0], [0.0, -1.0], [0.0, 1.0]])
    centres = class_centres(embeds, np.array([0, 0, 1, 1]), 2)
    assert centres.tolist() == [[0.5, 0.5], [0.0, 0.0]]


def test_both_figures_and_the_classes_that_they_are_about():
    rng = np.random.default_rng(1)
    true = np.arange(40) % 8
    audio, texts = rng.normal(size=(40, 5)), rng.normal(size=(8, 5))
    found = valence_arousal(audio, true, texts, RAVDESS)
    centres = class_centres(audio, true, 8)
    placed = tuple(name for name in RAVDESS if name != "disgust")
    assert found == ValenceArousal(correlation(texts, RAVDESS), correlation(centres, RAVDESS), placed)
    assert found.texts != found.clips


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="1 of 2"):
        class_pairs(np.array([[1.0], [np.nan]]), ["happy", "sad"])
    with pytest.raises(ValueError, match=r"2 .*3"):
        spearman(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"\[1\] of 3"):
        class_centres(np.ones((2, 2)), np.array([0, 2]), 3)


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
