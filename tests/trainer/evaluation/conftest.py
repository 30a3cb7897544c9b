"""What tests of an evaluation share."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.corpus_trees import build_tree


@pytest.fixture(scope="session")
def tree(tmp_path_factory) -> Callable[[str], Path]:
    """Give the folder of a corpus in its published layout, with one clip for each; tests only read it."""
    folder = tmp_path_factory.mktemp("trees")
    return cache(lambda corpus: build_tree(corpus, folder, takes=1))
