"""Checks of manifests: each takes a whole table, or several that are to be joined, and tells every fault it finds."""

import os
from collections.abc import Hashable, Iterable, Sequence
from functools import partial
from pathlib import Path

from datasets import DatasetDict

from .labels import category
from .manifest_cells import Cells
from .manifest_faults import SHOWN


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
            What [`~smoothclap_trainer.data.own_manifest.load_manifest`] returned for each.

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
