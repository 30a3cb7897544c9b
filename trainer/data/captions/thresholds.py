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


@dataclass(frozen=True)
class Thresholds:
    """
    Lower and upper threshold of each column: at or below `low` a value is low, at or above `high` it is high.

    Example:

    ```python
    >>> import pandas as pd
    >>> from smoothclap_trainer.data.captions.thresholds import Thresholds
    >>> thresholds = Thresholds.fit(pd.DataFrame({"duration": [float(n) for n in range(11)]}))
    >>> thresholds.low, thresholds.high
    ({'duration': 3.0}, {'duration': 7.0})
    >>> thresholds.levels({"duration": 7.0})
    {'duration': 'high'}

    ```
    """

    low: dict[str, float]
    high: dict[str, float]
    num_rows: int
    quantiles: tuple[float, float] = QUANTILES
    sampling_rate: int | None = None

    @classmethod
    def fit(
        cls,
        rows: "Dataset | pd.DataFrame",
        quantiles: tuple[float, float] = QUANTILES,
        sampling_rate: int | None = None,
    ) -> "Thresholds":
        """
        Fit thresholds on TRAINING rows, for every group whose columns are there and vary.

        A group with a column whose lower and upper threshold are equal, such as `duration` of clips that all have one
        length, means nothing: it is left out, with a warning, and captions and tags do not mention it. Quantiles are
        interpolated linearly. `sampling_rate`, at which functionals were computed, is kept; `None` if it is not known.

        Raises:
            ValueError: No group's columns are there, none varies, or a column of acoustic values has gaps.
        """
        if not 0 < quantiles[0] < quantiles[1] < 1:
            raise ValueError(f"quantiles must rise between 0 and 1, got {quantiles}")
        known = [column for columns in GROUPS.values() for column in columns]
        table = as_table(rows, known)
        groups = [group for group, columns in GROUPS.items() if set(columns) <= set(table.columns)]
        if not groups:
            raise ValueError(f"the rows have none of the columns that thresholds are fitted on: {sorted(known)}")
        low: dict[str, float] = {}
        high: dict[str, float] = {}
        for group in groups:
            found = {column: _quantiles(table[column], quantiles, group in RATED_GROUPS) for column in GROUPS[group]}
            if alike := [column for column, (lower, upper) in found.items() if not lower < upper]:
                logger.warning(f"{group} is left out of captions and tags: column {alike[0]!r} hardly varies.")
                continue
            low |= {column: lower for column, (lower, _) in found.items()}
            high |= {column: upper for column, (_, upper) in found.items()}
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
                num_rows=int(content["num_rows"]),
                quantiles=(float(content["quantiles"][0]), float(content["quantiles"][1])),
                sampling_rate=content.get("sampling_rate"),  # earlier files lack it
            )
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"{str(path)!r} holds no thresholds ({error!r}); fit them on the training rows") from error


def _quantiles(column: "pd.Series", quantiles: tuple[float, float], rated: bool) -> tuple[float, float]:
    """Return two quantiles of a column; of ratings, those that are there, and NaN if there is none."""
    values = column.astype("float64")
    if rated:
        values = values.dropna()
    if not np.isfinite(values).all():
        raise ValueError(
            f"column {column.name!r} has missing or infinite values in {int((~np.isfinite(values)).sum())} of "
            f"{len(values)} rows; leave those rows out"
        )
    return float(values.quantile(quantiles[0])), float(values.quantile(quantiles[1]))
