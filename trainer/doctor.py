"""The state of an installation: versions, extras, ffmpeg, devices, the Hub and caches."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement


def examine() -> list[str]:
    """Return a report of the installation, line by line. It imports none of the extras."""
    return [*_versions(), "", *_extras(), "", *_ffmpeg(), *_devices(), *_hub(), "", *_caches()]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _requirements(extra: str = "") -> list[Requirement]:
    """List what the package requires, or what an extra of it adds."""
    listed = [Requirement(each) for each in requires("smoothclap") or []]
    asked = [each for each in listed if each.marker is None or each.marker.evaluate({"extra": extra})]
    return [each for each in asked if (each.marker is not None and "extra" in str(each.marker)) == bool(extra)]


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()} ({sys.executable}), {platform.platform()}"
    if _installed("smoothclap") is None:
        yield 'smoothclap is not installed, only found by its path: run pip install -e "." in its folder.'
        return
    yield f"smoothclap {_installed('smoothclap')}"
    for each in _requirements():
        found = _installed(each.name)
        fits = found is not None and each.specifier.contains(found, prereleases=True)
        wanted = "" if fits else f"  <- {str(each.specifier) or 'it'} is needed: pip install --upgrade smoothclap"
        yield f"  {each.name} {found or 'is missing'}{wanted}"


def _extras() -> Iterator[str]:
    yield "Extras"
    if _installed("smoothclap") is None:
        return
    names = dict.fromkeys(
        str(each.marker).partition("extra == ")[2].strip("\"'")
        for each in map(Requirement, requires("smoothclap") or [])
        if each.marker is not None and "extra" in str(each.marker)
    )
    for extra in names:
        missing = [each.name for each in _requirements(extra) if _installed(each.name) is None]
        lacks = f'lacks {", ".join(missing)}: pip install "smoothclap[{extra}]"'
        yield f"  {extra}: {lacks if missing else 'installed'}"


def _ffmpeg() -> Iterator[str]:
    found = shutil.which("ffmpeg")
    yield f"ffmpeg: {found or 'not found. Only pipelines of Transformers that are given a file need it.'}"


def _devices() -> Iterator[str]:
    import torch

    names = [f"cuda:{index} ({torch.cuda.get_device_name(index)})" for index in range(torch.cuda.device_count())]
    names += ["mps"] if torch.backends.mps.is_available() else []
    yield f"Devices: {', '.join([*names, f'cpu ({os.cpu_count()} cores)'])}"


def _hub() -> Iterator[str]:
    from huggingface_hub import constants, get_session, get_token

    if constants.HF_HUB_OFFLINE:
        yield "Hub: offline, because HF_HUB_OFFLINE is set"
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=5)
        reached = "can be reached"
    except Exception as error:  # of the network: classes of the client that huggingface_hub uses
        reached = f"cannot be reached ({error})"
    yield f"Hub: {constants.ENDPOINT} {reached}; {'logged in' if get_token() else 'not logged in'}"


def _caches() -> Iterator[str]:
    from huggingface_hub import constants

    folders = {"models": constants.HF_HUB_CACHE, "clips and features of training": "~/.cache/smoothclap"}
    yield "Caches"
    for what, folder in folders.items():
        path = Path(folder).expanduser()
        yield f"  {what}: {path}{'' if path.is_dir() else ' (not there yet)'}"
