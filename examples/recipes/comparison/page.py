"""The page that compares objectives: means and intervals over seeds, and what they were measured on."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from .reading import Interval, Metric, by_objective, claims, highest
from .runs import INFONCE, OBJECTIVES, SOFT


GRADED = {"intensity": "intensity", "egemaps": "eGeMAPS", "valence_arousal": "valence-arousal"}
WAYS = {"audio_to_text": "audio to text", "text_to_audio": "text to audio"}
RECALLS_AT = (1, 5, 10)
TINY_RATES = {"learning_rate": 1e-3, "text_learning_rate": 1e-4}
"""With which `smoothclap-tiny` was trained until its text tower was frozen; a page of runs with the same says so."""


class Origin(Enum):
    """Where speech comes from, as the page words it."""

    REAL = "real"
    SYNTHETIC = "SYNTHETIC"
    MIXED = "partly SYNTHETIC"


@dataclass(frozen=True)
class ClipSet:
    """A set of clips in numbers and names."""

    clips: int
    origin: Origin
    languages: tuple[str, ...]
    corpora: tuple[str, ...]
    voices: int

    @classmethod
    def of(cls, rows: pd.DataFrame) -> "ClipSet":
        """Describe manifest rows with `corpus`, `language` and `speaker`, and `synthetic` where some are."""
        made_up = rows["synthetic"].fillna(False).astype(bool) if "synthetic" in rows else pd.Series([False])
        origin = Origin.SYNTHETIC if made_up.all() else Origin.MIXED if made_up.any() else Origin.REAL
        languages, corpora = (tuple(sorted(rows[column].unique())) for column in ("language", "corpus"))
        return cls(len(rows), origin, languages, corpora, int(rows["speaker"].nunique()))


def comparison_page(
    results: pd.DataFrame,
    config: Mapping[str, Any],
    command: str,
    train: pd.DataFrame,
    expressive: pd.DataFrame,
    speech: pd.DataFrame,
) -> str:
    """
    Write the page.

    Args:
        results (`pd.DataFrame`): From `comparison.runs.compare` with the metrics of
            `comparison.scores.score_checkpoint`, of InfoNCE and others of `comparison.runs.OBJECTIVES`.
        config (`Mapping[str, Any]`): The configuration that all runs share.
        command (`str`): The command that writes the page again.
        train (`pd.DataFrame`), expressive (`pd.DataFrame`), speech (`pd.DataFrame`): Manifest rows of the training
            clips and of both test sets.

    Returns:
        `str`: Markdown.
    """
    compared = set(results["objective"])
    tables = _tables(results)
    every = [metric for metrics in tables.values() for metric in metrics]
    soft = [one.name for one in SOFT if one.name in compared]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(wrapped=_wrapped, interval=_interval)
    return environment.get_template("page.md.jinja").render(
        command=command,
        objectives=[one for one in OBJECTIVES if one.name in compared],
        first=results.iloc[0],
        seeds=results["seed"].nunique(),
        batch=int(config.get("per_device_train_batch_size", 32)) * int(config.get("gradient_accumulation_steps", 1)),
        rates={name: float(config[name]) for name in TINY_RATES if name in config},
        tiny_rates=TINY_RATES,
        train=ClipSet.of(train),
        expressive=ClipSet.of(expressive),
        speech=ClipSet.of(speech),
        shared_voices=_shared(train, expressive, "speaker"),
        shared_sentences=_shared(train, expressive, "transcript"),
        shared_retrieval_voices=_shared(train, speech, "speaker"),
        tables=tables,
        intervals={metric: by_objective(results, metric) for metric in every},
        highest=list(highest(results, every, INFONCE.name)),
        claims=list(claims(results, tables["degrees"], INFONCE.name, soft)),
    )


def _tables(results: pd.DataFrame) -> dict[str, list[Metric]]:
    """Return the metrics of each table: emotions, degrees, and retrieval with captions by two kinds of thresholds."""
    first = results.iloc[0]
    recalls = [name for name in results.columns if name.startswith("uar_")]
    return {
        "emotions": [Metric(name, f"UAR, {name.removeprefix('uar_')}", first["chance_uar"]) for name in recalls],
        "degrees": [Metric(name, title, 0.0) for name, title in GRADED.items()],
        "retrieval": _retrieval(first, "", ""),
        "own_retrieval": _retrieval(first, "own_", ", own"),
    }


def _retrieval(first: pd.Series, prefix: str, suffix: str) -> list[Metric]:
    return [
        Metric(f"{prefix}{way}_r@{k}", f"{title} R@{k}{suffix}", first[f"{prefix}chance_r@{k}"])
        for way, title in WAYS.items()
        for k in RECALLS_AT
    ]


def _shared(train: pd.DataFrame, test: pd.DataFrame, column: str) -> int:
    return len({*train[column].dropna()} & {*test[column].dropna()})


def _wrapped(text: str) -> str:
    """A bullet in lines of a readable length."""
    return "\n  ".join(textwrap.wrap(" ".join(text.split()), 118, break_long_words=False, break_on_hyphens=False))


def _interval(interval: Interval) -> str:
    return f"{interval.mean:.3f} ± {interval.half_width:.3f}" if interval.is_defined else "undefined"
