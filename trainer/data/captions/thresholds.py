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
        table = as_table(rows, COLUMNS)
        groups = [group for group, columns in GROUPS.items() if set(columns) <= set(table.columns)]
        if not groups:
            raise ValueError(f"the rows have none of the columns that thresholds are fitted on: {COLUMNS}")
        low: dict[str, float] = {}
        high: dict[str, float] = {}
        for group in groups:
            found = {column: _bounds(table[column], quantiles, group in RATED_GROUPS) for column in GROUPS[group]}
            if alike := [column for column, pair in found.items() if pair is None]:
                logger.warning(f"{group} is left out of captions and tags: column {alike[0]!r} hardly varies.")
                continue
            low |= {column: pair[0] for column, pair in found.items() if pair}
            high |= {column: pair[1] for column, pair in found.items() if pair}
        if not low:
            raise ValueError(f"no column varies enough to be binned over {len(table)} rows; give more, or other, clips")
        return cls(low=low, high=high, num_rows=len(table), quantiles=quantiles, sampling_rate=sampling_rate)

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
        content = {
            "quantiles": list(self.quantiles),
            "num_rows": self.num_rows,
            "sampling_rate": self.sampling_rate,
            "columns": {column: {"low": self.low[column], "high": self.high[column]} for column in self.low},
        }
        write_json(path, content)

    @classmethod
    def load(cls, path: str | Path) -> "Thresholds":
        """Read what [`~Thresholds.save`] wrote; a `ValueError` if the file is missing or holds something else."""
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            columns = content["columns"]
            return cls(
                low={column: float(pair["low"]) for column, pair in columns.items()},
                high={column: float(pair["high"]) for column, pair in columns.items()},
                num_rows=content["num_rows"],
                quantiles=tuple(map(float, content["quantiles"])),  # type: ignore[arg-type]
                sampling_rate=content.get("sampling_rate"),  # earlier files lack it
            )
        except (OSError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"{str(path)!r} holds no thresholds ({error!r}); fit them on the training rows") from error


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
