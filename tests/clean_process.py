"""Run code in a new Python process that knows this checkout's dependencies but not its packages."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


# An editable install answers imports with a finder of its own; without it the packages are not installed.
FORGET_THE_PACKAGES = """
import importlib.util, json, sys
sys.meta_path = [finder for finder in sys.meta_path if "__editable__" not in str(getattr(finder, "__module__", ""))]
for name in ("modeling_smoothclap", "smoothclap_trainer"):
    assert importlib.util.find_spec(name) is None, f"{name} is installed here, and not editable: {sys.path}"
"""


def run_python(arguments: list[str], folder: Path, python: str = sys.executable, **environment: str) -> str:
    """Standard output of `python` run in `folder` with no access to a hub; fails with its standard error."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV", "PYTEST"))}
    environment = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"} | environment
    done = subprocess.run(
        [python, *arguments],
        cwd=folder,
        env=inherited | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def run_without_packages(code: str, folder: Path, *arguments: str, modules_cache: Path) -> Any:
    """Run `code` where neither package can be imported and return what it left in `result`, through JSON."""
    script = f"{FORGET_THE_PACKAGES}\n{code}\nprint(json.dumps(result))"
    printed = run_python(["-I", "-c", script, *arguments], folder, HF_MODULES_CACHE=str(modules_cache))
    return json.loads(printed.splitlines()[-1])
