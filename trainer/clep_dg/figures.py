"""Figures over seeds: mean and spread of UAR and weighted accuracy, with an interval over speakers or clips."""

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
        (over seeds, with one degree of freedom less; `None` for one seed), and `low` and `high`, the ends of a 95%
        bootstrap interval of that mean; `per_class_recall`, means over seeds; `seeds`, the figures of each.
    """
    count = len(predicted)
    # As all seeds judge the same clips, the figures of all taken together are the means of theirs.
    pooled = _judged(np.concatenate(list(predicted.values())), np.tile(true, count), len(classes), [*units] * count)
    single = [_judged(each, true, len(classes), units, samples=1) for each in predicted.values()]
    by_seed = [{name: each["figures"][name]["value"] for name in FIGURES} for each in single]
    deviation = {name: float(np.std([each[name] for each in by_seed], ddof=1)) if count > 1 else None
                 for name in FIGURES}  # fmt: skip
    recalls = [each["value"] for each in pooled["per_class_recall"]]
    return {
        "figures": {name: pooled["figures"][name] | {"sd": deviation[name]} for name in FIGURES},
        "per_class_recall": dict(zip(classes, recalls, strict=True)),
        "seeds": [{"seed": seed, **each} for seed, each in zip(predicted, by_seed, strict=True)],
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


def _judged(
    predicted: np.ndarray, true: np.ndarray, classes: int, units: Sequence[str], samples: int = SAMPLES
) -> dict[str, Any]:
    return figures_with_intervals(predicted, true, classes, units, samples=samples)
