"""A manifest's cells: the columns that are known, how a cell of each is read, and where faults are noted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .manifest_faults import Fault


TEXT_COLUMNS = (
    "id",
    "path",
    "label",
    "emotion",
    "caption",
    "speaker",
    "corpus",
    "language",
    "gender",
    "split",
)
NUMBER_COLUMNS = ("arousal", "dominance", "valence", "duration")
"""Ratings on any scale, and seconds."""


@dataclass
class Cells:
    """
    The checked columns of a manifest, and what is wrong with them.

    Args:
        columns (`dict[str, list]`):
            Column to one text, number or `None` per row.
        numbers (`Sequence[int]`):
            For each row, its number as the user sees it.
        parts (`Sequence[str]`, *optional*):
            For each row, the split it is counted in, where the source has several.
        faults (`list[Fault]`):
            What was found so far.
    """

    columns: dict[str, list[Any]]
    numbers: Sequence[int]
    parts: Sequence[str] | None = None
    faults: list[Fault] = field(default_factory=list)

    def note(self, index: int, column: str, problem: str) -> None:
        """Notes a fault of the row at an index."""
        self.faults.append(Fault(self.numbers[index], column, problem, self.parts[index] if self.parts else None))

    def place(self, index: int) -> str:
        """Names the row at an index."""
        return str(Fault(self.numbers[index], None, "", self.parts[index] if self.parts else None)).removesuffix(": ")

    def change(self, column: str, convert: Callable[[Any], Any]) -> None:
        """Converts a column's values; a `ValueError` becomes a fault, and the value `None`."""
        for index, value in enumerate(self.columns[column]):
            if value is not None:
                try:
                    self.columns[column][index] = convert(value)
                except ValueError as error:
                    self.note(index, column, str(error))
                    self.columns[column][index] = None


def as_text(value: Any) -> str | None:
    """
    Reads a cell of text.

    Args:
        value:
            Text, or a number that stands for a name.

    Returns:
        `str` or `None`: The text; `None` for blank text.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas makes 12.0 of 12 where other rows have nothing
    if not isinstance(value, str | int | float):
        raise ValueError(f"a {type(value).__name__} is no text")
    return str(value) if str(value).strip() else None


def as_number(value: Any) -> float:
    """
    Reads a cell of a rating or a duration.

    Args:
        value:
            A number, or text that is one.

    Returns:
        `float`: The number.

    Raises:
        ValueError: It is none, or not finite.
    """
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a number") from None
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def positive(number: float) -> float:
    """
    Passes a positive number on.

    Args:
        number (`float`):
            For instance seconds.

    Returns:
        `float`: The same.

    Raises:
        ValueError: It is zero or less.
    """
    if number <= 0:
        raise ValueError(f"{number:g} is not above 0; give seconds")
    return number
