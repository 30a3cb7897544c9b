"""From embeddings to scores: unit length, the model's scale, and probabilities among texts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import nn


class RankedText(NamedTuple):
    """A text, its probability among the texts that were compared, and its cosine with the clip."""

    text: str
    score: float
    cosine: float


def logit_scale_of(model: nn.Module, name: str) -> float:
    """Return a dual encoder's factor between cosine and logit, from clips to texts; without one: `ValueError`."""
    scale = getattr(model, "logit_scale", None)
    if isinstance(scale, nn.Module):
        return float(scale().item())
    logarithm = getattr(model, "logit_scale_a", scale)  # ClapModel has one for each direction
    if logarithm is None:
        raise ValueError(
            f"{name!r} has neither `logit_scale` nor `logit_scale_a`, so its cosines give no probabilities."
        )
    return float(logarithm.exp().item())


def unit_rows(embeds: np.ndarray, name: str) -> np.ndarray:
    """
    Scale embeddings `(n, width)` to unit length, at least in float32. One of length zero stays as it is.

    One that is not finite is a `ValueError` that calls them `name`: comparisons with NaN would count in its favour.
    """
    embeds = np.asarray(embeds)
    if embeds.ndim != 2 or embeds.dtype.kind not in "fiu":
        raise ValueError(f"{name} are {embeds.dtype} of shape {embeds.shape}; give numbers of shape (n, width).")
    embeds = embeds.astype(np.result_type(embeds, np.float32), copy=False)  # half precision ranks too coarsely
    if bad := int((~np.isfinite(embeds).all(axis=1)).sum()):
        raise ValueError(f"{bad} of {len(embeds)} rows of {name} are not finite; has the training diverged?")
    lengths = np.linalg.norm(embeds, axis=1, keepdims=True)
    return embeds / np.where(lengths > 0, lengths, 1)


def probabilities(cosines: np.ndarray, scale: float) -> np.ndarray:
    """Return the softmax over the last axis of cosines times a logit scale, in float64; a row with NaN becomes NaN."""
    logits = scale * (cosines - cosines.max(axis=-1, keepdims=True)).astype(np.float64)
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def as_texts(texts: Any) -> list[str]:
    """Return one text or several as a list; a `ValueError` if they are not texts or there is none."""
    listed = [texts] if isinstance(texts, str) else list(texts) if isinstance(texts, Iterable) else []
    if not listed or isinstance(texts, Mapping) or not all(isinstance(text, str) for text in listed):
        raise ValueError(f"These are not texts: {texts!r}. Give one, or a list of at least one.")
    return listed


def check_comparable(texts: Any, templates: Sequence[str]) -> list[str]:
    """Return texts that scores can compare: two or more different ones, and a `{}` in each template for them."""
    listed = as_texts(texts)
    if len({text.strip() for text in listed} - {""}) < max(2, len(listed)):  # one is empty, alone or repeated
        raise ValueError(f"Scores compare texts with each other: give two or more different ones, not {listed!r}.")
    if isinstance(templates, str) or not templates:
        raise ValueError(f"`templates` is {templates!r}; give a list of at least one.")
    for template in templates:
        if "{}" not in template:
            raise ValueError(f"The template {template!r} has no place for a text: write {{}} where it belongs.")
    return listed
