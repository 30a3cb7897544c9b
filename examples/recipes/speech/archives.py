"""Readers of the archives that openly licensed speech comes in: each yields [`RawClip`]s in a fixed order."""

import re
from collections.abc import Iterator
from pathlib import Path

from transformers.utils import logging

from .audio import RawClip


logger = logging.get_logger(__name__)

_DRASCULA_LINE = re.compile(r"([A-Z]*)\d+")
_DRASCULA_RATE = 11025
_FILLETS_LINE = re.compile(r'dialogId\("([^"]+)",\s*"font_([^"]+)",\s*"[^"]*"\)\s*dialogStr\("([^"]*)"\)')
_FILLETS_FISH = {"small": "small-fish", "big": "big-fish"}


def find_one(roots: list[Path], pattern: str) -> Path:
    """
    Finds the one path that matches below the unpacked packages.

    Args:
        roots (`list[Path]`):
            Folders of the unpacked packages.
        pattern (`str`):
            A glob pattern.

    Returns:
        `Path`: The match.

    Raises:
        ValueError: None or several match.
    """
    found = sorted(path for root in roots for path in root.rglob(pattern))
    if len(found) != 1:
        places = ", ".join(str(root) for root in roots)
        raise ValueError(f"expected one {pattern!r} below {places}, found {len(found)}; unpack the package again")
    return found[0]


def read_drascula(roots: list[Path]) -> Iterator[RawClip]:
    """
    Reads the lines of Drascula: unsigned 8-bit PCM at 11,025 Hz; the letters before the number tell the character.

    Args:
        roots (`list[Path]`):
            The unpacked package.

    Yields:
        [`RawClip`]: Clips without transcripts; files without letters are the hero's, `hacker`.
    """
    paths = sorted(path for root in roots for path in root.rglob("*.ALS"))
    if not paths:
        raise ValueError(f"no *.ALS files below {', '.join(map(str, roots))}; unpack the package again")
    for path in paths:
        line = _DRASCULA_LINE.fullmatch(path.stem)
        if line is None:
            raise ValueError(f"{path.name!r} is not named like a line of Drascula (letters, then digits)")
        speaker = line[1].lower() or "hacker"
        yield RawClip(name=path.stem, speaker=speaker, data=path.read_bytes(), pcm_rate=_DRASCULA_RATE)


def fillets_lines(roots: list[Path], language: str) -> dict[tuple[str, str], tuple[str, str]]:
    """
    Reads who says what from the game's dialogue scripts.

    Args:
        roots (`list[Path]`):
            The unpacked packages, among them `fillets-ng-data`, which holds the scripts of all languages.
        language (`str`):
            `"cs"` or `"nl"`.

    Returns:
        `dict[tuple[str, str], tuple[str, str]]`: (level, line) to (speaker, text in that language). The colour of a
        line tells its speaker: the two fish have theirs everywhere, other characters theirs within a level.
    """
    lines = {}
    for script in sorted(path for root in roots for path in root.rglob(f"dialogs_{language}.lua")):
        level = script.parent.name
        for name, colour, text in _FILLETS_LINE.findall(script.read_text(encoding="utf-8")):
            lines[level, name] = (_FILLETS_FISH.get(colour, f"{level}-{colour}"), text)
    if not lines:
        raise ValueError(f"no dialogs_{language}.lua below {', '.join(map(str, roots))}; fillets-ng-data is needed")
    return lines


def read_fillets(roots: list[Path]) -> Iterator[RawClip]:
    """
    Reads the lines of Fish Fillets NG in the language of the first package.

    Only sounds that the dialogue scripts list as lines are speech; the others (effects, shouts) are left out.

    Args:
        roots (`list[Path]`):
            The unpacked packages: `fillets-ng-data-LANGUAGE`, then `fillets-ng-data` for the scripts.

    Yields:
        [`RawClip`]: Clips with transcripts.
    """
    paths = sorted(roots[0].rglob("*.ogg"))  # …/sound/LEVEL/LANGUAGE/LINE.ogg
    languages = {path.parent.name for path in paths}
    if len(languages) != 1:
        raise ValueError(f"expected sounds in one language below {roots[0]}, found {sorted(languages) or 'none'}")
    lines = fillets_lines(roots, languages.pop())
    skipped = 0
    for path in paths:
        level = path.parent.parent.name
        if (level, path.stem) not in lines:
            skipped += 1
            continue
        speaker, text = lines[level, path.stem]
        yield RawClip(name=f"{level}/{path.stem}", speaker=speaker, data=path.read_bytes(), transcript=text or None)
    logger.info(f"{roots[0].name}: {skipped} sounds are not lines of the scripts and were left out")
