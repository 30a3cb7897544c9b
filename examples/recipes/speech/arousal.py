"""Silver arousal of acted speech, by rule: nobody rated it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers.utils import logging

from smoothclap_trainer.data.functionals import PITCH_COLUMN, functional_names
from smoothclap_trainer.evaluation.attributes import auc


logger = logging.get_logger(__name__)

RULE_COLUMNS = (PITCH_COLUMN, "loudness_sma3_amean")
STRENGTH = 0.01
"""Weight of the lines against the L2 penalty, as `C` of scikit-learn; from .001 to 1 it hardly matters. Ours."""
NOTES = "Silver, by rule; nobody rated it."


def add_arousal(splits: dict[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], dict[str, Any] | None]:
    """
    Give training and validation rows a column `arousal`, in standard deviations.

    `acoustics` is the mean of standardised pitch and loudness. `script` is a logistic regression on the standardised
    functionals that tells training lines that end in `!` from those that end in `...`, standardised over the training
    rows. `both` is their mean. Functionals are standardised over all training rows, or over the rows of each speaker.
    Of these six that one is taken which best tells the validation lines with `!` from those with `...`. Test rows get
    none: nothing is fitted to them or chosen by them.

    Args:
        splits (`dict[str, pd.DataFrame]`):
            Split name to its rows, with functionals.

    Returns:
        `tuple[dict[str, pd.DataFrame], dict[str, Any] | None]`: The splits, and what was chosen by which AUC, for the
        record. Where training or validation lacks either kind of line: the splits as they are, and `None`.
    """
    parts = {name: splits[name] for name in ("train", "validation") if name in splits}
    ends = {name: _line_ends(rows["transcript"]) for name, rows in parts.items()}
    counts = {name: {mark: int((found == mark).sum()) for mark in ("!", "...")} for name, found in ends.items()}
    if len(parts) < 2 or not all(count for pair in counts.values() for count in pair.values()):
        logger.warning(f"no arousal: training and validation need lines that end in ! and in ..., found {counts}")
        return splits, None
    scores = _scores(parts, ends["train"])
    marks = ends["validation"]
    aucs = {
        name: round(auc(found["validation"][marks == "!"], found["validation"][marks == "..."]), 4)
        for name, found in scores.items()
    }
    best = max(aucs, key=lambda name: aucs[name])
    record = {"notes": NOTES, "variant": best, "validation_auc": aucs, "lines": counts, "strength": STRENGTH}
    return {name: rows.assign(arousal=scores[best].get(name)) for name, rows in splits.items()}, record


def _line_ends(transcripts: pd.Series) -> np.ndarray:
    """Returns the mark at the end of each line, `"!"` or `"..."`, or `""`."""
    texts = transcripts.fillna("").astype(str)
    return np.select([texts.str.endswith("!"), texts.str.endswith("...")], ["!", "..."], "")


def _scores(parts: dict[str, pd.DataFrame], ends: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Returns the scores of training and validation rows by variant; `ends` are those of the training lines."""
    scores = {}
    standardised = {name: by_speaker(rows) for name, rows in parts.items()}
    for kind, values in (("over all", _over_all(parts)), ("by speaker", standardised)):
        acoustics = {name: table[[*RULE_COLUMNS]].mean(axis=1).to_numpy() for name, table in values.items()}
        weights = _fit(values["train"].to_numpy()[ends != ""], ends[ends != ""] == "!")
        script = {name: table.to_numpy() @ weights for name, table in values.items()}
        script = {name: (found - script["train"].mean()) / script["train"].std() for name, found in script.items()}
        both = {name: (acoustics[name] + script[name]) / 2 for name in parts}
        found = {"acoustics": acoustics, "script": script, "both": both}
        scores |= {f"{rule}, {kind}": score for rule, score in found.items()}
    return scores


def _over_all(parts: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Returns the functionals standardised over the training rows."""
    tables = {name: rows[functional_names()].astype("float64") for name, rows in parts.items()}
    center, scale = tables["train"].mean(), tables["train"].std().replace(0, 1)
    return {name: (table - center) / scale for name, table in tables.items()}


def by_speaker(rows: pd.DataFrame) -> pd.DataFrame:
    """Returns the functionals standardised over the rows of each speaker; 0 where a speaker's do not vary."""
    table = rows[functional_names()].astype("float64")
    groups = table.groupby(rows["speaker"])
    return (table - groups.transform("mean")) / groups.transform("std").replace(0, 1).fillna(1)


def _fit(values: np.ndarray, aroused: np.ndarray) -> np.ndarray:
    """Fits a logistic regression in which both classes weigh the same, and returns its weights."""
    inputs, targets = torch.from_numpy(values), torch.from_numpy(aroused.astype(np.float64))
    share = targets.mean()
    balance = torch.where(targets == 1, 0.5 / share, 0.5 / (1 - share))
    weights = torch.zeros(inputs.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(1, dtype=torch.float64, requires_grad=True)

    def loss() -> torch.Tensor:
        errors = binary_cross_entropy_with_logits(inputs @ weights + bias, targets, weight=balance, reduction="sum")
        return STRENGTH * errors + weights.square().sum() / 2

    minimise(loss, [weights, bias])
    return weights.detach().numpy()


def minimise(loss: Callable[[], torch.Tensor], parameters: list[torch.Tensor]) -> None:
    """Fits the parameters of a convex loss, in place."""
    optimizer = torch.optim.LBFGS(parameters, max_iter=500, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        total = loss()
        total.backward()
        return total

    optimizer.step(closure)
