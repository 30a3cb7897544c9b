"""Read English glosses and German synonyms as the Debian packages `wordnet-base` and `mythes-de` hold them."""

import re
from collections.abc import Iterable
from pathlib import Path


WORDNET = "usr/share/wordnet"
THESAURUS = "usr/share/mythes/th_de_DE_v2.dat"
ABOUT_VOICES = re.compile(
    r"\b(voice|vocal|sound|speech|speak|talk|utter|tone|pitch|loud|quiet|soft|nois|fast|slow|speed|tempo|pace|rapid|quick"
    r"|excit|calm|emotion|feel|angry|anger|sad|happ|joy|fear|afraid|tired|energ|lively|monoton|melod|music|sing|shout|cry"
    r"|whisper)"
)
UEBER_STIMMEN = re.compile(
    r"\b(stimmen?|klang|klingen|ton|laut|leise|still|sprechen|reden|schreien|rufen|flüstern|singen|schnell|langsam|hoch|tief"
    r"|hell|dunkel|eintönig|monoton|lebhaft|aufgeregt|erregt|ruhig|gelassen|traurig|fröhlich|wütend|ängstlich|gelangweilt"
    r"|müde|tempo)\b",
    re.IGNORECASE,
)
"""What an entry of a dictionary is about if it can help to understand descriptions of voices."""
LEXICOGRAPHER_FILES = {"noun": ("07", "10", "11", "12"), "verb": ("29", "32", "37", "38", "39")}
"""WordNet's fields to take words from: attributes, communication, events, feelings; body, communication, emotion,
motion, perception. Of adjectives and adverbs it has none, and all are taken."""
ADJECTIVE_ENDINGS = ("ig", "lich", "isch", "voll", "los", "sam", "haft", "end", "bar", "iert")


def wordnet_lines(root: Path, parts: Iterable[str]) -> list[str]:
    """
    The entries of WordNet's data files.

    Args:
        root (`Path`): Where the package is unpacked.
        parts (`Iterable[str]`): Parts of speech: `"noun"`, `"verb"`, `"adj"`, `"adv"`.
    """
    lines: list[str] = []
    for part in parts:
        # Two spaces start the lines of the licence at the top of each file.
        content = (root / WORDNET / f"data.{part}").read_text("ascii")
        lines += [line for line in content.splitlines() if line and not line.startswith("  ")]
    return lines


def lemma_and_definition(line: str) -> tuple[str, str]:
    """
    An entry's first word and its definition without the example sentences.

    >>> lemma_and_definition('00005930 03 n 01 dwarf 0 001 @ 0 n 0000 | a small plant; "a dwarf tree"  ')
    ('dwarf', 'a small plant')
    """
    fields, gloss = line.split("|", maxsplit=1)
    lemma = re.sub(r"\(\w+\)$", "", fields.split()[4]).replace("_", " ")
    return lemma, gloss.split('; "')[0].strip()


def english_synsets(root: Path, part: str) -> list[tuple[tuple[str, ...], str]]:
    """The words and the definition of each of WordNet's entries of one part of speech that may concern voices."""
    found = []
    for line in wordnet_lines(root, (part,)):
        fields, (_, definition) = line.split("|")[0].split(), lemma_and_definition(line)
        words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
        wanted = part not in LEXICOGRAPHER_FILES or fields[1] in LEXICOGRAPHER_FILES[part]
        if wanted and ABOUT_VOICES.search(definition):
            found.append((tuple(re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in words), definition))
    return found


def german_synsets(root: Path) -> list[list[str]]:
    """The thesaurus' sets of synonyms that may concern voices."""
    return [entry for entry in german_entries(root) if any(map(UEBER_STIMMEN.search, entry)) and len(entry) > 1]


def english_glosses(root: Path) -> list[str]:
    """All definitions, every second one with the word that it defines before it."""
    lines = wordnet_lines(root, ("noun", "verb", "adj", "adv"))
    pairs = [lemma_and_definition(line) for line in lines]
    return [f"{lemma}: {definition}" if index % 2 else definition for index, (lemma, definition) in enumerate(pairs)]


def english_adjectives(root: Path) -> list[str]:
    """All adjectives of one word in lower case, sorted."""
    lemmas = {lemma_and_definition(line)[0] for line in wordnet_lines(root, ("adj",))}
    return sorted(lemma for lemma in lemmas if re.fullmatch("[a-z]{3,}", lemma))


def german_entries(root: Path) -> list[list[str]]:
    """The thesaurus' sets of synonyms, without remarks in brackets, each set once."""
    content = (root / THESAURUS).read_text("utf-8")
    entries: dict[tuple[str, ...], None] = {}
    for line in content.splitlines():
        if line.startswith("-|"):
            words = [re.sub(r"\s*\([^)]*\)\s*", " ", word).strip() for word in line[2:].split("|")]
            entries[tuple(word for word in words if word)] = None
    return [list(entry) for entry in entries if entry]


def german_synonyms(root: Path, most: int = 6) -> list[str]:
    """Each set of at least two synonyms as one line, cut after `most` of them."""
    return [", ".join(entry[:most]) for entry in german_entries(root) if len(entry) > 1]


def german_adjectives(root: Path) -> list[str]:
    """All words in lower case with an adjective's ending, sorted."""
    words = {word for entry in german_entries(root) for word in entry}
    return sorted(word for word in words if re.fullmatch("[a-zäöüß]{4,}", word) and word.endswith(ADJECTIVE_ENDINGS))
