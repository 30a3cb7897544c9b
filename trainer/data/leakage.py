"""What makes a result look better than it is: a speaker or a recording in two splits, a name in two spellings."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Any

from datasets import Dataset, DatasetDict
from transformers.utils import logging

from modeling_smoothclap.batching_smoothclap import first_lines, map_ahead

from ..files import file_sha256
from .clips import RECORDING, clip_columns, encoded_bytes
from .manifest_reading import BY_INDEX, ManifestTable


logger = logging.get_logger(__name__)

Clip = str | Callable[[], bytes]
"""Where a clip's bytes are: a file, or a function that returns them."""

NAMES = ("label", "speaker", "corpus", "language")
"""Columns whose names are compared with each other."""
SAMPLE_BYTES = 4096
"""Files of one size are compared by so many bytes of their middle before they are read as a whole."""
SHOWN = 10

# Letters of Cyrillic and Greek that look like Latin ones, and dashes.
_LOOKALIKES = str.maketrans("авекмнорстухіјѕαβεηικνορτυχ‐‑‒–—−_", "abekmhopctyxijsabehikvoptyx-------")


def check_ids(table: ManifestTable) -> None:
    """Note ids that are missing or repeated."""
    first: dict[str, int] = {}
    for index, value in enumerate(table.cells["id"]):
        if value is None:
            table.note(index, "id", "it is empty")
        elif first.setdefault(value, index) != index:
            table.note(index, "id", f"{value!r} is also the id of {table.place(first[value])}; ids must be unique")


def check_splits(table: ManifestTable, people: Sequence[Hashable | None], clips: Sequence[Clip | None]) -> None:
    """Note speakers and recordings that are in two splits; warn of recordings that are in two corpora."""
    _check_one_split(table, "speaker", people)
    recordings: list[Hashable] = [os.path.normpath(clip) if isinstance(clip, str) else None for clip in clips]
    places = list(zip(table.cells["split"], table.column("corpus"), strict=True))
    shared = []
    for group in same_bytes(clips, places):
        for index in group:
            recordings[index] = recordings[group[0]] or group[0]
        if len({places[index][1] for index in group}) > 1:
            named = [f"{table.cells['id'][index]!r} of {places[index][1]!r}" for index in group[:SHOWN]]
            shared.append(" = ".join([*named, f"{len(group) - SHOWN} more"] if len(group) > SHOWN else named))
    _check_one_split(table, "path", recordings)
    if shared:
        logger.warning(f"{len(shared)} recordings are in more than one corpus:\n  {first_lines(shared, SHOWN)}")


def _check_one_split(table: ManifestTable, column: str, keys: Sequence[Hashable | None]) -> None:
    """Note rows whose key is in another split as well, once for each further split of a key."""
    splits, names = table.cells["split"], table.column(column)
    first: dict[Hashable, int] = {}
    seen: dict[Hashable, set[str]] = {}
    for index, (key, split) in enumerate(zip(keys, splits, strict=True)):
        if key is None or split is None:
            continue
        found = seen.setdefault(key, set())
        if found and split not in found:
            other = first[key]
            same = "" if names[other] == names[index] else f" is byte for byte {names[other]!r} and"
            where = f"in {split!r} and, {table.place(other)}, in {splits[other]!r}"
            table.note(index, column, f"{names[index]!r}{same} is {where}; keep it in one split")
        first.setdefault(key, index)
        found.add(split)


def same_bytes(clips: Sequence[Clip | None], places: Sequence[Hashable]) -> list[list[int]]:
    """
    Group the indices of clips that have the same bytes and are not all in one place, such as a split.

    Few files are read: only those of one size in two places, and as a whole only if a sample of them is equal, too.
    """
    groups = [[index for index, clip in enumerate(clips) if clip is not None]]
    for key in (_size, _sample, _hash):
        refined = []
        for group in groups:
            members: dict[Hashable, list[int]] = {}
            if len({places[index] for index in group}) > 1:
                for index in group:
                    members.setdefault(_readable(key, clips[index], index), []).append(index)
            members.pop(0, None)  # empty files are no recordings
            refined += [each for each in members.values() if len({places[index] for index in each}) > 1]
        groups = refined
    return groups


def _readable(key: Callable[[Clip], Hashable], clip: Any, otherwise: Hashable = None) -> Hashable:
    try:
        return key(clip)
    except (OSError, ValueError):  # a bad clip, which is reported elsewhere
        return ("cannot be read", otherwise)


def _size(clip: Clip) -> int:
    return os.path.getsize(clip) if isinstance(clip, str) else len(clip())


def _sample(clip: Clip) -> bytes:
    if not isinstance(clip, str):
        return clip()[:SAMPLE_BYTES]
    with open(clip, "rb") as file:
        file.seek(os.path.getsize(clip) // 2)
        return file.read(SAMPLE_BYTES)


def _hash(clip: Clip) -> str:
    return file_sha256(clip) if isinstance(clip, str) else hashlib.sha256(clip()).hexdigest()


def recording_hashes(rows: Dataset) -> set[str]:
    """
    Return the SHA-256 of the recordings of rows; clips that cannot be read have none.

    Those of rows from [`~clips.check_clips`], which has read all of them, are known.
    """
    known = _column_or_gaps(rows, RECORDING)
    unknown = {clip for clip, digest in zip(clips_of(rows), known, strict=True) if clip and not digest}
    found = map_ahead(partial(_readable, _hash), unknown, num_workers=2)
    return {each for each in (*known, *found) if isinstance(each, str)}


def lookalikes(names: Iterable[str | None]) -> set[tuple[str, ...]]:
    """Return the groups of names that differ only in case, spaces, dashes, zeros around numbers or alphabet."""
    groups: dict[str, set[str]] = {}
    for name in {name for name in names if name}:
        plain = unicodedata.normalize("NFKC", name).casefold().translate(_LOOKALIKES)
        plain = "".join(each for each in plain if not each.isspace() and unicodedata.category(each) != "Cf")
        groups.setdefault(re.sub(r"(?<!\d)0+(?=\d)|(?<=\d)\.0+$", "", plain), set()).add(name)
    return {tuple(sorted(group)) for group in groups.values() if len(group) > 1}


def warn_of_lookalikes(table: ManifestTable, known: Iterable[tuple[str, ...]] = ()) -> None:
    """Warn of names of a column that may mean the same, but for those that are `known`."""
    for column in NAMES:
        names: dict[str | None, list[str | None]] = {}
        for corpus, name in zip(table.column("corpus"), table.column(column), strict=True):
            names.setdefault(corpus if column == "speaker" else None, []).append(name)
        if found := sorted({group for each in names.values() for group in lookalikes(each)} - {*known}):
            lines = first_lines([" and ".join(map(repr, group)) for group in found], SHOWN)
            logger.warning(f"these names in `{column}` may mean the same; if so, write them in one way:\n  {lines}")


def check_across(sources: Sequence[DatasetDict]) -> None:
    """
    Check manifests from [`load_manifest`] that are to be joined against each other.

    A speaker is recognised only where both manifests name the corpus: elsewhere, speaker 1 of one manifest and speaker
    1 of another may be two people.

    Raises:
        ManifestError: An id is repeated, or a speaker of a corpus or a recording is in two splits. Rows are counted
            within a split of a manifest, manifests from 1.
    """
    if len(sources) < 2:
        return
    parts = [
        (f"{split} of manifest {n}", split, rows) for n, one in enumerate(sources, 1) for split, rows in one.items()
    ]
    table = ManifestTable(
        rows=Dataset.from_dict({}),
        numbers=[number for _, _, rows in parts for number in range(len(rows))],
        counting=BY_INDEX,
        parts=[name for name, _, rows in parts for _ in range(len(rows))],
    )
    table.cells["split"] = [split for _, split, rows in parts for _ in range(len(rows))]
    for column in ("id", "path", *NAMES):
        table.cells[column] = [cell for _, _, rows in parts for cell in _column_or_gaps(rows, column)]
    check_ids(table)
    people = [
        None if None in person else person for person in zip(table.cells["corpus"], table.cells["speaker"], strict=True)
    ]
    check_splits(table, people, [clip for _, _, rows in parts for clip in clips_of(rows)])
    known = [group for _, _, rows in parts for column in NAMES for group in lookalikes(_column_or_gaps(rows, column))]
    warn_of_lookalikes(table, known)
    if table.faults:
        raise table.error("all manifests joined")


def clips_of(rows: Dataset) -> list[Clip | None]:
    """Return where the bytes of each row's clip are."""
    paths = _column_or_gaps(rows, "path")
    if "audio" not in rows.column_names:
        return list(paths)
    encoded = clip_columns(rows)
    return [path or partial(_bytes, encoded, index) for index, path in enumerate(paths)]


def _bytes(rows: Dataset, index: int) -> bytes:
    return encoded_bytes(rows[index])


def _column_or_gaps(rows: Dataset, column: str) -> Sequence[str | None]:
    return list(rows[column]) if column in rows.column_names else [None] * len(rows)
