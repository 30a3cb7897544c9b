"""Exact search against sorting everything, by either backend, with ties."""

import sys

import numpy as np
import pytest

from smoothclap_trainer import search as module
from smoothclap_trainer.search import nearest


def on_circle(*degrees):
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def random_rows(count, seed):
    rows = np.random.default_rng(seed).standard_normal((count, 8)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("backend", ["numpy", "faiss"])
def test_by_hand(backend):
    indices, cosines = nearest(on_circle(0, 80), on_circle(90, 60, 0), 2, backend)
    assert indices.tolist() == [[2, 1], [0, 1]]
    assert cosines == pytest.approx(np.array([[1, 0.5], [np.cos(np.deg2rad(10)), np.cos(np.deg2rad(20))]]), abs=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "faiss"])
@pytest.mark.parametrize("k", [1, 7, 50])
def test_it_is_what_sorting_gives(monkeypatch, backend, k):
    monkeypatch.setattr(module, "BLOCK_COSINES", 120)  # blocks of two queries, the last of one
    queries, candidates = random_rows(9, 0), random_rows(50, 1)
    exact = queries.astype(float) @ candidates.T.astype(float)
    indices, cosines = nearest(queries, candidates, k, backend)
    np.testing.assert_array_equal(indices, np.argsort(-exact, axis=1)[:, :k])
    np.testing.assert_allclose(cosines, -np.sort(-exact, axis=1)[:, :k], atol=1e-6)


def test_a_row_that_does_not_fit_into_a_block(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_COSINES", 1)
    assert nearest(on_circle(0, 90), on_circle(90, 60, 0), 1)[0].tolist() == [[2], [0]]


def test_equal_candidates_come_in_their_order():
    candidates = on_circle(*[50, 10] * 20)
    indices, cosines = nearest(on_circle(10, 50), candidates, 25)
    odd, even = list(range(1, 40, 2)), list(range(0, 40, 2))
    assert indices.tolist() == [odd + even[:5], even + odd[:5]]
    assert cosines[:, 0].tolist() == [1, 1]
    np.testing.assert_array_equal(nearest(on_circle(10, 50), candidates, 40, "faiss")[0][:, :25], indices)


def test_k_beyond_the_candidates_gives_all():
    assert nearest(on_circle(0), on_circle(90, 0), 5)[0].tolist() == [[1, 0]]
    assert nearest(on_circle(0), on_circle(90, 0), 5, "faiss")[0].tolist() == [[1, 0]]


def test_faulty_input_is_named():
    with pytest.raises(ValueError, match="k is 0; ask for at least 1"):
        nearest(on_circle(0), on_circle(0), 0)
    with pytest.raises(ValueError, match="no search backend 'annoy'; give 'numpy' or 'faiss'"):
        nearest(on_circle(0), on_circle(0), 1, "annoy")


def test_without_faiss_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ImportError, match=r"pip install 'smoothclap\[search\]'"):
        nearest(on_circle(0), on_circle(0), 1, "faiss")
    assert nearest(on_circle(0), on_circle(0), 1)[0].tolist() == [[0]]
