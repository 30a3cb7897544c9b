"""Russell's circumplex: the places of emotion words in valence and arousal, and how well similarities follow them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from modeling_smoothclap.encoding_smoothclap import unit_rows


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
    Find the place of an emotion in the plane of valence and arousal.

    Words are on the unit circle, at Russell's (1980) angles. Neutral is at the centre; that is ours.

    Args:
        emotion (`str`): Its English name, in any case: an adjective or a noun.

    Returns:
        `tuple[float, float]`, *optional*: Valence and arousal, each in [-1, 1]; None where Russell scaled no such
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
"""Those of three classes; two classes make one pair, which has no order."""
ENOUGH_PAIRS = 6
"""Those of four classes. A correlation over fewer means nothing, and is not shown (ours)."""
DECIMALS = 9
"""To which distances are rounded before they are ranked: all words are as far from neutral, but for the last bit."""


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """
    Compute Spearman's rank correlation; equal values share their mean rank.

    Args:
        x (`np.ndarray` of shape `(n,)`): Values.
        y (`np.ndarray` of shape `(n,)`): Values that belong to them.

    Returns:
        `float`: Between -1 and 1; NaN if all of `x` or all of `y` are equal, which leaves it undefined.

    Raises:
        ValueError: if the numbers differ, or there are fewer than two.
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


def class_pairs(embeds: np.ndarray, classes: Sequence[str]) -> list[Pair]:
    """
    List the pairs of classes that both have a published place.

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
    placed = [
        (name, np.array(place), unit)
        for name, unit in zip(classes, units, strict=True)
        if (place := place_of(name)) is not None
    ]
    return [
        Pair(first, second, float(np.linalg.norm(here - there)), float(one @ other))
        for (first, here, one), (second, there, other) in combinations(placed, 2)
    ]


def pair_correlation(pairs: Sequence[Pair]) -> float | None:
    """
    Compute Spearman's correlation of cosine with minus distance.

    Args:
        pairs (`Sequence[Pair]`): From [`class_pairs`].

    Returns:
        `float`, *optional*: Between -1 and 1; 0 where cosines are all equal, since then nothing of the distances is
        kept. None of fewer than three pairs, or where distances are all equal.
    """
    distances = np.round([pair.distance for pair in pairs], DECIMALS)
    cosines = np.array([pair.cosine for pair in pairs])
    if len(pairs) < MIN_PAIRS or not np.ptp(distances):
        return None
    return spearman(cosines, -distances) if np.ptp(cosines) else 0.0


def class_centres(audio_embeds: np.ndarray, true: np.ndarray, n_classes: int) -> np.ndarray:
    """
    Compute the mean of the unit-length embeddings of each class's clips.

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


@dataclass(frozen=True)
class ValenceArousal:
    """
    How well the similarity of classes follows their distance in valence and arousal.

    Args:
        texts (`float`, *optional*): [`pair_correlation`] of the classes' texts.
        clips (`float`, *optional*): The same of the centres of their clips.
        classes (`tuple[str, ...]`): The classes that have a published place; only these are compared.
    """

    texts: float | None
    clips: float | None
    classes: tuple[str, ...]


def valence_arousal(
    audio_embeds: np.ndarray, true: np.ndarray, class_embeds: np.ndarray, classes: Sequence[str]
) -> ValenceArousal:
    """
    Compare the similarity of classes with their published distance, for texts and for clips.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.
        classes (`Sequence[str]`): Names of the classes.

    Returns:
        [`ValenceArousal`]

    Raises:
        ValueError: if numbers differ, a class has no clip, or an embedding is not finite.
    """
    return ValenceArousal(
        texts=pair_correlation(class_pairs(class_embeds, classes)),
        clips=pair_correlation(class_pairs(class_centres(audio_embeds, true, len(classes)), classes)),
        classes=tuple(name for name in classes if place_of(name) is not None),
    )
