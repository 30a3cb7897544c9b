"""How methods are compared on a corpus: two protocols, and metrics over seeds with the span of all seeds' intervals."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from ..evaluation.corpus_names import ZeroShot
from ..evaluation.intervals import Interval, metrics_with_intervals, paired_differences
from ..evaluation.metrics import zero_shot_predictions
from .classifier import ClassifierSettings, train_classifier
from .corpora import LabelledCorpus
from .methods import ZERO_SHOT
from .results import (
    AUDIO_OF_SPEAKERS,
    AUGMENTED,
    METRICS,
    MethodResult,
    MetricOverSeeds,
    Refusal,
    RefusalReason,
    SeedResult,
    Supervised,
)
from .settings import CLEAN


SAMPLES = 1000
"""Bootstrap samples for an interval (ours)."""
MOST_FOLDS = 5
FEWEST_SPEAKERS_A_SIDE = 2

BySeed = Mapping[int | None, np.ndarray]
"""Seed, or `None` where nothing is random, to class vectors `(classes, width)` or predicted ids `(clips,)`."""


class Clips(NamedTuple):
    """The true class ids of clips, (clips,), their ids and their speakers, who may be unknown."""

    true: np.ndarray
    ids: Sequence[str]
    speakers: Sequence[str | None]


def over_seeds(
    method: str, predicted: BySeed, clips: Clips, classes: Sequence[str], reference: np.ndarray | None = None
) -> tuple[MethodResult, Interval]:
    """Return the metrics of one method's predicted class ids, (clips,), also against others', and what was drawn."""
    found: dict[int | None, Any] = {
        seed: metrics_with_intervals(each, clips.true, len(classes), clips.speakers, samples=SAMPLES, ids=clips.ids)
        for seed, each in predicted.items()
    }
    recalls = [[each.value for each in of_seed.per_class_recall] for of_seed in found.values()]
    differences: list[dict[str, Any]] = []
    if reference is not None:
        about = (reference, clips.true, len(classes), clips.speakers, clips.ids, SAMPLES)
        differences = [paired_differences(each, *about) for each in predicted.values()]
    result = MethodResult(
        method,
        _spans([of_seed.metrics for of_seed in found.values()]),
        dict(zip(classes, np.mean(recalls, axis=0).tolist(), strict=True)),
        tuple(SeedResult(seed, **{name: one.metrics[name].value for name in METRICS}) for seed, one in found.items()),
        _spans(differences),
    )
    return result, next(iter(found.values())).interval


def _spans(by_seed: Sequence[Mapping[str, Any]]) -> dict[str, MetricOverSeeds]:
    """Means over seeds, and the span of all seeds' intervals, of seeds' metrics."""
    found = {}
    for name in METRICS if by_seed else ():
        metrics = [of_seed[name] for of_seed in by_seed]
        # Not the narrower interval of the mean: that says nothing about seeds other than these few.
        low, high = min(metric.low for metric in metrics), max(metric.high for metric in metrics)
        found[name] = MetricOverSeeds(*mean_and_sd([metric.value for metric in metrics]), low, high)
    return found


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the sample standard deviation, which is `None` for one value."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


class NoFolds(ValueError):
    """The known speakers make no folds; `args` are the reason and the classes that are meant."""


def speaker_folds(speakers: Sequence[str], labels: Sequence[str | int] | np.ndarray) -> np.ndarray:
    """Return the fold, from 0, that each clip is tested in, (clips,): up to five, of two speakers or more (ours)."""
    given, clips = np.asarray(labels).tolist(), Counter(speakers)
    count = min(MOST_FOLDS, len(clips) // FEWEST_SPEAKERS_A_SIDE)
    if count < 2:
        raise NoFolds(RefusalReason.FEW_SPEAKERS, ())
    spoken = pd.Series(given).groupby(np.array(speakers, dtype=object)).unique()
    # Nothing is random. Where each speaks few classes, those who speak the same must not end up in one fold.
    dealt = sorted(clips, key=lambda speaker: (sorted(spoken[speaker]), -clips[speaker], speaker))
    fold_of = {speaker: place % count for place, speaker in enumerate(dealt)}
    folds = np.array([fold_of[speaker] for speaker in speakers])
    for fold in range(count):
        others = {label for label, its in zip(given, folds, strict=True) if its != fold}
        if absent := sorted(set(given) - others):
            raise NoFolds(RefusalReason.SPOKEN_IN_ONE_FOLD, tuple(absent))
    return folds


def generalisation(corpus: LabelledCorpus, audio_embeds: np.ndarray, weights: Mapping[str, BySeed]) -> dict[str, Any]:
    """Compare methods on a corpus, whose labels are for scoring only, by its clips' embeddings, (clips, width)."""
    return _compared(corpus, np.ones(len(audio_embeds), bool), _predictions(audio_embeds, weights))


def trained_in(method: str, conditions: Sequence[str]) -> dict[str, list[str]]:
    """Return the acoustic conditions that a classifier of audio is trained in, and those of its augmented twin."""
    return {method: [CLEAN]} | ({AUGMENTED[method]: list(conditions)} if len(conditions) > 1 else {})


def trained_on_others(
    others: Sequence[tuple[LabelledCorpus, np.ndarray]], seeds: Sequence[int], settings: ClassifierSettings
) -> dict[int | None, np.ndarray]:
    """Train the same classifier on embeddings of labelled clips of the other corpora: (classes, width) by seed."""
    features = torch.from_numpy(np.concatenate([embeds for _, embeds in others]))
    labels = torch.from_numpy(np.concatenate([_class_ids(corpus) for corpus, _ in others]))
    return {seed: train_classifier(features, labels, settings.changed(seed=seed)).numpy() for seed in seeds}


def supervised(
    corpus: LabelledCorpus,
    zero_shot: ZeroShot,
    audio_embeds: Mapping[str, np.ndarray],
    weights: Mapping[str, BySeed],
    seeds: Sequence[int],
    settings: ClassifierSettings,
) -> list[Supervised] | list[Refusal]:
    """Compare methods with classifiers of audio of other speakers, for each condition in `audio_embeds`."""
    known = corpus.rows["speaker"].notna().to_numpy()
    speakers, true = corpus.rows["speaker"][known].tolist(), _class_ids(corpus)[known]
    if absent := [name for number, name in enumerate(corpus.classes) if number not in true]:
        return [Refusal(corpus.name, zero_shot, RefusalReason.NOBODY_SPEAKS, tuple(absent))]
    try:
        folds = speaker_folds(speakers, corpus.rows["label"][known].tolist())
    except NoFolds as error:
        return [Refusal(corpus.name, zero_shot, *error.args)]
    trained = {
        name: _trained_by_fold([audio_embeds[each][known] for each in conditions], true, folds, seeds, settings)
        for name, conditions in trained_in(AUDIO_OF_SPEAKERS, [*audio_embeds]).items()
    }
    found = []
    for condition, embeds in audio_embeds.items():
        predicted: dict[str, BySeed] = _predictions(embeds[known], weights)
        for name, of_seeds in trained.items():
            predicted[name] = {
                seed: _predicted_by_fold(embeds[known], folds, by_fold) for seed, by_fold in of_seeds.items()
            }
        found.append(
            Supervised(
                corpus=corpus.name,
                zero_shot=zero_shot,
                condition=condition,
                folds=int(folds.max()) + 1,
                speakers=len(set(speakers)),
                left_out=int((~known).sum()),
                **_compared(corpus, known, predicted),
            )
        )
    return found


def _trained_by_fold(
    audio_embeds: Sequence[np.ndarray],
    true: np.ndarray,
    folds: np.ndarray,
    seeds: Sequence[int],
    settings: ClassifierSettings,
) -> dict[int, list[np.ndarray]]:
    """Classifiers by seed and fold, each of the clips of the other folds in every set of embeddings."""
    features = torch.from_numpy(np.concatenate(audio_embeds))
    labels, tested = torch.from_numpy(np.tile(true, len(audio_embeds))), np.tile(folds, len(audio_embeds))
    others = [torch.from_numpy(tested != fold) for fold in range(folds.max() + 1)]
    return {
        seed: [train_classifier(features[each], labels[each], settings.changed(seed=seed)).numpy() for each in others]
        for seed in seeds
    }


def _predicted_by_fold(audio_embeds: np.ndarray, folds: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Class id of each clip, by the classifier that was not trained on its speaker."""
    predicted = np.empty(len(folds), int)
    for fold, its_weights in enumerate(weights):
        predicted[folds == fold] = zero_shot_predictions(audio_embeds[folds == fold], its_weights)
    return predicted


def _class_ids(corpus: LabelledCorpus) -> np.ndarray:
    return corpus.rows["label"].map({name: number for number, name in enumerate(corpus.classes)}).to_numpy(int)


def _predictions(audio_embeds: np.ndarray, weights: Mapping[str, BySeed]) -> dict[str, BySeed]:
    return {
        name: {seed: zero_shot_predictions(audio_embeds, vectors) for seed, vectors in by_seed.items()}
        for name, by_seed in weights.items()
    }


def _compared(corpus: LabelledCorpus, chosen: np.ndarray, predicted: Mapping[str, BySeed]) -> dict[str, Any]:
    """The part of a result that both protocols have."""
    rows = corpus.rows[chosen]
    speakers = [speaker if isinstance(speaker, str) else None for speaker in rows["speaker"]]  # pandas has NaN for None
    clips = Clips(_class_ids(corpus)[chosen], rows["id"].tolist(), speakers)
    (zero_shot,) = predicted[ZERO_SHOT.name].values()
    found = [
        over_seeds(name, by_seed, clips, corpus.classes, None if name == ZERO_SHOT.name else zero_shot)
        for name, by_seed in predicted.items()
    ]
    return {"clips": len(rows), "interval": found[0][1], "methods": tuple(method for method, _ in found)}
