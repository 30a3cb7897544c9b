"""What every test has: no network, an empty cache of the hub, one thread, a fixed seed; and two fixtures."""

import gc
import importlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest


# Read when the libraries are imported, so they are set before.
os.environ["HF_HOME"] = os.path.join(tempfile.gettempdir(), f"smoothclap-tests-{os.getpid()}")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import transformers


# Coverage of a worker begins after this file, and would trace how the libraries are imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in ("accelerate", "datasets", "peft", "sklearn.metrics", "transformers.pipelines", "transformers.trainer"):
        importlib.import_module(name)

# Recipes import each other as scripts do, from their own folder; their worker processes look there, too.
sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "recipes"))

pytest_plugins = ["tests.upstream.floor"]  # here, because under xdist the controller reads no other conftest


NOT_MEASURED = ("examples", "hub", "invariants", "upstream")
"""Folders of tests that coverage does not count: tracing half doubles their time, and other tests reach the lines."""


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.relative_to(Path(__file__).parent).parts[0] in NOT_MEASURED:
            item.add_marker(pytest.mark.no_cover)


@pytest.fixture(autouse=True, scope="session")
def _quiet_and_single_threaded():
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    gc.freeze()  # every training run collects garbage, and would look through all that the libraries made
    yield
    shutil.rmtree(os.environ["HF_HOME"], ignore_errors=True)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def logs(caplog):
    """Messages that transformers' loggers emit during a test; its loggers do not propagate by themselves."""
    transformers.utils.logging.warning_once.cache_clear()  # or a warning that an earlier test had would be missing
    transformers.utils.logging.enable_propagation()
    yield caplog
    transformers.utils.logging.disable_propagation()


@pytest.fixture
def ffmpeg(tmp_path, monkeypatch) -> Path:
    """An `ffmpeg` on the PATH: the system's, or else the one that the wheel `imageio-ffmpeg` carries."""
    if found := shutil.which("ffmpeg"):
        return Path(found)
    carried = pytest.importorskip("imageio_ffmpeg", reason="no ffmpeg on this machine; install imageio-ffmpeg")
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ffmpeg").symlink_to(carried.get_ffmpeg_exe())
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder / "ffmpeg"
