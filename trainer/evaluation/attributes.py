"""Zero-shot attribute queries: does "a high voice" rank high-pitched clips above low-pitched ones?

The reference is an eGeMAPS functional. Within each corpus, clips in the top third of it are positives, those in the
bottom third negatives; a clip's score is its cosine with the "high" text minus its cosine with the "low" text; the
metric is the area under the ROC curve (AUC, chance 0.5). Top against bottom third is an easy setting: it leaves out the
clips in between.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPModel, SmoothCLAPProcessor


@dataclass(frozen=True)
class AttributeQuery:
    """A pair of opposite descriptions, for clips with large and with small values of an openSMILE functional."""

    attribute: str
    column: str
    language: str
    high: str
    low: str


_PITCH = "F0semitoneFrom27.5Hz_sma3nz_amean"
_VARIATION = "F0semitoneFrom27.5Hz_sma3nz_stddevNorm"
_LOUDNESS = "loudness_sma3_amean"
_RATE = "loudnessPeaksPerSec"

ATTRIBUTE_QUERIES = (
    AttributeQuery("pitch", _PITCH, "en", "a high voice", "a low voice"),
    AttributeQuery("pitch", _PITCH, "en", "someone talking in a squeaky voice", "someone talking in a bass voice"),
    AttributeQuery("pitch", _PITCH, "de", "eine hohe Stimme", "eine tiefe Stimme"),
    AttributeQuery("loudness", _LOUDNESS, "en", "a loud voice", "a quiet voice"),
    AttributeQuery("loudness", _LOUDNESS, "en", "someone yelling at full volume", "someone speaking very softly"),
    AttributeQuery("loudness", _LOUDNESS, "de", "eine laute Stimme", "eine leise Stimme"),
    AttributeQuery("rate", _RATE, "en", "fast speech", "slow speech"),
    AttributeQuery("rate", _RATE, "en", "hurried, rapid talking", "unhurried, drawling talking"),
    AttributeQuery("rate", _RATE, "de", "schnelles Sprechen", "langsames Sprechen"),
    AttributeQuery("pitch variation", _VARIATION, "en", "a lively voice", "a monotone voice"),
    AttributeQuery("pitch variation", _VARIATION, "en", "an animated melody of speech", "a droning, unvarying tone"),
    AttributeQuery("pitch variation", _VARIATION, "de", "eine lebhafte Stimme", "eine monotone Stimme"),
)
"""For each attribute an English and a German pair that captions use, and one pair that no caption uses."""


SAMPLES = 500
"""Bootstrap samples for an interval (ours)."""


def auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Compute the area under the ROC curve: how often a positive scores above a negative, ties counting half."""
    if not len(positives) or not len(negatives):
        raise ValueError(f"AUC needs positives and negatives, got {len(positives)} and {len(negatives)}.")
    ranks = pd.Series(np.concatenate([positives, negatives])).rank().to_numpy()
    wins = ranks[: len(positives)].sum() - len(positives) * (len(positives) + 1) / 2
    return float(wins / (len(positives) * len(negatives)))


def thirds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the top and of the bottom third of `values`, each of shape `(n,)`."""
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return values >= high, values <= low


def bootstrap_interval(positives: np.ndarray, negatives: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of [`auc`] over clips; it is too narrow, as clips of one speaker are correlated."""
    rng = np.random.default_rng(0)
    draws = [auc(rng.choice(positives, len(positives)), rng.choice(negatives, len(negatives))) for _ in range(SAMPLES)]
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def attribute_table(
    rows: pd.DataFrame,
    audio_embeds: np.ndarray,
    model: SmoothCLAPModel,
    processor: SmoothCLAPProcessor,
    queries: tuple[AttributeQuery, ...] = ATTRIBUTE_QUERIES,
) -> pd.DataFrame:
    """Compute the AUC of each query in each corpus; `rows` have `corpus` and the functionals that queries name."""
    if len(rows) != len(audio_embeds):
        raise ValueError(f"There are {len(rows)} rows but {len(audio_embeds)} embeddings; they must correspond.")
    texts = [text for query in queries for text in (query.high, query.low)]
    text_embeds = SmoothCLAPEncoder(model, processor).encode_text(texts).reshape(len(queries), 2, -1)
    table = []
    for query, (high, low) in zip(queries, text_embeds, strict=True):
        scores = audio_embeds @ (high - low)  # (clips,)
        for corpus, members in rows.reset_index(drop=True).groupby("corpus"):
            values, its_scores = members[query.column].to_numpy(), scores[members.index]
            top, bottom = thirds(values)
            positives, negatives = its_scores[top], its_scores[bottom]
            found = (auc(positives, negatives), *bootstrap_interval(positives, negatives))
            asked = (query.attribute, query.language, query.high, query.low)
            table.append((*asked, corpus, len(positives), len(negatives), *found))
    columns = ["attribute", "language", "high", "low", "corpus", "positives", "negatives", "auc"]
    return pd.DataFrame(table, columns=[*columns, "interval_low", "interval_high"])
