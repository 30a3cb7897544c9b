"""Zero-shot attribute queries: does "a high voice" rank high-pitched clips above low-pitched ones?

The truth is a column of the clips. Of numbers, such as an eGeMAPS functional, the top third within each corpus are
positives and the bottom third negatives, an easy setting: it leaves out the clips in between. Of text, clips marked
"high" are positives and clips marked "low" negatives. A clip's score is its cosine with the "high" text minus its
cosine with the "low" text; the metric is the area under the ROC curve (AUC, chance 0.5).
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import DatasetDict
from transformers import AutoModel, AutoProcessor
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPModel, SmoothCLAPProcessor

from ..data.cache import cached_embeddings
from ..files import write_text
from .intervals import metric_of_weights
from .shuffling import shuffled_labels


logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class AttributeQuery:
    """A pair of opposite descriptions, for clips that a column says are high and low in an attribute."""

    attribute: str
    column: str  # an openSMILE functional or other numbers, or text: "high", "low", anything else
    language: str
    high: str
    low: str
    held_out: bool = False  # no training caption has the words that matter


AROUSAL = "arousal_intent"
"""Column that says how aroused a clip is meant to sound: "high" or "low"."""

_Pair = tuple[str, str, str]  # language, high, low


def _asked(attribute: str, column: str, captions: Sequence[_Pair], held_out: Sequence[_Pair]) -> list[AttributeQuery]:
    pairs = [(pair, pair in held_out) for pair in (*captions, *held_out)]
    return [AttributeQuery(attribute, column, *pair, held_out=held) for pair, held in pairs]


ATTRIBUTE_QUERIES = (
    *_asked(
        "pitch",
        "F0semitoneFrom27.5Hz_sma3nz_amean",
        captions=[
            ("en", "a high voice", "a low voice"),
            ("de", "eine hohe Stimme", "eine tiefe Stimme"),
        ],
        held_out=[
            ("en", "someone talking in a squeaky voice", "someone talking in a bass voice"),
            ("en", "a falsetto voice", "a gravelly, growling voice"),
            ("en", "a tinny, childlike voice", "the voice of a giant"),
            ("de", "eine piepsige Stimme", "eine brummige Stimme"),
            ("de", "jemand spricht im Falsett", "jemand spricht mit Bassstimme"),
        ],
    ),
    *_asked(
        "loudness",
        "loudness_sma3_amean",
        captions=[
            ("en", "a loud voice", "a quiet voice"),
            ("de", "eine laute Stimme", "eine leise Stimme"),
        ],
        held_out=[
            ("en", "someone yelling at full volume", "someone speaking very softly"),
            ("en", "a thunderous, ear-splitting voice", "a faint, barely perceptible voice"),
            ("en", "someone bellowing", "someone speaking under their breath"),
            ("de", "eine donnernde Stimme", "eine kaum vernehmbare Stimme"),
            ("de", "jemand brüllt", "jemand wispert"),
        ],
    ),
    *_asked(
        "rate",
        "loudnessPeaksPerSec",
        captions=[
            ("en", "fast speech", "slow speech"),
            ("de", "schnelles Sprechen", "langsames Sprechen"),
        ],
        held_out=[
            ("en", "hurried, rapid talking", "unhurried, drawling talking"),
            ("en", "speech at a breakneck pace", "speech at a sluggish pace"),
            ("en", "someone rattling off their words", "someone drawing out every syllable"),
            ("de", "ein rasantes Sprechtempo", "ein schleppendes Sprechtempo"),
            ("de", "jemand redet wie ein Maschinengewehr", "jemand zieht jede Silbe in die Länge"),
        ],
    ),
    *_asked(
        "pitch variation",
        "F0semitoneFrom27.5Hz_sma3nz_stddevNorm",
        captions=[
            ("en", "a lively voice", "a monotone voice"),
            ("de", "eine lebhafte Stimme", "eine monotone Stimme"),
        ],
        held_out=[
            ("en", "an animated melody of speech", "a droning, unvarying tone"),
            ("en", "a vivid, dynamic delivery", "a robotic, deadpan delivery"),
            ("en", "a voice that soars and dips", "a voice that stays on one note"),
            ("de", "ein schwungvoller, bewegter Tonfall", "ein leiernder, starrer Tonfall"),
            ("de", "eine temperamentvolle Sprechmelodie", "eine roboterhafte Sprechmelodie"),
        ],
    ),
    *_asked(
        "arousal",
        AROUSAL,
        captions=[
            ("en", "an excited voice", "a calm voice"),
            ("de", "eine aufgeregte Stimme", "eine ruhige Stimme"),
        ],
        held_out=[
            ("en", "a fired-up, hectic voice", "a placid, drowsy voice"),
            ("de", "eine überdrehte Stimme", "eine träge Stimme"),
        ],
    ),
)
"""For each attribute a pair in English and one in German that captions use, and held-out pairs in both languages."""


SAMPLES = 500
"""Bootstrap samples for an interval (ours)."""


def auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Compute the area under the ROC curve: how often a positive scores above a negative, ties counting half."""
    if not len(positives) or not len(negatives):
        raise ValueError(f"AUC needs positives and negatives, got {len(positives)} and {len(negatives)}.")
    positive = np.arange(len(positives) + len(negatives)) < len(positives)
    return weighted_auc(np.concatenate([positives, negatives]), positive)(np.ones(len(positive)))


def weighted_auc(scores: np.ndarray, positive: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return a function that computes AUC from clip weights, `(clips,)`; NaN if one side has no weight."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    ties = np.flatnonzero(np.concatenate([[True], ordered[1:] > ordered[:-1]]))  # where each distinct score starts
    is_positive = positive[order]

    def of(weights: np.ndarray) -> float:
        weights = weights[order]
        ours = np.add.reduceat(np.where(is_positive, weights, 0), ties)
        theirs = np.add.reduceat(np.where(is_positive, 0, weights), ties)
        pairs = ours.sum() * theirs.sum()
        wins = (ours * (theirs.cumsum() - theirs / 2)).sum()
        return float(wins / pairs) if pairs else float("nan")

    return of


def thirds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the top and of the bottom third of `values`, each of shape `(n,)`; NaN is in neither."""
    low, high = np.nanquantile(values, [1 / 3, 2 / 3])
    return values >= high, values <= low


def positives_and_negatives(truth: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return masks of the clips that are high and low by a column: the thirds of numbers, or what text says."""
    if pd.api.types.is_numeric_dtype(truth):
        return thirds(truth.to_numpy(float)) if truth.notna().any() else (np.zeros(len(truth), bool),) * 2
    return (truth == "high").to_numpy(), (truth == "low").to_numpy()


def attribute_table(
    rows: pd.DataFrame,
    audio_embeds: np.ndarray,
    model: SmoothCLAPModel,
    processor: SmoothCLAPProcessor,
    queries: Sequence[AttributeQuery] = ATTRIBUTE_QUERIES,
) -> pd.DataFrame:
    """
    Compute the AUC of each query in each corpus that has positives and negatives, with an interval.

    `rows` have `corpus`, the columns that queries name, and `speaker`, if that is known: speakers are drawn, if enough
    are. Where the truth is text there is also the AUC with labels shuffled within speakers; see [`shuffled_labels`].
    """
    if len(rows) != len(audio_embeds):
        raise ValueError(f"There are {len(rows)} rows but {len(audio_embeds)} embeddings; they must correspond.")
    texts = [text for query in queries for text in (query.high, query.low)]
    text_embeds = SmoothCLAPEncoder(model, processor).encode_text(texts).reshape(len(queries), 2, -1)
    table = []
    for query, (high, low) in zip(queries, text_embeds, strict=True):
        scores = audio_embeds @ (high - low)  # (clips,)
        for corpus, members in rows.reset_index(drop=True).groupby("corpus"):
            top, bottom = positives_and_negatives(members[query.column])
            if top.any() and bottom.any():
                is_text = not pd.api.types.is_numeric_dtype(members[query.column])
                found = _judged(members, scores[members.index], top, bottom, is_text)
                table.append(asdict(query) | {"corpus": corpus} | found)
    return pd.DataFrame(table).drop(columns="column", errors="ignore")


def _judged(
    members: pd.DataFrame, scores: np.ndarray, top: np.ndarray, bottom: np.ndarray, is_text: bool
) -> dict[str, Any]:
    """What one query reaches in one corpus, as cells of the table."""
    chosen = np.concatenate([top.nonzero()[0], bottom.nonzero()[0]])
    scores, positive = scores[chosen], np.arange(len(chosen)) < top.sum()
    named = members["speaker"].iloc[chosen] if "speaker" in members else [None] * len(chosen)
    speakers = [each if isinstance(each, str) else None for each in named]
    found, interval = metric_of_weights(weighted_auc(scores, positive), len(chosen), speakers, SAMPLES)
    cells: dict[str, Any] = {"positives": int(top.sum()), "negatives": int(bottom.sum()), "auc": found.value}
    cells |= {"interval_low": found.low, "interval_high": found.high}
    cells |= {"interval_unit": interval.unit, "interval_units": interval.units}
    if is_text:
        ranks = pd.Series(scores).rank().to_numpy()
        by_chance = shuffled_labels(lambda labels: _auc_of_ranks(ranks, labels), positive, speakers)
        cells |= {f"shuffled_{name}": value for name, value in asdict(by_chance).items()}
    return cells


def _auc_of_ranks(ranks: np.ndarray, positive: np.ndarray) -> float:
    clips = positive.sum()
    wins = ranks[positive].sum() - clips * (clips + 1) / 2
    return float(wins / (clips * (len(ranks) - clips)))


def measured_attributes(folder: str | Path, splits: DatasetDict, cache_dir: str, device: str = "cpu") -> pd.DataFrame:
    """
    Measure a saved model on the validation and test clips that have functionals: an [`attribute_table`] with `split`.

    Queries whose truth is not a functional are asked where the clips have its column. Without functionals the table is
    empty, with a warning.
    """
    model: Any = AutoModel.from_pretrained(folder).to(device)
    processor = AutoProcessor.from_pretrained(folder)
    functionals = {query.column for query in ATTRIBUTE_QUERIES} - {AROUSAL}
    tables = []
    for name in [name for name in ("validation", "test") if name in splits]:
        rows = splits[name].with_format(None)
        there = set(rows.column_names)
        if functionals - there:
            logger.warning(
                f"There are no attribute metrics of the {name} clips. They need functionals (pitch, loudness, rate and "
                "others, measured with openSMILE), which training on given captions does not. Nothing is wrong; "
                "`report_attributes: false` leaves out this message."
            )
            continue
        queries = [query for query in ATTRIBUTE_QUERIES if query.column in there]
        wanted = {"corpus", "speaker", *(query.column for query in queries)} & there
        table = rows.select_columns(sorted(wanted)).to_pandas()
        corpora = table["corpus"].fillna("unnamed") if "corpus" in table else "unnamed"
        if isinstance(model, SmoothCLAPModel):
            cache = Path(cache_dir).expanduser() / "features"
            embeds = cached_embeddings(model, processor.feature_extractor, rows, cache)
        else:
            embeds = SmoothCLAPEncoder(model, processor).encode_audio(list(rows))
        found = attribute_table(table.assign(corpus=corpora), embeds, model, processor, queries)
        tables.append(found.assign(split=name))
    return pd.concat(tables) if tables else pd.DataFrame()


def write_attributes(table: pd.DataFrame, path: str | Path) -> None:
    """Write what [`measured_attributes`] returned as CSV."""
    write_text(path, table.to_csv(index=False, lineterminator="\n", float_format="%.4f"))
