"""Openly licensed speech corpora, one row each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .archives import read_drascula, read_fillets
from .audio import MIN_DURATION, RawClip
from .hedgewars import read_hedgewars
from .queen import ACTORS, VALIDATION_ACTORS, read_queen


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
            BCP-47 tag of the speech; of most of it where clips have their own.
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
        min_duration (`float`, defaults to 0.5):
            Shorter clips, in seconds, are dropped.
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
    min_duration: float = MIN_DURATION
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
                "the character, from dialogue files and the scripts of cutaways; lines whose speaker these do not tell "
                "are left out; `actor` is from the game's credits, empty for four characters that two actors may play"
            ),
            validation_speakers=tuple(name for actor in VALIDATION_ACTORS for name in ACTORS[actor]),
            notes="acted English with transcripts, MP3, 11,025 Hz, little above 4 kHz; splits by actor; (C) John "
            "Passfield and Steven Stamatiadis",
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
        CorpusSpec(
            name="hedgewars",
            packages=("hedgewars-data",),
            language="en",
            licence="GFDL-1.3",
            split="test",
            reader=read_hedgewars,
            speakers="the voice, from the folder's name; some actors may have several",
            min_duration=0.25,  # shouts; all that a name gives an emotion or arousal are longer
            notes="acted shouts in English, Spanish, Polish, Russian and Ukrainian, OGG, 44,100 and 48,000 Hz; "
            "`emotion_intent` and `arousal_intent` are what the file's name suggests, nobody rated the shouts",
        ),
    )
}
