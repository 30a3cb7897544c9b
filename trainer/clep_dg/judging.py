"""Figures over seeds: mean and spread of UAR and weighted accuracy, with an interval that spans those of all seeds."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..evaluation.intervals import FEWEST_SPEAKERS, LEVEL, metrics_with_intervals
from ..evaluation.metrics import zero_shot_predictions
from .classifier import ClassifierSettings, train_classifier
from .corpora import LabelledCorpus
from .settings import CLEAN


SAMPLES = 1000
"""Draws for an interval (ours)."""
FIGURES = ("uar", "accuracy")
"""UAR is the mean of the classes' recalls; accuracy, which the field calls weighted (WA), the share of right clips."""


def figures_over_seeds(
    predicted: Mapping[int | None, np.ndarray], true: np.ndarray, classes: Sequence[str], units: Sequence[str]
) -> dict[str, Any]:
    """
    Judges one method's predictions.

    Args:
        predicted (`Mapping[int | None, np.ndarray]`): Seed to the class id of each clip, `(clips,)`; a method in which
            nothing is random has one entry, of `None`.
        true (`np.ndarray` of shape `(clips,)`): Class ids as they are.
        classes (`Sequence[str]`): Their names.
        units (`Sequence[str]`): What is drawn for the interval, of each clip; see [`units_of`].

    Returns:
        `dict[str, Any]`: Not rounded. `figures`: `uar` and `accuracy`, each with `value` (the mean over seeds), `sd`
        (over seeds, with one degree of freedom less; `None` for one seed), and `low` and `high`, which span the 95%
        bootstrap intervals of all seeds; `per_class_recall`, means over seeds; `seeds`, the figures of each.
    """
    found = {
        seed: metrics_with_intervals(each, true, len(classes), units, samples=SAMPLES)
        for seed, each in predicted.items()
    }
    recalls: Any = [[each.value for each in of_seed.per_class_recall] for of_seed in found.values()]
    return {
        "figures": {name: _over_seeds([of_seed.metrics[name] for of_seed in found.values()]) for name in FIGURES},
        "per_class_recall": dict(zip(classes, np.mean(recalls, axis=0).tolist(), strict=True)),
        "seeds": [
            {"seed": seed, **{name: of_seed.metrics[name].value for name in FIGURES}} for seed, of_seed in found.items()
        ],
    }


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean over seeds and the standard deviation, with one degree of freedom less; of one seed there is none."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def _over_seeds(metrics: list[Any]) -> dict[str, float | None]:
    mean, sd = mean_and_sd([metric.value for metric in metrics])
    return {
        "value": mean,
        "sd": sd,
        # Not the narrower interval of the mean: that says nothing of other seeds than these few.
        "low": min(metric.low for metric in metrics),
        "high": max(metric.high for metric in metrics),
    }


def units_of(ids: Sequence[str], speakers: Sequence[str | None]) -> tuple[list[str], dict[str, Any]]:
    """
    Says what is drawn for intervals: speakers, if five or more are known, and each clip of an unknown one by itself;
    else clips, which makes intervals too narrow for what other speakers would give.

    Args:
        ids (`Sequence[str]`), speakers (`Sequence[str | None]`): Of the clips.

    Returns:
        `tuple[list[str], dict[str, Any]]`: The unit of each clip, and for the results `level`, `unit`, `units` and
        `samples`.
    """
    known = {speaker for speaker in speakers if speaker is not None}
    by_speaker = len(known) >= FEWEST_SPEAKERS
    units = [
        f"clip {name}" if speaker is None or not by_speaker else f"speaker {speaker}"
        for name, speaker in zip(ids, speakers, strict=True)
    ]
    named = "speakers" if by_speaker else "clips"
    return units, {"level": LEVEL, "unit": named, "units": len(set(units)), "samples": SAMPLES}


def of_method(entry: Mapping[str, Any], method: str) -> Mapping[str, Any]:
    """What an entry of the results says of a method, by its name."""
    return next(each for each in entry["methods"] if each["method"] == method)


MOST_FOLDS = 5
FEWEST_SPEAKERS_A_SIDE = 2


def speaker_folds(speakers: Sequence[str], labels: Sequence[str | int] | np.ndarray) -> np.ndarray:
    """
    Deals speakers to folds, one to each in turn: those who speak the same classes together, by falling number of clips,
    then by name.

    There are up to five folds, as many as leave two speakers to each (ours). Nothing is drawn, so the folds are always
    the same.

    Args:
        speakers (`Sequence[str]`): Of each clip.
        labels (`Sequence[str]` or `Sequence[int]`): Class of each clip, by name or id; errors say it as it is given.

    Returns:
        `np.ndarray` of shape `(clips,)`: The fold, from 0, that each clip is tested in.

    Raises:
        ValueError: if there are fewer than four speakers, or the clips outside of a fold lack a class. The text may
            follow "because".

    Example:

    ```python
    >>> from smoothclap_trainer.clep_dg.judging import speaker_folds
    >>> speaker_folds(["ann", "ann", "bob", "bob", "eve", "eve", "ian", "ian"], [0, 1] * 4)
    array([0, 0, 1, 1, 0, 0, 1, 1])

    ```
    """
    given = np.asarray(labels).tolist()
    clips = Counter(speakers)
    count = min(MOST_FOLDS, len(clips) // FEWEST_SPEAKERS_A_SIDE)
    if count < 2:
        raise ValueError(
            f"{len(clips)} speakers are known, and {2 * FEWEST_SPEAKERS_A_SIDE} are needed: "
            f"{FEWEST_SPEAKERS_A_SIDE} to train on and {FEWEST_SPEAKERS_A_SIDE} to test on"
        )
    spoken: dict[str, set[Any]] = {}
    for speaker, label in zip(speakers, given, strict=True):
        spoken.setdefault(speaker, set()).add(label)
    # Where each speaks few classes, those who speak the same must not end up in one fold.
    dealt = sorted(clips, key=lambda speaker: (sorted(spoken[speaker]), -clips[speaker], speaker))
    fold_of = {speaker: place % count for place, speaker in enumerate(dealt)}
    folds = np.array([fold_of[speaker] for speaker in speakers])
    for fold in range(count):
        others = {label for label, its in zip(given, folds, strict=True) if its != fold}
        if absent := sorted(set(given) - others):
            raise ValueError(
                f"all clips of the classes {absent} are from one speaker, or from speakers who are tested together, so "
                "none is left to train on"
            )
    return folds


def weights_by_fold(
    audio_embeds: np.ndarray, labels: np.ndarray, folds: np.ndarray, settings: ClassifierSettings
) -> list[np.ndarray]:
    """
    Trains the classifier of each fold, on the clips of all the others.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips.
        labels (`np.ndarray` of shape `(clips,)`): Class ids.
        folds (`np.ndarray` of shape `(clips,)`): From [`speaker_folds`].
        settings ([`ClassifierSettings`]): How; the same as for a classifier of texts.

    Returns:
        `list[np.ndarray]`: One vector per class, `(classes, width)`, for each fold.
    """
    features, ids = torch.from_numpy(audio_embeds), torch.from_numpy(labels)
    others = [torch.from_numpy(folds != fold) for fold in range(folds.max() + 1)]
    return [train_classifier(features[each], ids[each], settings).numpy() for each in others]


def predictions_by_fold(audio_embeds: np.ndarray, folds: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """
    Judges each clip with the classifier of its fold, which has not heard its speaker.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of the same clips, perhaps under another condition.
        folds (`np.ndarray` of shape `(clips,)`): From [`speaker_folds`].
        weights (`Sequence[np.ndarray]`): From [`weights_by_fold`].

    Returns:
        `np.ndarray` of shape `(clips,)`: Class ids.
    """
    predicted = np.empty(len(folds), int)
    for fold, its_weights in enumerate(weights):
        predicted[folds == fold] = zero_shot_predictions(audio_embeds[folds == fold], its_weights)
    return predicted


AUDIO_OF_SPEAKERS, AUDIO_OF_OTHERS = "audio-of-other-speakers", "audio-of-other-corpora"
"""In results, the methods that hear labelled clips: supervised, and where a corpus is left out."""
Weights = Mapping[str, Mapping[int | None, np.ndarray]]
"""Method to seed (`None` where nothing is random) to one vector per class, `(classes, width)`."""
Predicted = dict[str, dict[int | None, np.ndarray]]


def generalisation(corpus: LabelledCorpus, audio_embeds: np.ndarray, weights: Weights) -> dict[str, Any]:
    """
    Leave one corpus out: judges a corpus that no method has heard.

    Stages 2 and 3 hear no audio at all, so it is enough to judge; whether the encoder heard the corpus is another
    question, see [`~smoothclap_trainer.evaluation.corpora.zero_shot_status`]. Its labels only score.

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
    return {seed: train_classifier(features, labels, settings.changed(seed=seed)).numpy() for seed in seeds}


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
        seed: weights_by_fold(audio_embeds[CLEAN][known], true, folds, settings.changed(seed=seed)) for seed in seeds
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
