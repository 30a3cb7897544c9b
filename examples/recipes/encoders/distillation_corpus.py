"""Gather the sentences that the text tower is distilled on."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from smoothclap_trainer.data.captions import caption, language_data, phrases, tag_text

from .german import inflect
from .text_sources import (
    ADJECTIVE_ENDINGS,
    english_adjectives,
    english_glosses,
    english_synsets,
    german_adjectives,
    german_synonyms,
    german_synsets,
)
from .voice_descriptions import LANGUAGES, Description, describe


@dataclass(frozen=True)
class Sentence:
    """
    A sentence to distil on.

    Args:
        text (`str`): The sentence.
        language (`str`): `"en"` or `"de"`.
        source (`str`): `"description"`, `"caption"`, `"adjective"`, `"gloss"`, `"synonyms"` or `"long"`.
        meaning (`str`, *optional*): What it says of a voice, the same for paraphrases and translations.
        held_out (`bool`): Whether it serves for figures only.
    """

    text: str
    language: str
    source: str
    meaning: str | None = None
    held_out: bool = False


@dataclass(frozen=True)
class CorpusSizes:
    """How many of each kind; `combinations` are those of two, three and five facets, each worded in both languages."""

    combinations: tuple[int, int, int] = (3000, 1000, 300)
    captions: int = 1500
    adjectives: int = 2500
    glosses: int = 9000
    synonyms: int = 8000
    long: int = 800
    held_out_meanings: int = 400
    held_out_texts: int = 400


def descriptions(sizes: CorpusSizes, seed: int) -> list[Sentence]:
    """Generated descriptions; of those with several facets, some meanings are held out, in all their wordings."""
    made: list[Description] = describe(
        dict(zip((2, 3, 5), sizes.combinations, strict=True)), {1: 3, 2: 2, 3: 1, 5: 1}, seed
    )
    several = sorted({each.meaning for each in made if " + " in each.meaning})
    held_out = set(random.Random(seed).sample(several, sizes.held_out_meanings))
    return [Sentence(each.text, each.language, "description", each.meaning, each.meaning in held_out) for each in made]


def wordings(rng: random.Random) -> list[Sentence]:
    """Every wording of a level that captions are made from, alone and in a frame, once per language."""
    made = []
    for language in LANGUAGES:
        data = language_data(language)
        for group, levels in data.wordings.items():
            for level in levels:
                for phrase in phrases(group, level, language):
                    text = phrase.format(person=rng.choice(data.persons["unknown"]))
                    frames = data.frames + data.noun_frames if phrase.startswith(data.articles) else data.frames
                    for said in (text, rng.choice([frame for frame in frames if frame != "{}"]).format(text)):
                        made.append(Sentence(said, language, "caption", f"{group}:{level}"))
    return made


def captions(number: int, seed: int) -> list[Sentence]:
    """All wordings of `smoothclap_trainer`'s captions, then captions and tag texts of random clips."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    made = wordings(rng)
    levels_of = {group: sorted(levels) for group, levels in language_data("en").wordings.items()}
    for _ in range(number):
        groups = rng.sample(sorted(levels_of), rng.choice((1, 1, 2, 3)))
        levels = {group: rng.choice(levels_of[group]) for group in groups}
        meaning = " + ".join(sorted(f"{group}:{level}" for group, level in levels.items()))
        for language in LANGUAGES:
            for _ in range(2):
                text = caption(levels, language, generator, max_phrases=len(levels))
                # A caption may leave some of the groups out; then its meaning is nobody else's.
                exact = len(levels) == 1
                made.append(Sentence(text, language, "caption", meaning if exact else None))
        made.append(Sentence(tag_text(levels), "en", "caption", meaning))
    return made


def adjectives(packages: dict[str, Path], number: int, rng: random.Random) -> list[Sentence]:
    """Adjectives of all kinds, said of a voice or a person, so that words in no table are understood too."""
    english = ("{}", "a voice that is {}", "this person is feeling {}", "someone sounds {}")
    german = ("{}", "die Stimme klingt {}", "diese Person fühlt sich {}")
    made = []
    for word in rng.sample(english_adjectives(packages["wordnet-base"]), number):
        made.append(Sentence(rng.choice(english).format(word), "en", "adjective"))
    for word in rng.sample(german_adjectives(packages["mythes-de"]), number):
        text = rng.choice((*german, f"eine {inflect(word, 'e')} Stimme")).format(word)
        made.append(Sentence(text, "de", "adjective"))
    return made


# What a dictionary's word can be said of, by its part of speech.
USES = {
    "adj": ("a {} voice", "a voice that is {}", "{} speech"),
    "adv": ("speaking {}", "someone talks {}"),
    "verb": ("to {}", "someone begins to {}"),
    "noun": ("a voice of {}", "a {} voice", "{}"),
}
MOST_WORDS = 4


def dictionary(packages: dict[str, Path]) -> list[Sentence]:
    """
    Words of dictionaries said of a voice; synonyms and their definition mean the same.

    So a word that no description of this project uses is understood by its definition: the teacher alone does not know
    that a breakneck pace is fast.
    """
    made = []
    for part, uses in USES.items():
        for number, (words, definition) in enumerate(english_synsets(packages["wordnet-base"], part)):
            meaning = f"wordnet {part} {number}"
            made += [
                Sentence(use.format(word), "en", "dictionary", meaning) for word in words[:MOST_WORDS] for use in uses
            ]
            made.append(Sentence(definition, "en", "dictionary", meaning))
    for number, entry in enumerate(german_synsets(packages["mythes-de"])):
        meaning = f"thesaurus {number}"
        for word in entry[: 2 * MOST_WORDS]:
            made.append(Sentence(word, "de", "dictionary", meaning))
            if word.endswith(ADJECTIVE_ENDINGS) and " " not in word:
                made.append(Sentence(f"eine {inflect(word, 'e')} Stimme", "de", "dictionary", meaning))
    return made


def general(packages: dict[str, Path], sizes: CorpusSizes, rng: random.Random) -> list[Sentence]:
    """English glosses and German synonyms, some held out, and some joined to texts of up to a hundred words."""
    made = []
    for source, language, texts, number in (
        ("gloss", "en", english_glosses(packages["wordnet-base"]), sizes.glosses),
        ("synonyms", "de", german_synonyms(packages["mythes-de"]), sizes.synonyms),
    ):
        drawn = rng.sample(texts, number + sizes.held_out_texts)
        made += [
            Sentence(text, language, source, held_out=index < sizes.held_out_texts) for index, text in enumerate(drawn)
        ]
        for _ in range(sizes.long // 2):
            made.append(Sentence(". ".join(rng.sample(texts, rng.randint(3, 7))), language, "long"))
    return made


def without_leaks(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Each text once per language, and none to train on whose text or meaning is held out."""
    texts = {sentence.text.lower() for sentence in sentences if sentence.held_out}
    meanings = {sentence.meaning for sentence in sentences if sentence.held_out} - {None}
    kept: dict[tuple[str, str], Sentence] = {}
    for sentence in sentences:
        hidden = sentence.held_out or sentence.text.lower() in texts
        if sentence.meaning in meanings and not hidden:
            continue
        kept.setdefault((sentence.language, sentence.text), replace(sentence, held_out=hidden))
    return list(kept.values())


def build_corpus(packages: dict[str, Path], sizes: CorpusSizes, seed: int) -> list[Sentence]:
    """
    All sentences, in an order that depends on the seed alone.

    Captions come first: a text that is also a generated description keeps the caption's meaning. Neither holds a word
    that an evaluation asks for as unseen; dictionaries, adjectives, glosses and synonyms are general language and may.

    Args:
        packages (`dict[str, Path]`): Where the Debian packages `wordnet-base` and `mythes-de` are unpacked.
        sizes (`CorpusSizes`): How many of each kind.
        seed (`int`): Seed of all choices.
    """
    rng = random.Random(seed)
    sentences = captions(sizes.captions, seed) + descriptions(sizes, seed)
    sentences += dictionary(packages) + adjectives(packages, sizes.adjectives, rng) + general(packages, sizes, rng)
    return without_leaks(sentences)
