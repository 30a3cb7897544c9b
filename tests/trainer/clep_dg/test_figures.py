"""Figures over seeds against scikit-learn and hand computation."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from smoothclap_trainer.clep_dg.judging import figures_over_seeds, units_of


CLASSES = ("a", "b", "c")


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    true = np.array([0] * 10 + [1] * 30 + [2] * 20)
    right = rng.random((3, 60)) < 0.6
    return true, {seed: np.where(right[seed], true, rng.integers(0, 3, 60)) for seed in range(3)}


def test_means_and_deviations_are_those_of_scikit_learn_and_numpy(answers):
    true, predicted = answers
    found = figures_over_seeds(predicted, true, CLASSES, [str(index % 12) for index in range(60)])
    for name, score in (("uar", balanced_accuracy_score), ("accuracy", accuracy_score)):
        values = [score(true, each) for each in predicted.values()]
        figure = found["figures"][name]
        assert [each[name] for each in found["seeds"]] == pytest.approx(values)
        assert figure["value"] == pytest.approx(np.mean(values))
        assert figure["sd"] == pytest.approx(np.std(values, ddof=1))
        assert figure["low"] < figure["value"] < figure["high"]
    recalls = np.mean([recall_score(true, each, average=None) for each in predicted.values()], axis=0)
    assert found["per_class_recall"] == pytest.approx(dict(zip(CLASSES, recalls, strict=True)))
    assert [each["seed"] for each in found["seeds"]] == [0, 1, 2]


def test_a_method_in_which_nothing_is_random_has_no_deviation(answers):
    true, predicted = answers
    found = figures_over_seeds({None: predicted[0]}, true, CLASSES, [str(index) for index in range(60)])
    assert found["figures"]["uar"]["sd"] is found["figures"]["accuracy"]["sd"] is found["seeds"][0]["seed"] is None


def test_the_interval_spans_those_of_all_seeds(answers):
    true, predicted = answers
    units = [str(index) for index in range(60)]
    single = [figures_over_seeds({0: each}, true, CLASSES, units)["figures"]["uar"] for each in predicted.values()]
    found = figures_over_seeds(predicted, true, CLASSES, units)["figures"]["uar"]
    assert found["low"] == min(each["low"] for each in single) < max(each["low"] for each in single)
    assert found["high"] == max(each["high"] for each in single) > min(each["high"] for each in single)


def test_speakers_are_drawn_where_five_are_known_and_else_clips():
    ids = [f"clip-{index}" for index in range(8)]
    units, told = units_of(ids, ["a", "b", "c", "d", "e", "a", None, "a"])
    assert (told["unit"], told["units"], told["level"]) == ("speakers", 6, 0.95)
    assert units[0] == units[5] == units[7] and len(set(units)) == 6
    units, told = units_of(ids, ["a", "b", "c", "d"] * 2)
    assert (told["unit"], told["units"]) == ("clips", 8) and len(set(units)) == 8
