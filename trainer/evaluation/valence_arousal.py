"""Russell's circumplex: the places of emotion words in valence and arousal, and how well similarities follow them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from modeling_smoothclap.scores_smoothclap import unit_rows


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
    """Find valence and arousal, on the unit circle, of an English emotion word; None for one Russell did not scale."""
    name = emotion.strip().lower()
    if name == "neutral":  # that it is at the centre is ours
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
    """Compute Spearman's rank correlation of two arrays `(n,)`, which is NaN if all values of one are equal."""
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(f"A rank correlation needs two values or more on each side, got {len(x)} and {len(y)}.")
    centred = [ranks - ranks.mean() for ranks in (pd.Series(x).rank().to_numpy(), pd.Series(y).rank().to_numpy())]
    scale = np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    return float(centred[0] @ centred[1] / scale) if scale > 0 else float("nan")


class Pair(NamedTuple):
    """Two classes, the distance of their published places on the unit circle, and the cosine of their embeddings."""

    first: str
    second: str
    distance: float
    cosine: float


def class_pairs(embeds: np.ndarray, classes: Sequence[str]) -> list[Pair]:
    """List the pairs of classes that both have a published place; embeddings are `(classes, width)`."""
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
    """Correlate cosine with minus distance: 0 if cosines are all equal; None of under three pairs, or one distance."""
    distances = np.round([pair.distance for pair in pairs], DECIMALS)
    cosines = np.array([pair.cosine for pair in pairs])
    if len(pairs) < MIN_PAIRS or not np.ptp(distances):
        return None
    return spearman(cosines, -distances) if np.ptp(cosines) else 0.0


def class_centres(audio_embeds: np.ndarray, true: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the mean of the unit-length embeddings of each class's clips, `(n_classes, width)`."""
    if empty := [label for label in range(n_classes) if not (true == label).any()]:
        raise ValueError(f"Classes {empty} of {n_classes} have no clip, and so no centre; leave those classes out.")
    units = unit_rows(audio_embeds, "audio_embeds")
    return np.stack([units[true == label].mean(axis=0) for label in range(n_classes)])


@dataclass(frozen=True)
class ValenceArousal:
    """How well similarity follows distance, for texts and for clips' centres, and the classes compared."""

    texts: float | None
    clips: float | None
    classes: tuple[str, ...]


def valence_arousal(
    audio_embeds: np.ndarray, true: np.ndarray, class_embeds: np.ndarray, classes: Sequence[str]
) -> ValenceArousal:
    """Compare the similarity of classes with their published distance, for texts and for clips."""
    return ValenceArousal(
        texts=pair_correlation(class_pairs(class_embeds, classes)),
        clips=pair_correlation(class_pairs(class_centres(audio_embeds, true, len(classes)), classes)),
        classes=tuple(name for name in classes if place_of(name) is not None),
    )
