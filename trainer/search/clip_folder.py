"""The audio files of a folder: which there are, what they hold, and which of them are bad."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from transformers.utils import logging

from ..data.clips import ClipError, clip_problem, decode_clip_of
from ..data.workers import ordered_map


logger = logging.get_logger(__name__)

BadClipPolicy = Literal["raise", "skip"]

SHOWN = 20
"""At most this many bad clips are listed in an error."""
SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")
"""Of audio files, in any case."""


class BadClip(TypedDict):
    """A clip that cannot be used: its name, one of [`~smoothclap_trainer.data.clips.PROBLEMS`], and the whole story."""

    name: str
    problem: str
    detail: str


def find_audio(clips: str | Path | Sequence[str | Path]) -> tuple[Path, list[str]]:
    """
    List audio files.

    Args:
        clips (`str`, `Path` or a sequence of them): A folder, which is searched with the folders below it for files
            that end in [`SUFFIXES`], in any case; names that begin with a dot are passed over, as `ls` does, and so are
            links to folders. Or paths of audio files, whatever they end in; they need not exist, and one that is
            repeated counts once.

    Returns:
        `tuple[Path, list[str]]`: The folder, or the nearest one that has all the paths below it, absolute; and the
        files' names relative to it, with `/` between their parts: sorted in a folder, as given in a sequence.

    Raises:
        ValueError: There is no such folder, or no audio file.

    Example:

    ```python
    >>> from smoothclap_trainer.search.clip_folder import find_audio
    >>> folder, names = find_audio(["/speech/anna/1.wav", "/speech/ben/1.wav"])
    >>> str(folder), names
    ('/speech', ['anna/1.wav', 'ben/1.wav'])

    ```
    """
    if isinstance(clips, str | Path):
        folder = Path(os.path.abspath(clips))
        if not folder.is_dir():
            raise ValueError(f"There is no folder {str(clips)!r}; give a folder of audio files, or a list of paths.")
        names = sorted(path.relative_to(folder).as_posix() for path in _walk(folder))
        if not names:
            raise ValueError(f"No audio files in {str(clips)!r} or below: looked for {', '.join(SUFFIXES)}.")
        return folder, names
    if not clips:
        raise ValueError("The list of clips is empty; give a folder, or paths of audio files.")
    paths = [Path(os.path.abspath(path)) for path in clips]
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    return folder, list(dict.fromkeys(path.relative_to(folder).as_posix() for path in paths))


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(SUFFIXES):
                yield Path(parent, name)


def content_digests(folder: Path, names: Sequence[str], num_workers: int = 2) -> list[str | None]:
    """
    SHA-256 of each file's bytes.

    Args:
        folder (`Path`): Where they are.
        names (`Sequence[str]`): Relative to it.
        num_workers (`int`, defaults to 2): Threads.

    Returns:
        `list[str | None]`: In hexadecimal; `None` for a file that cannot be opened, which [`find_bad_clips`] tells of.
    """
    digests = ordered_map(_digest, (folder / name for name in names), num_workers, threads=True)
    return list(logging.tqdm(digests, total=len(names), desc="reading clips", unit="clip", disable=not names))


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def find_bad_clips(folder: Path, names: Sequence[str], num_workers: int = 2) -> list[BadClip]:
    """
    Decode every clip and say which are bad, by the rules of [`~smoothclap_trainer.data.clip_checks.check_clips`]:
    missing, unreadable, truncated, empty, not finite, shorter than 60 ms or silent.

    Args:
        folder (`Path`): Where they are.
        names (`Sequence[str]`): Relative to it.
        num_workers (`int`, defaults to 2): Threads.

    Returns:
        `list[BadClip]`: The bad ones, in order.
    """
    paths = ((folder / name, name) for name in names)
    found = ordered_map(_fault, paths, num_workers, threads=True)
    return [
        bad
        for bad in logging.tqdm(found, total=len(names), desc="checking clips", unit="clip", disable=not names)
        if bad
    ]


def _fault(clip: tuple[Path, str]) -> BadClip | None:
    path, name = clip
    try:
        samples, rate = decode_clip_of({"id": name, "path": str(path)})
    except ClipError as error:
        return BadClip(name=name, problem=error.problem, detail=error.detail)
    except UnicodeEncodeError:  # soundfile opens no other names
        return BadClip(name=name, problem="unreadable", detail="its name is not UTF-8; rename the file")
    if problem := clip_problem(samples, rate):
        return BadClip(name=name, problem=problem, detail=f"{len(samples)} samples at {rate} Hz")
    return None


def refuse_another_folder(earlier: Path, folder: Path) -> None:
    """
    Keep an index from being replaced by one of other clips, for folders that have no clip in common.

    Args:
        earlier (`Path`): The folder of the index.
        folder (`Path`): The one that is to be indexed.

    Raises:
        ValueError: They are not the same folder.
    """
    if os.path.realpath(earlier) != os.path.realpath(folder):
        raise ValueError(
            f"The earlier index is of {str(earlier)!r}, and none of its clips is in {str(folder)!r}: all of it would "
            "be lost. Give the new index a place of its own (--index), or build it without `earlier`."
        )


def refuse_or_leave_out(bad: Sequence[BadClip], count: int, policy: BadClipPolicy) -> None:
    """
    Do with bad clips what was asked for.

    Args:
        bad (`Sequence[BadClip]`): Of [`find_bad_clips`].
        count (`int`): How many clips there are in all.
        policy (`str`): `"raise"`: they are an error that lists them. `"skip"`: they are a warning.

    Raises:
        ValueError: The policy is unknown, or there are bad clips and the policy is `"raise"`, or no clip is good.
    """
    if policy not in ("raise", "skip"):
        raise ValueError(f"unknown policy {policy!r} for bad clips; give 'raise' or 'skip'")
    if bad and (policy == "raise" or len(bad) == count):
        lines = [f"{each['name']}: {each['problem']} ({each['detail']})" for each in bad[:SHOWN]]
        if len(bad) > SHOWN:
            lines.append(f"... and {len(bad) - SHOWN} more")
        cure = "mend them"
        if len(bad) < count:
            cure = "mend them, or leave them out with `bad_clips='skip'` (--bad-clips skip)"
        raise ValueError("\n  ".join([f"{len(bad)} of {count} clips are bad; {cure}:", *lines]))
    if bad:
        problems = Counter(each["problem"] for each in bad)
        counts = ", ".join(f"{number} {problem}" for problem, number in problems.most_common())
        logger.warning(f"{len(bad)} of {count} clips are left out: {counts}")
