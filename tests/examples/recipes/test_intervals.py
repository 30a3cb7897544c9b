import numpy as np
import pytest
from comparison.means import mean_and_half_width, overlap


def test_interval_of_five_seeds_by_hand():
    # Mean 3, deviation sqrt(2.5), error sqrt(.5), t(4) = 2.776.
    assert mean_and_half_width([1, 2, 3, 4, 5]) == pytest.approx((3, 2.776 * np.sqrt(0.5)))


def test_quantiles_are_students():
    stats = pytest.importorskip("scipy.stats")
    for n in range(2, 31):
        values = np.resize([0.0, 1.0], n)
        error = values.std(ddof=1) / np.sqrt(n)
        assert mean_and_half_width(values)[1] / error == pytest.approx(stats.t.ppf(0.975, n - 1), abs=6e-4)


def test_more_seeds_than_the_table_has_get_a_little_wide_interval():
    values = np.resize([0.0, 1.0], 100)
    assert mean_and_half_width(values)[1] == pytest.approx(2.045 * values.std(ddof=1) / 10)


def test_one_seed_has_no_interval():
    with pytest.raises(ValueError, match="1"):
        mean_and_half_width([0.5])


def test_intervals_that_touch_overlap():
    assert overlap((0.0, 1.0), (3.0, 2.0)) and overlap((3.0, 2.0), (0.0, 1.0))
    assert not overlap((0.0, 1.0), (3.1, 2.0))
    assert overlap((0.0, 5.0), (1.0, 0.0))  # one within the other
    assert not overlap((float("nan"), float("nan")), (1.0, 9.0))
