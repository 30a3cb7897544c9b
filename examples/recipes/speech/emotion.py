"""Emotion labels of acted speech, by the rules of synthetic speech: nobody rated it."""

from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from .arousal import STRENGTH, by_speaker, minimise


CONFIDENCE = 0.7
"""Clips get a label from this probability on. Ours."""
LIMIT = 4.0
"""Standardised functionals are cut here, so that one outlier decides nothing. Ours."""
NOTES = "By the rules of synthetic speech; nobody rated it."


def add_emotion(rows: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Any]]:
    """
    Give rows of real speech a column `emotion`: the emotion whose synthetic clips they resemble, or none.

    A logistic regression tells the emotions of the synthetic clips apart by their functionals, standardised over the
    clips of each speaker, real or synthetic: what counts is how a speaker departs from their own average. So a label
    says that a clip departs as the rule of that emotion does. It does not say what anyone felt or heard.

    Args:
        rows (`pd.DataFrame`):
            Training rows of real speech, with functionals and `speaker`.
        synthetic (`pd.DataFrame`):
            Training rows of synthetic speech, with functionals, `speaker` and `emotion`.

    Returns:
        `tuple[pd.DataFrame, dict[str, Any]]`: The rows with `emotion`, `None` where no emotion has a probability of
        [`CONFIDENCE`], and what was done, for the record.

    Raises:
        ValueError: The synthetic rows have fewer than two emotions.
    """
    emotions = sorted(synthetic["emotion"].unique())
    if len(emotions) < 2:
        raise ValueError(f"synthetic speech of at least two emotions is needed, not {emotions}")
    weights, bias = _fit(_inputs(synthetic), torch.tensor(synthetic["emotion"].map(emotions.index).to_numpy()))
    sure, best = (_inputs(rows) @ weights + bias).softmax(dim=1).max(dim=1)
    labels = np.where((sure >= CONFIDENCE).numpy(), np.array(emotions, dtype=object)[best.numpy()], None)
    found = rows.assign(emotion=pd.Series(labels, index=rows.index, dtype=object))
    counts = found["emotion"].value_counts().to_dict()
    return found, {"notes": NOTES, "strength": STRENGTH, "confidence": CONFIDENCE, "clips": counts}


def _inputs(rows: pd.DataFrame) -> torch.Tensor:
    return torch.from_numpy(by_speaker(rows).clip(-LIMIT, LIMIT).to_numpy(copy=True))


def _fit(inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fits a multinomial logistic regression in which all classes weigh the same; returns its weights and bias."""
    counts = torch.bincount(targets)
    balance = len(targets) / (len(counts) * counts.double())
    weights = torch.zeros(inputs.shape[1], len(counts), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(counts), dtype=torch.float64, requires_grad=True)

    def loss() -> torch.Tensor:
        errors = cross_entropy(inputs @ weights + bias, targets, weight=balance, reduction="none").sum()
        return STRENGTH * errors + weights.square().sum() / 2

    minimise(loss, [weights, bias])
    return weights.detach(), bias.detach()
