"""Means over repeated trainings, and how sure they are."""

from collections.abc import Sequence

import numpy as np


T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045,
)  # fmt: skip
"""The 0.975 quantile of Student's t for 1 to 29 degrees of freedom. The last serves for more: a little wide."""


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
    >>> from comparison.means import mean_and_half_width
    >>> mean_and_half_width([0.0, 2.0])  # the deviation of the mean is 1
    (1.0, 12.706)

    ```
    """
    if len(values) < 2:
        raise ValueError(f"An interval needs two values or more, got {len(values)}.")
    error = np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values)), float(T_QUANTILES[min(len(values) - 1, len(T_QUANTILES)) - 1] * error)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """
    Whether two intervals share a point.

    Args:
        one (`tuple[float, float]`), other (`tuple[float, float]`): Mean and half-width.

    Returns:
        `bool`: False if either is NaN.
    """
    return abs(one[0] - other[0]) <= one[1] + other[1]
