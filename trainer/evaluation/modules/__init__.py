"""Metrics with intervals for the `evaluate` library: scripts to be loaded by path with `evaluate.load(UAR)`.

No network is used. They combine with each other and with other metrics: `evaluate.combine([UAR, MACRO_F1])`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..intervals import metrics_with_intervals
from ..metrics import class_ids


_HERE = Path(__file__).parent

UAR = str(_HERE / "uar" / "uar.py")
ACCURACY = str(_HERE / "accuracy" / "accuracy.py")
MACRO_F1 = str(_HERE / "macro_f1" / "macro_f1.py")

INPUTS = """
Args:
    predictions (`list[int]`): Class of each clip as predicted.
    references (`list[int]`): As it is.
    speakers (`list[str | None]`, *optional*): Of each clip, in the order in which the clips were added; None where
        unknown. With five or more, the interval is that of drawing whole speakers; with fewer, that of drawing clips,
        which is too narrow for what other speakers would give.
    samples (`int`, defaults to 2000): Draws of the bootstrap.
    seed (`int`, defaults to 0): Of the draws.

Returns:
    `dict[str, float]`: The metric under its name, and with `_low` and `_high` the bounds of its 95% interval.
"""


class IntervalMetric:
    """
    A metric with its 95% interval, to be mixed into an `evaluate.Metric`.

    It is not an `evaluate.Metric` itself, because `evaluate` takes the first one in a script for the script's metric.
    """

    metric: str  # a name in METRICS of intervals
    meaning: str

    def _info(self) -> Any:
        import evaluate  # takes seconds, and the scripts have imported it
        from datasets import Features, Value

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
    ) -> dict[str, float | None]:
        numbered = class_ids(np.asarray(predictions), np.asarray(references))
        found = metrics_with_intervals(*numbered, speakers=speakers, samples=samples, seed=seed).metrics[self.metric]
        return {self.metric: found.value, f"{self.metric}_low": found.low, f"{self.metric}_high": found.high}
