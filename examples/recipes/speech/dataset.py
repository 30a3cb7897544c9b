"""The datasets that recipes build: splits that are checked and saved next to their audio."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from datasets import Dataset, DatasetDict, load_from_disk

from smoothclap_trainer.data.clips import with_column
from smoothclap_trainer.data.manifest import SPLITS, load_manifest


FILLED = (
    "id",
    "path",
    "corpus",
    "speaker",
    "language",
    "package",
    "package_version",
    "licence",
    "sha256",
    "duration",
)
"""Columns without empty cells. `speaker` is unique over all corpora; `path` is relative to the dataset's folder."""
COLUMNS = (*FILLED, "transcript")
"""All columns that a dataset needs: `transcript` is text or `None`. Any others may follow."""


def validate_rows(rows: pd.DataFrame) -> None:
    """
    Check that rows have all [`COLUMNS`], and no empty cell where there may be none.

    Raises:
        ValueError: Something is missing.
    """
    if absent := [column for column in COLUMNS if column not in rows.columns]:
        raise ValueError(f"the rows lack the columns {absent}; they have {list(rows.columns)}")
    for column in FILLED:
        empty = rows[column].isna() | (rows[column].astype(str) == "")
        if empty.any():
            raise ValueError(f"row {rows.index[empty][0]} has no {column!r}; {int(empty.sum())} rows need one")


def save_splits(splits: dict[str, pd.DataFrame], folder: str | Path) -> None:
    """
    Save splits as a `DatasetDict` next to their audio, if they pass [`validate_rows`] and are a sound manifest.

    Args:
        splits (`dict[str, pd.DataFrame]`): Split name to its rows.
        folder (`str` or `Path`): The dataset's folder, which already holds the audio.

    Raises:
        ValueError: A row is faulty, the same audio (`sha256`) is in two splits, or a split is not one of
            [`~smoothclap_trainer.data.manifest.SPLITS`]. What was saved before then stays.
    """
    if not splits or set(splits) - set(SPLITS):
        raise ValueError(f"cannot save splits named {list(splits)}; names are {list(SPLITS)}")
    for rows in splits.values():
        validate_rows(rows)
    everything = pd.concat([rows.assign(split=split) for split, rows in splits.items()], ignore_index=True)
    leaks = everything.groupby("sha256")["split"].nunique() > 1
    if leaks.any():
        raise ValueError(f"the audio {leaks.index[leaks][0]!r} is in two splits under two names: drop one")
    everything["transcript"] = everything["transcript"].astype(object).where(everything["transcript"].notna(), None)
    # One table for all splits, so that all get the same features even where a column is empty in one of them.
    whole = Dataset.from_pandas(everything.drop(columns="split"), preserve_index=False)
    found = {split: whole.select((everything["split"] == split).to_numpy().nonzero()[0]) for split in splits}
    with TemporaryDirectory(dir=folder, prefix="unfinished-") as unfinished:
        DatasetDict(found).save_to_disk(unfinished)
        load_manifest(unfinished, audio_root=folder)  # raises for every fault
        # Moved in: a process that reads the dataset that is replaced is not disturbed.
        for name in SPLITS:
            shutil.rmtree(Path(folder) / name, ignore_errors=True)
        for path in Path(unfinished).iterdir():
            path.replace(Path(folder) / path.name)


def load_splits(folder: str | Path) -> DatasetDict:
    """
    Load what [`save_splits`] saved, wherever the folder is now, with absolute paths.

    Raises:
        ValueError: There is no dataset in the folder.
    """
    folder = Path(folder).absolute()
    if not (folder / "dataset_dict.json").is_file():
        raise ValueError(f"no dataset in {str(folder)!r}; build one with examples/recipes/build_speech_dataset.py")
    splits = load_from_disk(str(folder)).items()
    return DatasetDict(
        {name: with_column(rows, "path", [str(folder / path) for path in rows["path"]]) for name, rows in splits}
    )


def summarise(splits: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """
    Count clips, minutes and speakers per corpus and split.

    Args:
        splits (`dict[str, pd.DataFrame]`): Split name to its rows.

    Returns:
        `pd.DataFrame`: One row per (split, corpus).
    """
    tables = [rows.assign(split=split) for split, rows in splits.items()]
    grouped = pd.concat(tables, ignore_index=True).groupby(["split", "corpus"], sort=False)
    summary = grouped.agg(
        clips=("id", "size"),
        minutes=("duration", "sum"),
        speakers=("speaker", "nunique"),
        language=("language", lambda tags: ", ".join(sorted(set(tags)))),
    )
    summary["minutes"] = (summary["minutes"] / 60).round(1)
    return summary.reset_index()
