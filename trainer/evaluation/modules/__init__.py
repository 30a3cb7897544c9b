"""Figures with intervals as metrics of the `evaluate` library: scripts, to be loaded by path with `evaluate.load(UAR)`.

No network is used. They combine with each other and with other metrics: `evaluate.combine([UAR, MACRO_F1])`.
"""

from pathlib import Path


_HERE = Path(__file__).parent

UAR = str(_HERE / "uar" / "uar.py")
"""Script of the unweighted average recall."""
ACCURACY = str(_HERE / "accuracy" / "accuracy.py")
"""Script of the accuracy."""
MACRO_F1 = str(_HERE / "macro_f1" / "macro_f1.py")
"""Script of the macro F1."""
