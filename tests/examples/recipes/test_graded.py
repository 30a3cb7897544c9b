import itertools

import numpy as np
import pandas as pd
import pytest
from comparison import graded
from comparison.graded import graded_correlations, spearman

from smoothclap_trainer.data.functionals import functional_names


def on_circle(degrees) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def table(count: int, **columns) -> pd.DataFrame:
    """Rows of as many speakers, whose functionals are all the same where `columns` do not say otherwise."""
    rows = {name: np.full(count, 0.1) for name in functional_names()}
    rows |= {"language": ["en"] * count, "speaker": [f"s{index}" for index in range(count)], "emotion": ["sad"] * count}
    rows |= {"emotion_intensity": [1] * count, "circumplex_valence": [0.0] * count, "circumplex_arousal": [0.0] * count}
    # An index of its own, as a selection of rows has.
    return pd.DataFrame(rows | columns, index=np.arange(count) * 3 + 100)


def by_hand(embeds, distance, pairs) -> float:
    """Spearman by Pearson's formula on ranks that are counted one by one."""

    def ranks(values):
        return [
            sum(other < value for other in values) + sum(other == value for other in values) / 2 for value in values
        ]

    unit = embeds / np.linalg.norm(embeds, axis=1, keepdims=True)
    cosines = [round(float(unit[i] @ unit[j]), 9) for i, j in pairs]
    return float(np.corrcoef(ranks(cosines), ranks([-round(distance(i, j), 9) for i, j in pairs]))[0, 1])


def test_spearman_sees_ranks_only_and_shares_those_of_ties():
    assert spearman(np.array([1, 2, 3, 4]), np.array([0.1, 5, 6, 1e9])) == pytest.approx(1)
    assert spearman(np.array([1, 2, 3, 4]), np.array([4, 3, 2, 1])) == pytest.approx(-1)
    # Ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5.
    assert spearman(np.array([7, 7, 8, 9]), np.array([1, 2, 3, 4])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_spearman_without_order_is_undefined():
    assert np.isnan(spearman(np.ones(3), np.arange(3)))


def test_spearman_needs_pairs():
    with pytest.raises(ValueError, match="2 and 3"):
        spearman(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="1 and 1"):
        spearman(np.ones(1), np.ones(1))


def test_embeddings_that_turn_with_the_intensity_are_graded_perfectly():
    intensity = np.array([1, 2, 3, 1, 2, 3])
    figures = graded_correlations(on_circle(intensity * 20), table(6, emotion_intensity=intensity))
    assert figures["intensity"] == pytest.approx(1)
    # Turned as far by 2 as by 3, of the other side, so that the extremes are not the farthest apart.
    turns = np.where(intensity == 1, 0, np.where(intensity == 2, 50, -50))
    expected = by_hand(
        on_circle(turns),
        lambda i, j: abs(float(intensity[i] - intensity[j])),
        list(itertools.combinations(range(6), 2)),
    )
    figures = graded_correlations(on_circle(turns), table(6, emotion_intensity=intensity))
    assert figures["intensity"] == pytest.approx(expected) and expected < 0.9


def test_intensity_is_compared_within_language_and_emotion_between_speakers():
    rng = np.random.default_rng(0)
    count = 60
    rows = table(
        count,
        language=rng.choice(["en", "de"], count),
        emotion=rng.choice(["sad", "angry", "neutral"], count),
        speaker=rng.choice(["a", "b", "c"], count),
        emotion_intensity=rng.integers(1, 4, count),
    )
    rows.loc[rows["emotion"] == "neutral", "emotion_intensity"] = 0  # it has no degrees, and no part
    embeds = rng.normal(size=(count, 5))
    plain = rows.reset_index(drop=True)
    found = []
    for language, emotion in itertools.product(["de", "en"], ["angry", "sad"]):
        members = plain.index[(plain["language"] == language) & (plain["emotion"] == emotion)]
        pairs = [(i, j) for i, j in itertools.combinations(members, 2) if plain["speaker"][i] != plain["speaker"][j]]
        strength = plain["emotion_intensity"]
        found.append(by_hand(embeds, lambda i, j, s=strength: abs(float(s[i] - s[j])), pairs))
    assert graded_correlations(embeds, rows)["intensity"] == pytest.approx(np.mean(found))


def test_functionals_are_standardised_within_the_language_and_may_be_of_one_speaker():
    rng = np.random.default_rng(1)
    count, names = 14, functional_names()
    language = np.array(["en", "de"] * 7)
    # Of scales far apart, and the German ones of other means and spreads.
    first, second = rng.normal(size=count), 1000 * rng.normal(size=count)
    first[language == "de"] = 5 + 40 * first[language == "de"]
    rows = table(count, language=language, speaker=["one"] * count, **{names[3]: first, names[50]: second})
    embeds = rng.normal(size=(count, 4))
    found = []
    for name in ("de", "en"):
        members = np.flatnonzero(language == name)
        standard = {
            i: ((first[i] - first[members].mean()) / first[members].std(), second[i] / second[members].std())
            for i in members
        }
        pairs = list(itertools.combinations(members, 2))
        found.append(by_hand(embeds, lambda i, j, s=standard: float(np.hypot(*np.subtract(s[i], s[j]))), pairs))
    figures = graded_correlations(embeds, rows)
    assert figures["egemaps"] == pytest.approx(np.mean(found))
    assert np.isnan(figures["intensity"]) and np.isnan(figures["valence_arousal"])  # nobody else speaks


def test_valence_and_arousal_are_compared_between_speakers():
    rng = np.random.default_rng(2)
    count = 10
    valence, arousal = rng.normal(size=(2, count))
    speakers = np.array(["a", "b"] * 5)
    rows = table(count, circumplex_valence=valence, circumplex_arousal=arousal, speaker=speakers)
    embeds = rng.normal(size=(count, 3))
    pairs = [(i, j) for i, j in itertools.combinations(range(count), 2) if speakers[i] != speakers[j]]
    expected = by_hand(embeds, lambda i, j: float(np.hypot(valence[i] - valence[j], arousal[i] - arousal[j])), pairs)
    assert graded_correlations(embeds, rows)["valence_arousal"] == pytest.approx(expected)


def test_too_many_pairs_are_sampled_by_the_seed():
    rng = np.random.default_rng(3)
    rows = table(200, circumplex_valence=rng.normal(size=200))
    embeds = on_circle(20 * rows["circumplex_valence"].to_numpy() + 10 * rng.normal(size=200))
    whole, few, again, other = (
        graded_correlations(embeds, rows, **settings)["valence_arousal"]
        for settings in ({}, {"max_pairs": 4000}, {"max_pairs": 4000}, {"max_pairs": 4000, "seed": 1})
    )
    assert few == again != other
    assert few == pytest.approx(whole, abs=0.05) and few != whole


def test_pairs_in_blocks_are_the_same_pairs(monkeypatch):
    rng = np.random.default_rng(4)
    rows, embeds = table(12, circumplex_valence=rng.normal(size=12)), rng.normal(size=(12, 3))
    whole = graded_correlations(embeds, rows)
    monkeypatch.setattr(graded, "BLOCK_PAIRS", 5)
    assert graded_correlations(embeds, rows) == pytest.approx(whole, nan_ok=True)


def test_embeddings_that_fall_together_keep_nothing_and_are_not_left_out():
    count, names = 12, functional_names()
    varied = np.arange(count, dtype=float)
    collapsed = table(count, emotion_intensity=varied, circumplex_valence=varied, **{names[0]: varied})
    figures = graded_correlations(np.tile(np.random.default_rng(5).normal(size=7), (count, 1)), collapsed)
    assert figures == {"intensity": 0, "egemaps": 0, "valence_arousal": 0}
    # One emotion falls together, one is graded perfectly, and one has a single intensity: mean of 0 and 1.
    emotions, intensity = np.repeat(["sad", "angry", "neutral"], 6), np.array([1, 2, 3, 1, 2, 3] * 2 + [0] * 6)
    turns = np.where(emotions == "sad", 80, np.where(emotions == "angry", 20 * intensity, 10 * np.arange(18)))
    rows = table(18, emotion=emotions, emotion_intensity=intensity)
    assert graded_correlations(on_circle(turns), rows)["intensity"] == pytest.approx(0.5)


def test_faulty_rows_are_named():
    with pytest.raises(ValueError, match=r"3 .*2 "):
        graded_correlations(np.ones((2, 2)), table(3))
    lacking = table(3).drop(columns=["speaker", "circumplex_valence", functional_names()[7]])
    with pytest.raises(ValueError, match="'speaker', 'circumplex_valence'"):
        graded_correlations(np.ones((3, 2)), lacking)
    with pytest.raises(ValueError, match=r"'emotion_intensity'.* 2 of 3"):
        graded_correlations(np.ones((3, 2)), table(3, emotion_intensity=[1, np.nan, np.inf]))
    with pytest.raises(ValueError, match="1 of 3"):
        graded_correlations(np.array([[1, 0], [0, np.nan], [1, 1]]), table(3))
