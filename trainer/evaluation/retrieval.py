"""Retrieval over a whole set: is a clip's caption among the k nearest of all, and a caption's clip likewise?"""

from collections.abc import Sequence
from math import comb

import numpy as np

from .embed import unit_rows


BLOCK_ROWS = 512
"""Queries at a time: memory grows with the set, not with its square."""
EQUAL = 1e-6
"""Cosines that differ by no more than this are the same: equal vectors come out of a matrix product this far apart."""


def recall_at_k(
    audio_embeds: np.ndarray, text_embeds: np.ndarray, caption_ids: np.ndarray, ks: Sequence[int] = (1, 5, 10)
) -> dict[str, float]:
    """
    R@k both ways.

    Clip i and text i belong together. Every clip is asked among all texts and every text among all clips, and anything
    with the same caption is a hit: fixed captions repeat, and no model can tell apart what is worded alike. A query
    succeeds if its nearest hit is among the k nearest. A miss that is as near as that hit, within [`EQUAL`],
    counts as nearer, so that embeddings that are all the same find nothing.

    Args:
        audio_embeds (`np.ndarray` of shape `(n, width)`): Embeddings of the clips, of any length.
        text_embeds (`np.ndarray` of shape `(n, width)`): Embeddings of their captions.
        caption_ids (`np.ndarray` of shape `(n,)`): Equal for equal captions.
        ks (`Sequence[int]`, defaults to `(1, 5, 10)`): Each k of at most n gives two figures; larger ones give none.

    Returns:
        `dict[str, float]`: `"audio_to_text_r@1"`, ..., `"text_to_audio_r@1"`, ..., each between 0 and 1.

    Raises:
        ValueError: if the numbers differ, there are no clips, a k is below 1, or an embedding is not finite.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.retrieval import recall_at_k
    >>> recall_at_k(np.eye(2), np.eye(2), np.arange(2), ks=(1, 5))
    {'audio_to_text_r@1': 1.0, 'text_to_audio_r@1': 1.0}

    ```
    """
    counts = {len(audio_embeds), len(text_embeds), len(caption_ids)}
    if len(counts) > 1 or counts == {0}:
        raise ValueError(
            f"There are {len(audio_embeds)} clips, {len(text_embeds)} texts and {len(caption_ids)} caption ids; each "
            "clip needs one of both, and there must be a clip."
        )
    usable = _usable(ks, len(caption_ids))
    audio, text = unit_rows(audio_embeds, "audio_embeds"), unit_rows(text_embeds, "text_embeds")
    recalls: dict[str, float] = {}
    for name, queries, candidates in (("audio_to_text", audio, text), ("text_to_audio", text, audio)):
        ranks = _ranks(queries, candidates, np.asarray(caption_ids))
        recalls |= {f"{name}_r@{k}": float((ranks <= k).mean()) for k in usable}
    return recalls


def chance_recall(caption_ids: np.ndarray, ks: Sequence[int] = (1, 5, 10)) -> dict[int, float]:
    """
    What R@k would be, either way, if all candidates were ranked at random.

    Args:
        caption_ids (`np.ndarray` of shape `(n,)`): Equal for equal captions.
        ks (`Sequence[int]`, defaults to `(1, 5, 10)`): As in [`recall_at_k`].

    Returns:
        `dict[int, float]`: k to the expected R@k.

    Raises:
        ValueError: if a k is below 1.
    """
    n = len(caption_ids)
    _, members = np.unique(caption_ids, return_counts=True)
    # A caption of m clips is asked m times, and has m hits each time.
    return {k: sum(int(m) * (1 - comb(n - int(m), k) / comb(n, k)) for m in members) / n for k in _usable(ks, n)}


def _usable(ks: Sequence[int], n: int) -> list[int]:
    if wrong := [k for k in ks if k < 1]:
        raise ValueError(f"R@k needs a k of at least 1, got {wrong[0]}.")
    return [k for k in ks if k <= n]


def _ranks(queries: np.ndarray, candidates: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Rank of each query's nearest hit, from 1, of shape `(n,)`: behind every miss that is nearer or as near."""
    ranks = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        cosines = queries[block] @ candidates.T  # (block, n)
        hits = ids[block, None] == ids[None]
        best = np.where(hits, cosines, -np.inf).max(axis=1, keepdims=True)
        ranks[block] = 1 + ((cosines >= best - EQUAL) & ~hits).sum(axis=1)
    return ranks
