"""Fetching Debian packages and unpacking them without installing anything."""

import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers.utils import logging

from smoothclap_trainer.files import file_sha256


logger = logging.get_logger(__name__)

PINNED = {
    "drascula": {"1.0+ds4-2": "ed4af8e2d41ad446e2f3b73533daa1804e2f13f62f596c0b02b8dc39544f22b4"},
    "espeak-ng": {"1.51+dfsg-10+deb12u2": "a11396a690f85f55e6e6b2965505237ddf3dc95c51936aa61de936f1ccf8f4d0"},
    "espeak-ng-data": {"1.51+dfsg-10+deb12u2": "573f5661c6a5adcf949018baad158c4c773bf5579390ee5235a890f1cd694106"},
    "fillets-ng-data": {"1.0.1-1.1": "25de89afd8b1adf7bcace8290248a6a22c89cd42300317e69000e162c032cf84"},
    "fillets-ng-data-cs": {"1.0.1-1.1": "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14"},
    "fillets-ng-data-nl": {"1.0.1-1.1": "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10"},
    "flight-of-the-amazon-queen": {"1.0.0-9": "40c08fd258d6fe95c46c1eaf5e9137f84ba330657995a281bd887c94a560a0f1"},
    "hedgewars-data": {"1.0.2-6": "722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761"},
    "libespeak-ng1": {"1.51+dfsg-10+deb12u2": "2b127a95b50d92cbd7a615968d2ac1566e1cbc87e27bcda0c2894afb2407c6d2"},
    "libpcaudio0": {"1.2-2": "5309759e4d129c7d9a601240cc6e62820ecfa86a1a98e207992ffa6a572dbcd2"},
    "libsonic0": {"0.2.0-12": "9d60de6918ace0b10e3e4e95421befd08aaf03b5b2a3d71ceb799e0cf259916f"},
    "mythes-de": {"20160424-4": "d6dd3e78cee27689f20e5e832b8a47ba674f421c925ab8eeb1d992dda09606b0"},
    "wordnet-base": {"1:3.0-37": "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"},
}
"""SHA-256 of the files of Debian 12 by package and version (of programs, for amd64): no other file is unpacked."""


@dataclass(frozen=True)
class Package:
    """
    A fetched and unpacked package.

    Args:
        name (`str`):
            Debian package name.
        version (`str`):
            Its version, by [`PINNED`].
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
    Fetches a Debian package and unpacks it, without installing and without root rights.

    The file is reused, after its hash is checked, and unpacked anew each time: files that were changed do not stay.

    Args:
        name (`str`):
            Debian package name.
        cache (`str` or `Path`):
            Folder for `.deb` files and unpacked packages.

    Returns:
        [`Package`]: Where it is and what it is.

    Raises:
        ValueError: The file is not one of [`PINNED`]; or apt or dpkg-deb is missing, or one of them failed.
    """
    cache = Path(cache).absolute()
    deb = find_deb(name, cache)
    sha256, pinned = file_sha256(deb), PINNED.get(name, {})
    versions = [version for version, known in pinned.items() if known == sha256]
    if not versions:
        raise ValueError(
            f"{deb} has the SHA-256 {sha256}, which is not that of {name} {' or '.join(pinned) or '(no version)'}: it "
            "is not unpacked. Delete it if it is damaged; if you trust another version, add it to PINNED."
        )
    root, partial = cache / deb.stem, cache / f"{deb.stem}.part"
    shutil.rmtree(partial, ignore_errors=True)
    _run(["dpkg-deb", "--extract", str(deb), str(partial)], cache, f"install dpkg, or delete {deb} and try again")
    shutil.rmtree(root, ignore_errors=True)
    partial.replace(root)
    return Package(name=name, version=versions[0], sha256=sha256, root=root)
