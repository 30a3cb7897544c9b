"""The manifest: one row per clip, loaded with absolute paths, and checked."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict, Features, Value, concatenate_datasets
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import Segment, audio_duration

from ..config import did_you_mean
from .captions.labels import ALIASES, category, emotion_class, known_names
from .cells import as_name, as_number, as_seconds, as_text, as_time
from .clips import RECORDING
from .joining import values_of
from .leakage import check_ids, check_splits, clips_of, warn_of_lookalikes
from .manifest_reading import ManifestTable, read_source


logger = logging.get_logger(__name__)


class Column(NamedTuple):
    """What reads a cell of a column that manifests may have, and what the column says about a clip."""

    read: Callable[[Any], Any] | None
    meaning: str


def _category(group: str) -> Callable[[Any], str | None]:
    def read(value: Any) -> str | None:
        text = as_name(value)
        try:
            return None if text is None else category(text, group)
        except ValueError:
            guess = did_you_mean(str(text), known_names(group))
            raise ValueError(f"unknown {group} {text!r}" + (f", {guess}" if guess else "")) from None

    return read


SCHEMA = {
    "id": Column(as_text, "unique name; by default the path as written, else split and row number"),
    "path": Column(as_text, "audio file; relative paths start at the manifest's folder or `audio_root`"),
    "start": Column(as_time, "where the clip begins in its file, in seconds; by default the file's beginning"),
    "end": Column(as_time, "where the clip ends in its file, in seconds; by default the file's end"),
    "label": Column(as_name, "class for evaluation, of any task, as written; by default `emotion` if it is a class"),
    "emotion": Column(_category("emotion"), "emotion that captions have words for, or one of its aliases"),
    "caption": Column(as_text, "description of the clip"),
    "speaker": Column(as_name, "who speaks; a speaker of a corpus is in one split only"),
    "corpus": Column(as_name, "name of the corpus that the clip is from"),
    "language": Column(as_name, "language of the speech"),
    "gender": Column(_category("gender"), "gender of the speaker: female, male or non-binary, or one of its aliases"),
    "acoustic_condition": Column(_category("acoustic_condition"), "how the clip was recorded: clean, telephone, ..."),
    "split": Column(as_name, "train, validation, test or a common name of one; by default the source's, else train"),
    "arousal": Column(as_number, "rating, on any scale"),
    "dominance": Column(as_number, "rating, on any scale"),
    "valence": Column(as_number, "rating, on any scale"),
    "duration": Column(as_seconds, "length of the clip"),
    "audio": Column(None, "in place of `path`: an audio file's bytes, also as `datasets.Audio` keeps them"),
}
"""All columns that are read, in the order in which they are kept. Any others are kept as they are."""

CELLS = tuple(name for name, column in SCHEMA.items() if column.read)
TEXTS = tuple(name for name in CELLS if SCHEMA[name].read not in (as_number, as_seconds, as_time))

SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "devel", "development"),
    "test": ("test", "testing"),
}
SPLITS = tuple(SPLIT_NAMES)
EVALUATION_NAMES = ("eval", "evaluation")
"""Validation to some and test to others: they mean the one of the two that the manifest does not name otherwise."""
WINDOWS_PATH = "paths have backslashes, as on Windows, and there are no such files; write / between folders"
TIMES = ("starttime", "endtime", "begin", "begintime", "onset", "offset", "timestart", "timeend", "stop", "stoptime")
"""Names that times of segments often have, without underscores."""
END_SLACK = 0.1
"""A segment may end so many seconds after its file, because times are rounded and headers of MP3 estimate."""
DURATION_SLACK = 0.5
"""Given durations of segments may be rounded to whole seconds."""
ROWS_SEEN = 1000
"""So many rows show whether a column has fractions."""
ALIKE = 0.85
"""Column names that are at least so similar, on difflib's scale, are probably typing errors."""


def load_manifest(
    source: str | Path,
    columns: Mapping[str, str] | None = None,
    audio_root: str | Path | None = None,
    missing_files: Literal["raise", "keep"] = "raise",
) -> DatasetDict:
    """
    Load a table of clips and check all of it. [`SCHEMA`] lists the columns that are read.

    A row has either `path` or `audio`. No other column is required, any cell except those of `id` and `split` may be
    empty, and further columns are kept. A clip whose emotion is "no agreement" or "other" has no class by default. A
    recording and a speaker of a corpus may be in one split only. Files that are equal byte for byte are one recording;
    names that look alike, and recordings in two corpora, are reported. In CSV and TSV an empty cell is a missing value,
    and a further column holds numbers if all its cells are numbers (and none starts with an extra 0).

    Args:
        source (`str` or `Path`): A .csv, .tsv, .jsonl or .parquet file, a folder that `save_to_disk` of `datasets`
            wrote, the id of a data set on the Hub, perhaps with @REVISION, or the .yaml file of a corpus.
        columns (`Mapping[str, str]`, *optional*): Our column to the source's, where they differ: `{"emotion":
            "EmoClass", "path": "FileName"}`.
        audio_root (`str` or `Path`, *optional*): Where relative paths start; by default the manifest's folder.
        missing_files (`str`, defaults to `"raise"`): `"keep"` keeps rows whose file is not there, for
            [`~smoothclap_trainer.data.clips.check_clips`] to leave out and report.

    Returns:
        `DatasetDict`: The splits that have rows. `path` is absolute, audio bytes are not decoded, `split` is gone.

    Raises:
        ManifestError: Something is wrong with the manifest; a `ValueError` that lists all faults.
        ValueError: `audio_root` is not a folder, or `columns` are not names.

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
    if audio_root is not None and not (isinstance(audio_root, str | Path) and os.path.isdir(audio_root)):
        raise ValueError(f"audio_root {str(audio_root)!r} is not a folder")
    columns = {} if columns is None else columns
    if not isinstance(columns, Mapping) or not all(isinstance(name, str) for pair in columns.items() for name in pair):
        raise ValueError(f"columns is {columns!r}; give our names and the source's, such as {{'path': 'FileName'}}")
    if missing_files not in ("raise", "keep"):
        raise ValueError(f"missing_files is {missing_files!r}; give 'raise' or 'keep'")
    table = read_source(source)
    if audio_root is not None:
        table.folder = Path(audio_root).absolute()
    table.rows = _renamed(table, columns)
    _check_names(table)
    has_bytes = _check(table, columns, missing_files) if _has_clips(table) else []
    if table.faults:
        raise table.error(source)
    rows = _checked_rows(table, keep_audio=any(has_bytes))
    if table.is_text:
        rows = _with_numbers(rows)
    if unread := unread_columns(rows):
        logger.info(
            f"{str(source)!r}: further columns are kept as they are: {unread}; to read one as another, such as label, "
            "give columns: {label: ITS_NAME}"
        )
    splits = table.cells["split"]
    indices = {name: [index for index, split in enumerate(splits) if split == name] for name in SPLITS}
    return DatasetDict({name: rows.select(chosen) for name, chosen in indices.items() if chosen})


def unread_columns(rows: Dataset) -> list[str]:
    """List the columns that nothing reads. Those with fractions may be functionals, and are not listed."""
    others = [name for name in rows.column_names if name not in SCHEMA and name != RECORDING]
    first = rows.select_columns(others)[:ROWS_SEEN] if others else {}
    return [
        name
        for name, cells in first.items()
        if not any(isinstance(cell, float) and not cell.is_integer() for cell in cells)
    ]


def _renamed(table: ManifestTable, columns: Mapping[str, str]) -> Dataset:
    """Return the rows under our names. Of two columns that want one name, the one that the user named has it."""
    rows = table.rows
    for ours, theirs in columns.items():
        if theirs not in rows.column_names:
            table.note(None, ours, f"the source has no column {theirs!r}; it has {rows.column_names}")
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


def _check_names(table: ManifestTable) -> None:
    """Note columns that look like one of ours under another name: they would be ignored without a word."""
    names = table.rows.column_names
    for ours in CELLS:
        for name in names if ours not in names else ():
            plain = name.strip().lower()
            cut_short = len(plain) > 3 and ours.startswith(plain)
            if name not in CELLS and (cut_short or SequenceMatcher(None, plain, ours).ratio() >= ALIKE):
                fix = f"rename it to `{ours}` or give columns: {{{ours}: {name}}}"
                if ours != "path" or "audio" in names:  # else there must be one
                    fix += f"; if it is not, rename it to something else, such as `my_{plain}`"
                table.note(None, name, f"it is not read; if it is `{ours}` ({SCHEMA[ours].meaning}), {fix}")
    times = [name for name in names if name.lower().replace("_", "") in TIMES]
    given = {"start", "end"} & set(names)
    if times and not given:
        logger.warning(
            f"{times} are not read: clips are whole files. For segments, give columns: {{start: ..., end: ...}}"
        )
    elif times and len(given) == 1:
        (other,) = {"start", "end"} - given
        table.note(None, times[0], f"it is not read; if it is `{other}`, give columns: {{{other}: {times[0]}}}")


def _has_clips(table: ManifestTable) -> bool:
    """Check that there is a row and a column of audio, without which no further check is possible."""
    names = table.rows.column_names
    if not len(table.rows):
        table.note(None, None, "there are no rows")
        return False
    if not {"path", "audio"} & set(names):
        problem = f"there is neither `path` nor `audio`, but {names}; name the column with `columns`"
        if len(names) == 1 and ";" in names[0]:
            problem += ", or separate cells by commas (.csv) or tabs (.tsv), not by semicolons"
        table.note(None, None, problem)
        return False
    return True


def _check(table: ManifestTable, columns: Mapping[str, str], missing_files: str) -> list[bool]:
    """Read the cells of all columns of the schema, note every fault, and return which rows have audio bytes."""
    for name, column in SCHEMA.items():
        if column.read and name in table.rows.column_names:
            fix = _known(name, columns.get(name, name)) if name in ALIASES else ""
            table.read(name, values_of(table.rows, name), column.read, fix)
    cells, count = table.cells, len(table.rows)
    cells.setdefault("split", list(table.parts) if table.parts else ["train"] * count)
    _check_splits(table)
    has_bytes = _audio(table)
    paths = table.column("path")
    spans = list(zip(table.column("start"), table.column("end"), strict=True))
    if "id" not in cells:
        parts = [Segment(None, start or 0.0, end) for start, end in spans]
        names = [path and path + part.suffix for path, part in zip(paths, parts, strict=True)]
        cells["id"] = [name or f"{cells['split'][row]}/{table.numbers[row]}" for row, name in enumerate(names)]
    if not {fault.column for fault in table.faults} & {"start", "end"}:
        check_ids(table)
    _check_audio(table, paths, has_bytes, missing_files)
    _check_segments(table, paths, spans)
    clips = [
        path or (clip if held else None)
        for path, clip, held in zip(paths, clips_of(table.rows), has_bytes, strict=True)
    ]
    people = zip(table.column("corpus"), table.column("speaker"), strict=True)
    check_splits(table, [name and (corpus, name) for corpus, name in people], clips)
    warn_of_lookalikes(table)
    if "emotion" in cells:
        cells.setdefault("label", [emotion_class(emotion) for emotion in cells["emotion"]])
    return has_bytes


def _known(group: str, theirs: str) -> str:
    """Say what can be done about unknown names of a group, which the source has in the column `theirs`."""
    fix = f"; known are {known_names(group)}"
    return fix + (f"; for classes that are not these, give columns: {{label: {theirs}}}" if group == "emotion" else "")


def _check_splits(table: ManifestTable) -> None:
    """Replace the names of splits by ours, and note unknown ones."""
    known = {other: name for name, others in SPLIT_NAMES.items() for other in others}
    written = table.cells["split"]
    names = [None if value is None else value.strip().lower() for value in written]
    unused = [name for name in ("validation", "test") if name not in {known.get(each or "") for each in names}]
    if unused:
        known.update(dict.fromkeys(EVALUATION_NAMES, unused[0]))
    problems: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        if name is None:
            problems.setdefault("it is empty", []).append(index)
        elif name not in known:
            fix = f"give one of {list(SPLITS)}"
            if name in EVALUATION_NAMES:
                fix = "the manifest has validation and test rows besides: rename the split to the one that is meant"
            problems.setdefault(f"unknown split {written[index]!r}; {fix}", []).append(index)
    table.note_groups("split", problems)
    table.cells["split"] = [known.get(name or "") for name in names]


def _audio(table: ManifestTable) -> list[bool]:
    """Return which rows have audio bytes. Where audio is a path only, that becomes the row's path."""
    count = len(table.rows)
    if "audio" not in table.rows.column_names:
        return [False] * count
    audio = table.rows.data.column("audio")  # a view: audio is not copied, and these rows have no indices
    if pa.types.is_struct(audio.type) and audio.type.get_field_index("bytes") >= 0:
        held: list[bool] = pc.is_valid(pc.struct_field(audio, "bytes")).to_pylist()
        if audio.type.get_field_index("path") >= 0:
            paths = table.cells.setdefault("path", [None] * count)
            for index, name in enumerate(pc.struct_field(audio, "path").to_pylist()):
                if not held[index] and paths[index] is None:
                    paths[index] = name
        return held
    if pa.types.is_binary(audio.type) or pa.types.is_large_binary(audio.type):
        return list(pc.is_valid(audio).to_pylist())
    is_text = pa.types.is_string(audio.type) or pa.types.is_large_string(audio.type)
    fix = "; if it is the file's name, pass columns={'path': 'audio'}" if is_text else ""
    table.note(None, "audio", f"it is {audio.type}, not the bytes of audio files{fix}")
    return [False] * count


def _check_audio(table: ManifestTable, paths: list[str | None], has_bytes: Sequence[bool], missing_files: str) -> None:
    """Make paths absolute; note missing files, and rows that have both or neither of a path and audio bytes."""
    problems: dict[str, list[int]] = {}
    for index, (path, held) in enumerate(zip(paths, has_bytes, strict=True)):
        if path is not None and held:
            table.note(index, "path", f"there are audio bytes besides the path {path!r}; give one of the two")
        elif path is None and not held:
            problems.setdefault("there is neither a path nor audio bytes", []).append(index)
        elif path is not None and table.folder is None and not Path(path).is_absolute():
            table.note(index, "path", f"{path!r} is a relative path without a folder to start from; give `audio_root`")
        elif path is not None:
            paths[index] = absolute = str((table.folder or Path()) / path)
            if "\\" in path and not os.path.isfile(absolute):
                problems.setdefault(WINDOWS_PATH, []).append(index)
            elif missing_files == "raise" and not os.path.isfile(absolute):
                table.note(index, "path", f"there is no file {absolute!r}")
    table.note_groups("path", problems)


def _check_segments(
    table: ManifestTable, paths: Sequence[str | None], spans: Sequence[tuple[float | None, float | None]]
) -> None:
    """Note segments that do not lie in their file, or do not have the duration that is given."""
    lengths = {path: audio_duration(path) for path, span in zip(paths, spans, strict=True) if path and any(span)}
    for index, (path, (start, end), duration) in enumerate(zip(paths, spans, table.column("duration"), strict=True)):
        begin, length = start or 0.0, lengths.get(path or "")
        last = length if end is None else end
        if length is not None and max(begin, end or 0) > length + END_SLACK:
            column, place = ("start", begin) if begin > length else ("end", end)
            table.note(index, column, f"{place:g} s is beyond the end of the file, at {length:g} s")
        elif last is not None and last <= begin:
            table.note(index, "end", f"{last:g} s is not after the start, {begin:g} s")
        elif last is not None and any((start, end)) and abs(last - begin - (duration or last - begin)) > DURATION_SLACK:
            table.note(index, "duration", f"it is {duration:g}, but the segment is {last - begin:g} s long")


def _checked_rows(table: ManifestTable, keep_audio: bool) -> Dataset:
    """Return the rows with the checked columns first, in the schema's order, and the others as they are."""
    dropped = {*CELLS, *([] if keep_audio else ["audio"])}
    others = [name for name in table.rows.column_names if name not in dropped]
    checked = [name for name in CELLS if name in table.cells and name != "split"]
    if "path" in checked and not any(table.cells["path"]):
        checked.remove("path")
    features = Features({name: Value("string" if name in TEXTS else "float64") for name in checked})
    rows = Dataset.from_dict({name: table.cells[name] for name in checked}, features=features)
    return concatenate_datasets([rows, table.rows.select_columns(others)], axis=1) if others else rows


def _with_numbers(rows: Dataset) -> Dataset:
    """Make numbers of further columns of text that hold nothing else."""
    order, found = rows.column_names, {}
    for name in order:
        if name not in CELLS:
            cells = rows[name][:]
            numbers = [None if cell is None else _number(cell) for cell in cells]
            if any(number is not None for number in numbers) and numbers.count(None) == cells.count(None):
                found[name] = numbers
    if not found:
        return rows
    # All at once: replacing one column takes as long as copying the description of all.
    return concatenate_datasets([rows.remove_columns([*found]), Dataset.from_dict(found)], axis=1).select_columns(order)


def _number(cell: str) -> float | None:
    if re.fullmatch(r"[+-]?0\d.*", cell.strip()):
        return None  # 007 is a name
    try:
        return float(cell)
    except ValueError:
        return None
