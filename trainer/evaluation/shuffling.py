"""What a metric is by chance: the labels of clips are shuffled many times."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .intervals import LEVEL


@dataclass(frozen=True)
class Shuffled:
    """A metric with shuffled labels: its mean, the value that 2.5% exceed, the largest, and how often it was done."""

    mean: float
    high: float
    largest: float
    shuffles: int


def shuffled_labels(
    metric: Callable[[np.ndarray], float],
    labels: np.ndarray,
    speakers: Sequence[str | None] | None = None,
    shuffles: int = 1000,
    seed: int = 0,
) -> Shuffled:
    """
    Compute a metric of labels, of shape `(clips,)`, with those labels shuffled.

    Labels are swapped among the clips of each speaker, so what a model gains by telling speakers apart stays in the
    result; clips of unknown speakers count as those of one.
    """
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    members = pd.factorize(np.array(list(speakers), dtype=object))[0] if speakers is not None else np.zeros(len(labels))
    places = np.argsort(members, kind="stable")
    values = np.empty(shuffles)
    for index in range(shuffles):
        swapped = np.empty_like(labels)
        swapped[places] = labels[np.lexsort((rng.random(len(labels)), members))]
        values[index] = metric(swapped)
    return _summary(values)


def shuffled_groups(
    metric: Callable[[np.ndarray], float],
    labels: np.ndarray,
    groups: Sequence[str],
    shuffles: int = 1000,
    seed: int = 0,
) -> Shuffled:
    """
    Compute a metric of labels, of shape `(clips,)`, with the labels of whole groups of clips shuffled.

    This is the stricter test where clips of one group resemble each other for a reason that is not their label, such as
    the words spoken. A `ValueError` if the clips of a group have two labels.
    """
    labels, rng = np.asarray(labels), np.random.default_rng(seed)
    members, names = pd.factorize(np.array(list(groups), dtype=object))
    firsts = np.unique(members, return_index=True)[1]
    if (mixed := labels != labels[firsts][members]).any():
        raise ValueError(
            f"The clips of {names[members[mixed.argmax()]]!r} have several labels: whole groups are shuffled, so each "
            "needs one label."
        )
    return _summary(np.array([metric(rng.permutation(labels[firsts])[members]) for _ in range(shuffles)]))


def _summary(values: np.ndarray) -> Shuffled:
    high = np.quantile(values, (1 + LEVEL) / 2)
    return Shuffled(float(values.mean()), float(high), float(values.max()), len(values))
