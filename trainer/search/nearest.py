"""Exact search for the nearest embeddings by cosine."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from ..evaluation.retrieval import EQUAL


Backend = Literal["numpy", "faiss"]

BLOCK_COSINES = 2**24
"""Cosines in memory at a time, 64 MiB of them, or those of one query."""
DECIMALS = 6
"""Cosines are told to a millionth. Equal vectors come out of a matrix product up to that far apart."""


def nearest(
    queries: np.ndarray, candidates: np.ndarray, k: int, backend: Backend = "numpy"
) -> tuple[np.ndarray, np.ndarray]:
    """
    The k candidates nearest to each query.

    Every candidate is compared: the search is exact with either backend. Equal cosines, to a millionth, are in the
    order of the candidates; where more are equal than there is room for, numpy takes the first and FAISS any.

    Args:
        queries (`np.ndarray` of shape `(q, width)`): Rows of unit length, float32.
        candidates (`np.ndarray` of shape `(n, width)`): Rows of unit length, float32.
        k (`int`): How many are wanted; all, where there are fewer.
        backend (`str`, defaults to `"numpy"`): `"faiss"` needs the extra `search`. For one query or a thousand in a
            large collection it is faster; for a hundred, numpy is. `benchmarks/speech_index.py` compares them.

    Returns:
        `tuple[np.ndarray, np.ndarray]`: Indices of candidates, int64, and their cosines, float32 rounded to a
        millionth; both of shape `(q, min(k, n))`, the nearest first.

    Raises:
        ValueError: if k is below 1 or the backend is unknown.
        ImportError: if FAISS is asked for and not installed.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.search.nearest import nearest
    >>> indices, cosines = nearest(np.float32([[0.6, 0.8]]), np.eye(2, dtype=np.float32), k=2)
    >>> indices.tolist(), cosines.round(1).tolist()
    ([[1, 0]], [[0.800000..., 0.600000...]])

    ```
    """
    if k < 1:
        raise ValueError(f"k is {k}; ask for at least 1 neighbour.")
    if backend not in ("numpy", "faiss"):
        raise ValueError(f"There is no search backend {backend!r}; give 'numpy' or 'faiss'.")
    k = min(k, len(candidates))
    indices = np.empty((len(queries), k), dtype=np.int64)
    cosines = np.empty((len(queries), k), dtype=np.float32)
    search = _by_faiss if backend == "faiss" else _by_numpy
    for row, (found, near) in enumerate(search(queries, candidates, k)):
        near = near.round(DECIMALS)
        order = np.lexsort((found, -near))[:k]  # by cosine, then by index
        indices[row], cosines[row] = found[order], near[order]
    return indices, cosines


def _by_numpy(queries: np.ndarray, candidates: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each query indices and cosines of at least k candidates: the nearest, and whatever equals the k-th."""
    block = max(1, BLOCK_COSINES // len(candidates))
    for start in range(0, len(queries), block):
        for cosines in queries[start : start + block] @ candidates.T:  # (n,)
            threshold = np.partition(cosines, len(cosines) - k)[len(cosines) - k] - EQUAL
            found = np.flatnonzero(cosines >= threshold)
            yield found, cosines[found]


def _by_faiss(queries: np.ndarray, candidates: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each query indices and cosines of the k nearest candidates."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "backend='faiss' needs FAISS; install it with: pip install 'smoothclap[search]', or take 'numpy'."
        ) from error
    # What faiss.IndexFlatIP computes, without a second copy of the candidates.
    cosines, indices = faiss.knn(queries, candidates, k, metric=faiss.METRIC_INNER_PRODUCT)
    return zip(indices, cosines, strict=True)
