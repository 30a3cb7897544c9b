"""Do embeddings keep degrees? Rank correlation of their cosines with graded distances between clips.

The SmoothCLAP paper's claim is that softened targets keep the graded structure of emotions, which one-hot targets
ignore. These three figures make it measurable; they are ours, not the paper's. Each is Spearman's correlation, over
pairs of clips in the same language, of the cosine of their audio embeddings with minus their distance:

- `intensity`: difference of `emotion_intensity`, between clips of the same emotion by different speakers;
- `egemaps`: Euclidean distance of the eGeMAPS functionals, standardised within the language;
- `valence_arousal`: Euclidean distance in the valence-arousal plane, between clips of different speakers.

A figure is the plain mean over languages, for `intensity` over the emotions of each, so that no difference between
these is taken for a degree. Where all distances are equal, as in neutral speech, nothing is graded, and there is
nothing to take into the mean. Where distances differ and all cosines are equal, a model has kept nothing of the
degrees: that counts as a correlation of 0, so that embeddings which fall together do not drop out of the mean.
Pairs share clips and are not independent: an interval over pairs would be far too narrow. Repeated training gives one.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd

from modeling_smoothclap.scores_smoothclap import unit_rows
from smoothclap_trainer.data.functionals import functional_names
from smoothclap_trainer.evaluation.valence_arousal import spearman


MAX_PAIRS = 2_000_000
"""Of more pairs than this in one language, or one emotion of it, so many are drawn, with replacement."""
BLOCK_PAIRS = 100_000


def graded_correlations(
    embeds: np.ndarray, rows: pd.DataFrame, seed: int = 0, max_pairs: int = MAX_PAIRS
) -> dict[str, float]:
    """
    The three figures of this module.

    Args:
        embeds (`np.ndarray` of shape `(clips, width)`): Audio embeddings, of any length.
        rows (`pd.DataFrame`): The clips in the same order, with `language`, `speaker`, `emotion`, `emotion_intensity`,
            `circumplex_valence`, `circumplex_arousal` and the 88 functionals.
        seed (`int`, defaults to 0): Of the draw of pairs where there are more than `max_pairs`.
        max_pairs (`int`, defaults to 2,000,000): See [`MAX_PAIRS`].

    Returns:
        `dict[str, float]`: `intensity`, `egemaps` and `valence_arousal`, each between -1 and 1; 0 where cosines are all
        equal and distances are not. NaN where nothing is graded, for instance if every emotion has one intensity.

    Raises:
        ValueError: if the numbers differ, a column is missing, or a value is.
        ImportError: openSMILE, whose names the functionals have, is not installed.
    """
    if len(rows) != len(embeds):
        raise ValueError(f"There are {len(rows)} rows but {len(embeds)} embeddings; they must correspond.")
    functionals = functional_names()
    numbers = ["emotion_intensity", "circumplex_valence", "circumplex_arousal", *functionals]
    _check_columns(rows, numbers)
    embeds = unit_rows(embeds, "embeds")
    values = rows[numbers].to_numpy(dtype=np.float64)
    intensity, circumplex, acoustics = values[:, :1], values[:, 1:3], values[:, 3:]
    speakers = pd.factorize(rows["speaker"])[0]

    def correlation(by: list[str], features: np.ndarray, across_speakers: bool) -> float:
        rng = np.random.default_rng(seed)
        found = [
            _pair_correlation(embeds, features, pairs)
            for pairs in _pairs_within(rows, by, speakers if across_speakers else None, rng, max_pairs)
        ]
        return float(np.nanmean(found)) if not np.isnan(found).all() else float("nan")

    return {
        "intensity": correlation(["language", "emotion"], intensity, across_speakers=True),
        "egemaps": correlation(["language"], _standardised(acoustics, rows["language"]), across_speakers=False),
        "valence_arousal": correlation(["language"], circumplex, across_speakers=True),
    }


def _check_columns(rows: pd.DataFrame, numbers: Sequence[str]) -> None:
    if absent := [name for name in ("language", "speaker", "emotion", *numbers) if name not in rows.columns]:
        raise ValueError(
            f"Graded distances need columns that these rows lack: {absent}. The expressive synthetic corpus has them."
        )
    for name in numbers:
        if bad := int((~np.isfinite(rows[name].to_numpy(dtype=np.float64))).sum()):
            raise ValueError(f"Column {name!r} has no finite value in {bad} of {len(rows)} rows; leave those rows out.")


def _standardised(values: np.ndarray, groups: pd.Series) -> np.ndarray:
    """Mean 0 and deviation 1 within each group; a column that is constant there says nothing and becomes 0."""
    out = np.empty_like(values)
    for group in groups.unique():
        members = (groups == group).to_numpy()
        centred = values[members] - values[members].mean(axis=0)
        deviation = centred.std(axis=0)
        out[members] = centred / np.where(deviation > 0, deviation, 1)
    return out


def _pairs_within(
    rows: pd.DataFrame, by: list[str], speakers: np.ndarray | None, rng: np.random.Generator, max_pairs: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each group the two sides of its pairs as positions in `rows`; with `speakers`, of different speakers."""
    for members in rows.groupby(by).indices.values():
        positions = np.asarray(members)
        n = len(positions)
        if n * (n - 1) // 2 <= max_pairs:
            sides = np.stack(np.triu_indices(n, k=1))
        else:
            first = rng.integers(n, size=max_pairs)
            sides = np.stack([first, (first + rng.integers(1, n, size=max_pairs)) % n])  # never the clip itself
        left, right = positions[sides]
        if speakers is not None:
            different = speakers[left] != speakers[right]
            left, right = left[different], right[different]
        yield left, right


def _pair_correlation(embeds: np.ndarray, features: np.ndarray, pairs: tuple[np.ndarray, np.ndarray]) -> float:
    """NaN if nothing is graded here; 0 if the embeddings keep nothing of what is."""
    left, right = pairs
    if len(left) < 2:
        return float("nan")
    distances = _of_pairs(lambda a, b: np.linalg.norm(a - b, axis=1), features, left, right)
    if not np.ptp(distances):
        return float("nan")
    cosines = _of_pairs(lambda a, b: (a * b).sum(axis=1), embeds, left, right)
    return spearman(cosines, -distances) if np.ptp(cosines) else 0.0


def _of_pairs(
    measure: Callable[[np.ndarray, np.ndarray], np.ndarray], values: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    blocks = range(0, len(left), BLOCK_PAIRS)
    parts = [
        measure(values[left[start : start + BLOCK_PAIRS]], values[right[start : start + BLOCK_PAIRS]])
        for start in blocks
    ]
    return np.concatenate(parts)
