"""What the metrics have in common: a figure, its bootstrap interval, and how `evaluate` is told of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Features, Value

from ..intervals import figures_with_intervals
from ..metrics import class_ids


INPUTS = """
Args:
    predictions (`list[int]`): Class of each clip as predicted.
    references (`list[int]`): As it is.
    speakers (`list[str | None]`, *optional*): Of each clip, in the order in which the clips were added; None where
        unknown. With five or more, the interval is that of drawing whole speakers; with less, that of drawing clips,
        which is too narrow for what other speakers would give.
    samples (`int`, defaults to 2000): Draws of the bootstrap.
    seed (`int`, defaults to 0): Of the draws.

Returns:
    `dict[str, float]`: The figure under its name, and with `_low` and `_high` the bounds of its 95% interval.
"""


class IntervalFigure:
    """
    A figure with its 95% interval, to be mixed into an `evaluate.Metric`; see the scripts in the folders beside.

    It is no `evaluate.Metric` itself, because `evaluate` would take it for the metric of the script that imports it.
    """

    figure: str
    """Name of the figure in [`~bootstrap.FIGURES`]."""
    meaning: str
    """What it is, for `evaluate`."""

    def _info(self) -> Any:
        import evaluate  # takes seconds, and the scripts have imported it

        return evaluate.MetricInfo(
            description=self.meaning,
            citation="",
            inputs_description=INPUTS,
            features=Features({"predictions": Value("int64"), "references": Value("int64")}),
        )

    def _compute(
        self,
        *,
        predictions: Sequence[int],
        references: Sequence[int],
        speakers: Sequence[str | None] | None = None,
        samples: int = 2000,
        seed: int = 0,
    ) -> dict[str, float]:
        numbered = class_ids(np.asarray(predictions), np.asarray(references))
        found = figures_with_intervals(*numbered, speakers=speakers, samples=samples, seed=seed)["figures"]
        value, low, high = (found[self.figure][key] for key in ("value", "low", "high"))
        return {self.figure: value, f"{self.figure}_low": low, f"{self.figure}_high": high}
