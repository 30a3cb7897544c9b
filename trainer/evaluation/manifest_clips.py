"""What a YAML file may ask of a manifest's clips, whether it is of a task or of an experiment."""

from collections.abc import Mapping

import pandas as pd

from ..data.manifest_cells import as_text
from ..data.manifest_source import read_source


SHOWN = 10
"""Of a column's values, so many are told at most."""


def clips_where(cells: pd.DataFrame, where: Mapping[str, str | list[str]]) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Chooses clips by what they have in some columns.

    Args:
        cells (`pd.DataFrame`): A row for each clip.
        where (`Mapping[str, str | list[str]]`): Column to the value, or the list of values, that clips must have there.

    Returns:
        `tuple[pd.DataFrame, dict[str, int]]`: The clips that have them all, and for each column how many have others.

    Raises:
        ValueError: if no clip is kept, or a column is neither text nor numbers.
    """
    left_out = {}
    for column, value in where.items():
        found = as_texts(cells[column])
        values = [value] if isinstance(value, str) else value
        fits = found.isin(values)
        if not fits.any():
            known = sorted(found.dropna().unique())
            more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
            raise ValueError(
                f"`where` keeps no clip: {column!r} must be one of {values}, but the {len(cells)} clips it chooses "
                f"from have {f'{known[:SHOWN]}{more}' if known else 'nothing'} there"
            )
        left_out[f"not {column} {alternatives(value)}"] = int((~fits).sum())
        cells = cells[fits]
    return cells, left_out


def alternatives(value: str | list[str]) -> str:
    """A value, or values between which there is "or"."""
    return value if isinstance(value, str) else " or ".join(value)


def as_texts(column: pd.Series) -> pd.Series:
    """
    A column as text, where 1.0 is 1 and what is missing `None`.

    Raises:
        ValueError: if it holds lists or the like.
    """
    try:
        cells = [None if pd.api.types.is_scalar(cell) and pd.isna(cell) else as_text(cell) for cell in column]
    except ValueError as error:
        raise ValueError(f"the column {column.name!r} must be text or numbers: {error}") from None
    return pd.Series(cells, index=column.index, dtype=object, name=column.name)


def cure_of_split(manifest: str, columns: Mapping[str, str]) -> str:
    """
    What to add to the message that a manifest lacks a split; without a word of splits all of it would be for training.

    Args:
        manifest (`str`): What [`~smoothclap_trainer.data.own_manifest.load_manifest`] reads.
        columns (`Mapping[str, str]`): Our column to the manifest's.

    Returns:
        `str`: Nothing if the manifest says which clip is in which split.
    """
    found = read_source(manifest)
    if found.parts is not None or columns.get("split", "split") in found.rows.column_names:
        return ""
    return "; it has no column `split`, so write `split: all`"
