"""The two protocols, as functions of embeddings: what a corpus is judged by, and which clips count."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..evaluation.zero_shot import zero_shot_predictions
from .classifier import ClassifierSettings, train_classifier
from .figures import figures_over_seeds, units_of
from .folds import predictions_by_fold, speaker_folds, weights_by_fold
from .labelled_clips import LabelledCorpus
from .settings import CLEAN


AUDIO_OF_SPEAKERS, AUDIO_OF_OTHERS = "audio-of-other-speakers", "audio-of-other-corpora"
"""In results, the methods that hear labelled clips: supervised, and where a corpus is left out."""
Weights = Mapping[str, Mapping[int | None, np.ndarray]]
"""Method to seed (`None` where nothing is random) to one vector per class, `(classes, width)`."""
Predicted = dict[str, dict[int | None, np.ndarray]]


def generalisation(corpus: LabelledCorpus, audio_embeds: np.ndarray, weights: Weights) -> dict[str, Any]:
    """
    Leave one corpus out: judges a corpus that no method has heard.

    Stages 2 and 3 hear no audio at all, so it is enough to judge; whether the encoder heard the corpus is another
    question, see [`~smoothclap_trainer.evaluation.contamination.zero_shot_status`]. Its labels only score.

    Args:
        corpus ([`LabelledCorpus`]): The target.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of its clips.
        weights (`Mapping`): Of every method and seed; those of the text methods, and of [`trained_on_others`].

    Returns:
        `dict[str, Any]`: `interval`, what is drawn for intervals; and `methods`, each with `method` and what
        [`~figures.figures_over_seeds`] returns.
    """
    every = np.ones(len(audio_embeds), bool)
    return _compared(corpus, every, _predictions(audio_embeds, weights))


def trained_on_others(
    others: Sequence[tuple[LabelledCorpus, np.ndarray]], seeds: Sequence[int], settings: ClassifierSettings
) -> dict[int | None, np.ndarray]:
    """
    The usual way to leave a corpus out, beside which those without audio are to be seen: the same cosine classifier,
    trained on labelled clips of all other corpora.

    Args:
        others (`Sequence[tuple[LabelledCorpus, np.ndarray]]`): The other corpora, each with the embeddings of its
            clips as recorded, `(clips, width)`.
        seeds (`Sequence[int]`): Of the classifiers.
        settings ([`ClassifierSettings`]): How these are trained, but for the seed.

    Returns:
        `dict[int | None, np.ndarray]`: Seed to one vector per class, `(classes, width)`.
    """
    features = torch.from_numpy(np.concatenate([embeds for _, embeds in others]))
    labels = torch.from_numpy(np.concatenate([_class_ids(corpus) for corpus, _ in others]))
    return {seed: train_classifier(features, labels, replace(settings, seed=seed)).numpy() for seed in seeds}


def supervised(
    corpus: LabelledCorpus,
    audio_embeds: Mapping[str, np.ndarray],
    weights: Weights,
    seeds: Sequence[int],
    settings: ClassifierSettings,
) -> list[dict[str, Any]]:
    """
    Inside a corpus, speaker-disjoint: a classifier of audio beside those of text, on the same clips.

    The audio-trained classifier is the same cosine classifier, trained on clean audio embeddings of the other folds'
    speakers. Every clip of a known speaker is judged once, by the classifier of its fold; UAR and accuracy are those
    of all these clips together.

    Args:
        corpus ([`LabelledCorpus`]): The corpus.
        audio_embeds (`Mapping[str, np.ndarray]`): Acoustic condition to the embeddings `(clips, width)`; clean among
            them.
        weights (`Mapping`): Of every method and seed that hears no audio.
        seeds (`Sequence[int]`): Of the audio-trained classifiers.
        settings ([`ClassifierSettings`]): How these are trained, but for the seed.

    Returns:
        `list[dict[str, Any]]`: For each condition, as of [`generalisation`], with `condition`, `folds`, `speakers` and
        `left_out` (the number of clips of unknown speakers). If the known speakers make no folds, or lack a class: one
        entry, `refused`, with the reason.
    """
    known = corpus.rows["speaker"].notna().to_numpy()
    speakers, true = corpus.rows["speaker"][known].tolist(), _class_ids(corpus)[known]
    if absent := [name for number, name in enumerate(corpus.classes) if number not in true]:
        return [{"refused": f"the classes {absent} have no clip of a known speaker"}]
    try:
        folds = speaker_folds(speakers, corpus.rows["label"][known].tolist())
    except ValueError as error:
        return [{"refused": str(error)}]
    trained = {
        seed: weights_by_fold(audio_embeds[CLEAN][known], true, folds, replace(settings, seed=seed)) for seed in seeds
    }
    about = {"folds": int(folds.max()) + 1, "speakers": len(set(speakers)), "left_out": int((~known).sum())}
    found = []
    for condition, embeds in audio_embeds.items():
        predicted = _predictions(embeds[known], weights)
        predicted[AUDIO_OF_SPEAKERS] = {
            seed: predictions_by_fold(embeds[known], folds, by_fold) for seed, by_fold in trained.items()
        }
        found.append({"condition": condition, **about, **_compared(corpus, known, predicted)})
    return found


def _class_ids(corpus: LabelledCorpus) -> np.ndarray:
    return corpus.rows["label"].map({name: number for number, name in enumerate(corpus.classes)}).to_numpy(int)


def _predictions(audio_embeds: np.ndarray, weights: Weights) -> Predicted:
    return {
        name: {seed: zero_shot_predictions(audio_embeds, vectors) for seed, vectors in by_seed.items()}
        for name, by_seed in weights.items()
    }


def _compared(corpus: LabelledCorpus, judged: np.ndarray, predicted: Predicted) -> dict[str, Any]:
    rows = corpus.rows[judged]
    speakers = [speaker if isinstance(speaker, str) else None for speaker in rows["speaker"]]  # pandas has NaN for None
    units, interval = units_of(rows["id"].tolist(), speakers)
    true = _class_ids(corpus)[judged]
    methods = [
        {"method": name, **figures_over_seeds(by_seed, true, corpus.classes, units)}
        for name, by_seed in predicted.items()
    ]
    return {"clips": len(rows), "interval": interval, "methods": methods}
