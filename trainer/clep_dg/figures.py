"""Figures over seeds: mean and spread of UAR and weighted accuracy, with an interval that spans those of all seeds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.bootstrap import FEWEST_SPEAKERS, LEVEL, figures_with_intervals


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
        seed: figures_with_intervals(each, true, len(classes), units, samples=SAMPLES)
        for seed, each in predicted.items()
    }
    recalls = [[each["value"] for each in of_seed["per_class_recall"]] for of_seed in found.values()]
    return {
        "figures": {name: _over_seeds([of_seed["figures"][name] for of_seed in found.values()]) for name in FIGURES},
        "per_class_recall": dict(zip(classes, np.mean(recalls, axis=0).tolist(), strict=True)),
        "seeds": [
            {"seed": seed, **{name: of_seed["figures"][name]["value"] for name in FIGURES}}
            for seed, of_seed in found.items()
        ],
    }


def mean_and_sd(values: Sequence[float]) -> tuple[float, float | None]:
    """The mean over seeds and the standard deviation, with one degree of freedom less; of one seed there is none."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def _over_seeds(figures: list[dict[str, float]]) -> dict[str, float | None]:
    mean, sd = mean_and_sd([figure["value"] for figure in figures])
    return {
        "value": mean,
        "sd": sd,
        # Not the narrower interval of the mean: that says nothing of other seeds than these few.
        "low": min(figure["low"] for figure in figures),
        "high": max(figure["high"] for figure in figures),
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
