"""YAML for settings of known types."""

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import pytest
import yaml

from smoothclap_trainer.config import fitted, read_mapping, read_value


class Kind(Enum):
    ONE = "one"


@dataclass
class Part:
    name: str
    heard: bool = False
    words: dict[str, str | list[str]] | None = None


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-5", 1e-5), ("1E3", 1e3), ("-2e-4", -2e-4), ("+1e5", 1e5), (".5e3", 500.0), ("1.5e3", 1.5e3), ("1.e2", 100.0)],
)
def test_floats(text, number):
    assert read_value(text, float) == number
    assert read_value(f"[{text}, '{text}']", Any) == [number, text]
    assert read_value(text, str) == text


@pytest.mark.parametrize("text", ["e5", "1e", "1e5x", "x1e5", "1e5.0", "--1e5", "1-e5"])
def test_what_is_no_float_stays_text(text):
    assert read_value(text, float) == text


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("007", str, "007"),
        ("no", str | None, "no"),
        ("null", str | None, None),
        ("null", str, None),
        ("2024-05-01", str, "2024-05-01"),
        ("on", Kind | str, "on"),
        ("no", bool | str, False),
        ("no", str | Literal[False] | None, False),
        ("3", float | str, 3),
        ("3.5", int | str, "3.5"),
        ("[en, no]", list[str], ["en", "no"]),
        ("no", list[str] | None, "no"),
        ("no", str | list[str], "no"),
        ("[1, 2]", list[float], [1, 2]),
        ("{no: 1, b: x}", dict[str, str], {"no": "1", "b": "x"}),
        ("{no: 1}", dict, {False: 1}),
        ("[{1: 2}, {}]", dict[str, str] | list[dict[str, str]], [{"1": "2"}, {}]),
        ("{no: on}", list[dict[str, str]], {"no": "on"}),
        (
            "{name: no, heard: no, words: {no: [on]}, other: no}",
            Part,
            {"name": "no", "heard": False, "words": {"no": ["on"]}, "other": False},
        ),
        ("[{name: 1}]", str | list[Part], [{"name": "1"}]),
        ("{name: 1}", list[Part] | None, {"name": "1"}),
        ("yes", Any, True),
        ("", str, None),
    ],
)
def test_text_where_text_is_wanted(text, hint, value):
    read = read_value(text, hint)
    assert read == value
    assert type(read) is type(value)


def test_each_key_of_a_mapping_has_its_type():
    assert read_mapping("a: 1\nb: 1\nc: 1\n", {"a": str, "b": int}) == {"a": "1", "b": 1, "c": 1}
    assert read_mapping("- 1", {"a": str}) == [1]
    assert read_mapping("", {"a": str}) is None
    for read in (read_mapping, read_value):
        with pytest.raises(yaml.YAMLError):
            read("a: [", {"a": str})


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (5, float),
        (5, float | None),
        (None, float | None),
        (True, bool),
        ("a", Kind | str),
        (3, Kind | str),
        (3, Any),
        ({"a": 1}, dict),
        ({"a": [1]}, dict[str, Any]),
        (["a"], list),
        ([], list[str]),
        (["a", None], list[str | None]),
        ({"name": 1}, Part),
        ([{}], list[Part] | None),
    ],
)
def test_what_fits_stays_as_it_is(value, hint):
    assert fitted({"name": value}, {"name": hint}) == {"name": value}


def test_one_value_for_a_list_is_a_list_of_one():
    hints = {"a": list[str], "b": list[float] | None, "c": list[str] | None, "d": str | list[str]}
    assert fitted({"a": "x", "b": 0.5, "c": None, "d": "x"}, hints) == {"a": ["x"], "b": [0.5], "c": None, "d": "x"}


@pytest.mark.parametrize(
    ("value", "hint", "takes"),
    [
        (2.0, int, "a whole number"),
        (True, int, "a whole number"),
        (False, float | None, "a number or null"),
        ("5s", float, "a number"),
        (1, bool, "true or false"),
        (None, str, "text"),
        (3, str, "text"),
        ("no", Literal[False] | None, "true or false or null"),
        ([1], list[str], "a list of texts"),
        ({"a": 1}, dict[str, bool], "a mapping of texts to values true or false"),
        ("a", dict, "a mapping"),
        ("a", Part, "a mapping with the keys name, heard, words"),
        (["a"], list[Part] | str, "a list of mappings with the keys name, heard, words or text"),
        (1, dict[str, str | list[str]], "a mapping of texts to texts or lists of texts"),
        ({1: "a"}, dict[str, Kind] | str, "a mapping of texts to anything or text"),
        ({1: "a"}, dict[str, str] | list[int] | None, "a mapping of texts to texts or a list of whole numbers or null"),
    ],
)
def test_what_does_not_fit_is_told_with_what_would(value, hint, takes):
    with pytest.raises(ValueError, match="takes") as caught:
        fitted({"good": 1, "name": value}, {"good": int, "name": hint})
    assert str(caught.value) == f"`name` takes {takes}, not {value!r}."


def test_all_that_does_not_fit_is_told():
    with pytest.raises(ValueError, match=r"`a` takes text, not 1\.\n`b` takes a whole number, not 'x'\."):
        fitted({"a": 1, "b": "x"}, {"a": str, "b": int})
