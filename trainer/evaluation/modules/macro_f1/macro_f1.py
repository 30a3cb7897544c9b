"""Macro F1 with its interval. `evaluate` runs a copy of this file, hence the import by name."""

import evaluate

from smoothclap_trainer.evaluation.modules import IntervalMetric


class MacroF1(IntervalMetric, evaluate.Metric):
    """`macro_f1`, `macro_f1_low` and `macro_f1_high`."""

    metric = "macro_f1"
    meaning = (
        "Macro F1: the mean of the F1 scores of the classes that occur or are predicted, as in scikit-learn's "
        'f1_score(average="macro").'
    )
