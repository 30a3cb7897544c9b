"""The manifest: one row per clip, checked, saved with `datasets` and loaded with absolute paths."""

import shutil
from pathlib import Path

import pandas as pd
from datasets import Dataset, DatasetDict, load_from_disk


TEXT_COLUMNS = ("id", "path", "corpus", "speaker", "language", "package", "package_version", "licence", "sha256")
"""Required text columns, never empty. `speaker` is unique over all corpora; `path` is relative to the dataset."""
COLUMNS = (*TEXT_COLUMNS, "transcript", "duration")
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
    for column in TEXT_COLUMNS:
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
        raise ValueError(f"no dataset in {str(folder)!r}; build one with examples/build_speech_dataset.py")
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
