"""Unweighted average recall with its interval. `evaluate` runs a copy of this file, hence the import by name."""

import evaluate

from smoothclap_trainer.evaluation.modules import IntervalMetric


class UAR(IntervalMetric, evaluate.Metric):
    """`uar`, `uar_low` and `uar_high`."""

    metric = "uar"
    meaning = (
        "Unweighted average recall (UAR): the mean of the recalls of the classes that occur, so that a rare class "
        "counts as a common one. One over the number of classes is chance."
    )
