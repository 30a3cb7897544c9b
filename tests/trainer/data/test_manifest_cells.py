"""How cells of a manifest are read."""

import math

import pytest

from smoothclap_trainer.data.manifest_reading import Cells, as_number, as_text, positive


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (" a ", " a "), (" ", None), ("", None), (12, "12"), (12.0, "12"), (1.5, "1.5")]
)
def test_text(value, text):
    assert as_text(value) == text


def test_a_gap_of_pandas_is_no_text():
    assert as_text(math.nan) is None


@pytest.mark.parametrize(("value", "kind"), [([1], "list"), ({"a": 1}, "dict"), (b"a", "bytes")])
def test_what_is_no_text(value, kind):
    with pytest.raises(ValueError, match=f"a {kind} is no text"):
        as_text(value)


def test_numbers():
    assert [as_number(value) for value in (1, 2.5, "3", " -4e1 ")] == [1.0, 2.5, 3.0, -40.0]
    for value in ("high", "3,5", [1]):
        with pytest.raises(ValueError, match="is not a number"):
            as_number(value)
    for value in ("nan", math.inf, True):
        with pytest.raises(ValueError, match="is not a finite number"):
            as_number(value)
    assert positive(0.01) == 0.01
    for value in (0.0, -1.5):
        with pytest.raises(ValueError, match=f"{value:g} is not above 0; give seconds"):
            positive(value)


def test_a_value_that_cannot_be_converted_is_a_fault_and_missing():
    table = Cells({"valence": ["1", None, "x", "3"]}, range(10, 14))
    table.change("valence", as_number)
    assert table.columns["valence"] == [1.0, None, None, 3.0]
    assert [str(fault) for fault in table.faults] == ["row 12, column 'valence': 'x' is not a number"]
