"""A protocol of zero-shot evaluation: which clips of a corpus are judged, and how text names their classes."""

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from pydantic import Field


@dataclass(frozen=True)
class Prompt:
    """One way to ask for the classes, with a text for each."""

    words: int  # the place of the wording; 0 is the protocol's
    template: str
    texts: tuple[str, ...]


Unset = Field(exclude_if=operator.not_)
"""Files do not mention what a protocol does not do."""


@dataclass(frozen=True)
class Protocol:
    """One task of zero-shot evaluation. A `ValueError` lists what is wrong with its words, labels and templates."""

    name: str  # on the command line: "iemocap-4"
    title: str  # for people: "IEMOCAP 4"
    corpus: str  # a key of EMOTION_CORPORA, or the name of the user's own
    language: str  # BCP-47 tag of the speech
    text_language: str  # BCP-47 tag of the text queries
    words: Mapping[str, str]  # class to what the text query calls it, in the order of the classes
    template: str  # what the words are put into, with one {}
    other_words: tuple[Mapping[str, str], ...]  # further wordings, for prompt sensitivity
    other_templates: tuple[str, ...]  # further templates, for prompt sensitivity
    split: str  # which clips are judged, for people
    labels: Mapping[str, str]  # label in the corpus to class; clips with another label are left out
    grouped_by: str | None  # what the groups are, where metrics are means over groups: "session"
    published: Mapping[str, float]  # system to its published UAR, between 0 and 1
    source: str  # where the protocol comes from, and what is this project's choice
    averaged: Annotated[bool, Unset] = False  # a class is asked in the mean of all its wordings and templates
    by_speaker: Annotated[bool, Unset] = False  # there is also a result with each speaker's scores standardised
    confounded_by: Annotated[str | None, Unset] = None  # what classes may be confused with: "words"
    shuffles: Annotated[int, Unset] = 0  # how often labels are shuffled to see what chance gives

    def __post_init__(self) -> None:
        faults = [] if len(self.words) > 1 else [f"`words` names {len(self.words)} classes, but there must be two"]
        for words in (self.words, *self.other_words):
            if set(words) != set(self.words):
                faults.append(f"`other_words` has {list(words)}, but the classes are {list(self.words)}")
            if alike := [word for word, count in Counter(words.values()).items() if count > 1]:
                faults.append(f"two classes are both called {alike[0]!r}: no text query tells them apart")
        for template in (self.template, *self.other_templates):
            if template.count("{}") != 1:
                faults.append(f"the template {template!r} must have one {{}}, where the words go")
        if foreign := sorted(set(self.labels.values()) - set(self.words)):
            faults.append(f"`labels` leads to the classes {foreign}, which `words` does not name")
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of `words`."""
        return tuple(self.words)

    @property
    def renamed_labels(self) -> dict[str, str]:
        """The corpus's labels whose class has another name, and that name."""
        return {label: name for label, name in self.labels.items() if label != name}

    def texts(self, words: Mapping[str, str], template: str) -> list[str]:
        """Return the text queries, one a class in the order of the classes: `words` put into `template`."""
        return [template.replace("{}", words[name]) for name in self.classes]

    def prompts(self) -> list[Prompt]:
        """Return every wording in every template, the protocol's own first."""
        templates = dict.fromkeys((self.template, *self.other_templates))
        return [
            Prompt(index, template, tuple(self.texts(words, template)))
            for (index, words), template in product(enumerate((self.words, *self.other_words)), templates)
        ]


NOUNS = {
    "neutral": "neutrality",
    "calm": "calm",
    "happy": "happiness",
    "sad": "sadness",
    "angry": "anger",
    "fearful": "fear",
    "disgusted": "disgust",
    "surprised": "surprise",
    "pleasant surprise": "pleasant surprise",
    "contemptuous": "contempt",
    "bored": "boredom",
}
ADJECTIVES = {name: name for name in NOUNS} | {"pleasant surprise": "pleasantly surprised"}
GERMAN = {
    "neutral": "neutral",
    "happy": "fröhlich",
    "sad": "traurig",
    "angry": "wütend",
    "fearful": "ängstlich",
    "disgusted": "angeekelt",
    "bored": "gelangweilt",
}
FEELING = "this person is feeling {}."
EMOTION = "the speaker's emotion: {}."  # as the one before, for adjectives and nouns
EITHER_LANGUAGE = ("{}.", "Emotion: {}.")  # English and German
PERSON_IN_EITHER = ("{}.", "Person: {}.")  # what is not an emotion

PARACLAP = (
    "Classes, words and clips are those of the public evaluation code of ParaCLAP (Jing et al., Interspeech 2024); "
    "that the SmoothCLAP paper (Jing et al., ICASSP 2026) uses the same is inferred. The published figures are that "
    "paper's. The other wordings and templates are this project's choice."
)
GERMAN_TOO = " Some of the other wordings are German, as the speech is."
OURS = "All of it is this project's choice, and there are no published figures for it."


SYSTEMS = ("CLAP", "Pengi", "ParaCLAP", "SmoothCLAP")
"""In the order of the SmoothCLAP paper's table of published results."""


def _protocol(
    title: str,
    corpus: str,
    labels: Mapping[str, str],
    asked: Mapping[str, str] | None = None,
    *,
    template: str = "{}",
    others: Sequence[Mapping[str, str] | tuple[str, ...]] = (ADJECTIVES, NOUNS),
    templates: tuple[str, str] = (FEELING, EMOTION),
    split: str = "all clips",
    language: str = "en",
    grouped_by: str | None = None,
    published: Sequence[float] = (),
    source: str = PARACLAP,
) -> Protocol:
    """One row: `asked` has words that are not the name of the class, `others` words by class or in their order."""
    classes = tuple(dict.fromkeys(labels.values()))
    return Protocol(
        name=f"{corpus}-{len(classes)}",
        title=f"{title} {len(classes)}",
        corpus=corpus,
        language=language,
        text_language="en",
        words={name: (asked or {}).get(name, name) for name in classes},
        template=template,
        other_words=tuple(
            {name: words[name] for name in classes}
            if isinstance(words, Mapping)
            else dict(zip(classes, words, strict=True))
            for words in others
        ),
        other_templates=templates,
        split=split,
        labels=labels,
        grouped_by=grouped_by,
        published=dict(zip(SYSTEMS, published, strict=True)) if published else {},
        source=source,
    )


_AIBO: dict[str, Any] = {
    "language": "de",
    "templates": EITHER_LANGUAGE,
    "split": "the school Mont, the test half of the Interspeech 2009 Emotion Challenge",
    "source": PARACLAP + GERMAN_TOO,
}

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _protocol(
            "IEMOCAP",
            "iemocap",
            {"neu": "neutral", "hap": "happy", "exc": "happy", "ang": "angry", "sad": "sad"},
            {"angry": "anger", "sad": "sadness"},
            template=FEELING,
            templates=("{}", EMOTION),
            split="all scripted and improvised utterances of the four classes, excitement counted as happiness",
            grouped_by="session",
            published=(0.353, 0.345, 0.600, 0.606),
        ),
        _protocol(
            "RAVDESS",
            "ravdess",
            {
                "01": "neutral",
                "02": "calm",
                "03": "happy",
                "04": "sad",
                "05": "angry",
                "06": "fearful",
                "07": "disgusted",
                "08": "surprised",
            },
            {"disgusted": "disgust"},
            split="all speech clips",
            published=(0.199, 0.148, 0.228, 0.175),
        ),
        _protocol(
            "CREMA-D",
            "crema-d",
            {"SAD": "sad", "ANG": "angry", "DIS": "disgusted", "FEA": "fearful", "HAP": "happy", "NEU": "neutral"},
            {"disgusted": "disgust", "fearful": "fear"},
            published=(0.230, 0.245, 0.177, 0.266),
        ),
        _protocol(
            "TESS",
            "tess",
            {
                "neutral": "neutral",
                "happy": "happy",
                "sad": "sad",
                "angry": "angry",
                "fear": "fearful",
                "disgust": "disgusted",
                "ps": "pleasant surprise",
            },
            {"sad": "sadness", "fearful": "fear", "disgusted": "disgust"},
            published=(0.232, 0.177, 0.170, 0.275),
        ),
        _protocol(
            "FAU Aibo",
            "fau-aibo",
            {"IDL": "non-negative", "NEG": "negative"},
            others=(("neutral or positive", "negative"), ("nicht negativ", "negativ")),
            published=(0.500, 0.470, 0.526, 0.555),
            **_AIBO,
        ),
        _protocol(
            "FAU Aibo",
            "fau-aibo",
            {"A": "angry", "E": "emphatic", "N": "neutral", "P": "motherese", "R": "rest"},
            others=(
                ("anger", "emphasis", "neutrality", "affection", "something else"),
                ("wütend", "nachdrücklich", "neutral", "liebevoll", "etwas anderes"),
            ),
            published=(0.211, 0.185, 0.197, 0.204),
            **_AIBO,
        ),
        _protocol(
            "ALC",
            "alc",
            {"AL": "intoxicated", "NAL": "not intoxicated"},
            {"intoxicated": "intoxicated with alcohol", "not intoxicated": "not intoxicated with alcohol"},
            others=(("drunk", "sober"), ("betrunken", "nüchtern")),
            templates=PERSON_IN_EITHER,
            split="test split of the Interspeech 2011 Speaker State Challenge",
            language="de",
            published=(0.511, 0.473, 0.537, 0.541),
            source=PARACLAP + GERMAN_TOO,
        ),
        _protocol(
            "SLD",
            "sld",
            {"L": "likeable", "NL": "not likeable"},
            others=(("pleasant", "unpleasant"), ("sympathisch", "unsympathisch")),
            templates=PERSON_IN_EITHER,
            split="test split of the Interspeech 2012 Speaker Trait Challenge",
            language="de",
            published=(0.472, 0.485, 0.507, 0.496),
            source=PARACLAP + GERMAN_TOO,
        ),
        _protocol(
            "MSP-Podcast",
            "msp-podcast",
            {
                "A": "angry",
                "S": "sad",
                "H": "happy",
                "U": "surprised",
                "F": "fearful",
                "D": "disgusted",
                "C": "contemptuous",
                "N": "neutral",
            },
            NOUNS | {"neutral": "neutral"},
            split="Test1, clips on one of whose eight primary emotions the raters agreed",
            source=OURS,
        ),
        _protocol(
            "EmoDB",
            "emodb",
            {"W": "angry", "L": "bored", "E": "disgusted", "A": "fearful", "F": "happy", "T": "sad", "N": "neutral"},
            others=(NOUNS, GERMAN),
            templates=EITHER_LANGUAGE,
            language="de",
            source=OURS + GERMAN_TOO,
        ),
    )
}
