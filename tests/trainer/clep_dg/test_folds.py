"""Folds by speaker: disjoint, always the same, and what cannot be folded; and that classifiers keep to them."""

import re

import numpy as np
import pytest

from smoothclap_trainer.clep_dg.classifier import ClassifierSettings
from smoothclap_trainer.clep_dg.judging import predictions_by_fold, speaker_folds, weights_by_fold


@pytest.mark.parametrize("count", [4, 5, 9, 10, 23])
def test_folds_are_speaker_disjoint_and_have_two_speakers_a_side(count):
    rng = np.random.default_rng(count)
    speakers = [f"s{number}" for number in range(count) for _ in range(int(rng.integers(2, 9)))]
    labels = [index % 2 for index in range(len(speakers))]
    folds = speaker_folds(speakers, labels)
    sides = [{speaker for speaker, its in zip(speakers, folds, strict=True) if its == fold} for fold in set(folds)]
    assert len(sides) == min(5, count // 2)
    assert sum(map(len, sides)) == count == len(set().union(*sides))
    assert all(len(side) >= 2 and count - len(side) >= 2 for side in sides)
    order = rng.permutation(len(speakers))  # the order of clips changes nothing
    again = speaker_folds([speakers[index] for index in order], [labels[index] for index in order])
    assert np.array_equal(again, folds[order])


def test_speakers_are_dealt_by_falling_number_of_clips():
    speakers = list("abbbccdddd")  # d has 4, b 3, c 2 and a 1; by name, b and d would be tested together
    assert speaker_folds(speakers, [0] * 10).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("names", [[0, 1], ["glad", "sad"]])
def test_speakers_of_the_same_classes_are_dealt_together(names):
    # By clips and name alone, a and c, or b and d, would be tested together, and their class not trained on.
    labels = [names[index] for index in (0, 1, 0, 1)]
    assert speaker_folds(list("abcd"), labels).tolist() == [0, 0, 1, 1]
    assert speaker_folds(list("abcdcc"), [*labels, names[0], names[0]]).tolist() == [1, 0, 0, 1, 0, 0]


def test_too_few_speakers_and_classes_of_one_fold():
    with pytest.raises(ValueError, match="3 speakers are known, and 4 are needed: 2 to train on and 2 to test on"):
        speaker_folds(["a", "b", "c"], [0, 1, 0])
    for names in ([0, 1, 2], ["glad", "mad", "sad"]):
        told = f"all clips of the classes {names[2:]} are from one speaker, or from speakers who are tested together"
        with pytest.raises(ValueError, match=re.escape(f"{told}, so none is left to train on")):  # a's
            speaker_folds(list("aabbccdd"), [names[index] for index in (0, 2, 1, 1, 0, 1, 0, 1)])


def test_a_fold_is_judged_by_who_has_not_heard_it():
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 20)
    folds = np.repeat([0, 1], 20)
    embeds = rng.normal(size=(40, 6)).astype(np.float32) * 0.1
    embeds[:, 0] += 1 - 2 * labels
    embeds[folds == 1] *= -1  # what is learned in one fold is wrong in the other
    settings = ClassifierSettings(epochs=200)
    weights = weights_by_fold(embeds, labels, folds, settings)
    assert [each.shape for each in weights] == [(2, 6)] * 2
    assert predictions_by_fold(embeds, folds, weights).tolist() == (1 - labels).tolist()
    swapped = predictions_by_fold(embeds, folds, weights[::-1])
    assert swapped.tolist() == labels.tolist()
