"""Every example in the docstrings of both packages runs and prints what it says."""

import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import modeling_smoothclap
import smoothclap_trainer


PACKAGES = (modeling_smoothclap, smoothclap_trainer)


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Imports and yields a package and every module below it."""
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


EXAMPLES = [
    example
    for package in PACKAGES
    for module in modules(package)
    for example in doctest.DocTestFinder().find(module)
    if example.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_docstring(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


@pytest.mark.parametrize("package", [package.__name__ for package in PACKAGES])
def test_package_has_examples(package: str) -> None:
    assert any(example.name.startswith(f"{package}.") for example in EXAMPLES)
