"""What must not leave the machine: its own paths, and access tokens."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from huggingface_hub import constants


ACCESS_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")
ABSOLUTE = re.compile(r"(?:(?<=file://)|(?<![\w.~/-]))(?:/[\w.@+][\w.@+-]*){2,}")
HOME = r"(?<![\w.])(?:/home|/Users|[A-Za-z]:[/\\]+Users)[/\\]+[^/\\\s\"']+"
"""The home folder of anybody, on any machine."""
DRIVE = r"(?<![\w.])[A-Za-z]:\\+[^\\\s\"']+\\"
"""A path of Windows, as it is or in JSON."""
SYSTEM = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/etc/", "/dev/", "/proc/", "/sys/")
"""Paths that every machine has, which say nothing of this one."""
PLACEHOLDER = "/path/to/"
FENCE = ("```", "~~~")


def shareable(value: Any) -> Any:
    """Return settings with absolute paths made relative to the working folder, or else only their last part."""
    if isinstance(value, dict):
        return {key: shareable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shareable(each) for each in value]
    if not isinstance(value, str | os.PathLike) or not os.path.isabs(value):
        return value
    relative = os.path.relpath(value)
    return Path(value).name if relative.startswith(os.pardir) or relative == os.curdir else Path(relative).as_posix()


def check_publishable(name: str, path: Path, folder: Path, is_record: bool = False) -> None:
    """
    Raise a `ValueError` that names the line of a text file with an access token or a path of this machine.

    A record, which people and programs write about a model, has no absolute path of any machine outside of code blocks.
    """
    private = re.compile("|".join(_places(folder)))
    text = path.read_bytes().replace(b"\0", b"").decode("utf-8", errors="ignore")  # UTF-16 becomes readable, too
    in_block = False
    for number, line in enumerate(text.splitlines(), start=1):
        if ACCESS_TOKEN.search(line):
            raise ValueError(f"{name}, line {number}: it looks like an access token of the Hub (hf_...). Remove it.")
        in_block ^= path.suffix == ".md" and line.lstrip().startswith(FENCE)
        found = private.search(line)
        paths = ABSOLUTE.findall(line.replace(r"\/", "/"))  # as some programs write JSON
        own = [found[0]] if found else [each for each in paths if _is_here(each)]
        if not own and is_record and not in_block:
            own = [each for each in paths if _is_of_a_machine(each)]
        if own:
            raise ValueError(
                f"{name}, line {number}: {own[0]!r} is a path of a machine. Put a name or a relative path there."
            )


def _places(folder: Path) -> Iterator[str]:
    """Patterns for home folders, and for where work is done here, also as JSON writes them."""
    yield from (HOME, DRIVE)
    places = {Path.home(), Path.cwd(), folder.absolute(), Path(gettempdir()), Path(constants.HF_HOME)}
    for place in sorted({each for path in places for each in (path, path.resolve())}):
        if place != Path(place.anchor):
            for text in {str(place), json.dumps(str(place))[1:-1]}:
                yield rf"(?<![\w.~-]){re.escape(text)}(?![\w.-])[^\s\"']*"


def _is_here(path: str) -> bool:
    """Whether an absolute path, or the folder that it is in, is on this machine."""
    parents = [each for each in (Path(path), Path(path).parent) if len(each.parts) > 2]
    return not path.startswith(SYSTEM) and any(os.path.exists(each) for each in parents)


def _is_of_a_machine(path: str) -> bool:
    """Whether this can be a path somewhere; `/a/e/o` are sounds of speech."""
    return not path.startswith((*SYSTEM, PLACEHOLDER)) and any(len(part) > 1 for part in path.split("/"))
