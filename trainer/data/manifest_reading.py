"""Read any source of a manifest as one table that knows where each row comes from, with the faults found in it."""

import csv
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, load_dataset, load_from_disk
from datasets.table import InMemoryTable

from modeling_smoothclap.batching_smoothclap import first_lines

from ..evaluation.corpora import read_corpus_file
from ..evaluation.corpus_sources import is_corpus_file
from .cells import NOT_TEXT
from .clips import with_encoded_audio
from .hub_clips import HubData
from .joining import concatenated


SHOWN = 50
"""An error's message lists at most this many faults; `ManifestError.faults` holds all."""
SHOWN_ROWS = 5
"""A fault names at most this many further rows that have it."""
MAX_DEPTH = 20
"""Values of JSON are nested at most so deep."""


@dataclass(frozen=True)
class Fault:
    """One fault of a manifest: row as [`ManifestError`] counts it, column, what is wrong, and the row's split."""

    row: int | None
    column: str | None
    problem: str
    part: str | None = None

    @property
    def place(self) -> str:
        """The row, with the split it is counted in."""
        row = "" if self.row is None else f"row {self.row}"
        part = "" if self.part is None else f"split {self.part!r}"
        return " of ".join(name for name in (row, part) if name)

    def __str__(self) -> str:
        column = "" if self.column is None else f"column {self.column!r}"
        place = ", ".join(name for name in (self.place, column) if name)
        return f"{place}: {self.problem}" if place else self.problem


class ManifestError(ValueError):
    """
    A manifest that cannot be used, with all its faults.

    Rows of CSV, TSV and JSON lines are lines of the file, from 1, a header included; others are indices, from 0. What
    is wrong in several rows alike is one fault, at the first of them.
    """

    def __init__(self, source: str, faults: Sequence[Fault], counting: str = ""):
        self.source, self.counting, self.faults = source, counting, tuple(faults)
        lines = first_lines([str(fault) for fault in self.faults], SHOWN)
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__(f"manifest {source!r} has {count}{counting and f' ({counting})'}:\n  {lines}")

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Fault, ...], str]]:
        return type(self), (self.source, self.faults, self.counting)


BY_HEADED_LINE = "row = line of the file, the header being line 1"
BY_LINE = "row = line of the file, from 1"
BY_INDEX = "row = index of the row, from 0"


@dataclass
class ManifestTable:
    """
    A manifest as it was found, with what was read of its cells so far.

    `rows` have the source's column names; audio is not decoded. `cells` are the columns that were read: one text,
    number or `None` per row. `numbers` are the rows' as the user sees them, `counting` says how they are counted.
    Relative paths start at `folder`; `parts` is the split that the source keeps each row in. `is_text`: the format has
    only text.
    """

    rows: Dataset
    numbers: Sequence[int]
    counting: str
    folder: Path | None = None
    parts: Sequence[str] | None = None
    faults: list[Fault] = field(default_factory=list)
    is_text: bool = False
    cells: dict[str, list[Any]] = field(default_factory=dict)

    def note(self, index: int | None, column: str | None, problem: str) -> None:
        """Note a fault of the row at an index, or of no single row."""
        number, part = (None, None) if index is None else self._number(index)
        self.faults.append(Fault(number, column, problem, part))

    def place(self, index: int) -> str:
        """Return the name of the row at an index."""
        number, part = self._number(index)
        return Fault(number, None, "", part).place

    def _number(self, index: int) -> tuple[int, str | None]:
        return self.numbers[index], self.parts[index] if self.parts else None

    def column(self, name: str) -> list[Any]:
        """Return the cells of a column that was read; gaps if there is none."""
        return self.cells.get(name, [None] * len(self.numbers))

    def read(self, column: str, values: Sequence[Any], convert: Callable[[Any], Any], fix: str = "") -> None:
        """
        Read a column's cells; where `convert` raises a `ValueError`, keep `None`.

        A problem is one fault, however many rows have it; the first of the column ends with `fix`.
        """
        cells = self.cells[column] = [None] * len(values)
        problems: dict[str, list[int]] = {}
        for index, value in enumerate(values):
            if value is not None:
                try:
                    cells[index] = convert(value)
                except ValueError as error:
                    problems.setdefault(str(error), []).append(index)
        self.note_groups(column, problems, fix)

    def note_groups(self, column: str, problems: Mapping[str, Sequence[int]], fix: str = "") -> None:
        """Note each problem once, at the first of the rows that have it."""
        for problem, (first, *others) in problems.items():
            if others:
                shown = ", ".join(str(self.numbers[index]) for index in others[:SHOWN_ROWS])
                more = f" and {len(others) - SHOWN_ROWS} more" if len(others) > SHOWN_ROWS else ""
                problem += f" (also in row {shown}{more})"
            self.note(first, column, problem + fix)
            fix = ""

    def error(self, source: str | Path) -> ManifestError:
        """Return the error that lists all faults, in the order of the rows."""
        order = {name: place for place, name in enumerate(dict.fromkeys(self.parts or ()))}
        key = lambda fault: (order.get(fault.part or "", -1), -1 if fault.row is None else fault.row)  # noqa: E731
        return ManifestError(str(source), sorted(self.faults, key=key), self.counting)


DELIMITERS = {".csv": ",", ".tsv": "\t"}
SUFFIXES = (*DELIMITERS, ".jsonl", ".parquet")


def read_source(source: str | Path) -> ManifestTable:
    """
    Read a manifest from one of the sources of [`~smoothclap_trainer.data.manifest.load_manifest`].

    Returns its rows and the faults of the format. A `ManifestError` if nothing of it can be read.
    """
    if not isinstance(source, str | Path):
        raise _whole(str(source), f"it is a {type(source).__name__}; give a file, a folder or the id of a data set")
    path = Path(source).absolute()
    suffix = path.suffix.lower()
    if os.path.isdir(path):
        return _of_datasets(str(source), _saved(path), path)
    if os.path.isfile(path):
        if suffix in DELIMITERS:
            return _of_csv(path, DELIMITERS[suffix])
        if suffix == ".jsonl":
            return _of_jsonl(path)
        if suffix == ".parquet":
            return _of_parquet(path)
        if is_corpus_file(path):
            return _of_corpus(path)
        raise _whole(source, f"its suffix is {suffix!r}; give a {', '.join(SUFFIXES)} file, or a corpus's .yaml file")
    is_file = suffix in SUFFIXES or is_corpus_file(path)
    is_file_name = is_file or ("/" not in str(source) and re.fullmatch(r"\.[a-z]\w*", suffix))
    data = HubData.parse(str(source))
    if is_file_name or data is None:
        on_hub = "a data set on the Hub, USER/NAME or USER/NAME@REVISION"
        raise _whole(source, f"there is no such file or folder, and it does not name {on_hub}")
    try:
        loaded = load_dataset(data.name, revision=data.revision)
    except Exception as error:  # of the network, the Hub, the data set's own code: too many classes to name
        raise _whole(source, f"there is no such file, and it cannot be loaded from the Hub: {error}") from error
    return _of_datasets(str(source), loaded, None)


def _whole(source: str | Path, problem: str) -> ManifestError:
    return ManifestError(str(source), [Fault(None, None, problem)])


def _saved(folder: Path) -> Dataset | DatasetDict:
    try:
        return load_from_disk(str(folder))
    except Exception as error:  # damaged files raise a different class for every kind of damage
        raise _whole(folder, f"the folder was not written by `save_to_disk` of `datasets`: {error}") from error


def _of_datasets(source: str, loaded: Dataset | DatasetDict, folder: Path | None) -> ManifestTable:
    loaded = loaded.with_format(None)
    if isinstance(loaded, Dataset):
        return ManifestTable(with_encoded_audio(loaded), range(len(loaded)), BY_INDEX, folder)
    numbers = [number for part in loaded.values() for number in range(len(part))]
    parts = [name for name, part in loaded.items() for _ in range(len(part))]
    try:
        rows = concatenated([(name, with_encoded_audio(part)) for name, part in loaded.items()])
    except ValueError as error:
        raise _whole(source, f"its splits do not have the same columns: {error}") from error
    return ManifestTable(rows, numbers, BY_INDEX, folder, parts)


def _of_corpus(path: Path) -> ManifestTable:
    try:
        rows = Dataset.from_pandas(read_corpus_file(path), preserve_index=False)
    except ValueError as error:
        raise _whole(path, str(error)) from error
    return ManifestTable(rows, range(len(rows)), BY_INDEX, path.parent)


def _of_parquet(path: Path) -> ManifestTable:
    try:
        if faulty := _faulty_names(pq.read_schema(path).names):
            raise ManifestError(str(path), faulty)
        rows = with_encoded_audio(cast(Dataset, Dataset.from_parquet(str(path))))
        rows.data.table.validate(full=True)
    except ManifestError:
        raise
    except Exception as error:  # damaged bytes raise a different class for every kind of damage
        raise _whole(path, f"this is not a parquet file that can be read: {error.__cause__ or error}") from error
    return ManifestTable(rows, range(len(rows)), BY_INDEX, path.parent)


def _faulty_names(names: Sequence[str]) -> list[Fault]:
    counts = Counter(names).items()
    faults = [Fault(None, name, f"there are {count} columns of this name") for name, count in counts if count > 1]
    return faults + [Fault(None, name, "a NUL is not text") for name, _ in counts if NOT_TEXT.search(name)]


def _not_utf8(error: UnicodeDecodeError) -> str:
    """Say where bytes are not UTF-8, by the line that they are in, and what to do."""
    fix = "save the file with the encoding UTF-8 (in Excel: CSV UTF-8)"
    if error.object.startswith((b"\xff\xfe", b"\xfe\xff")):
        return f"this is UTF-16, as Excel saves it; {fix}"
    line = error.object[error.object.rfind(b"\n", 0, error.start) + 1 :].partition(b"\n")[0]
    return f"'{line[:80].decode('utf-8', 'backslashreplace').strip()}' is not UTF-8; {fix}"


def _of_csv(path: Path, delimiter: str) -> ManifestTable:
    faults: list[Fault] = []
    lines: list[list[str]] = []
    numbers: list[int] = []
    names: list[str] = []
    number = 1
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(str(path), [Fault(number, None, _not_utf8(error))], BY_HEADED_LINE) from error
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        names = next(reader, [])
        number = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(names):
                lines.append(cells)
                numbers.append(number)
            elif cells:  # else a blank line
                faults.append(Fault(number, None, f"{len(cells)} cells, but the header has {len(names)}"))
            number = reader.line_num + 1
    except csv.Error as error:
        faults.append(Fault(number, None, f"the file cannot be read from here on: {error}"))
    faults = [*_faulty_names(names), *faults]
    if "" in names:
        fix = "write the table with `index=False` if that is pandas' index, else name it"
        faults.append(Fault(1, None, f"column {names.index('') + 1} of the header has no name; {fix}"))
    # An empty cell is a missing value. Of two columns of one name the last stays: there is a fault already.
    columns = {name: [row[at] or None for row in lines] for at, name in enumerate(names) if not NOT_TEXT.search(name)}
    rows = _dataset({name: pa.array(cells, pa.string()) for name, cells in columns.items()})
    return ManifestTable(rows, numbers, BY_HEADED_LINE, path.parent, faults=faults, is_text=True)


def _of_jsonl(path: Path) -> ManifestTable:
    faults: list[Fault] = []
    objects: list[dict[str, Any]] = []
    numbers: list[int] = []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            objects.append(_json_object(line))
            numbers.append(number)
        except UnicodeDecodeError as error:
            faults.append(Fault(number, None, _not_utf8(error)))
        except (ValueError, RecursionError) as error:
            faults.append(Fault(number, None, f"this is not a JSON object that can be read: {error}"))
    columns: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for each in objects for name in each):
        columns[name] = _column(name, [each.get(name) for each in objects], numbers, faults)
    return ManifestTable(_dataset(columns), numbers, BY_LINE, path.parent, faults=faults)


def _json_object(line: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if faults := _faulty_names([name for name, _ in pairs]):
            raise ValueError(str(faults[0]))
        return dict(pairs)

    found = json.loads(line.decode("utf-8-sig"), object_pairs_hook=unique)
    if not isinstance(found, dict):
        raise ValueError(f"it is a {type(found).__name__}")
    if _depth(found) > MAX_DEPTH:
        raise ValueError(f"its values are nested more than {MAX_DEPTH} deep")
    if b"\\ud" in line.lower() and NOT_TEXT.search(json.dumps(found, ensure_ascii=False)):
        raise ValueError("it holds a lone surrogate, such as \\ud800, which is not text")
    return found


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
        depth += 1
    return depth


def _column(name: str, values: list[Any], numbers: Sequence[int], faults: list[Fault]) -> pa.Array:
    """Return a column of JSON values; those of another kind than most are faults and become missing."""
    kinds = [_kind(value) for value in values]
    usual = Counter(kind for kind in kinds if kind).most_common(1)
    for index, kind in enumerate(kinds):
        if kind and kind != usual[0][0]:
            problem = f"{str(values[index])[:80]!r} is {kind}, but most rows have {usual[0][0]}"
            faults.append(Fault(numbers[index], name, problem))
            values[index] = None
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        faults.append(Fault(None, name, f"its values do not fit one type: {error}"))
        return pa.nulls(len(values))


def _kind(value: Any) -> str:
    kinds = {type(None): "", str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return kinds.get(type(value), "an object")


def _dataset(columns: dict[str, pa.Array]) -> Dataset:
    return Dataset(InMemoryTable(pa.table(columns)))
