"""Download published wheels into a cache folder."""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging


logger = logging.get_logger(__name__)


def wheel_path(cache: Path, name: str, version: str) -> Path | None:
    """The wheel of a package in a folder, or `None` where there is none (a distribution's name has `_` for `-`)."""
    return next(iter(sorted(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"))), None)


def fetch_wheel(name: str, version: str, cache: Path, *, instead: str, options: Sequence[str] = ()) -> Path:
    """
    Download one wheel, without what it depends on, unless the cache has it.

    Args:
        name (`str`): The distribution's name.
        version (`str`): The exact version.
        cache (`Path`): Folder of the wheels, made where missing.
        instead (`str`): What the user can do when the package cannot be had; ends the error's message.
        options (`Sequence[str]`, *optional*): More options for `pip download`.

    Returns:
        `Path`: The wheel.

    Raises:
        ValueError: pip found no such package, or the file it fetched is no wheel.
    """
    requirement = f"{name}=={version}"
    wheel = wheel_path(cache, name, version)
    if wheel is None:
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-deps", requirement, "--dest", str(cache), *options]
        logger.info("running %s", " ".join(command))
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        wheel = wheel_path(cache, name, version)
        if done.returncode or wheel is None:
            reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
            raise ValueError(f"The package {requirement} could not be downloaded (pip: {reasons[-1]}). {instead}")
    if not zipfile.is_zipfile(wheel):
        raise ValueError(f"{wheel} is not a complete wheel; delete it and run again. {instead}")
    return wheel
