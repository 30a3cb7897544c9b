"""The page that says how the objectives came out: means and intervals over seeds, and what they were measured on."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
)  # fmt: skip
"""The 0.975 quantile of Student's t for 1 to 29 degrees of freedom. The last serves for more: a little wide."""

GRADED = {"intensity": "intensity", "egemaps": "eGeMAPS", "valence_arousal": "valence-arousal"}


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float]:
    """
    Mean and half of the 95% t-interval.

    Args:
        values (`Sequence[float]`): Independent repetitions, two or more.

    Returns:
        `tuple[float, float]`: NaN for both if a value is NaN.

    Raises:
        ValueError: if there are less than two values.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.comparison_page import mean_and_half_width
    >>> mean_and_half_width([0.0, 2.0])  # the deviation of the mean is 1
    (1.0, 12.706)

    ```
    """
    if len(values) < 2:
        raise ValueError(f"An interval needs two values or more, got {len(values)}.")
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(T_QUANTILES[min(len(values) - 1, len(T_QUANTILES)) - 1] * error)


def describe_clips(rows: pd.DataFrame) -> str:
    """
    Name a set of clips in words, and say whether they are synthetic.

    Args:
        rows (`pd.DataFrame`): Clips with `corpus`, `language` and `speaker`; `synthetic` where some are.

    Returns:
        `str`: For instance `"1,520 clips of SYNTHETIC speech in de by 4 voices (expressive-synthetic-de)"`.
    """
    made_up = rows["synthetic"].fillna(False).astype(bool) if "synthetic" in rows.columns else pd.Series([False])
    kind = "SYNTHETIC" if made_up.all() else "partly SYNTHETIC" if made_up.any() else "real"
    names = {column: " and ".join(sorted(rows[column].unique())) for column in ("language", "corpus")}
    count = rows["speaker"].nunique()
    voices = f"{count} voice{'s' * (count > 1)}"
    return f"{len(rows):,} clips of {kind} speech in {names['language']} by {voices} ({names['corpus']})"


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
        results (`pd.DataFrame`): From [`~comparison.compare`] with the figures of
            [`~comparison_scores.score_checkpoint`].
        config (`Mapping[str, Any]`): The configuration that all runs share.
        command (`str`): What makes the page again.
        train (`pd.DataFrame`), expressive (`pd.DataFrame`), speech (`pd.DataFrame`): Manifest rows of the training
            clips and of both test sets.

    Returns:
        `str`: Markdown.
    """
    seeds = results["seed"].nunique()
    recalls = [column for column in results.columns if column.startswith("uar_")]
    ways = {"audio_to_text": "audio to text", "text_to_audio": "text to audio"}
    retrieval = {f"{way}_r@{k}": f"{name} R@{k}" for way, name in ways.items() for k in (1, 5, 10)}
    chance = results.iloc[0]
    emotions = _table(results, {column: f"UAR, {column.removeprefix('uar_')}" for column in recalls})
    emotions += _line(["chance", *[f"{chance['chance_uar']:.3f}"] * len(recalls)])
    found = _table(results, retrieval)
    found += _line(["chance", *[f"{chance[f'chance_r@{k}']:.3f}" for _ in ways for k in (1, 5, 10)]])
    facts = [
        f"Training: {describe_clips(train)}; {int(chance['train_clips']):,} of them were used.",
        f"Budget of each run: {int(chance['steps']):,} steps of {_batch(config)} pairs.",
        f"Seeds: {seeds} for each objective. A figure is the mean over them, ± half of its 95% t-interval. That says "
        "how much training varies, not how other test clips would come out.",
        f"Emotions and degrees: {describe_clips(expressive)}. Of these, {_shared(train, expressive)} were trained on.",
        f"Retrieval: {describe_clips(speech)}. Captions are fixed and say all that the thresholds tell of a clip.",
        "All test texts are English. In training all objectives see a clip's emotion in its captions; soft targets see "
        "it in the tags as well, and label equality has nothing else in its targets.",
    ]
    return f"""# Objectives compared

All runs share one configuration and differ in the objective and the seed alone. Do not edit: this page is written by

    {command}

{"".join(_bullet(fact) for fact in facts)}
## Emotions of {_kind(expressive)} speech, zero-shot

Unweighted average recall by language.

{emotions}
## Degrees in {_kind(expressive)} speech

Spearman's correlation of the cosine of two clips with minus their distance: in emotion intensity (same emotion, other
voice), in eGeMAPS functionals, in valence and arousal of the rendered emotion (other voice). Pairs are of one language.

{_table(results, GRADED)}
## Retrieval of {_kind(speech)} speech

R@k over the whole set; clips whose captions are equal are all hits, and a tie counts as a miss.

{found}"""


def _kind(rows: pd.DataFrame) -> str:
    return describe_clips(rows).split(" clips of ")[1].split(" speech ")[0]


def _shared(train: pd.DataFrame, test: pd.DataFrame) -> str:
    voices, sentences = (len({*train[name].dropna()} & {*test[name].dropna()}) for name in ("speaker", "transcript"))
    return f"{voices} voices and {sentences} sentences"


def _bullet(text: str) -> str:
    wrapped = textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
    return "- " + "\n  ".join(wrapped) + "\n"


def _batch(config: Mapping[str, Any]) -> int:
    return int(config.get("per_device_train_batch_size", 32)) * int(config.get("gradient_accumulation_steps", 1))


def _table(results: pd.DataFrame, columns: Mapping[str, str]) -> str:
    """Rows are objectives in their order, entries mean and half-width."""
    lines = [_line(["objective", *columns.values()]), _line(["---", *["---:"] * len(columns)])]
    for name, runs in results.groupby("objective", sort=False):
        lines.append(_line([str(name), *[_entry(runs[column]) for column in columns]]))
    return "".join(lines)


def _entry(values: pd.Series) -> str:
    mean, half = mean_and_half_width(values.tolist())
    return "undefined" if np.isnan(mean) else f"{mean:.3f} ± {half:.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
