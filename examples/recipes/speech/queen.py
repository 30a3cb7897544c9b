"""Flight of the Amazon Queen: its archive, who says what in its scripts, and which actor plays whom."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from transformers.utils import logging

from .archives import find_one
from .audio import RawClip


logger = logging.get_logger(__name__)

_TABLE = 15  # after "QTBL", "CEM10\0", two zero bytes, one compression byte and the u16 count
_MP3 = 1
_HEAD = 20  # bytes before the content of .DOG, .CUT and .JAS files
_COMMAND = re.compile(r"\*(?:XY.{0,11}|.{0,2})")
_VERBS = 12
_HERO_ANSWERS = 40
_PEOPLE = (-3, -4)  # images of objects that are people in a room

HERO = "joe"

ACTORS = {
    "Barry James": ("chief", "ian"),
    "Bill Hootkins": ("bud", "chef", "frank", "john", "laris"),
    "Brad Lavelle": (HERO, "commander-rocket"),
    "Debbie Arnold": ("prin", "showeram"),
    "Enn Reitel": ("and", "death", "henry"),
    "Jessica Martin": ("naomi", "sec", "zombie"),
    "Jon Coleman": ("bob",),
    "Lisa Valdez": ("faye", "rita"),
    "Mike Hurley": ("hugh",),
    "Penelope Keith": ("oracle",),
    "Regina Reagan": ("tam", "witch"),
    "Tom Hill": ("ape", "dog", "eddy", "jim", "lou", "sparky", "wedge"),
}
"""Who plays whom by the game's credits (`CREDIT2.CRD`), under the names of the dialogue files."""

SHARED = ("klunk", "lola", "man", "rico")
"""Characters for whom the credits name two actors (`man`: two prisoners), none of them of [`VALIDATION_ACTORS`]."""

VALIDATION_ACTORS = ("Barry James", "Jessica Martin", "Jon Coleman")
"""Two men and a woman who speak 13 % of the clips and share no character with another actor."""

_CAST = {character: actor for actor, characters in ACTORS.items() for character in characters}
_CUTAWAY_NAMES = {
    "Anderson": "and",
    "Princess Azura": "prin",
    "azura obj": "prin",
    "bedraggled prisoner": "man",
    "tired prisoner": "man",
    "bellboy": "laris",
    "ferryman": "death",
    "gorilla": "ape",
    "guard dog": "dog",
    "guardian": "oracle",
    "Jimmy": "jim",
    "Joe King": HERO,
    "Mary-Lou": "tam",
    "secretary": "sec",
    "showering Amazon": "showeram",
    "Skip": "lou",
    "Trader Bob": "bob",
    "Wedgewood": "wedge",
    "witch doctor": "witch",
    "zombie woman": "zombie",
}
"""Characters whose objects in cutaways are not named like their dialogue files."""
_COMIC = ("COMIC.CUT", "commander-rocket")  # read out of a comic; no object speaks


class Line(NamedTuple):
    """What a clip says, and the character who says it; `None` where the scripts do not tell."""

    speaker: str | None
    text: str


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
    if archive[:9] != b"QTBLCEM10" or len(archive) < _TABLE:
        raise ValueError(f"not an English talkie queen.1c: it starts with {archive[:9]!r}, expected b'QTBLCEM10'")
    if archive[12] != _MP3:
        raise ValueError(f"queen.1c with compression {archive[12]}; only {_MP3} (MP3) is read")
    (count,) = struct.unpack_from(">H", archive, 13)
    entries = {}
    for index in range(count):
        name, _, offset, size = struct.unpack_from(">12sBII", archive, _TABLE + 21 * index)
        if offset + size > len(archive):
            raise ValueError(f"queen.1c is cut short: entry {index} ends at {offset + size} of {len(archive)} bytes")
        entries[name.rstrip(b"\0 ").decode("ascii")] = archive[offset : offset + size]
    return entries


def queen_lines(entries: dict[str, bytes]) -> dict[str, Line]:
    """
    Reads who says what from dialogues (`.DOG`), cutaways (`.CUT`) and the hero's answers (`QUEEN2.JAS`).

    Numbers are big-endian; texts have their length in a byte before them. A text is spoken in pieces between commands
    (`*XY..(..)` or `*` and two letters), which number the clips.

    Args:
        entries (`dict[str, bytes]`):
            What [`queen_entries`] returned.

    Returns:
        `dict[str, Line]`: Clip name, without `.SB`, to its line. Not every line has been recorded.
    """
    lines: dict[str, Line] = {}

    def add(prefix: str, speaker: str | None, text: str) -> None:
        for number, piece in enumerate(_COMMAND.split(text), start=1):
            lines.setdefault(f"{prefix}{number:x}".replace(" ", "0").upper(), Line(speaker, piece.strip()))

    strings = [line.decode("cp850").rstrip("\r") for line in entries["QUEEN2.JAS"][_HEAD:].split(b"\n")]
    rooms, names, objects, descriptions = struct.unpack_from(">4H", entries["QUEEN.JAS"], _HEAD)
    for name in sorted(name for name in entries if name.endswith(".DOG")):
        for prefix, speaker, text in _dialogue(name, entries[name]):
            add(prefix, speaker, text)
    images = list(struct.iter_unpack(">hHHHhHHh", entries["QUEEN.JAS"][_HEAD + 8 :][: 16 * objects]))
    people = [(strings[descriptions + abs(name) - 1], image in _PEOPLE) for name, *_, image in images]
    for name in sorted(name for name in entries if name.endswith(".CUT")):
        for prefix, speaker, text in _cutaway(name, entries[name], people):
            add(prefix, speaker, text)
    first = descriptions + names + rooms + _VERBS
    for number, text in enumerate([*strings[first : first + _HERO_ANSWERS], *strings[:descriptions]], start=1):
        add(f"JOE{number:04d}", HERO, text)
    return lines


def _text(content: bytes, offset: int, align: int) -> tuple[str, int]:
    """Returns a text and where the next one begins."""
    length, offset = content[offset], offset + 1
    text = content[offset : offset + length].split(b"\0")[0].decode("cp850")
    return text, -(-(offset + length) // align) * align if length else offset


def _dialogue(name: str, content: bytes) -> Iterator[tuple[str, str, str]]:
    """Yields clip prefix, speaker and text of a dialogue between the hero and whom the file is named after."""
    content = content[_HEAD:]
    levels, _, key, hero_count, other_count = struct.unpack_from(">5h", content)
    other_texts, _, parting = struct.unpack_from(">3H", content, 22)
    hero_texts = 32 + abs(levels) * 96
    speakers = {"J": HERO, "P": re.sub(r"\d*\.DOG$", "", name).lower()}
    (has_no_greeting,) = struct.unpack_from(">H", content, hero_texts + 2)
    if not has_no_greeting:
        yield f"{key:2d}SSSSJ", HERO, _text(content, hero_texts + 4, 2)[0]
    for side, offset, count in (("P", other_texts, other_count), ("J", hero_texts, hero_count)):
        for _ in range(count):
            number = struct.unpack_from(">H", content, offset + 2)[0]
            text, offset = _text(content, offset + 4, 4)
            yield f"{key:2d}{number:4x}{side}", speakers[side], text
    for side in "PJ":
        text, parting = _text(content, parting, 2)
        yield f"{key:2d}XXXX{side}", speakers[side], text


def _cutaway(name: str, content: bytes, people: list[tuple[str, bool]]) -> Iterator[tuple[str, str | None, str]]:
    """Yields clip prefix, speaker and text of a cutaway's objects; `people` are the names of all objects."""
    content, offset = content[_HEAD:], 12
    (count,) = struct.unpack_from(">h", content, 2)
    (texts,) = struct.unpack_from(">H", content, 8)
    _, texts = _text(content, texts, 2)
    for place in range(1, abs(count) + 1):
        actor, _, _, _, moves, runs, *_, source, _, _, _, _ = struct.unpack_from(">17h", content, offset)
        text, texts = _text(content, texts, 2)
        (walks,) = struct.unpack_from(">h", content, offset + 34)
        offset += 36 + 2 * walks
        title, is_person = people[actor - 1] if actor > 0 else ("", False)
        speaks = not moves and (actor == 0 or is_person)
        if runs and not speaks and source <= 0 and actor > -2:
            while struct.unpack_from(">h", content, offset)[0] != -2:
                offset += 20
            offset += 2
        speaker = HERO if actor == 0 else _CUTAWAY_NAMES.get(title, title.lower())
        if name == _COMIC[0]:
            speaker = _COMIC[1]
        known = speaker in _CAST or speaker in SHARED
        yield f"{name[:-4]:_<5}{place:02d}", speaker if known else None, text


def read_queen(roots: list[Path]) -> Iterator[RawClip]:
    """
    Reads the lines of Flight of the Amazon Queen, with their text, their character and the `actor` who plays it.

    A line whose speaker the scripts do not tell may be any actor's, also one of [`VALIDATION_ACTORS`], so it is left
    out. So are sounds without a line: effects and leftovers of the recording.

    Args:
        roots (`list[Path]`):
            The unpacked package.

    Yields:
        [`RawClip`]: Clips with transcripts.
    """
    entries = queen_entries(find_one(roots, "queen.1c").read_bytes())
    lines = queen_lines(entries)
    sounds = sorted(name.removesuffix(".SB") for name in entries if name.endswith(".SB"))
    spoken = [name for name in sounds if name in lines]
    unknown = 0
    for name in spoken:
        speaker, text = lines[name]
        if speaker is None:
            unknown += 1
            continue
        columns = {"actor": _CAST.get(speaker)}
        yield RawClip(name, speaker, entries[f"{name}.SB"], transcript=text or None, columns=columns)
    logger.info(f"queen.1c: {len(sounds) - len(spoken)} sounds are not lines and were left out")
    logger.info(f"queen.1c: {unknown} lines of unknown speakers were left out")
