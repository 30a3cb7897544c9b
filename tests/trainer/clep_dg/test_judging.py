"""Metrics over seeds, folds by speaker and both protocols, against scikit-learn and computation by hand."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from smoothclap_trainer.clep_dg.classifier import ClassifierSettings, train_classifier
from smoothclap_trainer.clep_dg.judging import (
    Clips,
    NoFolds,
    generalisation,
    over_seeds,
    speaker_folds,
    supervised,
    trained_in,
    trained_on_others,
)
from smoothclap_trainer.clep_dg.results import AUDIO_OF_SPEAKERS, AUGMENTED, Refusal, RefusalReason
from smoothclap_trainer.evaluation.corpus_names import ZeroShot, ZeroShotStatus
from tests.trainer.clep_dg.made_up_corpora import CLASSES, corpus, embeddings


STATUS = ZeroShot(ZeroShotStatus.ZERO_SHOT)
SETTINGS = ClassifierSettings(epochs=5, batch_size=16)
IDS = [f"clip-{index:02}" for index in range(60)]
WEIGHTS = {
    "zero-shot": {None: np.eye(3, 8, dtype=np.float32)},
    "drawn": {seed: np.random.default_rng(seed).normal(size=(3, 8)).astype(np.float32) for seed in (0, 1)},
}


# Metrics over seeds


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    true = np.array([0] * 10 + [1] * 30 + [2] * 20)
    right = rng.random((3, 60)) < 0.6
    return true, {seed: np.where(right[seed], true, rng.integers(0, 3, 60)) for seed in range(3)}


def test_means_and_deviations_are_those_of_scikit_learn_and_numpy(answers):
    true, predicted = answers
    found = over_seeds("it", predicted, Clips(true, IDS, [str(index % 12) for index in range(60)]), CLASSES)[0]
    for name, score in (("uar", balanced_accuracy_score), ("accuracy", accuracy_score)):
        values = [score(true, each) for each in predicted.values()]
        metric = found.metrics[name]
        assert [getattr(each, name) for each in found.seeds] == pytest.approx(values)
        assert metric.value == pytest.approx(np.mean(values))
        assert metric.sd == pytest.approx(np.std(values, ddof=1))
        assert metric.low < metric.value < metric.high
    recalls = np.mean([recall_score(true, each, average=None) for each in predicted.values()], axis=0)
    assert found.per_class_recall == pytest.approx(dict(zip(CLASSES, recalls, strict=True)))
    assert [each.seed for each in found.seeds] == [0, 1, 2]


def test_the_interval_spans_those_of_all_seeds_and_one_seed_has_no_deviation(answers):
    true, predicted = answers
    clips = Clips(true, IDS, [None] * 60)
    single = [over_seeds("it", {None: each}, clips, CLASSES)[0].uar for each in predicted.values()]
    found = over_seeds("it", predicted, clips, CLASSES)[0].uar
    assert found.low == min(each.low for each in single) < max(each.low for each in single)
    assert found.high == max(each.high for each in single) > min(each.high for each in single)
    assert single[0].sd is None


def test_differences_to_another_method_are_paired(answers):
    """Each draw gives clips weights, by which both methods are scored."""
    true, predicted = answers
    reference = np.random.default_rng(1).integers(0, 3, 60)
    clips = Clips(true, IDS, [f"s{index % 12:02}" for index in range(60)])
    found = over_seeds("it", predicted, clips, CLASSES, reference)[0].differences
    weights = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), size=1000)[:, np.arange(60) % 12]
    of_class = np.eye(3)[true]  # (60, 3)
    uar = [
        (weights @ (of_class * (each == true)[:, None]) / (weights @ of_class)).mean(axis=1)
        for each in predicted.values()
    ]
    theirs = (weights @ (of_class * (reference == true)[:, None]) / (weights @ of_class)).mean(axis=1)
    bounds = np.array([np.quantile(each - theirs, [0.025, 0.975]) for each in uar])
    assert (found["uar"].low, found["uar"].high) == pytest.approx((bounds[:, 0].min(), bounds[:, 1].max()))
    for name, score in (("uar", balanced_accuracy_score), ("accuracy", accuracy_score)):
        values = [score(true, each) - score(true, reference) for each in predicted.values()]
        assert (found[name].value, found[name].sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))


def test_the_same_answers_differ_by_nothing(answers):
    true, predicted = answers
    found = over_seeds("it", {0: predicted[0]}, Clips(true, IDS, [None] * 60), CLASSES, predicted[0])[0].differences
    assert {(each.value, each.low, each.high) for each in found.values()} == {(0, 0, 0)}


# Folds


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


def test_speakers_are_dealt_by_classes_and_falling_number_of_clips():
    speakers = list("abbbccdddd")  # d has 4, b 3, c 2 and a 1; by name, b and d would be tested together
    assert speaker_folds(speakers, [0] * 10).tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    for names in ([0, 1], ["glad", "sad"]):
        # By clips and name alone, a and c, or b and d, would be tested together, and their class not trained on.
        labels = [names[index] for index in (0, 1, 0, 1)]
        assert speaker_folds(list("abcd"), labels).tolist() == [0, 0, 1, 1]
        assert speaker_folds(list("abcdcc"), [*labels, names[0], names[0]]).tolist() == [1, 0, 0, 1, 0, 0]


def test_too_few_speakers_and_classes_of_one_fold():
    with pytest.raises(NoFolds) as caught:
        speaker_folds(["a", "b", "c"], [0, 1, 0])
    assert caught.value.args == (RefusalReason.FEW_SPEAKERS, ())
    for names in ([0, 1, 2], ["glad", "mad", "sad"]):
        with pytest.raises(NoFolds) as caught:
            speaker_folds(list("aabbccdd"), [names[index] for index in (0, 2, 1, 1, 0, 1, 0, 1)])
        assert caught.value.args == (RefusalReason.SPOKEN_IN_ONE_FOLD, (names[2],))  # a's alone


# Protocols


def test_without_degraded_conditions_nothing_is_augmented():
    assert trained_in(AUDIO_OF_SPEAKERS, ["clean"]) == {AUDIO_OF_SPEAKERS: ["clean"]}
    both = trained_in(AUDIO_OF_SPEAKERS, ["noise", "clean"])
    assert both == {AUDIO_OF_SPEAKERS: ["clean"], AUGMENTED[AUDIO_OF_SPEAKERS]: ["noise", "clean"]}


def predicted_by(embeds, weights):
    cosines = embeds @ (weights / np.linalg.norm(weights, axis=1, keepdims=True)).T
    return [CLASSES[index] for index in cosines.argmax(axis=1)]


def by_seed(methods, name):
    (method,) = [each for each in methods if each.method == name]
    return {each.seed: (each.uar, each.accuracy) for each in method.seeds}


def scores(labels, answers):
    return balanced_accuracy_score(labels, answers), accuracy_score(labels, answers)


def test_generalisation_compares_on_all_clips():
    target = corpus()
    embeds = embeddings(target)
    found = generalisation(target, embeds, WEIGHTS)
    assert found["clips"] == 60
    zero_shot, drawn = found["methods"]
    assert zero_shot.differences == {}
    assert drawn.differences["uar"].value == pytest.approx(drawn.uar.value - zero_shot.uar.value)
    assert drawn.differences["uar"].low < drawn.differences["uar"].value < drawn.differences["uar"].high
    assert (found["interval"].unit, found["interval"].units) == ("speakers", 6)
    for method, of_seeds in WEIGHTS.items():
        for seed, weights in of_seeds.items():
            expected = scores(target.rows["label"], predicted_by(embeds, weights))
            assert by_seed(found["methods"], method)[seed] == pytest.approx(expected)


def test_the_classifier_of_the_other_corpora_is_trained_on_all_their_clips():
    others = [corpus(), corpus(clips=30)]
    embeds = [embeddings(each, seed) for seed, each in enumerate(others)]
    found = trained_on_others(list(zip(others, embeds, strict=True)), [0, 4], SETTINGS)
    labels = [CLASSES.index(label) for each in others for label in each.rows["label"]]
    assert list(found) == [0, 4]
    for seed, weights in found.items():
        settings = SETTINGS.changed(seed=seed)
        expected = train_classifier(torch.from_numpy(np.concatenate(embeds)), torch.tensor(labels), settings)
        assert np.array_equal(weights, expected.numpy())


@pytest.mark.parametrize("unknown", [0, 7])
def test_supervised_trains_on_clean_clips_of_other_speakers(unknown):
    target = corpus(unknown=unknown)
    embeds = {"clean": embeddings(target), "noise": embeddings(target, seed=1)}
    found = supervised(target, STATUS, embeds, WEIGHTS, [0, 1], SETTINGS)
    assert [each.condition for each in found] == ["clean", "noise"]
    known = target.rows["speaker"].notna().to_numpy()
    rows = target.rows[known]
    labels = np.array([CLASSES.index(label) for label in rows["label"]])
    folds = speaker_folds(rows["speaker"].tolist(), labels)
    for entry in found:
        tested = embeds[entry.condition][known]
        assert (entry.folds, entry.speakers, entry.left_out, entry.clips) == (3, 6, unknown, 60 - unknown)
        for seed in (0, 1):
            answers, augmented = np.empty((2, len(rows)), object)
            for fold in range(3):
                others = folds != fold
                assert not set(rows["speaker"][others]) & set(rows["speaker"][~others])
                features, ids = torch.from_numpy(embeds["clean"][known][others]), torch.from_numpy(labels[others])
                weights = train_classifier(features, ids, SETTINGS.changed(seed=seed)).numpy()
                answers[~others] = predicted_by(tested[~others], weights)
                both = torch.cat([torch.from_numpy(each[known][others]) for each in embeds.values()])
                weights = train_classifier(both, ids.repeat(2), SETTINGS.changed(seed=seed)).numpy()
                augmented[~others] = predicted_by(tested[~others], weights)
            expected = scores(rows["label"], augmented)
            assert by_seed(entry.methods, AUGMENTED[AUDIO_OF_SPEAKERS])[seed] == pytest.approx(expected)
            assert by_seed(entry.methods, AUDIO_OF_SPEAKERS)[seed] == pytest.approx(scores(rows["label"], answers))
            expected = scores(rows["label"], predicted_by(tested, WEIGHTS["drawn"][seed]))
            assert by_seed(entry.methods, "drawn")[seed] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("speakers", "clips", "unknown", "reason"),
    [
        (3, 60, 0, Refusal("made-up", STATUS, RefusalReason.FEW_SPEAKERS)),
        (6, 18, 6, Refusal("made-up", STATUS, RefusalReason.NOBODY_SPEAKS, ("a",))),
    ],
)
def test_supervised_is_refused_where_speakers_make_no_folds(speakers, clips, unknown, reason):
    target = corpus(speakers, clips, unknown)
    assert supervised(target, STATUS, {"clean": embeddings(target)}, WEIGHTS, [0], SETTINGS) == [reason]
