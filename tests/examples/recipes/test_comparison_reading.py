import numpy as np
import pandas as pd
import pytest
from comparison.reading import Interval, Metric, Relation, claims, highest


UAR = Metric("uar", "UAR", 0.5)


def results(**objectives) -> pd.DataFrame:
    """Two seeds of each; values one way and the other from the mean give a half-width of 12.706 times that way."""
    rows = [
        {"objective": name, "uar": mean + sign * half / 12.706}
        for name, (mean, half) in objectives.items()
        for sign in (1, -1)
    ]
    return pd.DataFrame(rows)


def found(**objectives) -> list[tuple]:
    rows = highest(results(**objectives), [UAR], "base")
    return [(row.objective, row.relation, row.is_above_chance) for row in rows]


def test_the_highest_mean_and_how_its_interval_relates_to_the_baselines():
    assert found(base=(0.4, 0.05), a=(0.55, 0.04), b=(0.6, 0.08), c=(0.1, 0.01)) == [("b", Relation.APART, True)]
    assert found(base=(0.4, 0.2), a=(0.55, 0.06)) == [("a", Relation.OVERLAP, False)]
    assert found(a=(0.55, 0.04), base=(0.7, 0.05)) == [("base", Relation.ITSELF, True)]
    row = next(highest(results(base=(0.4, 0.05), a=(0.55, 0.04)), [UAR], "base"))
    assert (row.interval.mean, row.interval.half_width) == pytest.approx((0.55, 0.04))
    assert (row.baseline.mean, row.baseline.half_width) == pytest.approx((0.4, 0.05))


def test_equal_means_are_yielded_each():
    assert [row[0] for row in found(base=(0.25, 0), a=(0.5, 0), b=(0.5, 0))] == ["a", "b"]
    assert found(base=(0.5, 0), a=(0.5, 0))[1][:2] == ("a", Relation.OVERLAP)


def test_what_is_undefined_is_not_highest():
    assert found(base=(np.nan, 0), a=(np.nan, 0)) == [(None, Relation.UNDEFINED, False)]
    assert [row[0] for row in found(base=(0.2, 0), a=(np.nan, 0))] == ["base"]
    assert found(base=(np.nan, 0), a=(0.75, 0)) == [("a", Relation.UNDEFINED, True)]


def test_the_claim_is_counted_setting_by_setting():
    runs = results(
        base=(0.5, 0.05),
        far=(0.7, 0.05),
        near=(0.59, 0.05),
        same=(0.5, 0.05),
        below=(0.45, 0.05),
        deep=(0.2, 0.05),
        deeper=(0.1, 0.05),
        bystander=(0.9, 0.0),
    )
    [claim] = claims(runs, [UAR], "base", ["far", "near", "same", "below", "deep", "deeper"])
    assert (claim.total, claim.higher, claim.higher_apart, claim.lower, claim.lower_apart) == (6, 2, 1, 3, 2)


def test_the_claim_of_what_is_undefined_is_undefined():
    runs = results(base=(0.5, 0.05), a=(np.nan, 0), b=(0.7, 0.01))
    assert [each.is_defined for each in claims(runs, [UAR], "base", ["a"])] == [False]
    [both] = claims(runs, [UAR], "base", ["a", "b"])
    assert (both.is_defined, both.higher, both.total) == (True, 1, 2)
    assert [each.is_defined for each in claims(runs, [UAR], "a", ["base", "b"])] == [False]


def test_there_must_be_a_baseline():
    for asked in (highest, lambda *given: claims(*given, ["a"])):
        with pytest.raises(ValueError, match="'base'"):
            list(asked(results(a=(0.5, 0)), [UAR], "base"))


def test_an_interval_that_is_undefined_overlaps_nothing():
    assert not Interval(np.nan, np.nan).overlaps(Interval(0.5, 9.0))
