"""Checks of a manifest's cells: each takes the whole table and notes every fault it finds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .labels import category
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

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing"),
}
EVALUATION_NAMES = ("eval", "evaluation")
"""Names that mean validation to some and test to others: they are whichever of the two is not there by another name."""


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


def check_labels(cells: Cells) -> None:
    """
    Notes labels of emotion and gender that captions have no words for.

    Args:
        cells ([`Cells`]):
            The manifest.
    """
    for column in ("emotion", "gender"):
        for index, value in enumerate(cells.columns.get(column, ())):
            if value is not None:
                try:
                    category(value, column)
                except ValueError as error:
                    cells.note(index, column, str(error))


def check_splits(cells: Cells) -> None:
    """
    Brings the names in `split` to `train`, `validation` and `test`, and notes those that are none.

    Args:
        cells ([`Cells`]):
            The manifest; a row's split becomes `None` where there is a fault.
    """
    known = {other: name for name, others in SPLIT_NAMES.items() for other in others}
    names = [None if value is None else value.strip().lower() for value in cells.columns["split"]]
    unused = [name for name in ("validation", "test") if name not in {known.get(each or "") for each in names}]
    if unused:
        known.update(dict.fromkeys(EVALUATION_NAMES, unused[0]))
    told: set[str] = set()
    for index, name in enumerate(names):
        written = cells.columns["split"][index]
        if name is None:
            cells.note(index, "split", "it is empty")
        elif name not in known and written not in told:
            cure = f"give one of {list(SPLIT_NAMES)}"
            if name in EVALUATION_NAMES:
                cure = "there are validation and test rows besides: say which of them these are"
            cells.note(index, "split", f"unknown split {written!r}; {cure}")
            if cells.parts and written == cells.parts[index]:
                told.add(written)  # the source's own split: once is enough
    cells.columns["split"] = [known.get(name or "") for name in names]


def check_ids(cells: Cells) -> None:
    """
    Notes ids that are empty or come twice.

    Args:
        cells ([`Cells`]):
            The manifest.
    """
    first: dict[str, int] = {}
    for index, value in enumerate(cells.columns["id"]):
        if value is None:
            cells.note(index, "id", "it is empty")
        elif first.setdefault(value, index) != index:
            cells.note(index, "id", f"{value!r} is also the id of {cells.place(first[value])}")


def check_speakers(cells: Cells) -> None:
    """
    Notes speakers of one corpus who are in two splits, once each.

    Args:
        cells ([`Cells`]):
            The manifest, whose splits are checked.
    """
    speakers = cells.columns.get("speaker", [])
    corpora = cells.columns.get("corpus", [None] * len(speakers))
    found: dict[tuple[str | None, str], dict[str, int]] = {}
    for index, (speaker, corpus, split) in enumerate(zip(speakers, corpora, cells.columns["split"], strict=False)):
        if speaker is None or split is None:
            continue
        splits = found.setdefault((corpus, speaker), {})
        if split not in splits and splits:
            other, row = next(iter(splits.items()))
            cells.note(
                index,
                "speaker",
                f"{speaker!r} is in {split!r} and, {cells.place(row)}, in {other!r}; keep each speaker in one split",
            )
        splits.setdefault(split, index)


def check_audio(cells: Cells, has_bytes: Sequence[bool], folder: Path | None) -> None:
    """
    Makes paths absolute, and notes missing files and rows with both or neither of a path and audio bytes.

    Args:
        cells ([`Cells`]):
            The manifest.
        has_bytes (`Sequence[bool]`):
            For each row, whether it has audio bytes.
        folder (`Path`, *optional*):
            Where relative paths start.
    """
    paths = cells.columns.get("path", [None] * len(has_bytes))
    for index, (path, held) in enumerate(zip(paths, has_bytes, strict=True)):
        if path is not None and held:
            cells.note(index, "path", f"there are audio bytes besides the path {path!r}; give one of the two")
        elif path is None and not held:
            cells.note(index, "path", "there is neither a path nor audio bytes")
        elif path is not None:
            if folder is None and not Path(path).is_absolute():
                cells.note(index, "path", f"{path!r} is relative, to what is not known; give `audio_root`")
                continue
            paths[index] = str((folder or Path()) / path)
            if not Path(paths[index]).is_file():
                cells.note(index, "path", f"there is no file {paths[index]!r}")
