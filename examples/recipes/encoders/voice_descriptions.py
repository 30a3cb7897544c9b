"""Generate descriptions of voices in English and German, knowing which of them mean the same."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .german import inflect
from .voice_words import Facet, facets


LANGUAGES = ("en", "de")

# {w}: the words as they are; {an}: with the article; {e}, {er}, {em}: with German endings; {gen}: in the genitive.
TEMPLATES: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "voice": (
            "{an} voice",
            "{w} voice",
            "the voice is {w}",
            "the voice sounds {w}",
            "this person has {an} voice",
            "someone speaks with {an} voice",
            "speaking in {an} voice",
            "the speaker's voice is {w}",
        ),
        "manner": (
            "someone speaks {w}",
            "the person is talking {w}",
            "spoken {w}",
            "a person speaking {w}",
            "the speaker talks {w}",
        ),
        "likeness": ("a voice like {w}", "someone sounds like {w}", "the speaker talks like {w}"),
        "deed": ("someone {w}", "the speaker {w}", "this person {w}"),
        "measure": ("{w}", "the {noun} is {level}", "speech with {w}", "{noun}: {level}", "a voice with {w}"),
        "emotion": (
            "{w}",
            "this person is feeling {w}",
            "someone sounds {w}",
            "{an} voice",
            "the speaker is {w}",
            "the person seems {w}",
            "speaking in {an} tone",
            "the mood is {w}",
        ),
        "feeling": (
            "{w}",
            "a voice full of {w}",
            "the voice expresses {w}",
            "the emotion is {w}",
            "one can hear {w} in the voice",
            "speech that conveys {w}",
        ),
        "speaker": ("{w}", "{w} is speaking", "the voice of {w}", "the speaker is {w}", "this sounds like {w}"),
    },
    "de": {
        "voice": (
            "eine {e} Stimme",
            "{e} Stimme",
            "die Stimme ist {w}",
            "die Stimme klingt {w}",
            "diese Person hat eine {e} Stimme",
            "jemand spricht mit {er} Stimme",
            "mit {er} Stimme gesprochen",
            "die Stimme des Sprechers ist {w}",
        ),
        "manner": (
            "jemand spricht {w}",
            "die Person redet {w}",
            "{w} gesprochen",
            "eine Person, die {w} spricht",
            "der Sprecher redet {w}",
        ),
        "likeness": ("eine Stimme wie {w}", "jemand klingt wie {w}", "die Person spricht wie {w}"),
        "deed": ("jemand {w}", "die sprechende Person {w}", "diese Person {w}"),
        "measure": (
            "{w}",
            "{article} {noun} ist {level}",
            "Sprache mit {dative}",
            "{noun}: {level}",
            "eine Stimme mit {dative}",
        ),
        "emotion": (
            "{w}",
            "diese Person fühlt sich {w}",
            "jemand klingt {w}",
            "eine {e} Stimme",
            "die sprechende Person ist {w}",
            "die Person wirkt {w}",
            "in {em} Ton gesprochen",
            "die Stimmung ist {w}",
        ),
        "feeling": (
            "{w}",
            "eine Stimme voller {w}",
            "die Stimme drückt {w} aus",
            "die Emotion ist {w}",
            "in der Stimme hört man {w}",
            "Sprache, die {w} vermittelt",
        ),
        "speaker": ("{w}", "{w} spricht", "die Stimme {gen}", "die sprechende Person ist {w}", "das klingt wie {w}"),
    },
}

# What one would rather say in one clause than in two.
COMPOUNDS: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {
    "en": {
        ("voice", "voice"): ("{an0}, {w1} voice", "a voice that is {w0} and {w1}", "{w0} and {w1} voice"),
        ("voice", "emotion"): ("{an0}, {w1} voice", "{an0} voice of someone who feels {w1}"),
        ("voice", "manner"): ("{an0} voice, speaking {w1}", "someone with {an0} voice speaks {w1}"),
        ("speaker", "voice"): ("{w0} with {an1} voice", "{w0} speaks in {an1} voice"),
        ("speaker", "emotion"): ("{w0} sounds {w1}", "{w0} who is feeling {w1}"),
        ("speaker", "manner"): ("{w0} speaks {w1}", "{w0} who is talking {w1}"),
        ("emotion", "manner"): ("this person sounds {w0} and speaks {w1}", "{an0} person is talking {w1}"),
    },
    "de": {
        ("voice", "voice"): ("eine {e0}, {e1} Stimme", "eine Stimme, die {w0} und {w1} ist", "{e0} und {e1} Stimme"),
        ("voice", "emotion"): ("eine {e0}, {e1} Stimme", "eine {e0} Stimme von jemandem, der sich {w1} fühlt"),
        ("voice", "manner"): ("eine {e0} Stimme, die {w1} spricht", "jemand mit {er0} Stimme spricht {w1}"),
        ("speaker", "voice"): ("{w0} mit {er1} Stimme", "{w0} spricht mit {er1} Stimme"),
        ("speaker", "emotion"): ("{w0} klingt {w1}", "{w0} fühlt sich {w1}"),
        ("speaker", "manner"): ("{w0} spricht {w1}", "{w0} redet {w1}"),
        ("emotion", "manner"): ("diese Person klingt {w0} und spricht {w1}", "eine {e0} Person redet {w1}"),
    },
}
# The last is the template that the zero-shot pipeline puts a label of any language into.
FRAMES = ("{}", "{}", "{}", "{}", "{}.", "This is a sound of {}.")
JOINTS = {"en": (", ", " and ", ". "), "de": (", ", " und ", ". ")}


@dataclass(frozen=True)
class Description:
    """A sentence, its language and what it says of the voice (sorted meanings, joined by `" + "`)."""

    text: str
    language: str
    meaning: str


def english_forms(facet: Facet, word: str) -> Mapping[str, str]:
    """What the English templates take."""
    if facet.kind == "measure":
        level, noun = word.split("/")
        return {"w": f"{level} {noun}", "level": level, "noun": noun}
    return {"w": word, "an": f"{'an' if word[0] in 'aeiou' else 'a'} {word}"}


def german_forms(facet: Facet, word: str) -> Mapping[str, str]:
    """What the German templates take."""
    if facet.kind == "speaker":
        nominative, genitive = word.split("/")
        return {"w": nominative, "gen": genitive}
    if facet.kind == "measure":
        level, article, noun = word.split("/")
        strong = inflect(level, {"der": "er", "die": "e", "das": "es"}[article])
        dative = inflect(level, "er" if article == "die" else "em")
        own = {"article": article, "level": level, "noun": noun}
        return own | {"w": f"{strong} {noun}", "dative": f"{dative} {noun}"}
    return {"w": word} | {ending: inflect(word, ending) for ending in ("e", "er", "em")}


def forms_of(facet: Facet, language: str, rng: random.Random) -> Mapping[str, str]:
    """A word of the facet, at random, in every form."""
    if language == "en":
        return english_forms(facet, rng.choice(facet.english))
    return german_forms(facet, rng.choice(facet.german))


def render(said: Sequence[Facet], language: str, rng: random.Random) -> str:
    """
    Say some facets in one sentence, choosing words and wording at random.

    Args:
        said (`Sequence[Facet]`): What to say; two that fit one clause are said in one, others one after the other.
        language (`str`): `"en"` or `"de"`.
        rng (`random.Random`): Where chance comes from.
    """
    forms = [forms_of(facet, language, rng) for facet in said]
    compounds = COMPOUNDS[language].get(tuple(facet.kind for facet in said))
    if compounds is not None and rng.random() < 0.7:
        numbered = {f"{name}{index}": form for index, own in enumerate(forms) for name, form in own.items()}
        return rng.choice(FRAMES).format(rng.choice(compounds).format(**numbered))
    clauses = [
        rng.choice(TEMPLATES[language][facet.kind]).format(**own) for facet, own in zip(said, forms, strict=True)
    ]
    return rng.choice(FRAMES).format(rng.choice(JOINTS[language]).join(clauses))


def meaning_of(said: Sequence[Facet]) -> str:
    return " + ".join(sorted(facet.meaning for facet in said))


def draw_facets(everything: Sequence[Facet], count: int, rng: random.Random) -> list[Facet]:
    """Facets of different attributes, in the order in which compounds name them."""
    order = ("speaker", "voice", "emotion", "feeling", "manner", "likeness", "deed", "measure")
    while True:
        said = rng.sample(everything, count)
        if len({facet.attribute for facet in said}) == count:
            return sorted(said, key=lambda facet: order.index(facet.kind))


def describe(meanings: Mapping[int, int], wordings: Mapping[int, int], seed: int) -> list[Description]:
    """
    Generate descriptions, each meaning worded several times in both languages.

    Args:
        meanings (`Mapping[int, int]`): For each number of facets in a description from two on, how many combinations to
            draw. Every word of every single facet is used.
        wordings (`Mapping[int, int]`): For each number of facets, how many wordings of a combination per language; for
            one, how many of each of its words.
        seed (`int`): Seed of all choices.

    Returns:
        `list[Description]`: Without repetitions of a text within a language.
    """
    rng = random.Random(seed)
    everything = facets()
    said = [([alone], language) for facet in everything for language in LANGUAGES for alone in apart(facet, language)]
    for count in sorted(meanings):
        drawn = [draw_facets(everything, count, rng) for _ in range(meanings[count])]
        said += [(combination, language) for combination in drawn for language in LANGUAGES]
    found: dict[tuple[str, str], Description] = {}
    for combination, language in said:
        for _ in range(wordings[len(combination)]):
            text = render(combination, language, rng)
            found.setdefault((language, text), Description(text, language, meaning_of(combination)))
    return list(found.values())


def apart(facet: Facet, language: str) -> list[Facet]:
    """The facet once with each of its words in a language."""
    words = facet.english if language == "en" else facet.german
    return [replace(facet, english=(word,), german=(word,)) for word in words]
