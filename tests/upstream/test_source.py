"""Where Transformers' suites come from, and what is said where they cannot be had."""

import os

import pytest

from tests.upstream import source


def test_the_suites_and_only_they_are_unpacked():
    source.load("test_modeling_common")
    root = source.CACHE / source.transformers.__version__
    names = {path.name for path in root.rglob("*.py")}
    assert {"test_modeling_common.py", "test_processing_common.py"} < names
    assert all(name.startswith("test_") for name in names - {"__init__.py", "fetch_hub_objects_for_ci.py"})


def test_without_a_package_index_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "CACHE", tmp_path)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(RuntimeError, match=rf"put transformers-.*\.tar\.gz into {tmp_path}"):
        source.load("test_modeling_common")
    assert not any(path.is_dir() for path in tmp_path.iterdir())
