"""Fetching Debian packages and unpacking them without installing anything."""

import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers.utils import logging

from smoothclap_trainer.files import file_sha256


logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class Package:
    """
    A fetched and unpacked package.

    Args:
        name (`str`):
            Debian package name.
        version (`str`):
            Its version, as the package states it.
        sha256 (`str`):
            Of the `.deb` file.
        root (`Path`):
            Folder it was unpacked to.
    """

    name: str
    version: str
    sha256: str
    root: Path

    def provenance(self) -> dict[str, str]:
        """
        What to record about the package.

        Returns:
            `dict[str, str]`: Name, version and sha256.
        """
        row = asdict(self)
        del row["root"]
        return row


def _run(command: list[str], folder: Path, cure: str) -> str:
    if shutil.which(command[0]) is None:
        raise ValueError(f"{command[0]!r} is not installed; {cure}")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise ValueError(f"{' '.join(command)!r} failed: {done.stderr.strip()}; {cure}")
    return done.stdout.strip()


def find_deb(name: str, cache: Path) -> Path:
    """
    Finds a package's file in the cache, or fetches it there with `apt-get download`.

    Args:
        name (`str`):
            Debian package name.
        cache (`Path`):
            Folder of `.deb` files.

    Returns:
        `Path`: The `.deb` file; of several versions in the cache the last by name.

    Raises:
        ValueError: apt is missing, or does not know or cannot reach the package.
    """
    cache.mkdir(parents=True, exist_ok=True)
    found = sorted(cache.glob(f"{name}_*.deb"))
    if not found:
        logger.info(f"fetching {name}")
        cure = (
            f"on Debian or Ubuntu run `apt-get update` and try again, elsewhere put the file {name}_VERSION_all.deb "
            f"from a Debian mirror into {cache}"
        )
        _run(["apt-get", "download", name], cache, cure)
        found = sorted(cache.glob(f"{name}_*.deb"))
        if not found:
            raise ValueError(f"apt-get download {name} left no {name}_*.deb in {cache}; {cure}")
    return found[-1]


def fetch_package(name: str, cache: str | Path) -> Package:
    """
    Fetches a Debian package and unpacks it, without installing and without root rights; reuses what is there.

    Args:
        name (`str`):
            Debian package name.
        cache (`str` or `Path`):
            Folder for `.deb` files and unpacked packages.

    Returns:
        [`Package`]: Where it is and what it is.

    Raises:
        ValueError: apt or dpkg-deb is missing, or one of them failed.
    """
    cache = Path(cache).absolute()
    deb = find_deb(name, cache)
    cure = f"install dpkg, or delete {deb} if it is damaged and try again"
    version = _run(["dpkg-deb", "--field", str(deb), "Version"], cache, cure)
    root = cache / deb.stem
    if not root.is_dir():
        partial = cache / f"{deb.stem}.part"
        shutil.rmtree(partial, ignore_errors=True)
        _run(["dpkg-deb", "--extract", str(deb), str(partial)], cache, cure)
        partial.replace(root)
    return Package(name=name, version=version, sha256=file_sha256(deb), root=root)
