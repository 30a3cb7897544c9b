"""Manifests of one's own: any table of clips, checked before anything runs, in the columns that training reads."""

import re
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets
from transformers.utils import logging

from .labels import emotion_class
from .manifest import SPLITS
from .manifest_cells import NUMBER_COLUMNS, TEXT_COLUMNS, Cells, as_number, as_text, positive
from .manifest_checks import check_audio, check_ids, check_labels, check_paths, check_speakers, check_splits
from .manifest_faults import Fault, ManifestError
from .manifest_source import ManifestSource, read_source


logger = logging.get_logger(__name__)

ALIKE = 0.85
"""Names of columns at least so similar, on difflib's scale, are taken for slips of the pen."""


def load_manifest(
    source: str | Path, columns: Mapping[str, str] | None = None, audio_root: str | Path | None = None
) -> DatasetDict:
    """
    Loads a table of clips and checks all of it.

    | column | what it holds |
    |---|---|
    | `path` or `audio` | a file, or the bytes of one, also as `datasets.Audio` keeps them; a row has one of the two |
    | `id` | unique; by default the path as written, else split and row number |
    | `emotion`, `gender` | a label that captions have words for, or one of its aliases, which becomes that label |
    | `label` | the class for evaluation, of any task, as written; by default `emotion`, if it is a class |
    | `arousal`, `dominance`, `valence` | ratings, on any scale |
    | `split` | train, validation, test or a common name of one; by default the source's splits, else train |
    | `speaker`, `corpus`, `language`, `caption` | text |
    | `duration` | seconds |

    No column but `path` or `audio` is required, any cell of the others but `id` and `split` may be empty, and further
    columns are kept. A clip whose emotion is "no agreement" or "other" is in no class by default: nobody knows which
    it is. A speaker of a corpus is in one split only, and so is a file. In CSV and TSV an empty cell is a missing
    value, and a further column is numbers if all its cells are (and none starts with a needless 0).

    Args:
        source (`str` or `Path`):
            A .csv, .tsv, .jsonl or .parquet file, a folder that `save_to_disk` of `datasets` or
            [`~smoothclap_trainer.data.manifest.save_splits`] wrote, or a data set's id on the Hub.
        columns (`Mapping[str, str]`, *optional*):
            Our column to the source's, where they differ: `{"emotion": "EmoClass", "path": "FileName"}`.
        audio_root (`str` or `Path`, *optional*):
            Where relative paths start; by default the manifest's folder.

    Returns:
        `DatasetDict`: The splits that have rows; `path` is absolute, audio bytes are not decoded, and `split` is gone.

    Raises:
        ManifestError: Something is wrong with the manifest; all faults are in it. A `ValueError`.
        ValueError: `audio_root` is no folder.

    Example:

    ```python
    >>> import tempfile
    >>> from pathlib import Path
    >>> from smoothclap_trainer.data.own_manifest import load_manifest
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "clips.csv").write_text("FileName,EmoClass\\ngone.wav,hapy\\n")
    >>> try:
    ...     load_manifest(folder / "clips.csv", columns={"path": "FileName", "emotion": "EmoClass"})
    ... except ValueError as error:
    ...     print([(fault.row, fault.column) for fault in error.faults])
    [(2, 'emotion'), (2, 'path')]

    ```
    """
    if audio_root is not None and not Path(audio_root).is_dir():
        raise ValueError(f"audio_root {str(audio_root)!r} is no folder")
    found = read_source(source)
    rows = _renamed(found, columns or {})
    found.faults.extend(_misnamed(rows.column_names))
    cells = Cells({}, found.numbers, found.parts, found.faults)
    folder = found.folder if audio_root is None else Path(audio_root).absolute()
    if not len(rows):
        cells.faults.append(Fault(None, None, "there are no rows"))
    elif not {"path", "audio"} & set(rows.column_names):
        problem = f"there is neither `path` nor `audio`, but {rows.column_names}; say with `columns` which it is"
        if len(rows.column_names) == 1 and ";" in rows.column_names[0]:
            problem += ", or separate cells by commas (.csv) or tabs (.tsv), not by semicolons"
        cells.faults.append(Fault(None, None, problem))
    else:
        rows = _check(rows, cells, folder)
    if cells.faults:
        order = {name: place for place, name in enumerate(dict.fromkeys(found.parts or ()))}
        cells.faults.sort(key=lambda fault: (order.get(fault.part or "", -1), -1 if fault.row is None else fault.row))
        raise ManifestError(str(source), cells.faults, found.counting)
    if found.is_text:
        rows = _with_numbers(rows)
    return _by_split(rows, cells)


def _renamed(found: ManifestSource, columns: Mapping[str, str]) -> Dataset:
    """Brings columns to our names. Of two that want one name, the one that the user named has it."""
    rows = found.rows
    for ours, theirs in columns.items():
        if theirs not in found.rows.column_names:
            there = found.rows.column_names
            found.faults.append(Fault(None, ours, f"the source has no column {theirs!r}; it has {there}"))
    present = {ours: theirs for ours, theirs in columns.items() if theirs in rows.column_names}
    hidden = [name for name in present if name in rows.column_names and name not in present.values()]
    if hidden:
        logger.warning(f"the source's own columns {hidden} are left out: `columns` names others for them")
    first = {theirs: ours for ours, theirs in reversed(present.items())}
    rows = rows.remove_columns(hidden).rename_columns(first)
    for ours, theirs in present.items():
        if ours != first[theirs]:
            rows = rows.add_column(ours, list(rows[first[theirs]]), feature=rows.features[first[theirs]])
    return rows


def _misnamed(names: Sequence[str]) -> list[Fault]:
    """Columns that look like one of ours by another name: left alone, they would be ignored without a word."""
    faults = []
    for ours in (*TEXT_COLUMNS, *NUMBER_COLUMNS):
        if ours in names:
            continue
        for name in names:
            plain = name.strip().lower()
            cut_short = len(plain) > 3 and ours.startswith(plain)
            if name not in (*TEXT_COLUMNS, *NUMBER_COLUMNS) and (
                cut_short or SequenceMatcher(None, plain, ours).ratio() >= ALIKE
            ):
                problem = (
                    f"it is not read: if it is `{ours}`, rename it or say columns: {{{ours}: {name}}}; else give it a "
                )
                faults.append(Fault(None, name, problem + "name that is less alike"))
    return faults


def _check(rows: Dataset, cells: Cells, folder: Path | None) -> Dataset:
    """Fills `cells` and returns the rows with what they hold in place of what they held."""
    for name in (*TEXT_COLUMNS, *NUMBER_COLUMNS):
        if name in rows.column_names:
            cells.columns[name] = _values(rows, name)
            cells.change(name, as_text if name in TEXT_COLUMNS else as_number)
    if "duration" in cells.columns:
        cells.change("duration", positive)
    count = len(rows)
    cells.columns.setdefault("split", list(found) if (found := cells.parts) else ["train"] * count)
    check_splits(cells)
    has_bytes = _audio(rows, cells)
    if "id" not in cells.columns:
        paths = cells.columns.get("path", [None] * count)
        splits = cells.columns["split"]
        cells.columns["id"] = [path or f"{splits[index]}/{cells.numbers[index]}" for index, path in enumerate(paths)]
    check_ids(cells)
    check_labels(cells)
    check_speakers(cells)
    check_audio(cells, has_bytes, folder)
    check_paths(cells)
    if "emotion" in cells.columns:
        cells.columns.setdefault("label", [emotion_class(emotion) for emotion in cells.columns["emotion"]])
    return _replaced(rows, cells, keep_audio=any(has_bytes))


def _values(rows: Dataset, name: str) -> list[Any]:
    """A column's values; classes of `datasets` by their names."""
    values, feature = list(rows[name]), rows.features[name]
    if isinstance(feature, ClassLabel):
        return [None if value is None or value < 0 else feature.int2str(value) for value in values]
    return values


def _audio(rows: Dataset, cells: Cells) -> list[bool]:
    """Says which rows have audio bytes. Where audio is a path only, that becomes the row's path."""
    if "audio" not in rows.column_names:
        return [False] * len(rows)
    audio = rows.data.column("audio")  # a view: audio is not copied, and these rows have no indices
    if pa.types.is_struct(audio.type) and audio.type.get_field_index("bytes") >= 0:
        held: list[bool] = pc.is_valid(pc.struct_field(audio, "bytes")).to_pylist()
        if audio.type.get_field_index("path") >= 0:
            paths = cells.columns.setdefault("path", [None] * len(rows))
            names = pc.struct_field(audio, "path").to_pylist()
            for index, (name, is_held) in enumerate(zip(names, held, strict=True)):
                if not is_held and paths[index] is None:
                    paths[index] = name
        return held
    if pa.types.is_binary(audio.type) or pa.types.is_large_binary(audio.type):
        return list(pc.is_valid(audio).to_pylist())
    is_text = pa.types.is_string(audio.type) or pa.types.is_large_string(audio.type)
    cure = "; if it is the file's name, pass columns={'path': 'audio'}" if is_text else ""
    cells.faults.append(Fault(None, "audio", f"it is {audio.type}, not the bytes of audio files{cure}"))
    return [False] * len(rows)


def _replaced(rows: Dataset, cells: Cells, keep_audio: bool) -> Dataset:
    """Puts the checked columns first, in a fixed order, and leaves the others as they are."""
    named = [*TEXT_COLUMNS, *NUMBER_COLUMNS]
    dropped = [name for name in rows.column_names if name in named or (name == "audio" and not keep_audio)]
    others = [name for name in rows.column_names if name not in dropped]
    checked = [name for name in named if name in cells.columns and name != "split"]
    if "path" in checked and not any(cells.columns["path"]):
        checked.remove("path")
    features = {name: Value("string" if name in TEXT_COLUMNS else "float64") for name in checked}
    table = Dataset.from_dict({name: cells.columns[name] for name in checked}, features=Features(features))
    return concatenate_datasets([table, rows.select_columns(others)], axis=1) if others else table


def _with_numbers(rows: Dataset) -> Dataset:
    """Makes numbers of further columns of text that hold nothing else."""
    for name in rows.column_names:
        if name not in TEXT_COLUMNS and name not in NUMBER_COLUMNS:
            numbers = [None if cell is None else _number(cell) for cell in rows[name]]
            whole = [number for number, cell in zip(numbers, rows[name], strict=True) if cell is not None]
            if whole and all(number is not None for number in whole):
                columns = rows.column_names
                rows = rows.remove_columns(name).add_column(name, numbers).select_columns(columns)
    return rows


def _number(cell: str) -> float | None:
    if re.fullmatch(r"[+-]?0\d.*", cell.strip()):
        return None  # 007 is a name
    try:
        return float(cell)
    except ValueError:
        return None


def _by_split(rows: Dataset, cells: Cells) -> DatasetDict:
    indices: dict[str, list[int]] = {name: [] for name in SPLITS}
    for index, name in enumerate(cells.columns["split"]):
        indices[name].append(index)
    return DatasetDict({name: rows.select(chosen) for name, chosen in indices.items() if chosen})
