import itertools

import numpy as np
import pytest

from smoothclap_trainer.evaluation.shuffling import shuffled_groups, shuffled_labels


def test_shuffled_labels_are_each_swap_equally_often():
    scores = np.array([1.0, 2.0, 4.0])
    labels = np.array([1, 0, 0])
    found = shuffled_labels(lambda swapped: float(scores @ swapped), labels, shuffles=3000)
    assert found.mean == pytest.approx(scores.mean(), abs=0.1)  # the one label is at each place a third of the time
    assert (found.largest, found.high, found.shuffles) == (4.0, 4.0, 3000)


def test_labels_stay_with_their_speaker():
    labels = np.array([1, 1, 0, 0, 1, 0])
    speakers = ["a", "b", "a", "b", None, None]
    seen = set()
    shuffled_labels(lambda swapped: float(seen.add(tuple(swapped)) or 0), labels, speakers, shuffles=200)
    pairs = [(0, 1), (1, 0)]
    ways = {(a[0], b[0], a[1], b[1], *c) for a, b, c in itertools.product(pairs, repeat=3)}
    assert seen == ways


def test_whole_groups_are_shuffled():
    labels = np.array([0, 1, 0, 2])
    seen = set()
    found = shuffled_groups(lambda swapped: float(seen.add(tuple(swapped)) or 0), labels, [*"aAab"], shuffles=200)
    assert seen == {(x, y, x, z) for x, y, z in itertools.permutations([0, 1, 2])}
    assert (found.mean, found.high, found.largest) == (0, 0, 0)
    with pytest.raises(ValueError, match="'a'"):
        shuffled_groups(float, np.array([0, 1]), ["a", "a"])
