"""A protocol of zero-shot evaluation: which clips of a corpus are judged, and how text names their classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple


class Prompt(NamedTuple):
    """
    One way to ask for the classes.

    Args:
        words (`int`): Which wording: 0 is the protocol's, 1 the first of its `other_words`, and so on.
        template (`str`): What the words are put into.
        texts (`list[str]`): One for each class, in the order of the classes.
    """

    words: int
    template: str
    texts: list[str]


@dataclass(frozen=True)
class Protocol:
    """
    One task of zero-shot evaluation.

    Args:
        name (`str`):
            What names the task on the command line: `"iemocap-4"`.
        title (`str`):
            For people: `"IEMOCAP 4"`.
        corpus (`str`):
            A key of [`~smoothclap_trainer.evaluation.corpora.EMOTION_CORPORA`], or the name of the user's own.
        language (`str`):
            BCP-47 tag of the speech.
        text_language (`str`):
            BCP-47 tag of the text queries.
        words (`Mapping[str, str]`):
            Class to what the text query calls it, in the order of the classes.
        template (`str`):
            What the words are put into, with one `{}`.
        other_words (`tuple[Mapping[str, str], ...]`):
            Further wordings of the same classes, for prompt sensitivity.
        other_templates (`tuple[str, ...]`):
            Further templates, for prompt sensitivity.
        split (`str`):
            Which clips are judged, in words.
        labels (`Mapping[str, str]`):
            Label in the corpus to class. Clips with another label are left out.
        grouped_by (`str`, *optional*):
            What the groups are, `"session"`, where figures are means over groups.
        published (`Mapping[str, float]`):
            System to its published unweighted average recall, between 0 and 1.
        source (`str`):
            Where the protocol comes from, and what is this project's choice.

    Raises:
        ValueError: There are fewer than two classes, wordings name other classes or two alike, a label's class has no
            words, or a template has not exactly one `{}`. All faults are told.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.protocols import PROTOCOLS
    >>> protocol = PROTOCOLS["iemocap-4"]
    >>> protocol.classes
    ('neutral', 'happy', 'angry', 'sad')
    >>> protocol.texts(protocol.words, protocol.template)[2]
    'this person is feeling anger.'

    ```
    """

    name: str
    title: str
    corpus: str
    language: str
    text_language: str
    words: Mapping[str, str]
    template: str
    other_words: tuple[Mapping[str, str], ...]
    other_templates: tuple[str, ...]
    split: str
    labels: Mapping[str, str]
    grouped_by: str | None
    published: Mapping[str, float]
    source: str

    def __post_init__(self) -> None:
        faults = [] if len(self.words) > 1 else [f"`words` names {len(self.words)} classes, but there must be two"]
        for words in (self.words, *self.other_words):
            if set(words) != set(self.words):
                faults.append(f"`other_words` has {list(words)}, but the classes are {list(self.words)}")
            alike = [word for word, count in Counter(words.values()).items() if count > 1]
            if alike:
                faults.append(f"two classes are both called {alike[0]!r}: no text query tells them apart")
        for template in (self.template, *self.other_templates):
            if template.count("{}") != 1:
                faults.append(f"the template {template!r} must have one {{}}, where the words go")
        foreign = sorted(set(self.labels.values()) - set(self.words))
        if foreign:
            faults.append(f"`labels` leads to the classes {foreign}, which `words` does not name")
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def classes(self) -> tuple[str, ...]:
        """`tuple[str, ...]`: The classes, in the order of `words`."""
        return tuple(self.words)

    @property
    def renamed_labels(self) -> dict[str, str]:
        """`dict[str, str]`: The corpus's labels whose class has another name, and that name."""
        return {label: name for label, name in self.labels.items() if label != name}

    def texts(self, words: Mapping[str, str], template: str) -> list[str]:
        """
        Words the text queries.

        Args:
            words (`Mapping[str, str]`): Class to word, for every class.
            template (`str`): What they are put into.

        Returns:
            `list[str]`: One text a class, in the order of the classes.
        """
        return [template.replace("{}", words[name]) for name in self.classes]

    def prompts(self) -> list[Prompt]:
        """Return every wording in every template, the protocol's own first."""
        templates = dict.fromkeys((self.template, *self.other_templates))
        return [
            Prompt(index, template, self.texts(words, template))
            for (index, words), template in product(enumerate((self.words, *self.other_words)), templates)
        ]


ADJECTIVES = {
    "neutral": "neutral",
    "calm": "calm",
    "happy": "happy",
    "sad": "sad",
    "angry": "angry",
    "fearful": "fearful",
    "disgusted": "disgusted",
    "surprised": "surprised",
    "pleasant surprise": "pleasantly surprised",
    "contemptuous": "contemptuous",
    "bored": "bored",
}
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
EMOTION = "the speaker's emotion: {}."
"""Like [`FEELING`], it reads well with adjectives and with nouns."""
EITHER_LANGUAGE = ("{}.", "Emotion: {}.")
"""They read well in English and in German."""
PERSON_IN_EITHER = ("{}.", "Person: {}.")
"""They read well in English and in German, of what is no emotion."""


def wordings_of(classes: Sequence[str], *wordings: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """
    Picks the words of some classes.

    Args:
        classes (`Sequence[str]`): Which.
        wordings (`Mapping[str, str]`): Tables of class to word, [`NOUNS`] for instance.

    Returns:
        `tuple[dict[str, str], ...]`: From each table, class to word.

    Raises:
        KeyError: A table lacks a class.
    """
    return tuple({name: words[name] for name in classes} for words in wordings)


PARACLAP = (
    "Classes, words and clips are those of the public evaluation code of ParaCLAP (Jing et al., Interspeech 2024); "
    "that the SmoothCLAP paper (Jing et al., ICASSP 2026) uses the same is inferred. The published figures are that "
    "paper's. The other wordings and templates are this project's choice."
)
GERMAN_TOO = " Some of the other wordings are German, as the speech is."
OURS = "All of it is this project's choice, and there are no published figures for it."


def _published(clap: float, pengi: float, paraclap: float, smoothclap: float) -> dict[str, float]:
    return {"CLAP": clap, "Pengi": pengi, "ParaCLAP": paraclap, "SmoothCLAP": smoothclap}


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="iemocap-4",
            title="IEMOCAP 4",
            corpus="iemocap",
            language="en",
            text_language="en",
            words={"neutral": "neutral", "happy": "happy", "angry": "anger", "sad": "sadness"},
            template=FEELING,
            other_words=wordings_of(("neutral", "happy", "angry", "sad"), ADJECTIVES, NOUNS),
            other_templates=("{}", EMOTION),
            split="all scripted and improvised utterances of the four classes, excitement counted as happiness",
            labels={"neu": "neutral", "hap": "happy", "exc": "happy", "ang": "angry", "sad": "sad"},
            grouped_by="session",
            published=_published(0.353, 0.345, 0.600, 0.606),
            source=PARACLAP,
        ),
        Protocol(
            name="ravdess-8",
            title="RAVDESS 8",
            corpus="ravdess",
            language="en",
            text_language="en",
            words={
                "neutral": "neutral",
                "calm": "calm",
                "happy": "happy",
                "sad": "sad",
                "angry": "angry",
                "fearful": "fearful",
                "disgusted": "disgust",
                "surprised": "surprised",
            },
            template="{}",
            other_words=wordings_of(
                ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgusted", "surprised"), ADJECTIVES, NOUNS
            ),
            other_templates=(FEELING, EMOTION),
            split="all speech clips",
            labels={
                "01": "neutral",
                "02": "calm",
                "03": "happy",
                "04": "sad",
                "05": "angry",
                "06": "fearful",
                "07": "disgusted",
                "08": "surprised",
            },
            grouped_by=None,
            published=_published(0.199, 0.148, 0.228, 0.175),
            source=PARACLAP,
        ),
        Protocol(
            name="crema-d-6",
            title="CREMA-D 6",
            corpus="crema-d",
            language="en",
            text_language="en",
            words={
                "sad": "sad",
                "angry": "angry",
                "disgusted": "disgust",
                "fearful": "fear",
                "happy": "happy",
                "neutral": "neutral",
            },
            template="{}",
            other_words=wordings_of(("sad", "angry", "disgusted", "fearful", "happy", "neutral"), ADJECTIVES, NOUNS),
            other_templates=(FEELING, EMOTION),
            split="all clips",
            labels={
                "SAD": "sad",
                "ANG": "angry",
                "DIS": "disgusted",
                "FEA": "fearful",
                "HAP": "happy",
                "NEU": "neutral",
            },
            grouped_by=None,
            published=_published(0.230, 0.245, 0.177, 0.266),
            source=PARACLAP,
        ),
        Protocol(
            name="tess-7",
            title="TESS 7",
            corpus="tess",
            language="en",
            text_language="en",
            words={
                "neutral": "neutral",
                "happy": "happy",
                "sad": "sadness",
                "angry": "angry",
                "fearful": "fear",
                "disgusted": "disgust",
                "pleasant surprise": "pleasant surprise",
            },
            template="{}",
            other_words=wordings_of(
                ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "pleasant surprise"), ADJECTIVES, NOUNS
            ),
            other_templates=(FEELING, EMOTION),
            split="all clips",
            labels={
                "neutral": "neutral",
                "happy": "happy",
                "sad": "sad",
                "angry": "angry",
                "fear": "fearful",
                "disgust": "disgusted",
                "ps": "pleasant surprise",
            },
            grouped_by=None,
            published=_published(0.232, 0.177, 0.170, 0.275),
            source=PARACLAP,
        ),
        Protocol(
            name="fau-aibo-2",
            title="FAU Aibo 2",
            corpus="fau-aibo",
            language="de",
            text_language="en",
            words={"non-negative": "non-negative", "negative": "negative"},
            template="{}",
            other_words=(
                {"non-negative": "neutral or positive", "negative": "negative"},
                {"non-negative": "nicht negativ", "negative": "negativ"},
            ),
            other_templates=EITHER_LANGUAGE,
            split="the school Mont, the test half of the Interspeech 2009 Emotion Challenge",
            labels={"IDL": "non-negative", "NEG": "negative"},
            grouped_by=None,
            published=_published(0.500, 0.470, 0.526, 0.555),
            source=PARACLAP + GERMAN_TOO,
        ),
        Protocol(
            name="fau-aibo-5",
            title="FAU Aibo 5",
            corpus="fau-aibo",
            language="de",
            text_language="en",
            words={
                "angry": "angry",
                "emphatic": "emphatic",
                "neutral": "neutral",
                "motherese": "motherese",
                "rest": "rest",
            },
            template="{}",
            other_words=(
                {
                    "angry": "anger",
                    "emphatic": "emphasis",
                    "neutral": "neutrality",
                    "motherese": "affection",
                    "rest": "something else",
                },
                {
                    "angry": "wütend",
                    "emphatic": "nachdrücklich",
                    "neutral": "neutral",
                    "motherese": "liebevoll",
                    "rest": "etwas anderes",
                },
            ),
            other_templates=EITHER_LANGUAGE,
            split="the school Mont, the test half of the Interspeech 2009 Emotion Challenge",
            labels={"A": "angry", "E": "emphatic", "N": "neutral", "P": "motherese", "R": "rest"},
            grouped_by=None,
            published=_published(0.211, 0.185, 0.197, 0.204),
            source=PARACLAP + GERMAN_TOO,
        ),
        Protocol(
            name="alc-2",
            title="ALC 2",
            corpus="alc",
            language="de",
            text_language="en",
            words={"intoxicated": "intoxicated with alcohol", "not intoxicated": "not intoxicated with alcohol"},
            template="{}",
            other_words=(
                {"intoxicated": "drunk", "not intoxicated": "sober"},
                {"intoxicated": "betrunken", "not intoxicated": "nüchtern"},
            ),
            other_templates=PERSON_IN_EITHER,
            split="test split of the Interspeech 2011 Speaker State Challenge",
            labels={"AL": "intoxicated", "NAL": "not intoxicated"},
            grouped_by=None,
            published=_published(0.511, 0.473, 0.537, 0.541),
            source=PARACLAP + GERMAN_TOO,
        ),
        Protocol(
            name="sld-2",
            title="SLD 2",
            corpus="sld",
            language="de",
            text_language="en",
            words={"likeable": "likeable", "not likeable": "not likeable"},
            template="{}",
            other_words=(
                {"likeable": "pleasant", "not likeable": "unpleasant"},
                {"likeable": "sympathisch", "not likeable": "unsympathisch"},
            ),
            other_templates=PERSON_IN_EITHER,
            split="test split of the Interspeech 2012 Speaker Trait Challenge",
            labels={"L": "likeable", "NL": "not likeable"},
            grouped_by=None,
            published=_published(0.472, 0.485, 0.507, 0.496),
            source=PARACLAP + GERMAN_TOO,
        ),
        Protocol(
            name="msp-podcast-8",
            title="MSP-Podcast 8",
            corpus="msp-podcast",
            language="en",
            text_language="en",
            words={
                "angry": "anger",
                "sad": "sadness",
                "happy": "happiness",
                "surprised": "surprise",
                "fearful": "fear",
                "disgusted": "disgust",
                "contemptuous": "contempt",
                "neutral": "neutral",
            },
            template="{}",
            other_words=wordings_of(
                ("angry", "sad", "happy", "surprised", "fearful", "disgusted", "contemptuous", "neutral"),
                ADJECTIVES,
                NOUNS,
            ),
            other_templates=(FEELING, EMOTION),
            split="Test1, clips on one of whose eight primary emotions the raters agreed",
            labels={
                "A": "angry",
                "S": "sad",
                "H": "happy",
                "U": "surprised",
                "F": "fearful",
                "D": "disgusted",
                "C": "contemptuous",
                "N": "neutral",
            },
            grouped_by=None,
            published={},
            source=OURS,
        ),
        Protocol(
            name="emodb-7",
            title="EmoDB 7",
            corpus="emodb",
            language="de",
            text_language="en",
            words=wordings_of(("angry", "bored", "disgusted", "fearful", "happy", "sad", "neutral"), ADJECTIVES)[0],
            template="{}",
            other_words=wordings_of(
                ("angry", "bored", "disgusted", "fearful", "happy", "sad", "neutral"), NOUNS, GERMAN
            ),
            other_templates=EITHER_LANGUAGE,
            split="all clips",
            labels={
                "W": "angry",
                "L": "bored",
                "E": "disgusted",
                "A": "fearful",
                "F": "happy",
                "T": "sad",
                "N": "neutral",
            },
            grouped_by=None,
            published={},
            source=OURS + GERMAN_TOO,
        ),
    )
}
