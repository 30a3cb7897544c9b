"""Files that appear whole or not at all, their hashes, and folders that one run has for itself."""

import hashlib
import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout


LOCK_FILE = ".lock"


@contextmanager
def held(folder: str | Path, by_this_process: bool = True) -> Iterator[None]:
    """
    Keep a folder, which is made if missing, for this run until the block ends; blocks of one thread may be nested.

    The lock belongs to the process: when that ends, however it ends, the folder is free. Of a run of several processes
    one holds the folder. A `ValueError` if another run does.
    """
    if not by_this_process:
        yield
        return
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except Timeout:
        holder = (folder / LOCK_FILE).read_text(encoding="utf-8").strip()
        raise ValueError(
            f"{str(folder)!r} is in use by another run{holder and f' ({holder})'}: wait for its end, or choose another "
            "folder."
        ) from None
    try:
        (folder / LOCK_FILE).write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        if lock.lock_counter == 1:
            with suppress(OSError):  # some systems keep files that are open
                (folder / LOCK_FILE).unlink()  # still held: FileLock never takes a file that was removed
        lock.release()


class Record(StrEnum):
    """What training and evaluation write next to the weights of a model, and what a person adds there."""

    ATTRIBUTES = "attributes.csv"
    CONVERSION = "conversion.json"
    """Where converted weights come from, and what they were made for."""

    DATA = "data.json"
    LICENCES = "licences.json"
    """What a checkpoint was made from, with the licences: a list of kind, name and licence."""

    LOG = "training_log.yaml"
    METRICS = "metrics.json"
    NOTES = "notes.md"
    OBJECTIVE = "objective.json"
    ORIGIN = "origin.json"
    PLOTS = "pictures"
    PREVIOUS = "previous"
    """A folder with the results of the version before, for comparison; a person puts them there."""

    PROVENANCE = "provenance.json"
    RECORDINGS = "training_recordings.txt"
    """The SHA-256 of every audio file that a checkpoint was trained or validated on, one a line."""

    REPORT = "report.md"
    RESULTS = "results.json"
    SETTINGS = "training_config.yaml"
    STANDARDISATION = "standardisation.json"
    TEXT_TOWER = "text_tower.json"
    THRESHOLDS = "thresholds.json"
    VERSIONS = "versions.json"
    ZERO_SHOT = "zero_shot.json"


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """
    Give a path to write to; when the block ends, the finished file takes its place at once.

    Missing parent folders are made. After an error nothing is left behind. Two processes that write the same file do
    not disturb each other.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="unfinished-") as scratch:
        unfinished = Path(scratch) / path.name
        yield unfinished
        unfinished.replace(path)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path: str | Path, content: Any) -> None:
    """Write indented JSON in UTF-8, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
