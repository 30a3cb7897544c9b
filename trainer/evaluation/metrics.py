"""Metrics of classification, calibration and retrieval.

Those of a classification are computed from a confusion matrix, or from many at once, as a bootstrap draws them. A
confusion matrix has a row for each true class and a column for each predicted one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np

from modeling_smoothclap.encoding_smoothclap import unit_rows


def class_ids(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """
    Number the classes that occur, in their order, from 0.

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted: numbers or names.
        true (`np.ndarray` of shape `(clips,)`): As it is.

    Returns:
        `tuple[np.ndarray, np.ndarray, int]`: What [`confusion_matrix`] takes.
    """
    classes, ids = np.unique(np.concatenate([predicted, true]), return_inverse=True)
    return ids[: len(predicted)], ids[len(predicted) :], len(classes)


def confusion_matrix(predicted: np.ndarray, true: np.ndarray, n_classes: int) -> np.ndarray:
    """
    Count how often each class is predicted for each true class.

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted, 0 to `n_classes - 1`.
        true (`np.ndarray` of shape `(clips,)`): As it is.
        n_classes (`int`): Number of classes to choose from.

    Returns:
        `np.ndarray` of shape `(n_classes, n_classes)`: Numbers of clips, int64.

    Raises:
        ValueError: if there are no clips, the numbers differ, or an id is not among the classes.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.metrics import confusion_matrix
    >>> confusion_matrix(predicted=[0, 0, 1], true=[0, 1, 1], n_classes=2).tolist()
    [[1, 0], [1, 1]]

    ```
    """
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
    """
    Compute UAR, the mean of the classes' recalls, so that a rare class counts as much as a common one.

    Args:
        confusion (`np.ndarray` of shape `(..., classes, classes)`): Rows true, columns predicted. Classes without clips
            have no recall and do not count, though they may be predicted.

    Returns:
        `np.ndarray` of shape `(...)`: Between 0 and 1; one over the number of classes is chance. NaN without clips.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.metrics import unweighted_average_recall_of
    >>> float(unweighted_average_recall_of(np.array([[3, 1], [1, 0]])))  # recalls are 3/4 and 0
    0.375

    ```
    """
    return _mean(recalls(confusion))


def accuracy_of(confusion: np.ndarray) -> np.ndarray:
    """Return the share of right clips, `(...)`, of confusion matrices `(..., classes, classes)`; NaN without clips."""
    clips = confusion.sum(axis=(-2, -1))
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return np.divide(right, clips, out=np.full(clips.shape, np.nan), where=clips > 0)


def macro_f1_of(confusion: np.ndarray) -> np.ndarray:
    """
    Compute the mean of the classes' F1, the harmonic mean of precision and recall.

    Args:
        confusion (`np.ndarray` of shape `(..., classes, classes)`): Unlike in UAR, a class that is only predicted
            counts, with 0; one that neither occurs nor is predicted does not, as in scikit-learn's
            `f1_score(average="macro")`.

    Returns:
        `np.ndarray` of shape `(...)`: Between 0 and 1; NaN without clips.
    """
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
    """
    Choose the class of each clip: that with the largest cosine, as in the paper; among equals the first.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of the clips, of any length.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.

    Returns:
        `np.ndarray` of shape `(clips,)`: Indices into `class_embeds`, int64.

    Raises:
        ValueError: if an embedding is not finite, or there is no class.
    """
    if not len(class_embeds):
        raise ValueError("There is no class to choose from: give the embedding of at least one class's text.")
    cosines = unit_rows(audio_embeds, "audio_embeds") @ unit_rows(class_embeds, "class_embeds").T  # (clips, classes)
    return cosines.argmax(axis=1)


def unweighted_average_recall(predicted: np.ndarray, true: np.ndarray) -> float:
    """
    Compute UAR, the mean of the classes' recalls; see [`unweighted_average_recall_of`].

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted.
        true (`np.ndarray` of shape `(clips,)`): As it is.

    Returns:
        `float`: Between 0 and 1; one over the number of classes is chance.

    Raises:
        ValueError: if there are no clips, or the numbers differ.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.metrics import unweighted_average_recall
    >>> unweighted_average_recall(predicted=np.array([0, 0, 0, 0]), true=np.array([0, 0, 0, 1]))
    0.5

    ```
    """
    return float(unweighted_average_recall_of(confusion_matrix(*class_ids(predicted, true))))


def accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """Compute the share of clips whose class is right; as [`unweighted_average_recall`] in all else."""
    return float(accuracy_of(confusion_matrix(*class_ids(predicted, true))))


SUM_TOLERANCE = 1e-3
"""How far a clip's probabilities may be from 1 in sum; half precision is within."""


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
    Compare confidence with accuracy, in bins of equal width between 0 and 1.

    A clip's confidence is its largest probability, and its prediction is that class, among equals the first. The
    expected calibration error is the mean over bins of the gap between mean confidence and accuracy, weighted by their
    clips (Naeini et al., 2015; Guo et al., 2017).

    Args:
        probabilities (`np.ndarray` of shape `(clips, classes)`): Of each class; a row adds up to 1.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        bins (`int`, defaults to 10): At least one. A bin holds its upper bound and not its lower one.

    Returns:
        [`Calibration`]

    Raises:
        ValueError: if the shapes do not fit, there is no clip, a row is not a distribution, or a class does not exist.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.metrics import reliability
    >>> found = reliability(np.array([[0.9, 0.1], [0.7, 0.3]]), true=np.array([0, 1]))
    >>> round(found.expected_calibration_error, 6)  # (|0.9 - 1| + |0.7 - 0|) / 2
    0.4

    ```
    """
    probabilities, true = np.asarray(probabilities, dtype=np.float64), np.asarray(true)
    _check(probabilities, true, bins)
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


def _check(probabilities: np.ndarray, true: np.ndarray, bins: int) -> None:
    if bins < 1:
        raise ValueError(f"There must be a bin or more, got bins={bins}.")
    if probabilities.ndim != 2 or not probabilities.size or true.shape != probabilities.shape[:1]:
        raise ValueError(
            f"Probabilities have the shape {probabilities.shape} and true classes {true.shape}; give (clips, classes) "
            "and (clips,), of at least one clip."
        )
    wrong = ~(np.isfinite(probabilities) & (probabilities >= 0)).all(axis=1)
    wrong |= ~(np.abs(probabilities.sum(axis=1) - 1) <= SUM_TOLERANCE)
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"Row {first} of the probabilities is {probabilities[first].tolist()}; each row must be at least 0 and add "
            "up to 1: give the softmax of the scores."
        )
    classes = probabilities.shape[1]
    if beyond := sorted({int(each) for each in true} - set(range(classes))):
        raise ValueError(f"There are true classes {beyond}, but probabilities of classes 0 to {classes - 1} only.")


BLOCK_ROWS = 512
"""Queries at a time: memory grows with the set, not with its square."""
EQUAL = 1e-6
"""Cosines that differ by no more than this are the same: equal vectors come out of a matrix product this far apart."""


def recall_at_k(
    audio_embeds: np.ndarray, text_embeds: np.ndarray, caption_ids: np.ndarray, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """
    Compute R@k in both directions.

    Clip i and text i belong together. Every clip is compared with all texts and every text with all clips, and anything
    with the same caption is a hit. A query succeeds if its nearest hit is among the k nearest. A miss that is as near
    as that hit, within [`EQUAL`], counts as nearer, so that embeddings that are all the same find nothing.

    Args:
        audio_embeds (`np.ndarray` of shape `(n, width)`): Embeddings of the clips, of any length.
        text_embeds (`np.ndarray` of shape `(n, width)`): Embeddings of their captions.
        caption_ids (`np.ndarray` of shape `(n,)`): Equal for equal captions.
        ks (`Sequence[int]`, defaults to `(1, 5, 10)`): Each k of at most n gives two metrics; larger ones give none.

    Returns:
        `dict[str, float]`: `"audio_to_text_r@1"`, ..., `"text_to_audio_r@1"`, ..., each between 0 and 1.

    Raises:
        ValueError: if the numbers differ, there are no clips, a k is below 1, or an embedding is not finite.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.metrics import recall_at_k
    >>> recall_at_k(np.eye(2), np.eye(2), np.arange(2), ks=(1, 5))
    {'audio_to_text_r@1': 1.0, 'text_to_audio_r@1': 1.0}

    ```
    """
    counts = {len(audio_embeds), len(text_embeds), len(caption_ids)}
    if len(counts) > 1 or counts == {0}:
        raise ValueError(
            f"There are {len(audio_embeds)} clips, {len(text_embeds)} texts and {len(caption_ids)} caption ids; each "
            "clip needs one of both, and there must be a clip."
        )
    usable = _usable(ks, len(caption_ids))
    audio, text = unit_rows(audio_embeds, "audio_embeds"), unit_rows(text_embeds, "text_embeds")
    recalls: dict[str, float] = {}
    for name, queries, candidates in (("audio_to_text", audio, text), ("text_to_audio", text, audio)):
        ranks = _ranks(queries, candidates, np.asarray(caption_ids))
        recalls |= {f"{name}_r@{k}": float((ranks <= k).mean()) for k in usable}
    return recalls


def chance_recall(caption_ids: np.ndarray, ks: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """
    Compute the R@k, in either direction, of candidates ranked at random.

    Args:
        caption_ids (`np.ndarray` of shape `(n,)`): Equal for equal captions.
        ks (`Sequence[int]`, defaults to `(1, 5, 10)`): As in [`recall_at_k`].

    Returns:
        `dict[int, float]`: k to the expected R@k.

    Raises:
        ValueError: if a k is below 1.
    """
    n = len(caption_ids)
    _, members = np.unique(caption_ids, return_counts=True)
    # A caption of m clips is asked m times, and has m hits each time.
    return {k: sum(int(m) * (1 - comb(n - int(m), k) / comb(n, k)) for m in members) / n for k in _usable(ks, n)}


def _usable(ks: Sequence[int], n: int) -> list[int]:
    if wrong := [k for k in ks if k < 1]:
        raise ValueError(f"R@k needs a k of at least 1, got {wrong[0]}.")
    return [k for k in ks if k <= n]


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
