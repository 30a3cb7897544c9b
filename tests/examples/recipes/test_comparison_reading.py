import numpy as np
import pandas as pd
import pytest
from comparison.reading import Figure, claim_lines, entry, highest_rows


UAR = Figure("uar", "UAR", 0.5)


def results(**objectives) -> pd.DataFrame:
    """Two seeds of each; values one way and the other from the mean give a half-width of 12.706 times that way."""
    rows = [
        {"objective": name, "uar": mean + sign * half / 12.706}
        for name, (mean, half) in objectives.items()
        for sign in (1, -1)
    ]
    return pd.DataFrame(rows)


def test_the_highest_mean_and_how_its_interval_lies_to_that_of_the_baseline():
    apart = results(base=(0.4, 0.05), a=(0.55, 0.04), b=(0.6, 0.08), c=(0.1, 0.01))
    assert highest_rows(apart, [UAR], "base") == [["UAR", "b", "0.600 ± 0.080", "0.400 ± 0.050", "apart", "yes"]]
    overlapping = results(base=(0.4, 0.2), a=(0.55, 0.06))
    assert highest_rows(overlapping, [UAR], "base") == [["UAR", "a", "0.550 ± 0.060", "0.400 ± 0.200", "overlap", "no"]]
    highest = results(a=(0.55, 0.04), base=(0.7, 0.05))
    assert highest_rows(highest, [UAR], "base") == [["UAR", "base", "0.700 ± 0.050", "0.700 ± 0.050", "itself", "yes"]]


def test_equal_means_have_a_row_each():
    rows = highest_rows(results(base=(0.25, 0), a=(0.5, 0), b=(0.5, 0)), [UAR], "base")
    assert [row[1] for row in rows] == ["a", "b"]
    rows = highest_rows(results(base=(0.5, 0), a=(0.5, 0)), [UAR], "base")
    assert [(row[1], row[4]) for row in rows] == [("base", "itself"), ("a", "overlap")]


def test_what_is_undefined_is_not_highest():
    nothing = results(base=(np.nan, 0), a=(np.nan, 0))
    assert highest_rows(nothing, [UAR], "base") == [["UAR", *["undefined"] * 5]]
    assert [row[1] for row in highest_rows(results(base=(0.2, 0), a=(np.nan, 0)), [UAR], "base")] == ["base"]
    row = highest_rows(results(base=(np.nan, 0), a=(0.75, 0)), [UAR], "base")[0]
    assert row == ["UAR", "a", "0.750 ± 0.000", "undefined", "undefined", "yes"]


def test_the_claim_is_counted_setting_by_setting():
    found = results(
        base=(0.5, 0.05),
        far=(0.7, 0.05),
        near=(0.59, 0.05),
        same=(0.5, 0.05),
        below=(0.45, 0.05),
        deep=(0.2, 0.05),
        deeper=(0.1, 0.05),
        bystander=(0.9, 0.0),
    )
    names = ["far", "near", "same", "below", "deep", "deeper"]
    assert claim_lines(found, [UAR], "base", names) == [
        "UAR: higher in 2 of 6 settings, intervals apart in 1; lower in 3, intervals apart in 2. Borne out in 1 of 6."
    ]
    assert claim_lines(found, [UAR], "base", ["far"]) == [
        "UAR: higher in 1 of 1 settings, intervals apart in 1; lower in 0, intervals apart in 0. Borne out."
    ]
    assert claim_lines(found, [UAR], "base", ["near", "deep"]) == [
        "UAR: higher in 1 of 2 settings, intervals apart in 0; lower in 1, intervals apart in 1. Not borne out."
    ]


def test_the_claim_of_what_is_undefined_is_undefined():
    found = results(base=(0.5, 0.05), a=(np.nan, 0), b=(0.7, 0.01))
    assert claim_lines(found, [UAR], "base", ["a"]) == ["UAR: undefined."]
    assert claim_lines(found, [UAR], "base", ["a", "b"])[0].startswith("UAR: higher in 1 of 2 settings")
    assert claim_lines(found, [UAR], "a", ["base", "b"]) == ["UAR: undefined."]


def test_figures_have_a_line_each():
    found = results(base=(0.5, 0.05), a=(0.7, 0.01)).assign(low=[2.0, 2.0, 1.0, 1.0])
    low = Figure("low", "low", 0.0)
    assert [row[:2] for row in highest_rows(found, [low, UAR], "base")] == [["low", "base"], ["UAR", "a"]]
    assert [line.split(". ")[1] for line in claim_lines(found, [low, UAR], "base", ["a"])] == [
        "Not borne out.",
        "Borne out.",
    ]


def test_there_must_be_a_baseline():
    with pytest.raises(ValueError, match=r"no runs of 'base' to compare with, only of \['a'\]"):
        highest_rows(results(a=(0.5, 0)), [UAR], "base")
    with pytest.raises(ValueError, match="no runs of 'base'"):
        claim_lines(results(a=(0.5, 0)), [UAR], "base", ["a"])


def test_entries():
    assert entry((0.1234, 0.05)) == "0.123 ± 0.050"
    assert entry((float("nan"), float("nan"))) == "undefined"
