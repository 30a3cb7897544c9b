"""What pytest has to know of Transformers' suites: the marks on their tests, and the floor under those that pass."""

import pytest

from tests.upstream import floor


MARKS = (
    "accelerate_tests",
    "flash_attn_test",
    "flash_attn_3_test",
    "flash_attn_4_test",
    "slow",
    "torch_compile_test",
)


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark}: set by Transformers")
    # Under pytest-xdist the controlling process reads this file too late or not at all, and loads the plugin by
    # `pytest_plugins` in tests/conftest.py.
    floor.pytest_configure(config)
