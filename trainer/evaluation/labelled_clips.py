"""Clips of a manifest with their true classes, as YAML files of tasks and of experiments choose them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
from datasets import DatasetDict
from pydantic import Field

from modeling_smoothclap.batching_smoothclap import map_ahead

from ..config import LanguageTag, Settings, Split, Text, one_of
from ..data.captions.labels import CLASSLESS
from ..data.cells import as_text
from ..data.clips import SEGMENT, BadClip, apply_policy, inspect_clip
from ..data.manifest import load_manifest
from ..data.manifest_reading import read_source
from .corpus_names import ZeroShotStatus, zero_shot_status


LABEL_COLUMN = "emotion"
SHOWN = 10
"""An error shows at most this many values of a column."""


class ManifestClips(Settings):
    """Which clips of a manifest are judged. Relative paths start at the current folder, as in training."""

    manifest: Text | None = Field(default=None, description="A manifest, as in training; its rows have files.")
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="As in training: our column to the manifest's. The fields below name ours.",
    )
    audio_root: Text | None = Field(default=None, description="As in training: where relative paths start.")
    label_column: Text | None = Field(
        default=None,
        description=f"Column of the labels; default: {LABEL_COLUMN}. A clip without a label is left out; so is one "
        "labelled 'no agreement' or 'other', unless you name that label as a class.",
    )
    bad_clips: Annotated[str, one_of(("raise", "skip"))] = Field(
        default="raise",
        description="Clips that cannot be used: 'raise' stops at those that cannot be read, and judges the silent and "
        "short ones like all others; 'skip' leaves them out, as in training, and counts them.",
    )
    split: Split = Field(default="test", description="train, validation, test, or all.")
    where: dict[str, str | list[str]] = Field(
        default_factory=dict, description="Column to the value, or the list of values, that clips must have there."
    )
    language: LanguageTag | None = Field(default=None, description="BCP-47 tag of the speech; needed for a manifest.")
    licence: Text | None = Field(default=None, description="Licence of the clips; needed for a manifest.")
    synthetic: bool = Field(default=False, description="The speech is synthetic; titles and tables say so.")


class NoClips(ValueError):
    """A manifest has none of the clips that `split` and `where` choose."""


def read_clips(chosen: ManifestClips, column: str, more: Sequence[str] = ()) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Read the clips that `split` and `where` choose, and count those that are left out, by reason.

    The table has `id`, `path`, `speaker` and `corpus` as text or `None`, and `column` and `more` as the manifest has
    them. A `ValueError` says what is wrong with the manifest, or that it lacks a column; [`NoClips`] that it lacks the
    split or any such clip.
    """
    splits = _splits(chosen)
    names = list(splits) if chosen.split == "all" else [chosen.split]
    if chosen.split not in (*splits, "all"):
        raise NoClips(_no_split(chosen, list(splits)))
    there = next(iter(splits.values())).column_names
    needed = ["id", "path", column, *chosen.where, *more]
    if absent := [name for name in dict.fromkeys(needed) if name not in there]:
        cures = {"path": "clips must be files, and `path` says where they are"}
        if column == (chosen.label_column or LABEL_COLUMN):
            cures[column] = "write the name of the column with the labels as `label_column`"
        cure = "".join(f"; {cures[name]}" for name in absent if name in cures)
        raise ValueError(f"the manifest has no columns {absent}, only {there}{cure}")
    wanted = list(dict.fromkeys([*needed, *(name for name in ("speaker", "corpus", *SEGMENT) if name in there)]))
    cells = pd.concat([splits[name].select_columns(wanted).to_pandas() for name in names], ignore_index=True)
    others = sum(len(part) for name, part in splits.items() if name not in names)
    cells, left_out = clips_where(cells, chosen.where)
    cells = cells.reset_index(drop=True)
    for name in ("id", "path", "speaker", "corpus"):
        cells[name] = as_texts(cells[name]) if name in cells else None
    left_out = {"another split": others} | left_out
    if chosen.bad_clips == "skip":
        cells, bad = _good_clips(cells)
        left_out |= bad
    return cells, left_out


def _good_clips(cells: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the clips that can be used, and how many have each problem."""
    columns = [name for name in ("id", "path", *SEGMENT) if name in cells]
    rows: list[Any] = cells[columns].to_dict("records")
    inspected = list(map_ahead(inspect_clip, rows, num_workers=2))
    bad = [each for each in inspected if isinstance(each, BadClip)]
    apply_policy(bad, len(cells), "skip")
    good = [not isinstance(each, BadClip) for each in inspected]
    return cells[good].reset_index(drop=True), dict(Counter(f"bad clip: {each.problem}" for each in bad))


def _splits(chosen: ManifestClips) -> DatasetDict:
    missing: Literal["raise", "keep"] = "keep" if chosen.bad_clips == "skip" else "raise"
    try:
        return load_manifest(str(chosen.manifest), chosen.columns, chosen.audio_root, missing)
    except ValueError as error:
        if Path(str(chosen.manifest)).is_absolute() or Path(str(chosen.manifest)).exists():
            raise
        hint = f"`manifest` starts at the current folder, which is {str(Path.cwd())!r}"
        raise ValueError(f"{error}\n  {hint}") from error


def _no_split(chosen: ManifestClips, splits: list[str]) -> str:
    found = read_source(str(chosen.manifest))
    if found.parts is None and chosen.columns.get("split", "split") not in found.rows.column_names:
        return f"`split` is {chosen.split!r}, but the manifest has no column `split`; `split: all` takes all"
    return f"`split` is {chosen.split!r}, but the splits of the manifest are {splits}: name one of them, or all"


def clips_where(cells: pd.DataFrame, where: Mapping[str, str | list[str]]) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Choose the clips that have the value, or one of the values, that `where` gives for each column.

    Returns the clips, and for each column how many have others. [`NoClips`] says that none is left.
    """
    left_out = {}
    for column, value in where.items():
        found = as_texts(cells[column])
        values = [value] if isinstance(value, str) else value
        fits = found.isin(values)
        if not fits.any():
            known = sorted(found.dropna().unique())
            more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
            raise NoClips(
                f"`where` keeps no clip: {column!r} must be one of {values}, but the {len(cells)} clips it chooses "
                f"from have {f'{known[:SHOWN]}{more}' if known else 'nothing'} there"
            )
        left_out[f"not {column} {alternatives(value)}"] = int((~fits).sum())
        cells = cells[fits]
    return cells, left_out


def alternatives(value: str | list[str]) -> str:
    """Write what `where` asks of a column: `"en or fr"`."""
    return value if isinstance(value, str) else " or ".join(value)


def labels_of(column: pd.Series, named: Collection[str]) -> pd.Series:
    """Return labels as text; `None` where there is none, or one that says so and is not `named` as a class."""
    labels = as_texts(column)
    labels[labels.isin(set(CLASSLESS) - set(named))] = None
    return labels


def as_texts(column: pd.Series) -> pd.Series:
    """Return a column as text, where 1.0 is 1 and a missing cell `None`; lists and the like are a `ValueError`."""
    try:
        cells = [None if pd.api.types.is_scalar(cell) and pd.isna(cell) else as_text(cell) for cell in column]
    except ValueError as error:
        raise ValueError(f"the column {column.name!r} must be text or numbers: {error}") from None
    return pd.Series(cells, index=column.index, dtype=object, name=column.name)


def with_labels(cells: pd.DataFrame, labels: pd.Series, left_out: Mapping[str, int]) -> pd.DataFrame:
    """Return the clips that have a label, sorted by `id`, with `label`; `attrs["left_out"]` has the counts above 0."""
    rows = cells.assign(label=labels)[labels.notna()].sort_values("id", ignore_index=True)
    rows.attrs["left_out"] = {reason: int(count) for reason, count in left_out.items() if count}
    return rows


def faults_of_clips(rows: pd.DataFrame, corpus: str, key: str) -> list[str]:
    """
    Return what is wrong with clips that are judged as those of `corpus`: they are not files, or of other corpora.

    Training records the manifest's names: what was trained on under another name would pass for unseen. A name may have
    more after `corpus`. `key` is the setting that names the corpus.
    """
    faults = []
    if rows["path"].isna().any():
        faults.append(f"{int(rows['path'].isna().sum())} clips are bytes in the manifest: write them to files")
    unseen, names = ZeroShotStatus.ZERO_SHOT, rows["corpus"].dropna().unique()
    if others := [name for name in names if zero_shot_status([name], corpus).status == unseen]:
        faults.append(
            f"clips are of the corpora {others} by the manifest, not of {corpus!r}: a checkpoint that was trained on "
            f"them would pass for zero-shot; write `{key}` as there, or choose one by `where`"
        )
    return faults
