"""Metrics of classification, from confusion matrices whose rows are true classes; of calibration; of retrieval."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from modeling_smoothclap.scores_smoothclap import unit_rows


def class_ids(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Number the classes that occur, in their order, from 0: predictions, true classes, and how many classes."""
    classes, ids = np.unique(np.concatenate([predicted, true]), return_inverse=True)
    return ids[: len(predicted)], ids[len(predicted) :], len(classes)


def confusion_matrix(predicted: np.ndarray, true: np.ndarray, n_classes: int) -> np.ndarray:
    """Count how often each class is predicted for each true class; both are ids, 0 to `n_classes - 1`."""
    predicted, true = np.asarray(predicted), np.asarray(true)
    if len(predicted) != len(true) or not len(true):
        raise ValueError(
            f"There are {len(predicted)} predictions for {len(true)} clips; give one for each of at least one clip."
        )
    for ids in (predicted, true):
        if len(strange := np.setdiff1d(ids, np.arange(n_classes))):
            raise ValueError(f"{strange[0]} is not the id of one of {n_classes} classes; ids are 0 to {n_classes - 1}.")
    cells = true.astype(int) * n_classes + predicted.astype(int)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def recalls(confusion: np.ndarray) -> np.ndarray:
    """Return the recall of each class, `(..., classes)`, of `(..., classes, classes)`; NaN for one without clips."""
    clips = confusion.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.divide(right, clips, out=np.full(clips.shape, np.nan), where=clips > 0)


def unweighted_average_recall_of(confusion: np.ndarray) -> np.ndarray:
    """Compute UAR, the mean recall of the classes that have clips, `(...)`, of `(..., classes, classes)`, or NaN."""
    return _mean(recalls(confusion))


def accuracy_of(confusion: np.ndarray) -> np.ndarray:
    """Return the share of right clips, `(...)`, of confusion matrices `(..., classes, classes)`; NaN without clips."""
    clips = confusion.sum(axis=(-2, -1))
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return np.divide(right, clips, out=np.full(clips.shape, np.nan), where=clips > 0)


def macro_f1_of(confusion: np.ndarray) -> np.ndarray:
    """Compute the mean F1 of the classes, `(...)`, of confusions `(..., classes, classes)`; NaN without clips."""
    # Unlike in UAR, a class that is only predicted counts, with 0, as in scikit-learn's `f1_score(average="macro")`.
    involved = confusion.sum(axis=-1) + confusion.sum(axis=-2)  # clips and predictions, (..., classes)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _mean(np.divide(2 * right, involved, out=np.full(involved.shape, np.nan), where=involved > 0))


def _mean(by_class: np.ndarray) -> np.ndarray:
    """Mean over the classes that are not NaN; NaN, and no warning, if all are."""
    there = ~np.isnan(by_class)
    number = there.sum(axis=-1)
    total = np.where(there, by_class, 0).sum(axis=-1)
    return np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)


def zero_shot_predictions(audio_embeds: np.ndarray, class_embeds: np.ndarray) -> np.ndarray:
    """Choose the class of each clip: the one with the largest cosine, as in the paper; among equals the first."""
    cosines = unit_rows(audio_embeds, "audio_embeds") @ unit_rows(class_embeds, "class_embeds").T  # (clips, classes)
    return cosines.argmax(axis=1)


def unweighted_average_recall(predicted: np.ndarray, true: np.ndarray) -> float:
    """Compute UAR from the classes of clips, `(clips,)`; see [`unweighted_average_recall_of`]."""
    return float(unweighted_average_recall_of(confusion_matrix(*class_ids(predicted, true))))


def accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Compute the share of clips whose class is right."""
    return float(accuracy_of(confusion_matrix(*class_ids(predicted, true))))


@dataclass(frozen=True)
class CalibrationBin:
    """Clips whose confidence is above `low` and at most `high`; the means are None where there is no clip."""

    low: float
    high: float
    clips: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error, between 0 and 1, and the bins that it is computed from."""

    expected_calibration_error: float
    bins: tuple[CalibrationBin, ...]

    def mean(self, name: str) -> float:
        """Return the mean `"confidence"` or `"accuracy"` over all clips."""
        bins = [each for each in self.bins if each.clips]
        return sum(each.clips * getattr(each, name) for each in bins) / sum(each.clips for each in bins)


def reliability(probabilities: np.ndarray, true: np.ndarray, bins: int = 10) -> Calibration:
    """
    Compare confidence, the largest of `probabilities`, `(clips, classes)`, with accuracy, in bins of equal width.

    A bin holds its upper bound. The expected calibration error is the mean over bins of the gap between mean confidence
    and accuracy, weighted by their clips (Naeini et al., 2015; Guo et al., 2017).
    """
    probabilities, true = np.asarray(probabilities, dtype=np.float64), np.asarray(true)
    confidence = probabilities.max(axis=1)  # (clips,)
    right = probabilities.argmax(axis=1) == true  # (clips,)
    members = np.digitize(confidence, np.arange(1, bins) / bins, right=True)  # (clips,)
    error, parts = 0.0, []
    for index in range(bins):
        inside = members == index
        part = CalibrationBin(index / bins, (index + 1) / bins, int(inside.sum()), None, None)
        if part.clips:
            claimed, reached = float(confidence[inside].mean()), float(right[inside].mean())
            error += part.clips / len(true) * abs(claimed - reached)
            part = replace(part, confidence=claimed, accuracy=reached)
        parts.append(part)
    return Calibration(error, tuple(parts))


BLOCK_ROWS = 512
"""Queries at a time: memory grows with the set, not with its square."""
EQUAL = 1e-6
"""Cosines that differ by no more than this are the same: equal vectors come out of a matrix product this far apart."""


def recall_at_k(
    audio_embeds: np.ndarray, text_embeds: np.ndarray, caption_ids: np.ndarray, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """
    Compute R@k in both directions: `"audio_to_text_r@1"`, ..., `"text_to_audio_r@1"`, ..., each between 0 and 1.

    Clip i and text i belong together, and anything with the same caption is a hit. A query succeeds if its nearest hit
    is among the k nearest. A miss that is as near as that hit, within [`EQUAL`], counts as nearer, so that embeddings
    that are all the same find nothing. A k above the number of clips gives no metric. Embeddings are `(n, width)`;
    `caption_ids`, `(n,)`, are equal for equal captions.
    """
    counts = {len(audio_embeds), len(text_embeds), len(caption_ids)}
    if len(counts) > 1 or counts == {0}:
        raise ValueError(
            f"There are {len(audio_embeds)} clips, {len(text_embeds)} texts and {len(caption_ids)} caption ids; each "
            "clip needs one of both, and there must be a clip."
        )
    if wrong := [k for k in ks if k < 1]:
        raise ValueError(f"R@k needs a k of at least 1, got {wrong[0]}.")
    audio, text = unit_rows(audio_embeds, "audio_embeds"), unit_rows(text_embeds, "text_embeds")
    recalls: dict[str, float] = {}
    for name, queries, candidates in (("audio_to_text", audio, text), ("text_to_audio", text, audio)):
        ranks = _ranks(queries, candidates, np.asarray(caption_ids))
        recalls |= {f"{name}_r@{k}": float((ranks <= k).mean()) for k in ks if k <= len(ranks)}
    return recalls


def _ranks(queries: np.ndarray, candidates: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Rank of each query's nearest hit, from 1, of shape `(n,)`: behind every miss that is nearer or as near."""
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        cosines = queries[block] @ candidates.T  # (block, n)
        hits = ids[block, None] == ids[None]
        best = np.where(hits, cosines, -np.inf).max(axis=1, keepdims=True)
        ranks[block] = 1 + ((cosines >= best - EQUAL) & ~hits).sum(axis=1)
    return ranks
