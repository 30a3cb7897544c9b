"""The page that says how the objectives came out: means and intervals over seeds, and what they were measured on."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from .means import mean_and_half_width
from .reading import Figure, claim_lines, entry, highest_rows
from .runs import INFONCE, OBJECTIVES, SOFT


GRADED = {"intensity": "intensity", "egemaps": "eGeMAPS", "valence_arousal": "valence-arousal"}
WAYS = {"audio_to_text": "audio to text", "text_to_audio": "text to audio"}
RECALLS_AT = (1, 5, 10)
TINY_RATES = {"learning_rate": 1e-3, "text_learning_rate": 1e-4}
"""With which `smoothclap-tiny` was trained; a page of runs with the same says so."""


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
            [`~comparison_scores.score_checkpoint`], of InfoNCE and others of [`~comparison.OBJECTIVES`].
        config (`Mapping[str, Any]`): The configuration that all runs share.
        command (`str`): What makes the page again.
        train (`pd.DataFrame`), expressive (`pd.DataFrame`), speech (`pd.DataFrame`): Manifest rows of the training
            clips and of both test sets.

    Returns:
        `str`: Markdown.
    """
    emotions, degrees, retrieval, own_retrieval = _figures(results)
    facts = _facts(results, config, train, expressive, speech)
    compared = set(results["objective"])
    meanings = [f"{one.name}: {one.meaning}" for one in OBJECTIVES if one.name in compared]
    return f"""# Objectives compared

All runs share one configuration and differ in the objective and the seed alone. Do not edit: this page is written by

    {command}

{"".join(_bullet(meaning) for meaning in meanings)}
What was measured:

{"".join(_bullet(fact) for fact in facts)}
## Emotions of {_kind(expressive)} speech, zero-shot

Unweighted average recall by language.

{_table(results, emotions)}{_chance(emotions)}
## Degrees in {_kind(expressive)} speech

Spearman's correlation of the cosine of two clips with minus their distance: in emotion intensity (same emotion, other
voice), in eGeMAPS functionals, in valence and arousal of the rendered emotion (other voice). Pairs are of one language.

{_table(results, degrees)}
## Retrieval of {_kind(speech)} speech

R@k over the whole set; clips whose captions are equal are all hits, and a tie counts as a miss. Captions by the
thresholds that training fitted on all its clips, {int(results["captions"].iloc[0]):,} different ones. Where training
clips are of two kinds, one kind may get one and the same words.

{_table(results, retrieval)}{_chance(retrieval)}
The same with captions by thresholds of the {_kind(speech)} training clips alone:
{int(results["own_captions"].iloc[0]):,} different ones. Training used these words in another sense. This table was
added after the first had been seen.

{_table(results, own_retrieval)}{_chance(own_retrieval)}
{_reading(results, [*emotions, *degrees, *retrieval, *own_retrieval], degrees)}"""


def _figures(results: pd.DataFrame) -> tuple[list[Figure], list[Figure], list[Figure], list[Figure]]:
    """Of emotions, of degrees, and of retrieval with captions by two kinds of thresholds."""
    first = results.iloc[0]
    recalls = [name for name in results.columns if name.startswith("uar_")]
    return (
        [Figure(name, f"UAR, {name.removeprefix('uar_')}", first["chance_uar"]) for name in recalls],
        [Figure(name, title, 0.0) for name, title in GRADED.items()],
        _retrieval(first, "", ""),
        _retrieval(first, "own_", ", own"),
    )


def _retrieval(first: pd.Series, prefix: str, suffix: str) -> list[Figure]:
    return [
        Figure(f"{prefix}{way}_r@{k}", f"{title} R@{k}{suffix}", first[f"{prefix}chance_r@{k}"])
        for way, title in WAYS.items()
        for k in RECALLS_AT
    ]


def _facts(
    results: pd.DataFrame,
    config: Mapping[str, Any],
    train: pd.DataFrame,
    expressive: pd.DataFrame,
    speech: pd.DataFrame,
) -> list[str]:
    first = results.iloc[0]
    seeds = results["seed"].nunique()
    voices, sentences = _shared(train, expressive, "speaker"), _shared(train, expressive, "transcript")
    return [
        f"Training: {describe_clips(train)}; {int(first['train_clips']):,} of them were used.",
        f"Budget of each run: {int(first['steps']):,} steps of {_batch(config)} pairs.",
        _rates(config),
        f"Seeds: {seeds} for each objective. A figure is the mean over them, ± half of its 95% t-interval. That says "
        "how much training varies, not how other test clips would come out.",
        f"Emotions and degrees: {describe_clips(expressive)}. Of these, {voices} voices and {sentences} sentences were "
        "trained on.",
        f"Retrieval: {describe_clips(speech)}. Of these, {_shared(train, speech, 'speaker')} voices were trained on. "
        "Captions are fixed and say all that thresholds tell of a clip.",
        "All figures are of the test split. The page compares objectives; it must not choose one, nor a setting of "
        "one: choose by validation clips, and test what was chosen.",
        "All test texts are English. In training all objectives see a clip's emotion in its captions; soft targets see "
        "it in the tags as well, and label equality has nothing else in its targets. Captions and tags word eGeMAPS "
        "functionals, by which one of the degrees is measured.",
    ]


def _rates(config: Mapping[str, Any]) -> str:
    rates = {name: float(config[name]) for name in TINY_RATES if name in config}
    said = " and ".join(f"{name} {rate:g}" for name, rate in rates.items()) or "the training script's defaults"
    fact = f"Rates: {said}, the same for all objectives and tuned for none of them."
    if rates == TINY_RATES:
        fact += " They were smoothclap-tiny's, which trained with soft targets, beta 0.1, and may suit these better."
    return fact


def _reading(results: pd.DataFrame, figures: Sequence[Figure], degrees: Sequence[Figure]) -> str:
    count = results["objective"].nunique()
    soft = [one.name for one in SOFT if one.name in set(results["objective"])]
    head = ["figure", "highest mean", "it", "InfoNCE", "intervals", "over chance"]
    rows = [head, ["---"] * len(head), *highest_rows(results, figures, INFONCE.name)]
    return f"""## Reading

The highest mean of each figure, whether its interval overlaps that of InfoNCE, and whether it lies over chance, which
is 0 for a correlation. Intervals are over seeds only. The highest of {count} is picked after the fact, for each figure
anew, and nothing is corrected for that.

{"".join(_line(row) for row in rows)}
The paper's claim is that soft targets keep graded distance better than InfoNCE does; the figures that stand for it here
are ours. Borne out means: the mean is higher and the intervals are apart. Where they overlap, these seeds do not tell.

{"".join(_bullet(line) for line in claim_lines(results, degrees, INFONCE.name, soft))}"""


def _kind(rows: pd.DataFrame) -> str:
    return describe_clips(rows).split(" clips of ")[1].split(" speech ")[0]


def _shared(train: pd.DataFrame, test: pd.DataFrame, column: str) -> int:
    return len({*train[column].dropna()} & {*test[column].dropna()})


def _bullet(text: str) -> str:
    wrapped = textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)
    return "- " + "\n  ".join(wrapped) + "\n"


def _batch(config: Mapping[str, Any]) -> int:
    return int(config.get("per_device_train_batch_size", 32)) * int(config.get("gradient_accumulation_steps", 1))


def _table(results: pd.DataFrame, figures: Sequence[Figure]) -> str:
    """Rows are objectives in their order, entries mean and half-width."""
    lines = [_line(["objective", *[figure.title for figure in figures]]), _line(["---", *["---:"] * len(figures)])]
    for name, runs in results.groupby("objective", sort=False):
        entries = [entry(mean_and_half_width(runs[figure.column].tolist())) for figure in figures]
        lines.append(_line([str(name), *entries]))
    return "".join(lines)


def _chance(figures: Sequence[Figure]) -> str:
    return _line(["chance", *[f"{figure.chance:.3f}" for figure in figures]])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
