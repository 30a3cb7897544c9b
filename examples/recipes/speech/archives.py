"""Readers of the archives that openly licensed speech comes in: each yields [`RawClip`]s in a fixed order."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from transformers.utils import logging

from .audio import RawClip


logger = logging.get_logger(__name__)

_QUEEN_HEAD = 15  # "QTBL", "CEM10\0", two zero bytes, one compression byte, u16 count
_QUEEN_MP3 = 1
_QUEEN_DIALOGUE = re.compile(r"(\d\d)....([JP])\w\.SB")
_QUEEN_HERO = re.compile(r"JOE\d{5}\.SB")
_QUEEN_CUTAWAY = re.compile(r"C.{4}\d\d\w\.SB")
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


def queen_entries(archive: bytes) -> dict[str, bytes]:
    """
    Splits a `queen.1c` archive (Flight of the Amazon Queen, talkie, as packed for ScummVM).

    Layout, big-endian: `QTBL`, `CEM10\\0`, two zero bytes, a compression byte (1 = MP3), u16 count; then per entry a
    name of 12 bytes, a bundle byte, u32 offset and u32 size.

    Args:
        archive (`bytes`):
            The whole file.

    Returns:
        `dict[str, bytes]`: Entry name to content, in file order.

    Raises:
        ValueError: Not such a file, another compression, or cut short.
    """
    if archive[:9] != b"QTBLCEM10" or len(archive) < _QUEEN_HEAD:
        raise ValueError(f"not an English talkie queen.1c: it starts with {archive[:9]!r}, expected b'QTBLCEM10'")
    if archive[12] != _QUEEN_MP3:
        raise ValueError(f"queen.1c with compression {archive[12]}; only {_QUEEN_MP3} (MP3) is read")
    (count,) = struct.unpack_from(">H", archive, 13)
    entries = {}
    for index in range(count):
        name, _, offset, size = struct.unpack_from(">12sBII", archive, _QUEEN_HEAD + 21 * index)
        if offset + size > len(archive):
            raise ValueError(f"queen.1c is cut short: entry {index} ends at {offset + size} of {len(archive)} bytes")
        entries[name.rstrip(b"\0 ").decode("ascii")] = archive[offset : offset + size]
    return entries


def queen_characters(entries: dict[str, bytes]) -> dict[int, str]:
    """
    Maps the number that dialogue clips start with to the character who talks.

    Each `.DOG` file is a dialogue with one character, named after them (`SPARKY3.DOG`); behind its 20 byte head come
    big-endian i16 values, of which the third is the number in the clips' names.

    Args:
        entries (`dict[str, bytes]`):
            What [`queen_entries`] returned.

    Returns:
        `dict[int, str]`: Number to lower-case character name.
    """
    characters = {}
    for name, content in entries.items():
        if name.endswith(".DOG"):
            _, _, talk_key = struct.unpack_from(">hhh", content, 20)
            characters[talk_key] = re.sub(r"\d*\.DOG$", "", name).lower()
    return characters


def read_queen(roots: list[Path]) -> Iterator[RawClip]:
    """
    Reads the lines of Flight of the Amazon Queen.

    Speakers: hero lines (`JOE…`, and `J` within dialogues) are `joe`; the other side of a dialogue is its character;
    cutaways mix voices that the names do not tell apart, so all of them are the one group `cutaways`. Other sound
    entries (effects, leftovers of the recording) are no speech lines and are left out.

    Args:
        roots (`list[Path]`):
            The unpacked package.

    Yields:
        [`RawClip`]: Clips without transcripts.
    """
    entries = queen_entries(find_one(roots, "queen.1c").read_bytes())
    characters = queen_characters(entries)
    skipped = 0
    for name in sorted(name for name in entries if name.endswith(".SB")):
        dialogue = _QUEEN_DIALOGUE.fullmatch(name)
        if _QUEEN_HERO.fullmatch(name) or (dialogue and dialogue[2] == "J"):
            speaker = "joe"
        elif dialogue and int(dialogue[1]) in characters:
            speaker = characters[int(dialogue[1])]
        elif _QUEEN_CUTAWAY.fullmatch(name):
            speaker = "cutaways"
        else:
            skipped += 1
            continue
        yield RawClip(name=name.removesuffix(".SB"), speaker=speaker, data=entries[name])
    logger.info(f"queen.1c: {skipped} sound entries are not speech lines and were left out")


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
