"""Labels of clips as data sets write them, and the categories that captions have wordings for."""

from .wordings import LANGUAGES


EMOTION_ALIASES = {
    "anger": "angry",
    "anxiety": "anxious",
    "boredom": "bored",
    "contempt": "contemptuous",
    "disgust": "disgusted",
    "excitement": "excited",
    "fear": "fearful",
    "afraid": "fearful",
    "frustration": "frustrated",
    "happiness": "happy",
    "joy": "happy",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprise": "surprised",
    "pleasant surprise": "surprised",
    "tenderness": "tender",
    "no_agreement": "no agreement",
}
GENDER_ALIASES = {"f": "female", "m": "male", "nonbinary": "non-binary"}
ALIASES = {"emotion": EMOTION_ALIASES, "gender": GENDER_ALIASES, "acoustic_condition": {}}
WORDINGS = {**LANGUAGES["en"].wordings, "acoustic_condition": LANGUAGES["en"].conditions}
CLASSLESS = ("no agreement", "other")
"""Emotions that captions may mention but that are not a class: clips with them have no known emotion in common."""


def known_names(group: str) -> list[str]:
    """List the categories of a group of [`ALIASES`] and their other names, in alphabetical order."""
    return sorted({*WORDINGS[group], *ALIASES[group]})


def category(label: str, group: str) -> str:
    """
    Return the category, of a group of [`ALIASES`], that captions have wordings for: `"angry"` for `" Anger"`.

    `label` is as a data set has it, or a common other name; case does not matter. A `ValueError` if it is unknown.
    """
    plain = label.strip().lower()
    plain = ALIASES[group].get(plain, plain)
    if plain not in WORDINGS[group]:
        raise ValueError(
            f"unknown {group} {label!r}; known are {known_names(group)}; map the label to one of them, or add "
            "wordings for it to each of LANGUAGES"
        )
    return plain


def emotion_class(emotion: str | None) -> str | None:
    """Return the class of an emotion from [`category`]: the same, or `None` for [`CLASSLESS`] (our choice)."""
    return None if emotion in CLASSLESS else emotion
