"""Russell's circumplex: where the words for emotions lie between pleasure and arousal."""

import math


RUSSELL_DEGREES = {
    "happy": 7.8,
    "delighted": 24.9,
    "excited": 48.6,
    "astonished": 69.8,
    "tense": 92.8,
    "alarmed": 96.5,
    "angry": 99.0,
    "afraid": 116.0,
    "miserable": 188.7,
    "sad": 207.5,
    "bored": 242.0,
    "tired": 267.7,
    "calm": 316.2,
    "serene": 328.6,
    "pleased": 353.2,
}
"""Where Russell (1980) found words on his circle: degrees from pleasure (0) towards arousal (90). These are some
of his 28 words; what is not here has no place."""

RUSSELL_WORDS = {word: word for word in RUSSELL_DEGREES} | {
    "happiness": "happy",
    "joy": "happy",
    "excitement": "excited",
    "surprise": "astonished",
    "surprised": "astonished",
    "pleasant surprise": "astonished",
    "anger": "angry",
    "fear": "afraid",
    "fearful": "afraid",
    "anxious": "afraid",
    "anxiety": "afraid",
    "sadness": "sad",
    "boredom": "bored",
    "calmness": "calm",
}
"""Names of emotions, and the word of Russell's that stands for each: the word itself, or the nearest one; the choice of
the nearest is ours."""


def place_of(emotion: str) -> tuple[float, float] | None:
    """
    Finds the place of an emotion in the plane of valence and arousal.

    Words lie on the unit circle, at Russell's (1980) angles. Neutral lies at the centre; that is ours.

    Args:
        emotion (`str`):
            Its English name, in any case: an adjective or a noun.

    Returns:
        `tuple[float, float]`, *optional*: Valence and arousal, each in [-1, 1]; `None` where Russell scaled no such
        word, as for disgust.

    Example:

    ```python
    >>> from smoothclap_trainer.data.circumplex import place_of
    >>> [round(each, 2) for each in place_of("Sadness")]
    [-0.89, -0.46]
    >>> place_of("disgust") is None
    True

    ```
    """
    name = emotion.strip().lower()
    if name == "neutral":
        return 0.0, 0.0
    if name not in RUSSELL_WORDS:
        return None
    angle = math.radians(RUSSELL_DEGREES[RUSSELL_WORDS[name]])
    return math.cos(angle), math.sin(angle)
