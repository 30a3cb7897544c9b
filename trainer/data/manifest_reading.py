"""What is wrong with a manifest: every fault with its row and column, all told at once."""

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Audio, Dataset, DatasetDict, concatenate_datasets, load_dataset, load_from_disk
from datasets.table import InMemoryTable


SHOWN = 50
"""At most this many faults are in an error's message; `ManifestError.faults` holds all."""


@dataclass(frozen=True)
class Fault:
    """
    One fault of a manifest.

    Args:
        row (`int`, *optional*):
            The row as its file counts it, see [`ManifestError`]; `None` if the fault is none of one row.
        column (`str`, *optional*):
            The column; `None` if the fault is none of one column.
        problem (`str`):
            What is wrong, and with which value.
        part (`str`, *optional*):
            The split in which the row is counted, where the source has several.
    """

    row: int | None
    column: str | None
    problem: str
    part: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}"
        part = "" if self.part is None else f"{'of ' if row else ''}split {self.part!r}"
        column = "" if self.column is None else f"column {self.column!r}"
        place = ", ".join(each for each in (" ".join(each for each in (row, part) if each), column) if each)
        return f"{place}: {self.problem}" if place else self.problem


class ManifestError(ValueError):
    """
    A manifest that cannot be used. Rows of CSV, TSV and JSON lines are lines of the file, counted from 1, a header
    included; rows of parquet and of `datasets` are indices, counted from 0.

    Args:
        source (`str`):
            The manifest.
        faults (`Sequence[Fault]`):
            All that is wrong with it.
        counting (`str`, *optional*):
            How its rows are counted, in words.
    """

    def __init__(self, source: str, faults: Sequence[Fault], counting: str = ""):
        self.source, self.counting = source, counting
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"... and {len(self.faults) - SHOWN} more, all in `.faults`")
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join([f"manifest {source!r} has {count}{counting and f' ({counting})'}:", *lines]))

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Fault, ...], str]]:
        return type(self), (self.source, self.faults, self.counting)


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


DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".jsonl", ".parquet")
BY_HEADED_LINE = "row = line of the file, the header being line 1"
BY_LINE = "row = line of the file, from 1"
BY_INDEX = "row = index of the row, from 0"


@dataclass
class ManifestSource:
    """
    A manifest as it was found.

    Args:
        rows (`Dataset`):
            All rows that could be read, under the source's column names; audio is not decoded.
        numbers (`Sequence[int]`):
            For each row, its number as the user sees it.
        counting (`str`):
            How rows are numbered, in words.
        folder (`Path`, *optional*):
            Where relative paths start.
        parts (`Sequence[str]`, *optional*):
            For each row, the split that the source keeps it in; `None` if it has no splits of its own.
        faults (`list[Fault]`):
            What could not be read.
        is_text (`bool`):
            Whether all cells are text, because the format knows nothing else.
    """

    rows: Dataset
    numbers: Sequence[int]
    counting: str
    folder: Path | None = None
    parts: Sequence[str] | None = None
    faults: list[Fault] = field(default_factory=list)
    is_text: bool = False


def read_source(source: str | Path) -> ManifestSource:
    """
    Reads a manifest.

    Args:
        source (`str` or `Path`):
            A .csv, .tsv, .jsonl or .parquet file, a folder that `save_to_disk` of `datasets` wrote, or a data set's id
            on the Hub.

    Returns:
        [`ManifestSource`]: Its rows, and the faults of the format.

    Raises:
        ManifestError: There is no such source, or nothing of it can be read: a `ValueError`.
    """
    path = Path(source).absolute()
    suffix = path.suffix.lower()
    if path.is_dir():
        return _of_datasets(str(source), _saved(path), path)
    if path.is_file():
        if suffix in DELIMITERS:
            return _of_csv(path, DELIMITERS[suffix])
        if suffix == ".jsonl":
            return _of_jsonl(path)
        if suffix == ".parquet":
            return _of_parquet(path)
        raise _whole(source, f"a {suffix or 'nameless'} file is none of {', '.join(SUFFIXES)}")
    if suffix in SUFFIXES or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", str(source)):
        raise _whole(source, "there is no such file or folder, and it is no id of a data set on the Hub")
    try:
        loaded = load_dataset(str(source))
    except Exception as error:  # of the network, the Hub, the data set's own code: too many classes to name
        raise _whole(source, f"there is no such file, and no data set to be had from the Hub: {error}") from error
    return _of_datasets(str(source), loaded, None)


def _whole(source: str | Path, problem: str) -> ManifestError:
    return ManifestError(str(source), [Fault(None, None, problem)])


def _saved(folder: Path) -> Dataset | DatasetDict:
    try:
        return load_from_disk(str(folder))
    except Exception as error:  # damaged files raise a different class for every kind of damage
        raise _whole(folder, f"the folder holds nothing that `save_to_disk` of `datasets` wrote: {error}") from error


def _of_datasets(source: str, loaded: Dataset | DatasetDict, folder: Path | None) -> ManifestSource:
    if isinstance(loaded, Dataset):
        return ManifestSource(_encoded(loaded), range(len(loaded)), BY_INDEX, folder)
    numbers = [number for part in loaded.values() for number in range(len(part))]
    parts = [name for name, part in loaded.items() for _ in range(len(part))]
    try:
        rows = concatenate_datasets([_encoded(part) for part in loaded.values()])
    except ValueError as error:
        raise _whole(source, f"its splits do not have the same columns: {error}") from error
    return ManifestSource(rows, numbers, BY_INDEX, folder, parts)


def _encoded(rows: Dataset) -> Dataset:
    for name, feature in rows.features.items():
        if isinstance(feature, Audio):
            rows = rows.cast_column(name, Audio(decode=False))
    return rows


def _of_parquet(path: Path) -> ManifestSource:
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise _whole(path, f"this is no parquet file: {error}") from error
    if twice := _twice(names):
        raise ManifestError(str(path), twice)
    rows = _encoded(cast(Dataset, Dataset.from_parquet(str(path))))
    return ManifestSource(rows, range(len(rows)), BY_INDEX, path.parent)


def _twice(names: Sequence[str]) -> list[Fault]:
    return [Fault(None, name, f"the column comes {count} times") for name, count in Counter(names).items() if count > 1]


def _of_csv(path: Path, delimiter: str) -> ManifestSource:
    faults: list[Fault] = []
    lines: list[list[str]] = []
    numbers: list[int] = []
    names: list[str] = []
    number = 1
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = next(reader, [])
            number = reader.line_num + 1
            for cells in reader:
                if len(cells) == len(names):
                    lines.append(cells)
                    numbers.append(number)
                elif cells:  # a blank line is none
                    faults.append(Fault(number, None, f"{len(cells)} cells, but the header has {len(names)}"))
                number = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        faults.append(Fault(number, None, f"the file cannot be read from here on: {error}"))
    faults = [*_twice(names), *faults]
    if "" in names:
        faults.append(Fault(1, None, f"column {names.index('') + 1} of the header has no name"))
    # An empty cell is a missing value. Of two columns of one name the last stays: there is a fault already.
    columns = {name: [cells[index] or None for cells in lines] for index, name in enumerate(names)}
    rows = _dataset({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    return ManifestSource(rows, numbers, BY_HEADED_LINE, path.parent, faults=faults, is_text=True)


def _of_jsonl(path: Path) -> ManifestSource:
    faults: list[Fault] = []
    objects: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            found = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_object)
            if not isinstance(found, dict):
                raise ValueError(f"not an object, but {type(found).__name__}")
        except ValueError as error:
            faults.append(Fault(number, None, f"no JSON object: {error}"))
            continue
        objects.append(found)
        numbers.append(number)
    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for each in objects for name in each):
        columns[name] = _column(name, [each.get(name) for each in objects], numbers, faults)
    return ManifestSource(_dataset(columns), numbers, BY_LINE, path.parent, faults=faults)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise ValueError(f"{twice[0]!r} comes more than once")
    return dict(pairs)


def _column(name: str, values: list[Any], numbers: Sequence[int], faults: list[Fault]) -> pa.Array:
    """A column of JSON values; those of another kind than most are faults and become missing."""
    kinds = [_kind(value) for value in values]
    usual = Counter(kind for kind in kinds if kind).most_common(1)
    for index, kind in enumerate(kinds):
        if kind and kind != usual[0][0]:
            problem = f"{values[index]!r} is {kind}, but most rows have {usual[0][0]}"
            faults.append(Fault(numbers[index], name, problem))
            values[index] = None
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        faults.append(Fault(None, name, f"its values make no column: {error}"))
        return pa.nulls(len(values))


def _kind(value: Any) -> str:
    if value is None:
        return ""
    kinds = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object")


def _dataset(columns: dict[str, pa.Array]) -> Dataset:
    return Dataset(InMemoryTable(pa.table(columns)))
