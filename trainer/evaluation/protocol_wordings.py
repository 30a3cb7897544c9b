"""What text queries call the classes of emotion, in several ways that all protocols share, and what they say around it.

Which words and templates vary a query is this project's choice.
"""

from collections.abc import Mapping, Sequence


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
