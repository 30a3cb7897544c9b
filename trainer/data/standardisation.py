"""Functionals brought to mean 0 and deviation 1 over the training rows, so that Hz and dB can be compared."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Standardisation:
    """
    Mean and standard deviation of columns.

    Args:
        columns (`tuple[str, ...]`): Their names.
        mean (`tuple[float, ...]`): One per column.
        deviation (`tuple[float, ...]`): One per column, positive.

    Returns (when called with a row):
        `np.ndarray` of shape `(columns,)`: float32, the row's values in deviations from the mean.

    Example:

    ```python
    >>> import pandas as pd
    >>> from smoothclap_trainer.data.standardisation import Standardisation
    >>> standardisation = Standardisation.fit(pd.DataFrame({"loudness": [1.0, 3.0]}), ["loudness"])
    >>> standardisation({"loudness": 3.0})
    array([1.], dtype=float32)

    ```
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, rows: pd.DataFrame, columns: Sequence[str]) -> "Standardisation":
        """
        Fits on TRAINING rows. A column that never varies is left out: it cannot tell clips apart.

        Raises:
            ValueError: A column is missing or has gaps, or none varies.
        """
        if missing := [column for column in columns if column not in rows.columns]:
            raise ValueError(f"Rows lack the functionals {missing[:5]}; compute them with add_functionals.")
        values = rows[list(columns)].to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            faulty = [column for column, good in zip(columns, np.isfinite(values).all(axis=0), strict=True) if not good]
            raise ValueError(f"Columns {faulty[:5]} have missing or infinite values; leave those rows out.")
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        varies = deviation > 1e-12 * np.maximum(1, np.abs(mean))
        if not varies.any():
            raise ValueError(f"None of {len(columns)} columns varies over {len(rows)} rows.")
        kept = tuple(column for column, yes in zip(columns, varies, strict=True) if yes)
        return cls(kept, tuple(mean[varies].tolist()), tuple(deviation[varies].tolist()))

    def __call__(self, row: Mapping[str, Any]) -> np.ndarray:
        values = np.array([row[column] for column in self.columns], dtype=np.float64)
        return ((values - self.mean) / self.deviation).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Writes a JSON file."""
        Path(path).write_text(json.dumps(vars(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Standardisation":
        """Reads what [`~Standardisation.save`] wrote."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(*(tuple(content[name]) for name in ("columns", "mean", "deviation")))
