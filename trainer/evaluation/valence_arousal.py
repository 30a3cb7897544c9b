"""Russell's circumplex: where the words for emotions lie between pleasure and arousal."""

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from .embed import unit_rows


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
    >>> from smoothclap_trainer.evaluation.valence_arousal import place_of
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


MIN_PAIRS = 3
"""Those of three classes; two have but one pair, which has no order."""
ENOUGH_PAIRS = 6
"""Those of four classes. A correlation over fewer means nothing, and is not shown (ours)."""
DECIMALS = 9
"""To which distances are rounded before they are ranked: all words are as far from neutral, but for the last bit."""


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """
    Spearman's rank correlation; equal values share their mean rank.

    Args:
        x (`np.ndarray` of shape `(n,)`): Values.
        y (`np.ndarray` of shape `(n,)`): Values that belong to them.

    Returns:
        `float`: Between -1 and 1; NaN if all of `x` or all of `y` are equal, which leaves it undefined.

    Raises:
        ValueError: if the numbers differ, or there are less than two.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.valence_arousal import spearman
    >>> round(spearman(np.array([1, 2, 3]), np.array([1, 10, 100])), 6)
    1.0

    ```
    """
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(f"A rank correlation needs two values or more on each side, got {len(x)} and {len(y)}.")
    ranks = [pd.Series(values).rank().to_numpy() for values in (x, y)]
    centred = [each - each.mean() for each in ranks]
    scale = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float(centred[0] @ centred[1] / scale) if scale > 0 else float("nan")


class Pair(NamedTuple):
    """
    Two classes.

    Args:
        first (`str`): One class.
        second (`str`): The other.
        distance (`float`): Between their published places; the circle's radius is 1.
        cosine (`float`): Of their embeddings.
    """

    first: str
    second: str
    distance: float
    cosine: float


def placed_classes(classes: Sequence[str]) -> list[str]:
    """
    Finds the classes that have a published place.

    Args:
        classes (`Sequence[str]`): Names of classes.

    Returns:
        `list[str]`: Those that [`~smoothclap_trainer.evaluation.valence_arousal.place_of`] knows, in their order.
    """
    return [name for name in classes if place_of(name) is not None]


def class_pairs(embeds: np.ndarray, classes: Sequence[str]) -> list[Pair]:
    """
    Lists the pairs of classes that both have a place.

    Args:
        embeds (`np.ndarray` of shape `(classes, width)`): One embedding a class, of any length.
        classes (`Sequence[str]`): Their names.

    Returns:
        `list[Pair]`: In the order of the classes.

    Raises:
        ValueError: if the numbers differ, or an embedding is not finite.
    """
    if len(embeds) != len(classes):
        raise ValueError(f"There are {len(embeds)} embeddings for {len(classes)} classes; give one for each.")
    units = unit_rows(embeds, "the classes' embeddings")
    places = [place_of(name) for name in classes]
    placed = [
        (name, np.array(place), unit)
        for name, place, unit in zip(classes, places, units, strict=True)
        if place is not None
    ]
    return [
        Pair(first, second, float(np.linalg.norm(here - there)), float(one @ other))
        for (first, here, one), (second, there, other) in combinations(placed, 2)
    ]


def pair_correlation(pairs: Sequence[Pair]) -> float | None:
    """
    Spearman's correlation of cosine with minus distance.

    Args:
        pairs (`Sequence[Pair]`): From [`class_pairs`].

    Returns:
        `float`, *optional*: Between -1 and 1; 0 where cosines are all equal, since then nothing of the distances is
        kept. `None` of fewer than three pairs, or where distances are all equal.
    """
    distances = np.round([pair.distance for pair in pairs], DECIMALS)
    cosines = np.array([pair.cosine for pair in pairs])
    if len(pairs) < MIN_PAIRS or not np.ptp(distances):
        return None
    return spearman(cosines, -distances) if np.ptp(cosines) else 0.0


def valence_arousal_correlation(embeds: np.ndarray, classes: Sequence[str]) -> float | None:
    """
        How well the similarity of classes follows their distance in valence and arousal.

        Args:
            embeds (`np.ndarray` of shape `(classes, width)`): One embedding a class: of its text, or its clips' centre.
            classes (`Sequence[str]`): Their names. Those without a published place are left out.

        Returns:
            `float`, *optional*: See [`pair_correlation`]; `None` if fewer than three classes have a place.

        Raises:
            ValueError: if the numbers differ, or an embedding is not finite.

        Example:

        ```python
        >>> import numpy as np
    import pandas as pd
        >>> from smoothclap_trainer.evaluation.valence_arousal import valence_arousal_correlation
        >>> embeds = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.1]])  # as on the circle: sadness is far from happiness
        >>> round(valence_arousal_correlation(embeds, ["happy", "excited", "sad"]), 6)
        1.0

        ```
    """
    return pair_correlation(class_pairs(embeds, classes))


def class_centres(audio_embeds: np.ndarray, true: np.ndarray, n_classes: int) -> np.ndarray:
    """
    The mean of the unit-length embeddings of each class's clips.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips, of any length.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        n_classes (`int`): How many classes there are.

    Returns:
        `np.ndarray` of shape `(n_classes, width)`: The centres.

    Raises:
        ValueError: if the numbers differ, a class has no clip, or an embedding is not finite.
    """
    true = np.asarray(true)
    if len(true) != len(audio_embeds):
        raise ValueError(f"There are {len(audio_embeds)} embeddings for {len(true)} clips; give one for each.")
    if empty := [label for label in range(n_classes) if not (true == label).any()]:
        raise ValueError(f"Classes {empty} of {n_classes} have no clip, and so no centre; leave those classes out.")
    units = unit_rows(audio_embeds, "audio_embeds")
    return np.stack([units[true == label].mean(axis=0) for label in range(n_classes)])


def valence_arousal(
    audio_embeds: np.ndarray, true: np.ndarray, class_embeds: np.ndarray, classes: Sequence[str]
) -> dict[str, Any]:
    """
    Both correlations, as the results of an evaluation record them.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.
        classes (`Sequence[str]`): Names of the classes.

    Returns:
        `dict`: `texts` and `clips`, see [`valence_arousal_correlation`], and `classes`, those that have a place.

    Raises:
        ValueError: if numbers differ, a class has no clip, or an embedding is not finite.
    """
    return {
        "texts": valence_arousal_correlation(class_embeds, classes),
        "clips": valence_arousal_correlation(class_centres(audio_embeds, true, len(classes)), classes),
        "classes": placed_classes(classes),
    }
