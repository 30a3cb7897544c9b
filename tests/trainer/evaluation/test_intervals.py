from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from smoothclap_trainer.evaluation.intervals import Units, metric_of_weights, metrics_with_intervals
from smoothclap_trainer.evaluation.results import Interval, Metric


def clips_of_speakers(rng, speakers=30, clips=20, spread=1.0):
    """Half of each speaker's clips are of class 0, half of 1; how often a class is heard depends on the speaker."""
    recall = rng.beta(0.6 / spread, 0.4 / spread, size=(speakers, 2))  # 0.6 on average, in each class
    true = np.tile(np.arange(clips) % 2, speakers)
    of = np.repeat(np.arange(speakers), clips)
    right = rng.random(len(true)) < recall[of, true]
    return np.where(right, true, 1 - true), true, [f"speaker {each}" for each in of]


def interval(found, name="uar"):
    return found.metrics[name].low, found.metrics[name].high


SKLEARN = {
    "uar": lambda true, predicted: metrics.recall_score(true, predicted, labels=np.unique(true), average="macro"),
    "accuracy": metrics.accuracy_score,
    "macro_f1": lambda true, predicted: metrics.f1_score(true, predicted, average="macro"),
}


def test_everything_that_a_result_holds():
    true, predicted = [0, 0, 0, 1, 1, 3], [0, 0, 2, 0, 1, 3]
    found = metrics_with_intervals(predicted, true, 4)
    assert list(found.metrics) == ["uar", "accuracy", "macro_f1"]
    for name, oracle in SKLEARN.items():
        value, low, high = (getattr(found.metrics[name], key) for key in ("value", "low", "high"))
        assert value == pytest.approx(oracle(true, predicted))
        assert low < value < high
    assert [recall.value for recall in found.per_class_recall] == pytest.approx([2 / 3, 1 / 2, None, 1])
    assert found.per_class_recall[2] == Metric(None, None, None)
    assert found.confusion == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert found.groups is None
    assert found.interval == Interval(level=0.95, unit="clips", units=6, samples=2000)


def test_equal_seeds_give_equal_intervals_whatever_the_order_of_clips():
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0))
    found = metrics_with_intervals(predicted, true, 2, speakers)
    order = np.random.default_rng(1).permutation(len(true))
    shuffled = metrics_with_intervals(predicted[order], true[order], 2, [speakers[place] for place in order])
    assert shuffled == found
    assert interval(metrics_with_intervals(predicted, true, 2, speakers, seed=1)) != interval(found)


def test_speakers_drawn_by_a_loop_give_the_same():
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0), speakers=6)
    found = metrics_with_intervals(predicted, true, 2, speakers, samples=40, seed=3)
    # The same draws, with the clips themselves.
    numbers = np.random.default_rng(3).multinomial(6, np.full(6, 1 / 6), size=40)
    names = np.array(speakers)
    for name, oracle in SKLEARN.items():
        values = []
        for drawn in numbers:
            clips = np.concatenate(
                [np.flatnonzero(names == f"speaker {each}") for each in np.repeat(np.arange(6), drawn)]
            )
            values.append(oracle(true[clips], predicted[clips]))
        np.testing.assert_allclose(interval(found, name), np.quantile(values, [0.025, 0.975]), atol=1e-12)
    assert found.interval.unit == "speakers" and found.interval.units == 6


def test_clips_drawn_by_a_loop_give_nearly_the_same():
    rng = np.random.default_rng(0)
    true = rng.integers(3, size=150)
    predicted = np.where(rng.random(150) < 0.6, true, rng.integers(3, size=150))
    found = metrics_with_intervals(predicted, true, 3, samples=2000)
    drawn = [rng.integers(150, size=150) for _ in range(2000)]
    values = [np.mean([(predicted[each] == label)[true[each] == label].mean() for label in range(3)]) for each in drawn]
    np.testing.assert_allclose(interval(found), np.quantile(values, [0.025, 0.975]), atol=0.01)


def test_a_tiny_case_by_hand():
    # Of four clips of one class, one is right: the number of right ones among four drawn is binomial(4, 1/4), with
    # probabilities .316, .422, .211, .047, .004 for 0 to 4.
    found = metrics_with_intervals([0, 1, 1, 1], [0, 0, 0, 0], 2)
    assert found.metrics["accuracy"] == Metric(0.25, 0.0, 0.75)
    assert found.metrics["uar"] == found.per_class_recall[0] == found.metrics["accuracy"]
    # All right, always.
    sure = metrics_with_intervals([0, 1, 1], [0, 1, 1], 2, samples=50)
    assert sure.metrics["uar"] == Metric(1.0, 1.0, 1.0)


def test_a_class_that_a_sample_lacks_does_not_count_there():
    # The one clip of class 1 is wrong: where it is drawn UAR is 1/2, elsewhere 1.
    found = metrics_with_intervals([0, 0, 0, 0], [0, 0, 0, 1], 2)
    assert found.metrics["uar"] == Metric(0.5, 0.5, 1.0)
    assert found.per_class_recall[1] == Metric(0.0, 0.0, 0.0)
    # And if no sample has it, its recall has no interval.
    seed = next(seed for seed in range(99) if not np.random.default_rng(seed).multinomial(4, [3 / 4, 1 / 4])[1])
    once = metrics_with_intervals([0, 0, 0, 0], [0, 0, 0, 1], 2, samples=1, seed=seed)
    assert once.per_class_recall[1] == Metric(0.0, None, None)


def test_sessions_are_averaged_and_drawn():
    # Session a: recalls 1/2 and 1; session b: 1 and 0.
    true, predicted = [0, 0, 1, 0, 1, 1], [0, 1, 1, 0, 0, 0]
    found = metrics_with_intervals(predicted, true, 2, groups=list("aaabbb"), speakers=list("uvwxyz"))
    assert found.groups == {"a": 0.75, "b": 0.5}
    # A sample is a and a, b and b, or (half of them) both: .75, .5 or .625.
    assert found.metrics["uar"] == Metric(0.625, 0.5, 0.75)
    assert found.metrics["accuracy"].value == pytest.approx((2 / 3 + 1 / 3) / 2)
    f1 = [metrics.f1_score(true[:3], predicted[:3], average="macro")]
    f1.append(metrics.f1_score(true[3:], predicted[3:], average="macro"))
    assert found.metrics["macro_f1"] == pytest.approx(Metric(np.mean(f1), min(f1), max(f1)))
    # Recalls are those of all clips.
    assert [recall.value for recall in found.per_class_recall] == pytest.approx([2 / 3, 1 / 3])
    assert found.per_class_recall[0].low == 0.5 and found.per_class_recall[0].high == 1.0
    assert found.confusion == [[2, 1], [2, 1]]
    assert found.interval.unit == "session" and found.interval.units == 2
    assert found.interval.is_rough


def test_of_one_session_the_speakers_are_drawn():
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0))
    plain = metrics_with_intervals(predicted, true, 2, speakers)
    found = metrics_with_intervals(predicted, true, 2, speakers, groups=["only"] * len(true))
    assert found == replace(plain, groups={"only": plain.metrics["uar"].value})


def test_four_speakers_are_too_few_to_draw_and_five_are_not():
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0), speakers=4)
    found, plain = metrics_with_intervals(predicted, true, 2, speakers), metrics_with_intervals(predicted, true, 2)
    assert found.metrics == plain.metrics and found.interval.unit == "clips"
    assert metrics_with_intervals(predicted, true, 2, [None] * len(true)) == plain
    five = metrics_with_intervals(*_split(clips_of_speakers(np.random.default_rng(0), speakers=5)))
    assert five.interval.unit == "speakers" and five.interval.units == 5


def _split(clips):
    predicted, true, speakers = clips
    return predicted, true, 2, speakers


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_clips_of_unknown_speakers_are_drawn_each_by_itself(unknown):
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0), speakers=25)
    lacking = [unknown if clip % 4 == 0 else speaker for clip, speaker in enumerate(speakers)]
    found = metrics_with_intervals(predicted, true, 2, lacking)
    assert found.interval.unit == "speakers" and found.interval.units == 25
    assert found.interval.alone == 125 and not found.interval.is_rough
    one = metrics_with_intervals(predicted, true, 2, [unknown, *speakers[1:]])
    assert one.interval.alone == 1
    # As if each had a speaker of its own; the draws are others.
    own = [f"own {clip}" if clip % 4 == 0 else speaker for clip, speaker in enumerate(speakers)]
    np.testing.assert_allclose(
        interval(found), interval(metrics_with_intervals(predicted, true, 2, own, samples=8000)), atol=0.01
    )


def test_named_clips_are_units_of_their_own():
    """The draws are those of clips that each have a speaker of their own."""
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0), speakers=5)
    ids = [f"own {clip}" for clip in range(len(true))]
    lacking = [None if clip == 7 else speaker for clip, speaker in enumerate(speakers)]
    found = metrics_with_intervals(predicted, true, 2, lacking, ids=ids)
    own = [speaker or "own 7" for speaker in lacking]
    assert found == metrics_with_intervals(predicted, true, 2, own) and found.interval.units == 6
    clips = metrics_with_intervals(predicted, true, 2, [None] * len(true), ids=ids)
    assert clips.metrics == metrics_with_intervals(predicted, true, 2, ids).metrics
    assert (clips.interval.unit, clips.interval.units) == ("clips", 100)


def test_units_that_are_alike_are_drawn_as_often_as_there_are():
    units = Units("clips", np.zeros((3, 1, 1)), np.array([1, 0, 9]))
    drawn = units.draw(4000, seed=0)
    assert drawn.shape == (4000, 3) and (drawn.sum(axis=1) == 10).all()
    np.testing.assert_allclose(drawn.mean(axis=0), [1, 0, 9], atol=0.05)


def test_intervals_over_speakers_cover_and_those_over_clips_do_not():
    rng = np.random.default_rng(0)
    covered = {"speakers": 0, "clips": 0}
    for seed in range(80):
        predicted, true, speakers = clips_of_speakers(rng)
        for unit, given in (("speakers", speakers), ("clips", None)):
            low, high = interval(metrics_with_intervals(predicted, true, 2, given, samples=300, seed=seed))
            covered[unit] += low <= 0.6 <= high
    assert 0.88 < covered["speakers"] / 80 < 1
    assert covered["clips"] / 80 < 0.8


def test_intervals_over_clips_cover_where_clips_are_independent():
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(80):
        true = rng.integers(3, size=200)
        predicted = np.where(rng.random(200) < 0.4, true, (true + rng.integers(1, 3, size=200)) % 3)
        low, high = interval(metrics_with_intervals(predicted, true, 3, samples=300, seed=seed))
        covered += low <= 0.4 <= high
    assert 0.88 < covered / 80 < 1


@pytest.mark.parametrize(
    ("predicted", "changes", "value"),
    [
        ([0, 2], {}, "^2 "),
        ([0, 1], {"speakers": ["a"]}, "1 speakers .*2 "),
        ([0, 1], {"groups": ["a", "a", "b"]}, "3 groups .*2 "),
        ([0, 1], {"groups": pd.Series(["a", None]), "grouped_by": "town"}, "1 .*town"),
        ([0, 1], {"samples": 0}, "samples.*0"),
    ],
)
def test_faulty_input_is_refused(predicted, changes, value):
    with pytest.raises(ValueError, match=value):
        metrics_with_intervals(predicted, [0, 1], 2, **changes)


def test_any_metric_of_weighted_clips_has_the_interval_of_its_kind():
    predicted, true, speakers = clips_of_speakers(np.random.default_rng(0))
    right = predicted == true
    found, made = metric_of_weights(lambda weights: float(np.average(right, weights=weights)), len(true), speakers)
    known = metrics_with_intervals(predicted, true, 2, speakers)
    assert found.value == pytest.approx(known.metrics["accuracy"].value)
    assert (found.low, found.high) == pytest.approx(interval(known, "accuracy"), abs=0.01)
    assert made == known.interval
    few, over = metric_of_weights(lambda weights: float(weights.sum()), 6, ["a", "b", None, "a", "b", "a"], samples=9)
    assert (few.low, few.high, over.unit, over.units, over.alone) == (6, 6, "clips", 6, 0)
    some, over = metric_of_weights(lambda weights: float(weights[5]), 7, [*"abcde", None, None], samples=200)
    assert (over.unit, over.units, over.alone) == ("speakers", 5, 2) and some.high > 1
