"""Openly licensed speech corpora, one row each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .archives import read_drascula, read_fillets, read_queen
from .audio import RawClip


@dataclass(frozen=True)
class CorpusSpec:
    """
    One corpus.

    Args:
        name (`str`):
            Short name; starts the ids of its clips.
        packages (`tuple[str, ...]`):
            Debian packages that hold it, the one with the speech first.
        language (`str`):
            BCP-47 tag of the speech.
        licence (`str`):
            Under which the audio may be used.
        split (`str`):
            `"train"` or `"test"`: a corpus is heard in training or judged on, never both.
        reader (`Callable`):
            Takes the unpacked packages' folders, yields [`RawClip`]s in a fixed order.
        speakers (`str`):
            How the speaker of a clip is known, and how far that can be trusted.
        validation_speakers (`tuple[str, ...]`):
            Speakers of a training corpus that are kept for validation.
        notes (`str`):
            What a user should know.
    """

    name: str
    packages: tuple[str, ...]
    language: str
    licence: str
    split: str
    reader: Callable[[list[Path]], Iterator[RawClip]]
    speakers: str
    validation_speakers: tuple[str, ...] = ()
    notes: str = ""


CORPORA: dict[str, CorpusSpec] = {
    spec.name: spec
    for spec in (
        CorpusSpec(
            name="queen",
            packages=("flight-of-the-amazon-queen",),
            language="en",
            licence="Flight-of-the-Amazon-Queen-License (free; not to be sold alone)",
            split="train",
            reader=read_queen,
            speakers=(
                "the hero and the characters he talks to, from file names and dialogue files; all cutaway lines are "
                "one group of mixed voices, which may repeat the others; actors may voice several characters"
            ),
            notes="acted English, MP3, 11,025 Hz, little above 4 kHz; (C) John Passfield and Steven Stamatiadis",
        ),
        CorpusSpec(
            name="drascula",
            packages=("drascula",),
            language="en",
            licence="Drascula licence (free; not to be sold alone)",
            split="train",
            reader=read_drascula,
            speakers="the character, from the letters that start the file name; actors may voice several characters",
            validation_speakers=("b", "bj", "d", "e", "f", "i", "l", "p", "s", "t"),
            notes=(
                "acted English, unsigned 8-bit PCM, 11,025 Hz; the hero and Von Braun train, the others validate; "
                "(C) Alcachofa Soft S.L."
            ),
        ),
        CorpusSpec(
            name="fillets-cs",
            packages=("fillets-ng-data-cs", "fillets-ng-data"),
            language="cs",
            licence="GPL-2.0-only",
            split="test",
            reader=read_fillets,
            speakers="the game's dialogue scripts colour each line by who speaks; two voices make most of the lines",
            notes="acted Czech with transcripts, OGG, 22,050 and 44,100 Hz",
        ),
        CorpusSpec(
            name="fillets-nl",
            packages=("fillets-ng-data-nl", "fillets-ng-data"),
            language="nl",
            licence="GPL-2.0-only",
            split="test",
            reader=read_fillets,
            speakers="the game's dialogue scripts colour each line by who speaks; the two fish alone are dubbed",
            notes="acted Dutch with transcripts, OGG, 22,050 and 44,100 Hz; a dull recording, weak above 2 kHz",
        ),
    )
}
