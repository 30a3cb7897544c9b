"""Reliability of scores: does a model that says 70 % get 70 % right?"""

from typing import Any

import numpy as np


SUM_TOLERANCE = 1e-3
"""How far a clip's probabilities may be from 1 in sum; half precision is within."""


def reliability(probabilities: np.ndarray, true: np.ndarray, bins: int = 10) -> dict[str, Any]:
    """
    Compares confidence with accuracy, in bins of equal width between 0 and 1.

    A clip's confidence is its largest probability, and its prediction is that class, among equals the first. The
    expected calibration error is the mean over bins of the gap between mean confidence and accuracy, weighted by their
    clips (Naeini et al., 2015; Guo et al., 2017).

    Args:
        probabilities (`np.ndarray` of shape `(clips, classes)`): Of each class; a row adds up to 1.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        bins (`int`, defaults to 10): At least one. A bin holds its upper bound and not its lower one.

    Returns:
        `dict`: `expected_calibration_error` between 0 and 1, and `bins`: of each, `low`, `high`, `clips`, mean
        `confidence` and `accuracy`, which are `None` where there is no clip.

    Raises:
        ValueError: if the shapes do not fit, there is no clip, a row is not a distribution, or a class does not exist.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.reliability import reliability
    >>> found = reliability(np.array([[0.9, 0.1], [0.7, 0.3]]), true=np.array([0, 1]))
    >>> round(found["expected_calibration_error"], 6)  # (|0.9 - 1| + |0.7 - 0|) / 2
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
        part: dict[str, Any] = {"low": index / bins, "high": (index + 1) / bins, "clips": int(inside.sum())}
        part |= {"confidence": None, "accuracy": None}
        if part["clips"]:
            part |= {"confidence": float(confidence[inside].mean()), "accuracy": float(right[inside].mean())}
            error += part["clips"] / len(true) * abs(part["confidence"] - part["accuracy"])
        parts.append(part)
    return {"expected_calibration_error": error, "bins": parts}


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
