"""The manifest: one row per clip, checked, saved with `datasets` and loaded with absolute paths."""

import os
import re
import shutil
from collections.abc import Hashable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, concatenate_datasets, load_from_disk
from transformers.utils import logging

from .captions.labels import category, emotion_class
from .manifest_reading import (
    NUMBER_COLUMNS,
    SHOWN,
    TEXT_COLUMNS,
    Cells,
    Fault,
    ManifestError,
    ManifestSource,
    as_number,
    as_text,
    positive,
    read_source,
)


logger = logging.get_logger(__name__)

REQUIRED_TEXT_COLUMNS = (
    "id",
    "path",
    "corpus",
    "speaker",
    "language",
    "package",
    "package_version",
    "licence",
    "sha256",
)
"""Required text columns, never empty. `speaker` is unique over all corpora; `path` is relative to the dataset."""
COLUMNS = (*REQUIRED_TEXT_COLUMNS, "transcript", "duration")
"""All required columns: `transcript` is text or `None`, `duration` is in seconds. Any others may follow."""
SPLITS = ("train", "validation", "test")
"""Names that splits may have."""


def validate_rows(rows: pd.DataFrame, root: str | Path | None = None) -> None:
    """
    Checks a manifest.

    Args:
        rows (`pd.DataFrame`):
            One row per clip, with at least [`COLUMNS`].
        root (`str` or `Path`, *optional*):
            If given, every `path` must be a file below it.

    Raises:
        ValueError: A column is missing, a required text is empty, an id comes twice, a duration is not positive, or
            a file is missing.
    """
    absent = [column for column in COLUMNS if column not in rows.columns]
    if absent:
        raise ValueError(f"manifest lacks the columns {absent}; it has {list(rows.columns)}")
    for column in REQUIRED_TEXT_COLUMNS:
        empty = rows[column].isna() | (rows[column].astype(str) == "")
        if empty.any():
            where = rows.index[empty][0]
            raise ValueError(f"manifest row {where} has no {column!r}; {int(empty.sum())} rows need one")
    twice = rows.loc[rows["id"].duplicated(), "id"]
    if len(twice):
        raise ValueError(f"manifest id {twice.iloc[0]!r} comes more than once; {len(twice)} ids need another name")
    wrong = rows.loc[~(rows["duration"] > 0)]
    if len(wrong):
        raise ValueError(f"manifest id {wrong['id'].iloc[0]!r} has duration {wrong['duration'].iloc[0]}; give seconds")
    if root is not None:
        missing = [path for path in rows["path"] if not (Path(root) / path).is_file()]
        if missing:
            raise ValueError(f"{len(missing)} audio files are missing below {str(root)!r}, first {missing[0]!r}")


def validate_splits(splits: dict[str, pd.DataFrame]) -> None:
    """
    Checks that splits share no clip, no audio and no speaker.

    Args:
        splits (`dict[str, pd.DataFrame]`):
            Split name to its manifest rows.

    Raises:
        ValueError: A speaker, an id or a sha256 is in two splits.
    """
    for column, cure in (
        ("speaker", "keep each speaker in one split"),
        ("id", "keep each clip in one split"),
        ("sha256", "the same audio under two names: drop one"),
    ):
        seen: dict[str, str] = {}
        for split, rows in splits.items():
            for value in rows[column].unique():
                if value in seen:
                    raise ValueError(f"{column} {value!r} is in {seen[value]!r} and in {split!r}; {cure}")
                seen[value] = split


def save_splits(splits: dict[str, pd.DataFrame], folder: str | Path) -> None:
    """
    Checks and saves splits as a `DatasetDict` beside their audio.

    Args:
        splits (`dict[str, pd.DataFrame]`):
            Split name to manifest rows; `path` relative to `folder`.
        folder (`str` or `Path`):
            The dataset's folder, which already holds the audio.

    Raises:
        ValueError: The manifest is faulty, see [`validate_rows`] and [`validate_splits`], or a split has another
            name than [`SPLITS`].
    """
    foreign = [name for name in splits if name not in SPLITS]
    if foreign or not splits:
        raise ValueError(f"cannot save splits named {foreign}; names are {list(SPLITS)}")
    for rows in splits.values():
        validate_rows(rows, folder)
    validate_splits(splits)
    everything = pd.concat(splits.values(), ignore_index=True)
    everything["transcript"] = everything["transcript"].astype(object).where(everything["transcript"].notna(), None)
    # One table for all splits, so that all get the same features even where a column is empty in one of them.
    whole = Dataset.from_pandas(everything, preserve_index=False)
    start = 0
    parts = {}
    for split, rows in splits.items():
        parts[split] = whole.select(range(start, start + len(rows)))
        start += len(rows)
    _save_whole(DatasetDict(parts), Path(folder))


def _save_whole(splits: DatasetDict, folder: Path) -> None:
    """Saves beside the final place and moves in, so that a process that reads the old dataset is not disturbed."""
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    splits.save_to_disk(str(partial))
    for name in SPLITS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in partial.iterdir():
        path.replace(folder / path.name)
    partial.rmdir()


def load_splits(folder: str | Path) -> DatasetDict:
    """
    Loads what [`save_splits`] saved, wherever the folder has moved to since.

    Args:
        folder (`str` or `Path`):
            The dataset's folder.

    Returns:
        `DatasetDict`: The splits; `path` is absolute.

    Raises:
        ValueError: There is no dataset in the folder.
    """
    folder = Path(folder).absolute()
    if not (folder / "dataset_dict.json").is_file():
        raise ValueError(f"no dataset in {str(folder)!r}; build one with examples/recipes/build_speech_dataset.py")
    loaded = load_from_disk(str(folder))
    splits = DatasetDict()
    for name, split in loaded.items():
        columns = split.column_names
        paths = [str(folder / path) for path in split["path"]]
        splits[name] = split.remove_columns("path").add_column("path", paths).select_columns(columns)
    return splits


def summarise(splits: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """
    Counts clips, minutes and speakers per corpus and split.

    Args:
        splits (`dict[str, pd.DataFrame]`):
            Split name to manifest rows.

    Returns:
        `pd.DataFrame`: One row per (split, corpus).
    """
    tables = [rows.assign(split=split) for split, rows in splits.items()]
    grouped = pd.concat(tables, ignore_index=True).groupby(["split", "corpus"], sort=False)
    summary = grouped.agg(
        clips=("id", "size"),
        minutes=("duration", "sum"),
        speakers=("speaker", "nunique"),
        language=("language", "first"),
    )
    summary["minutes"] = (summary["minutes"] / 60).round(1)
    return summary.reset_index()


SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing"),
}
EVALUATION_NAMES = ("eval", "evaluation")
"""Names that mean validation to some and test to others: they are whichever of the two is not there by another name."""


def check_labels(cells: Cells) -> None:
    """
    Brings labels of emotion and gender to the one name that captions have words for, and notes those without any.

    Args:
        cells ([`Cells`]):
            The manifest; a label becomes `None` where there is a fault.
    """
    for column in ("emotion", "gender"):
        if column in cells.columns:
            cells.change(column, partial(category, group=column))


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
    Notes speakers of one corpus who are in two splits, once for each further split.

    Args:
        cells ([`Cells`]):
            The manifest, whose splits are checked.
    """
    if "speaker" not in cells.columns:
        return
    speakers = cells.columns["speaker"]
    corpora = cells.columns.get("corpus", [None] * len(speakers))
    keys = [None if name is None else (corpus, name) for corpus, name in zip(corpora, speakers, strict=True)]
    for index, first in _second_splits(zip(keys, cells.columns["split"], strict=False)):
        cells.note(index, "speaker", _in_two(cells, "speaker", index, first, "keep each speaker in one split"))


def check_paths(cells: Cells) -> None:
    """
    Notes files that are in two splits, once for each further split, by whatever spelling of their path.

    Args:
        cells ([`Cells`]):
            The manifest, whose splits and audio are checked.
    """
    paths = [None if path is None else os.path.normpath(path) for path in cells.columns.get("path", [])]
    for index, first in _second_splits(zip(paths, cells.columns["split"], strict=False)):
        cells.note(index, "path", _in_two(cells, "path", index, first, "keep each clip in one split"))


def _second_splits(rows: Iterable[tuple[Hashable | None, str | None]]) -> list[tuple[int, int]]:
    """Of keys and splits: each index at which a key comes to a further split, and the index where it came first."""
    first: dict[Hashable, int] = {}
    seen: dict[Hashable, set[str]] = {}
    found = []
    for index, (key, split) in enumerate(rows):
        if key is None or split is None:
            continue
        splits = seen.setdefault(key, set())
        if splits and split not in splits:
            found.append((index, first[key]))
        first.setdefault(key, index)
        splits.add(split)
    return found


def _in_two(cells: Cells, column: str, index: int, first: int, cure: str) -> str:
    value, splits = cells.columns[column][index], cells.columns["split"]
    return f"{value!r} is in {splits[index]!r} and, {cells.place(first)}, in {splits[first]!r}; {cure}"


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


def check_across(sources: Sequence[DatasetDict]) -> None:
    """
    Checks manifests that are to be joined against each other.

    A speaker is known again only where both manifests name the corpus: elsewhere, speaker 1 of one and speaker 1 of
    another may be two people.

    Args:
        sources (`Sequence[DatasetDict]`):
            What [`~smoothclap_trainer.data.manifest.load_manifest`] returned for each.

    Raises:
        ValueError: An id comes twice, or a speaker of a corpus or a file is in two splits. All are told, up to 50.
    """
    places: list[tuple[int, str]] = []
    columns: dict[str, list[str | None]] = {name: [] for name in ("id", "path", "corpus", "speaker")}
    for number, source in enumerate(sources, start=1):
        for split, rows in source.items():
            places += [(number, split)] * len(rows)
            for name, values in columns.items():
                values += rows[name][:] if name in rows.column_names else [None] * len(rows)

    def told(what: str, index: int, first: int, cure: str) -> str:
        one, other = ("{1!r} of manifest {0}".format(*places[each]) for each in (first, index))
        return f"{what} comes in two places, {one} and {other}; {cure}"

    first_rows: dict[str | None, int] = {}
    problems = []
    for index, row_id in enumerate(columns["id"]):
        if (first := first_rows.setdefault(row_id, index)) != index:
            problems.append(told(f"The id {row_id!r}", index, first, "ids must tell clips apart"))
    splits = [split for _, split in places]
    people = [None if None in pair else pair for pair in zip(columns["corpus"], columns["speaker"], strict=True)]
    for index, first in _second_splits(zip(people, splits, strict=True)):
        who = f"The speaker {columns['speaker'][index]!r} of corpus {columns['corpus'][index]!r}"
        problems.append(told(who, index, first, "keep each speaker in one split"))
    paths = [None if path is None else os.path.normpath(path) for path in columns["path"]]
    for index, first in _second_splits(zip(paths, splits, strict=True)):
        problems.append(told(f"The file {paths[index]!r}", index, first, "keep each clip in one split"))
    if problems:
        more = [f"... and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
        lines = "\n  ".join([*problems[:SHOWN], *more])
        raise ValueError(f"The manifests, counted from 1, cannot be joined:\n  {lines}")


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
    >>> from smoothclap_trainer.data.manifest import load_manifest
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
