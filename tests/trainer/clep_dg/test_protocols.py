"""Both protocols against scikit-learn on made-up embeddings: which clips count, and who has heard what."""

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from smoothclap_trainer.clep_dg.classifier import ClassifierSettings, train_classifier
from smoothclap_trainer.clep_dg.judging import (
    AUDIO_OF_SPEAKERS,
    generalisation,
    speaker_folds,
    supervised,
    trained_on_others,
)
from tests.trainer.clep_dg.made_up_corpora import CLASSES, corpus, embeddings


SETTINGS = ClassifierSettings(epochs=5, batch_size=16)
WEIGHTS = {
    "fixed": {None: np.eye(3, 8, dtype=np.float32)},
    "drawn": {seed: np.random.default_rng(seed).normal(size=(3, 8)).astype(np.float32) for seed in (0, 1)},
}


def predicted(embeds, weights):
    cosines = embeds @ (weights / np.linalg.norm(weights, axis=1, keepdims=True)).T
    return [CLASSES[index] for index in cosines.argmax(axis=1)]


def figures(found, method):
    (single,) = [each for each in found["methods"] if each["method"] == method]
    return {each["seed"]: (each["uar"], each["accuracy"]) for each in single["seeds"]}


def scores(labels, answers):
    return balanced_accuracy_score(labels, answers), accuracy_score(labels, answers)


def test_generalisation_judges_all_clips():
    target = corpus()
    embeds = embeddings(target)
    found = generalisation(target, embeds, WEIGHTS)
    assert found["clips"] == 60
    assert (found["interval"]["unit"], found["interval"]["units"]) == ("speakers", 6)
    for method, by_seed in WEIGHTS.items():
        for seed, weights in by_seed.items():
            expected = scores(target.rows["label"], predicted(embeds, weights))
            assert figures(found, method)[seed] == pytest.approx(expected)


def test_the_classifier_of_the_other_corpora_hears_all_their_clips():
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
    found = supervised(target, embeds, WEIGHTS, [0, 1], SETTINGS)
    assert [each["condition"] for each in found] == ["clean", "noise"]
    known = target.rows["speaker"].notna().to_numpy()
    rows = target.rows[known]
    labels = np.array([CLASSES.index(label) for label in rows["label"]])
    folds = speaker_folds(rows["speaker"].tolist(), labels)
    for entry in found:
        heard = embeds[entry["condition"]][known]
        about = {name: entry[name] for name in ("folds", "speakers", "left_out", "clips")}
        assert about == {"folds": 3, "speakers": 6, "left_out": unknown, "clips": 60 - unknown}
        for seed in (0, 1):
            answers = np.empty(len(rows), object)
            for fold in range(3):
                others = folds != fold
                assert not set(rows["speaker"][others]) & set(rows["speaker"][~others])
                features, ids = torch.from_numpy(embeds["clean"][known][others]), torch.from_numpy(labels[others])
                weights = train_classifier(features, ids, SETTINGS.changed(seed=seed)).numpy()
                answers[~others] = predicted(heard[~others], weights)
            assert figures(entry, AUDIO_OF_SPEAKERS)[seed] == pytest.approx(scores(rows["label"], answers))
            expected = scores(rows["label"], predicted(heard, WEIGHTS["drawn"][seed]))
            assert figures(entry, "drawn")[seed] == pytest.approx(expected)


def test_supervised_is_refused_where_speakers_make_no_folds():
    nobody = "the classes ['a'] have no clip of a known speaker"
    for speakers, clips, unknown, told in ((3, 60, 0, "3 speakers are known"), (6, 18, 6, nobody)):
        target = corpus(speakers, clips, unknown)
        (found,) = supervised(target, {"clean": embeddings(target)}, WEIGHTS, [0], SETTINGS)
        assert set(found) == {"refused"} and found["refused"].startswith(told)
