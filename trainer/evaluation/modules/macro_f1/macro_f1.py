"""Macro F1 with its interval. `evaluate` runs a copy of this file, hence the import by name."""

import evaluate

from smoothclap_trainer.evaluation.modules.interval_figure import IntervalFigure


class MacroF1(IntervalFigure, evaluate.Metric):
    """`macro_f1`, `macro_f1_low` and `macro_f1_high`."""

    figure = "macro_f1"
    meaning = (
        "Macro F1: the mean of the F1 scores of the classes that occur or are predicted, as in scikit-learn's "
        'f1_score(average="macro").'
    )
