"""What `smoothclap_trainer` offers by itself, and that importing it costs nothing."""

import subprocess
import sys

import pytest

import smoothclap_trainer


def test_every_public_name_is_there():
    assert smoothclap_trainer.__all__ == sorted(smoothclap_trainer.__all__)
    for name in smoothclap_trainer.__all__:
        assert getattr(smoothclap_trainer, name).__name__ == name
    assert set(smoothclap_trainer.__all__) <= set(dir(smoothclap_trainer))


def test_an_unknown_name_is_named():
    with pytest.raises(AttributeError, match="SmoothClapTrainer"):
        smoothclap_trainer.SmoothClapTrainer  # noqa: B018


CODE = """
import sys
import smoothclap_trainer
assert not {"torch", "transformers", "pandas", "datasets"} & set(sys.modules), "the import is not instant"
sys.modules["peft"] = None
try:
    smoothclap_trainer.SmoothCLAPTrainer
except ImportError as error:
    assert not isinstance(error, ModuleNotFoundError)
    print(error)
"""


def test_importing_is_instant_and_a_missing_library_names_its_extra():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 'peft: pip install "smoothclap[train]"' in done.stdout
