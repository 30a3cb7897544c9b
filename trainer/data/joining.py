"""Rows of several tables as one: columns of one kind, such as text, get one type, however each table stores them."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from datasets import ClassLabel, Dataset, Features, concatenate_datasets

from .clips import with_column


def concatenated(parts: Sequence[tuple[str, Dataset]]) -> Dataset:
    """
    Return the rows of named tables, one table after the other; a column that a table lacks is empty there.

    Text is text, numbers are numbers, and classes of `datasets` are their names, unless all tables have the same. A
    `ValueError` names a column that is text in one table and numbers in another, with the tables.
    """
    rows = [each for _, each in parts]
    changes: list[dict[str, Any]] = [{} for _ in rows]
    for column in dict.fromkeys(name for each in rows for name in each.column_names):
        having = [place for place, each in enumerate(rows) if column in each.column_names]
        first = rows[having[0]].features[column]
        if all(rows[place].features[column] == first for place in having):
            continue
        for place in having:
            if isinstance(rows[place].features[column], ClassLabel):
                rows[place] = with_column(rows[place], column, values_of(rows[place], column))
        feature = _common([(parts[place][0], rows[place].features) for place in having], column)
        for place in having:
            changes[place] |= {column: feature} if rows[place].features[column] != feature else {}
    return concatenate_datasets([_changed(each, new) for each, new in zip(rows, changes, strict=True)])


def values_of(rows: Dataset, column: str) -> list[Any]:
    """Return a column's values; classes of `datasets` by their names."""
    values, feature = list(rows[column]), rows.features[column]
    if isinstance(feature, ClassLabel):
        return [None if value is None or value < 0 else feature.int2str(value) for value in values]
    return values


def _common(named: Sequence[tuple[str, Features]], column: str) -> Any:
    types = [features.arrow_schema.field(column).type for _, features in named]
    if all(each == types[0] for each in types):
        return named[0][1][column]
    try:
        schema = pa.unify_schemas([pa.schema([(column, each)]) for each in types], promote_options="permissive")
    except pa.ArrowException:
        found = ", ".join(f"{kind} in {name!r}" for (name, _), kind in zip(named, types, strict=True))
        raise ValueError(
            f"The column {column!r} is {found}: write values of one kind everywhere, or rename it in one of them."
        ) from None
    return Features.from_arrow_schema(schema)[column]


def _changed(rows: Dataset, features: dict[str, Any]) -> Dataset:
    """Return the rows with other types of some columns; the other columns, such as audio, are not copied."""
    if not features:
        return rows
    cast = rows.select_columns([*features]).cast(Features(features))
    others = [name for name in rows.column_names if name not in features]
    if not others:
        return cast
    return concatenate_datasets([rows.select_columns(others), cast], axis=1).select_columns(rows.column_names)
