"""What the figures of compared objectives say, counted and not judged: which is highest, and does the claim hold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .means import mean_and_half_width, overlap


@dataclass(frozen=True)
class Figure:
    """
    One figure that objectives are compared by; more is better.

    Args:
        column (`str`): Of the results.
        title (`str`): For tables.
        chance (`float`): What a model that knows nothing gets.
    """

    column: str
    title: str
    chance: float


def entry(interval: tuple[float, float]) -> str:
    """Mean and half-width as tables show them."""
    return "undefined" if np.isnan(interval[0]) else f"{interval[0]:.3f} ± {interval[1]:.3f}"


def highest_rows(results: pd.DataFrame, figures: Sequence[Figure], baseline: str) -> list[list[str]]:
    """
    The highest mean of each figure beside the baseline's.

    Args:
        results (`pd.DataFrame`): One row a run, with `objective` and the figures.
        figures (`Sequence[Figure]`): Which.
        baseline (`str`): Name of an objective.

    Returns:
        `list[list[str]]`: For each figure its title, the objective, its mean and half-width, those of the baseline,
        whether the intervals overlap, and whether the whole interval lies over chance. Objectives of one mean have a
        row each; a figure that no objective has is undefined.

    Raises:
        ValueError: if there are no runs of the baseline.
    """
    rows = []
    for figure in figures:
        found = _intervals(results, figure, baseline)
        means = [mean for mean, _ in found.values() if not np.isnan(mean)]
        if not means:
            rows.append([figure.title, *["undefined"] * 5])
        for name, interval in found.items():
            if means and interval[0] == max(means):
                over = "yes" if interval[0] - interval[1] > figure.chance else "no"
                between = "itself" if name == baseline else _between(interval, found[baseline])
                rows.append([figure.title, name, entry(interval), entry(found[baseline]), between, over])
    return rows


def claim_lines(results: pd.DataFrame, figures: Sequence[Figure], baseline: str, others: Sequence[str]) -> list[str]:
    """
    Are others higher than a baseline?

    Args:
        results (`pd.DataFrame`), figures (`Sequence[Figure]`), baseline (`str`): As in [`highest_rows`].
        others (`Sequence[str]`): Names of the objectives that are claimed to be.

    Returns:
        `list[str]`: A line for each figure: how many means are higher, how many are lower, how many of each with
        intervals apart, and whether the claim is borne out, that is, higher with intervals apart.

    Raises:
        ValueError: if there are no runs of the baseline.
    """
    return [_claim(figure, _intervals(results, figure, baseline), baseline, others) for figure in figures]


def _claim(figure: Figure, found: dict[str, tuple[float, float]], baseline: str, others: Sequence[str]) -> str:
    base, total = found[baseline], len(others)
    compared = [found[name] for name in others if not np.isnan([found[name][0], base[0]]).any()]
    if not compared:
        return f"{figure.title}: undefined."
    higher = [overlap(each, base) for each in compared if each[0] > base[0]]
    lower = [overlap(each, base) for each in compared if each[0] < base[0]]
    for_it, against = higher.count(False), lower.count(False)
    if for_it:
        verdict = "Borne out" if for_it == total else f"Borne out in {for_it} of {total}"
    else:
        verdict = "Not borne out"
    return (
        f"{figure.title}: higher in {len(higher)} of {total} settings, intervals apart in {for_it}; lower in "
        f"{len(lower)}, intervals apart in {against}. {verdict}."
    )


def _between(one: tuple[float, float], other: tuple[float, float]) -> str:
    return "undefined" if np.isnan(other[0]) else "overlap" if overlap(one, other) else "apart"


def _intervals(results: pd.DataFrame, figure: Figure, baseline: str) -> dict[str, tuple[float, float]]:
    """Mean and half-width by objective, in their order."""
    groups = results.groupby("objective", sort=False)[figure.column]
    found = {str(name): mean_and_half_width(values.tolist()) for name, values in groups}
    if baseline not in found:
        raise ValueError(f"There are no runs of {baseline!r} to compare with, only of {list(found)}.")
    return found
