"""What compared objectives come to, counted and not judged: which is highest, and does a claim hold."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd

from .means import mean_and_half_width, overlap


@dataclass(frozen=True)
class Metric:
    """
    One metric that objectives are compared by; more is better.

    Args:
        column (`str`): Of the results.
        title (`str`): For tables.
        chance (`float`): What a model that knows nothing gets.
    """

    column: str
    title: str
    chance: float


@dataclass(frozen=True)
class Interval:
    """A mean over seeds and half of its 95% t-interval; NaN where the metric is undefined."""

    mean: float
    half_width: float

    @property
    def is_defined(self) -> bool:
        """Whether there is a mean."""
        return not np.isnan(self.mean)

    def overlaps(self, other: "Interval") -> bool:
        """Whether two intervals share a value."""
        return overlap((self.mean, self.half_width), (other.mean, other.half_width))


class Relation(Enum):
    """How an interval relates to that of the baseline."""

    ITSELF = "itself"
    APART = "apart"
    OVERLAP = "overlap"
    UNDEFINED = "undefined"


@dataclass(frozen=True)
class Highest:
    """The objective with the highest mean of a metric, and the baseline. `objective` is None if all are undefined."""

    metric: Metric
    objective: str | None
    interval: Interval
    baseline: Interval
    relation: Relation
    is_above_chance: bool


@dataclass(frozen=True)
class Claim:
    """How many of `total` settings are higher or lower than the baseline, and how many intervals are apart."""

    metric: Metric
    is_defined: bool
    total: int
    higher: int = 0
    higher_apart: int = 0
    lower: int = 0
    lower_apart: int = 0


def by_objective(results: pd.DataFrame, metric: Metric) -> dict[str, Interval]:
    """Return the mean and half-width of each objective, in their order."""
    groups = results.groupby("objective", sort=False)[metric.column]
    return {str(name): Interval(*mean_and_half_width(values.tolist())) for name, values in groups}


def highest(results: pd.DataFrame, metrics: Sequence[Metric], baseline: str) -> Iterator[Highest]:
    """
    Yield the highest mean of each metric. Objectives with equal means are yielded each.

    Args:
        results (`pd.DataFrame`): One row a run, with `objective` and the metrics.
        metrics (`Sequence[Metric]`): Which.
        baseline (`str`): Name of an objective.

    Raises:
        ValueError: if there are no runs of the baseline.
    """
    for metric in metrics:
        found = _with_baseline(results, metric, baseline)
        base = found[baseline]
        top = max((each.mean for each in found.values() if each.is_defined), default=None)
        if top is None:
            yield Highest(metric, None, base, base, Relation.UNDEFINED, False)
        for name, interval in found.items():
            if top is not None and interval.mean == top:
                above = interval.mean - interval.half_width > metric.chance
                yield Highest(metric, name, interval, base, _relation(name == baseline, interval, base), above)


def claims(results: pd.DataFrame, metrics: Sequence[Metric], baseline: str, others: Sequence[str]) -> Iterator[Claim]:
    """
    Yield for each metric how often `others` are higher or lower than the baseline.

    Args:
        results (`pd.DataFrame`), metrics (`Sequence[Metric]`), baseline (`str`): As for [`highest`].
        others (`Sequence[str]`): Names of the objectives that are claimed to be higher.

    Raises:
        ValueError: if there are no runs of the baseline.
    """
    for metric in metrics:
        found = _with_baseline(results, metric, baseline)
        base = found[baseline]
        compared = [found[name] for name in others if found[name].is_defined and base.is_defined]
        higher = [each.overlaps(base) for each in compared if each.mean > base.mean]
        lower = [each.overlaps(base) for each in compared if each.mean < base.mean]
        counts = (len(higher), higher.count(False), len(lower), lower.count(False))
        yield Claim(metric, bool(compared), len(others), *counts)


def _relation(is_baseline: bool, interval: Interval, base: Interval) -> Relation:
    if is_baseline:
        return Relation.ITSELF
    if not base.is_defined:
        return Relation.UNDEFINED
    return Relation.OVERLAP if interval.overlaps(base) else Relation.APART


def _with_baseline(results: pd.DataFrame, metric: Metric, baseline: str) -> dict[str, Interval]:
    found = by_objective(results, metric)
    if baseline not in found:
        raise ValueError(f"There are no runs of {baseline!r} to compare with, only of {list(found)}.")
    return found
