"""Quantile thresholds that turn acoustic values into low, normal and high: fitted once, saved, reused."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from transformers.utils import logging

from ...files import write_json
from ..clips import as_table


if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset


logger = logging.get_logger(__name__)

QUANTILES = (0.3, 0.7)
"""At or below the first is low, at or above the second is high (ParaCLAP's choice)."""

ACOUSTIC_GROUPS: dict[str, tuple[str, ...]] = {
    "pitch": ("F0semitoneFrom27.5Hz_sma3nz_amean",),
    "pitch variation": ("F0semitoneFrom27.5Hz_sma3nz_stddevNorm",),
    "intensity": ("equivalentSoundLevel_dBp", "loudness_sma3_amean"),
    "jitter": ("jitterLocal_sma3nz_amean",),
    "shimmer": ("shimmerLocaldB_sma3nz_amean",),
    "duration": ("duration",),
    "rate": ("loudnessPeaksPerSec",),
}
"""Group to its columns. All are ParaCLAP's but `rate`, which is this project's: loudness peaks follow syllables."""

RATED_GROUPS: dict[str, tuple[str, ...]] = {
    "arousal": ("arousal",),
    "dominance": ("dominance",),
    "valence": ("valence",),
}
"""Dimensions that people rated: used if the rows have them, and a row may lack its rating."""

GROUPS = {**ACOUSTIC_GROUPS, **RATED_GROUPS}
COLUMNS = sorted(column for columns in GROUPS.values() for column in columns)


@dataclass(frozen=True)
class Thresholds:
    """Bounds of each column: at or below `low` a value is low, at or above `high` it is high."""

    low: dict[str, float]
    high: dict[str, float]
    num_rows: int
    quantiles: tuple[float, float] = QUANTILES
    sampling_rate: int | None = None

    def __post_init__(self) -> None:
        if len(self.quantiles) != 2 or not 0 < self.quantiles[0] < self.quantiles[1] < 1:
            raise ValueError(f"quantiles must rise between 0 and 1, got {self.quantiles}")
        for count in (self.num_rows, 1 if self.sampling_rate is None else self.sampling_rate):
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise ValueError(f"num_rows and sampling_rate are whole numbers of at least 1, not {count!r}")
        if not self.low or self.low.keys() != self.high.keys() or self.low.keys() - {*COLUMNS}:
            raise ValueError(f"columns are {sorted({*self.low, *self.high})}; give low and high of some of {COLUMNS}")
        for column, low in self.low.items():
            high = self.high[column]
            if not -np.inf < low <= high < np.inf:
                raise ValueError(f"column {column!r} is low up to {low} and high from {high}; fit them again")

    @classmethod
    def fit(
        cls,
        rows: "Dataset | pd.DataFrame",
        quantiles: tuple[float, float] = QUANTILES,
        sampling_rate: int | None = None,
    ) -> "Thresholds":
        """
        Fit thresholds on TRAINING rows, for every group whose columns are there and vary.

        A value is low or high by its rank among the rows, from 0 to 1, as in ParaCLAP, which ranks with scikit-learn's
        `QuantileTransformer`: equal values have the mean of their ranks, except that the smallest is 0 and the largest
        1. Between values, ranks are interpolated. A group with a column that does not vary is left out, with a warning;
        so is (our choice) an acoustic one whose smallest or largest value is that of most rows, such as the `duration`
        of clips that were cut to one length. `sampling_rate`, at which functionals were computed, is kept; `None` if
        it is not known.

        Raises:
            ValueError: No group's columns are there, none varies, or a column of acoustic values has gaps.
        """
        return _fit(as_table(rows, COLUMNS), quantiles, sampling_rate)

    def levels(self, row: Mapping[str, Any]) -> dict[str, str]:
        """
        Bin one row: return group to `"low"`, `"normal"` or `"high"`, for all groups with thresholds.

        A group of several columns (intensity) is high if any column is high, else low if any is low. Dimensions without
        a rating in this row are left out.

        Raises:
            ValueError: An acoustic column is missing or not finite.
        """
        levels = {}
        for group, columns in GROUPS.items():
            if not set(columns) <= set(self.low):
                continue
            values = [row.get(column) for column in columns]
            if any(value is None or not np.isfinite(value) for value in values):
                if group in RATED_GROUPS:
                    continue
                raise ValueError(f"row has no finite {' and '.join(columns)} (got {values}); extract its functionals")
            if any(float(row[column]) >= self.high[column] for column in columns):
                levels[group] = "high"
            elif any(float(row[column]) <= self.low[column] for column in columns):
                levels[group] = "low"
            else:
                levels[group] = "normal"
        return levels

    def save(self, path: str | Path) -> None:
        """Write the thresholds as JSON, exactly."""
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> "Thresholds":
        """Read what [`~Thresholds.save`] wrote; a `ValueError` if the file is missing or holds something else."""
        found = load_thresholds(path)
        if isinstance(found, CorpusThresholds):
            raise ValueError(f"{str(path)!r} holds thresholds of each corpus; read it with `load_thresholds`")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return what [`~Thresholds.save`] writes."""
        return {
            "quantiles": list(self.quantiles),
            "num_rows": self.num_rows,
            "sampling_rate": self.sampling_rate,
            "columns": {column: {"low": self.low[column], "high": self.high[column]} for column in self.low},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Thresholds":
        """Make thresholds of what [`~Thresholds.to_json`] returned; other content is an error of some kind."""
        columns = content["columns"]
        return cls(
            low={column: float(pair["low"]) for column, pair in columns.items()},
            high={column: float(pair["high"]) for column, pair in columns.items()},
            num_rows=content["num_rows"],
            quantiles=tuple(map(float, content["quantiles"])),  # type: ignore[arg-type]
            sampling_rate=content.get("sampling_rate"),  # earlier files lack it
        )


@dataclass(frozen=True)
class CorpusThresholds:
    """
    Thresholds of each corpus, by its name: a clip is low or high among the clips of its own corpus (our choice).

    For corpora that are recorded, levelled or synthesised in different ways: thresholds that they share would make
    "quiet" mean "of that corpus".
    """

    corpora: dict[str, Thresholds]

    def __post_init__(self) -> None:
        if len({each.quantiles for each in self.corpora.values()}) != 1:
            raise ValueError(f"corpora are {sorted(self.corpora)}; give one or more, all with the same quantiles")

    @property
    def quantiles(self) -> tuple[float, float]:
        """The quantiles of all corpora."""
        return next(iter(self.corpora.values())).quantiles

    @property
    def num_rows(self) -> int:
        """The training rows of all corpora."""
        return sum(each.num_rows for each in self.corpora.values())

    @classmethod
    def fit(
        cls,
        rows: "Dataset | pd.DataFrame",
        quantiles: tuple[float, float] = QUANTILES,
        sampling_rate: int | None = None,
    ) -> "CorpusThresholds":
        """
        Fit [`Thresholds`] on the TRAINING rows of each value of `corpus`.

        A group that varies in one corpus and not in another is left out of the latter's captions, with a warning.

        Raises:
            ValueError: A row has no `corpus`, or the rows of a corpus are too few, or no thresholds can be fitted on
                them for another reason.
        """
        table = as_table(rows, [*COLUMNS, "corpus"])
        unnamed = int(table["corpus"].isna().sum()) if "corpus" in table else len(table)
        if unnamed:
            raise ValueError(
                f"{unnamed} of {len(table)} training rows have no `corpus`: name that of each row, or fit thresholds "
                "that all rows share"
            )
        corpora = {}
        for corpus, members in table.groupby("corpus"):
            try:
                corpora[str(corpus)] = _fit(members.drop(columns="corpus"), quantiles, sampling_rate, str(corpus))
            except ValueError as error:
                raise ValueError(f"corpus {corpus!r} gets no thresholds of its own: {error}") from error
        return cls(corpora)

    def levels(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Bin one row by the thresholds of its `corpus`, see [`Thresholds.levels`]; a `ValueError` if it has none."""
        corpus = row.get("corpus")
        if corpus not in self.corpora:
            raise ValueError(
                f"there are no thresholds of corpus {corpus!r}, only of {sorted(self.corpora)}: training rows must "
                "have the corpus, or thresholds be shared"
            )
        return self.corpora[corpus].levels(row)

    def save(self, path: str | Path) -> None:
        """Write the thresholds as JSON, exactly; [`load_thresholds`] reads them."""
        write_json(path, {"corpora": {corpus: each.to_json() for corpus, each in self.corpora.items()}})


AnyThresholds = Thresholds | CorpusThresholds


def load_thresholds(path: str | Path) -> AnyThresholds:
    """Read what `save` of either class wrote; a `ValueError` if the file is missing or holds something else."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if "corpora" in content:
            return CorpusThresholds({name: Thresholds.from_json(each) for name, each in content["corpora"].items()})
        return Thresholds.from_json(content)
    except (OSError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} holds no thresholds ({error!r}); fit them on the training rows") from error


def _fit(
    table: "pd.DataFrame", quantiles: tuple[float, float], sampling_rate: int | None, corpus: str | None = None
) -> Thresholds:
    """Fit thresholds on the columns that are there; `corpus` is for warnings."""
    groups = [group for group, columns in GROUPS.items() if set(columns) <= set(table.columns)]
    if not groups:
        raise ValueError(f"the rows have none of the columns that thresholds are fitted on: {COLUMNS}")
    where = "" if corpus is None else f" of corpus {corpus!r}"
    low: dict[str, float] = {}
    high: dict[str, float] = {}
    for group in groups:
        found = {column: _bounds(table[column], quantiles, group in RATED_GROUPS) for column in GROUPS[group]}
        if alike := [column for column, pair in found.items() if pair is None]:
            logger.warning(
                f"{group} is left out of captions and tags{where}: column {alike[0]!r} has no values, or hardly varies."
            )
            continue
        low |= {column: pair[0] for column, pair in found.items() if pair}
        high |= {column: pair[1] for column, pair in found.items() if pair}
    if not low:
        raise ValueError(f"no column varies enough to be binned over {len(table)} rows; give more, or other, clips")
    return Thresholds(low=low, high=high, num_rows=len(table), quantiles=quantiles, sampling_rate=sampling_rate)


def _bounds(column: "pd.Series", quantiles: tuple[float, float], rated: bool) -> tuple[float, float] | None:
    """Return the largest low and the smallest high value of a column, of ratings those that are there."""
    values = column.astype("float64")
    if rated:
        values = values.dropna()
    if not np.isfinite(values).all():
        raise ValueError(
            f"column {column.name!r} has missing or infinite values in {int((~np.isfinite(values)).sum())} of "
            f"{len(values)} rows; leave those rows out"
        )
    smallest, largest = values.min(), values.max()
    lower, upper = (float(values.quantile(quantile)) for quantile in quantiles)
    if not smallest < largest or (not rated and lower == upper in (smallest, largest)):
        return None
    if _rank(values, lower, quantiles[0]) > quantiles[0]:
        lower = float(np.nextafter(lower, -np.inf))
    if _rank(values, upper, quantiles[1]) < quantiles[1]:
        upper = float(np.nextafter(upper, np.inf))
    return lower, upper


def _rank(values: "pd.Series", value: float, quantile: float) -> float:
    """Return the rank of a value, which is at a quantile: that, unless several of the values are equal to it."""
    if value in (values.min(), values.max()):
        return float(value == values.max())
    below, equal = int((values < value).sum()), int((values == value).sum())
    return quantile if equal < 2 else (below + (equal - 1) / 2) / (len(values) - 1)
