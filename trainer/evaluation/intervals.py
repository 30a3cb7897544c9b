"""The metrics of a classification with bootstrap intervals.

The intervals are ours; the paper gives none. They are the percentiles of the metrics of samples drawn with replacement.
Clips from one speaker are correlated, so whole speakers are drawn where they are known (a cluster bootstrap), and whole
sessions for a mean over sessions. The intervals say how far a metric would move with other speakers or clips of the
same kind; about other wordings or another training they say nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd

from .metrics import accuracy_of, confusion_matrix, macro_f1_of, recalls, unweighted_average_recall_of


METRICS = {"uar": unweighted_average_recall_of, "accuracy": accuracy_of, "macro_f1": macro_f1_of}
"""By their names in results, UAR first."""
LEVEL = 0.95
"""Of all intervals."""
FEWEST_SPEAKERS = 5
"""With fewer, draws hardly differ, and clips are drawn instead (ours)."""
ENOUGH_UNITS = 20
"""With fewer, an interval is rough (ours)."""


class AgainstChance(StrEnum):
    """Where a metric's interval lies."""

    ABOVE = "above chance"
    AT = "at chance"
    BELOW = "below chance"
    NO_INTERVAL = "no interval"

    @classmethod
    def of(cls, low: float | None, high: float | None, chance: float) -> "AgainstChance":
        """Compare an interval with chance; an interval that contains chance is at chance."""
        if low is None or high is None:
            return cls.NO_INTERVAL
        return cls.AT if low <= chance <= high else cls.ABOVE if low > chance else cls.BELOW


@dataclass(frozen=True)
class Metric:
    """A metric between 0 and 1, or a difference of two, with the bounds of its interval; None where not defined."""

    value: float | None
    low: float | None
    high: float | None

    def against(self, chance: float) -> AgainstChance:
        """Compare the interval with chance."""
        return AgainstChance.of(self.low, self.high, chance)

    @property
    def without_width(self) -> bool:
        """Whether all bootstrap samples agree."""
        return self.low is not None and self.low == self.high


@dataclass(frozen=True, kw_only=True)
class Interval:
    """How intervals were made: their level, and what was drawn how often."""

    level: float
    unit: str  # "speakers", "clips" or what groups are by
    units: int
    samples: int
    alone: int = 0  # clips of unknown speakers, not among the units; 0 in files of versions that did not count them

    @property
    def is_rough(self) -> bool:
        """Whether there are so few speakers or groups that the interval is rather too narrow."""
        return self.unit != "clips" and self.units < ENOUGH_UNITS


@dataclass(frozen=True)
class Units:
    """
    What is drawn: units, each with a confusion matrix of its own.

    Units with equal matrices are interchangeable and are kept once, with their number. Single clips so become the cells
    of one confusion matrix: drawing `n` of `n` clips and counting the cells is one multinomial draw over the cells.
    """

    name: str  # "speakers", "clips", or what the clips are grouped by
    confusions: np.ndarray  # (kinds, classes, classes)
    numbers: np.ndarray  # of units of each kind, (kinds,)
    averaged: bool = False  # the metric of a sample is the mean over its units' metrics, not that of their sum
    alone: int = 0  # units that are single clips among speakers

    def draw(self, samples: int, seed: int) -> np.ndarray:
        """Draw as many units as there are, with replacement: the numbers of each kind, of shape `(samples, kinds)`."""
        total = self.numbers.sum()
        return np.random.default_rng(seed).multinomial(total, self.numbers / total, size=samples)

    def summed(self, numbers: np.ndarray) -> np.ndarray:
        """Return confusion matrices, (..., classes, classes), of samples, (..., kinds)."""
        return np.tensordot(numbers.astype(float), self.confusions.astype(float), axes=1)  # whole numbers, so exact

    def metric(self, of: Callable[[np.ndarray], np.ndarray], numbers: np.ndarray) -> np.ndarray:
        """Return a metric `(...)` of samples, given as `(..., kinds)` numbers of units."""
        if self.averaged:
            return numbers @ of(self.confusions) / numbers.sum(axis=-1)
        return of(self.summed(numbers))


@dataclass(frozen=True)
class MetricsWithIntervals:
    """The metrics of one classification, by the names of [`METRICS`]; nothing is rounded."""

    metrics: dict[str, Metric]
    per_class_recall: list[Metric]  # in the order of the classes
    confusion: list[list[int]]  # rows are true classes
    groups: dict[str, float] | None  # to their UAR
    interval: Interval


def metrics_with_intervals(
    predicted: np.ndarray,
    true: np.ndarray,
    n_classes: int,
    speakers: Sequence[str | None] | None = None,
    groups: Sequence[str] | None = None,
    samples: int = 2000,
    seed: int = 0,
    grouped_by: str = "session",
    ids: Sequence[str] | None = None,
) -> MetricsWithIntervals:
    """
    Compute UAR, accuracy, macro F1 and the classes' recalls, with 95% intervals from the same draws.

    What is drawn: with two or more groups these; else speakers, if [`FEWEST_SPEAKERS`] or more are known, and each clip
    of an unknown speaker by itself; else clips. In a sample where a class does not occur, means are over those that do,
    and the class adds nothing to the interval of its recall. With groups, such as sessions, UAR, accuracy and macro F1
    are means over them; recalls and confusion matrix are those of all clips. With `ids` single clips are drawn as units
    with these names: the same distribution, but other draws.
    """
    confusion = confusion_matrix(predicted, true, n_classes)
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, got {samples}; 2000 give a steady interval.")
    cells = np.asarray(true, int) * n_classes + np.asarray(predicted, int)
    units, by_group = _units_by_speaker(cells, speakers, n_classes, ids), None
    if groups is not None:
        grouped, by_group = _units_by_group(cells, groups, n_classes, grouped_by)
        units = grouped if len(by_group) > 1 else units
    numbers = np.vstack([units.numbers, units.draw(samples, seed)])  # the data itself, then the samples
    drawn = int(units.numbers.sum()) - units.alone
    by_class = recalls(units.summed(numbers))  # (1 + samples, classes)
    return MetricsWithIntervals(
        metrics={name: _with_interval(units.metric(of, numbers)) for name, of in METRICS.items()},
        per_class_recall=[_with_interval(values) for values in by_class.T],
        confusion=confusion.tolist(),
        groups=by_group,
        interval=Interval(level=LEVEL, unit=units.name, units=drawn, samples=samples, alone=units.alone),
    )


def paired_differences(
    predicted: np.ndarray,
    reference: np.ndarray,
    true: np.ndarray,
    n_classes: int,
    speakers: Sequence[str | None],
    ids: Sequence[str],
    samples: int = 2000,
    seed: int = 0,
) -> dict[str, Metric]:
    """
    Return the metrics of one classification minus those of another of the same clips, with 95% intervals.

    Each sample is one draw for both: of speakers or clips, as in [`metrics_with_intervals`] with `ids`. What is hard
    for one speaker is hard for both, so this interval is narrower than two separate ones suggest.
    """
    ours, theirs = (
        _named_units(np.asarray(true, int) * n_classes + np.asarray(each, int), speakers, n_classes, ids)
        for each in (predicted, reference)
    )
    numbers = np.vstack([ours.numbers, ours.draw(samples, seed)])
    return {name: _with_interval(ours.metric(of, numbers) - theirs.metric(of, numbers)) for name, of in METRICS.items()}


def metric_of_weights(
    metric: Callable[[np.ndarray], float],
    clips: int,
    speakers: Sequence[str | None] | None = None,
    samples: int = 2000,
    seed: int = 0,
) -> tuple[Metric, Interval]:
    """
    Compute any metric of weighted clips, with its 95% interval.

    `metric` takes how often each clip was drawn, of shape `(clips,)`; NaN is no metric. What is drawn is as in
    [`metrics_with_intervals`]: speakers if enough are known, with each clip of an unknown one by itself, else clips.
    """
    members, names = _members("speakers", [None] * clips if speakers is None else speakers, clips)
    by_speaker = len(names) >= FEWEST_SPEAKERS
    known = (members >= 0) & by_speaker
    alone = int((~known).sum())
    members = np.where(known, members, len(names) * by_speaker + np.cumsum(~known) - 1)
    units, rng = len(names) * by_speaker + alone, np.random.default_rng(seed)
    drawn = (rng.multinomial(units, np.full(units, 1 / units))[members] for _ in range(samples))
    values = np.array([metric(np.ones(clips)), *map(metric, drawn)])
    unit, number, lone = ("speakers", len(names), alone) if by_speaker else ("clips", clips, 0)
    interval = Interval(level=LEVEL, unit=unit, units=number, samples=samples, alone=lone)
    return _with_interval(values), interval


def _with_interval(values: np.ndarray) -> Metric:
    """The metric of the data, which comes first, and the percentiles of those of the samples that have one."""
    drawn = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not len(drawn):
        return Metric(None if np.isnan(values[0]) else float(values[0]), None, None)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Metric(float(values[0]), float(low), float(high))


def _members(what: str, of_clips: Sequence[str | None], clips: int) -> tuple[np.ndarray, list[str]]:
    """Number speakers or groups by their sorted names, so that the order of clips changes no draw; -1 is unknown."""
    if len(of_clips) != clips:
        raise ValueError(f"There are {len(of_clips)} {what} for {clips} clips; give one for each.")
    members, names = pd.factorize(np.array(list(of_clips), dtype=object), sort=True)
    return members, names.tolist()


def _confusions(cells: np.ndarray, members: np.ndarray, units: int, n_classes: int) -> np.ndarray:
    """A confusion matrix for each unit: `(units, classes, classes)`."""
    size = n_classes**2
    return np.bincount(members * size + cells, minlength=units * size).reshape(units, n_classes, n_classes)


def _units_by_group(
    cells: np.ndarray, groups: Sequence[str], n_classes: int, grouped_by: str
) -> tuple[Units, dict[str, float]]:
    """The groups as units, and the UAR of each."""
    members, names = _members("groups", groups, len(cells))
    if (members < 0).any():
        raise ValueError(
            f"Clip {(members < 0).argmax()} has no {grouped_by}; a mean over groups needs one for each clip."
        )
    confusions = _confusions(cells, members, len(names), n_classes)
    by_group = dict(zip(names, unweighted_average_recall_of(confusions).tolist(), strict=True))
    return Units(grouped_by, confusions, np.ones(len(names), int), averaged=True), by_group


def _units_by_speaker(
    cells: np.ndarray, speakers: Sequence[str | None] | None, n_classes: int, ids: Sequence[str] | None
) -> Units:
    speakers = [None] * len(cells) if speakers is None else speakers
    if ids is not None and len(cells) >= FEWEST_SPEAKERS:
        return _named_units(cells, speakers, n_classes, ids)
    members, names = _members("speakers", speakers, len(cells))
    known, drawn = members >= 0, "speakers" if len(names) >= FEWEST_SPEAKERS else "clips"
    if drawn == "clips":
        return Units(drawn, *_single_clips(cells, n_classes))
    spoken = _confusions(cells[known], members[known], len(names), n_classes)
    alone, numbers = _single_clips(cells[~known], n_classes)  # clips of unknown speakers
    counts = np.concatenate([np.ones(len(names), int), numbers])
    return Units(drawn, np.concatenate([spoken, alone]), counts, alone=int(numbers.sum()))


def _named_units(cells: np.ndarray, speakers: Sequence[str | None], n_classes: int, ids: Sequence[str]) -> Units:
    """Units that do not depend on predictions: speakers, if enough are known, and clips that have none."""
    members, names = _members("speakers", speakers, len(cells))
    by_speaker = len(names) >= FEWEST_SPEAKERS
    named = [names[member] if by_speaker and member >= 0 else own for own, member in zip(ids, members, strict=True)]
    members, names = _members("ids", named, len(cells))
    drawn = "speakers" if by_speaker else "clips"
    return Units(drawn, _confusions(cells, members, len(names), n_classes), np.ones(len(names), int))


def _single_clips(cells: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips as units: the confusion matrix of one clip for each cell that has any, and how many it has."""
    occupied, numbers = np.unique(cells, return_counts=True)
    return np.eye(n_classes**2, dtype=int)[occupied].reshape(-1, n_classes, n_classes), numbers
