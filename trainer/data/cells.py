"""Cells of tables as text, names, numbers and times; those that are something else are a `ValueError`."""

import math
import re
import unicodedata
from typing import Any

import pandas as pd


NOT_TEXT = re.compile("[\\0\\ud800-\\udfff]")


def as_text(value: Any) -> str | None:
    """Return a cell's text, or `None` for blank text and NaN; a `ValueError` if it is neither text nor a number."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas makes 12.0 of 12 where other rows have nothing
    if not isinstance(value, str | int | float):
        raise ValueError(f"a {type(value).__name__} is not text")
    text = str(value)
    if NOT_TEXT.search(text):
        raise ValueError(f"{text[:80]!r} holds a NUL or a lone surrogate, which are not text")
    return text if text.strip() else None


def as_name(value: Any) -> str | None:
    """Return a cell's text as [`as_text`] does, without spaces around it and with Unicode's composed letters (NFC)."""
    text = as_text(value)
    return None if text is None else unicodedata.normalize("NFC", text).strip()


def as_number(value: Any) -> float:
    """Return a cell's number, which may be written as text; a `ValueError` if it is not a finite number."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def as_seconds(value: Any) -> float:
    """Return a cell's duration; a `ValueError` if it is not a positive number."""
    number = as_number(value)
    if number <= 0:
        raise ValueError(f"{number:g} is not above 0; give seconds")
    return number


def as_time(value: Any) -> float | None:
    """
    Return a place in a file in seconds, given as a number or as a time difference such as "0 days 00:00:01.5".

    `None` for NaN and NaT; a `ValueError` if it is neither, or negative.
    """
    if value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        seconds = as_number(value)
    except ValueError:
        try:
            seconds = pd.Timedelta(value).total_seconds()
        except (TypeError, ValueError):
            seconds = math.nan
    if not seconds >= 0:
        raise ValueError(f"{value!r} is not a time from 0 on; give seconds")
    return seconds
