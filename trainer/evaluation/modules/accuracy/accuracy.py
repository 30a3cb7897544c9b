"""Accuracy with its interval. `evaluate` runs a copy of this file, hence the import by name."""

import evaluate

from smoothclap_trainer.evaluation.modules import IntervalMetric


class Accuracy(IntervalMetric, evaluate.Metric):
    """`accuracy`, `accuracy_low` and `accuracy_high`."""

    metric = "accuracy"
    meaning = "Accuracy: the share of clips whose class is right."
