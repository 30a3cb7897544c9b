"""The clips that CLEP-DG is tested on: several corpora, labelled with the classes that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.clips import SEGMENT
from ..evaluation.attributes import thirds
from ..evaluation.corpora import EMOTION_CORPORA
from ..evaluation.labelled_clips import LABEL_COLUMN, faults_of_clips, labels_of, read_clips, with_labels
from ..evaluation.protocols import PROTOCOLS
from ..evaluation.tasks import read_task
from .settings import CorpusSettings


SYNTHETIC = " (SYNTHETIC)"


@dataclass(frozen=True, eq=False)
class LabelledCorpus:
    """
    A corpus with labels. `source` says where the classes come from; `rows` has one row a clip, sorted by `id`.

    Columns are `id`, absolute `path`, `label` (the class), `speaker` (text or `None`), `corpus` and `language`;
    `attrs["left_out"]` has reasons and counts.
    """

    name: str
    title: str
    language: str
    licence: str
    source: str
    classes: tuple[str, ...]
    rows: pd.DataFrame


def read_corpora(settings: Sequence[CorpusSettings]) -> list[LabelledCorpus]:
    """
    Read corpora and keep the classes that all of them have, in the order of the first.

    Raises:
        ValueError: if a corpus cannot be read or labelled, fewer than two classes are shared, or files are.
    """
    corpora = [read_labelled(each) for each in settings]
    shared = tuple(name for name in corpora[0].classes if all(name in corpus.classes for corpus in corpora))
    if len(shared) < 2:
        lines = "\n  ".join(f"{corpus.name}: {', '.join(corpus.classes)}" for corpus in corpora)
        raise ValueError(
            f"The corpora share the classes {list(shared)}, but two are needed; map their labels to common classes by "
            f"`labels`. They have:\n  {lines}"
        )
    corpora = [_restricted(corpus, shared) for corpus in corpora]
    _check_apart(corpora)
    return corpora


def read_labelled(settings: CorpusSettings) -> LabelledCorpus:
    """Read one corpus, with all classes that it has; a `ValueError` says why it cannot be read or labelled."""
    if settings.data_root is not None:
        return _known(settings)
    try:
        return _own(settings)
    except ValueError as error:
        raise ValueError(f"{settings.name!r} cannot be used: {error}") from error


def _check_apart(corpora: Sequence[LabelledCorpus]) -> None:
    """Refuse corpora with a file in common: a classifier trained on one would be tested on its own training clips."""
    files = {corpus.name: {Path(path).resolve() for path in corpus.rows["path"]} for corpus in corpora}
    shared = {pair: len(files[pair[0]] & files[pair[1]]) for pair in combinations(files, 2)}
    if found := [f"{one!r} and {other!r}: {count}" for (one, other), count in shared.items() if count]:
        raise ValueError(
            "Corpora have audio files in common, so a classifier trained on one would be tested on its own training "
            "clips; choose different clips by `where` or `split`, or leave out a corpus:\n  " + "\n  ".join(found)
        )


def _known(settings: CorpusSettings) -> LabelledCorpus:
    protocols = [each for each in PROTOCOLS.values() if each.corpus == settings.name]
    protocol = protocols[0] if settings.protocol is None else PROTOCOLS[settings.protocol]
    known = EMOTION_CORPORA[settings.name]
    rows = _columns(read_task(protocol, str(settings.data_root)), known.name, known.language)
    source = f"Classes of the protocol {protocol.title}; clips: {protocol.split}."
    return LabelledCorpus(known.name, known.title, known.language, known.licence, source, protocol.classes, rows)


def _own(settings: CorpusSettings) -> LabelledCorpus:
    column = settings.thirds_of or settings.label_column or LABEL_COLUMN
    cells, left_out = read_clips(settings, column)
    if settings.thirds_of:
        labels, source = _thirds(cells[column]), f"Classes are the top and the bottom third of {column}."
        unlabelled = f"in the middle third of {column}, or without a value"
    else:
        labels, source = labels_of(cells[column], settings.labels), f"Classes are from the column {column}."
        unlabelled = "no class"
    there = sorted(set(labels.dropna()))
    if not there:
        raise ValueError(f"none of {len(labels)} clips has a class in {column!r}")
    if absent := sorted(set(settings.labels) - set(there)):
        raise ValueError(f"`labels` has {absent}, but the labels of its clips are {there}")
    classes = labels.map(settings.labels).astype(object) if settings.labels else labels
    others = labels[classes.isna() & labels.notna()].value_counts().sort_index()
    left_out |= {unlabelled: labels.isna().sum()} | {f"label {label!r}": count for label, count in others.items()}
    rows = with_labels(cells, classes, left_out)
    if faults := faults_of_clips(rows, settings.name, "name"):
        raise ValueError("; ".join(faults))
    order = settings.labels.values() if settings.labels else there
    found = tuple(name for name in dict.fromkeys(order) if (rows["label"] == name).any())
    title, language = settings.name + (SYNTHETIC if settings.synthetic else ""), str(settings.language)
    rows = _columns(rows, settings.name, language)
    return LabelledCorpus(settings.name, title, language, str(settings.licence), source, found, rows)


def _columns(rows: pd.DataFrame, corpus: str, language: str) -> pd.DataFrame:
    kept = ["id", "path", "label", "speaker", *(name for name in SEGMENT if name in rows)]
    return rows[kept].assign(corpus=corpus, language=language)


def _thirds(column: pd.Series) -> pd.Series:
    """High, low, or `None` for the middle third and where there is no value."""
    try:
        values = column.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`thirds_of` needs numbers, but {column.name!r} has {error}") from error
    values = values.where(np.isfinite(values))
    labels = pd.Series([None] * len(values), index=values.index, dtype=object)
    if (known := values.dropna()).nunique() < 2:
        raise ValueError(
            f"{column.name!r} has {known.nunique()} different values in {len(values)} clips, which make no thirds"
        )
    top, bottom = thirds(known.to_numpy())
    if (top & bottom).any():
        raise ValueError(f"a third of {column.name!r} or more is one value, {known[top].min():g}")
    labels[known.index[top]], labels[known.index[bottom]] = "high", "low"
    return labels


def _restricted(corpus: LabelledCorpus, classes: tuple[str, ...]) -> LabelledCorpus:
    fits = corpus.rows["label"].isin(classes)
    others = corpus.rows["label"][~fits].value_counts().sort_index()
    rows = corpus.rows[fits].reset_index(drop=True)
    rows.attrs["left_out"] = corpus.rows.attrs["left_out"] | {
        f"class {name!r}, which not all corpora have": int(count) for name, count in others.items()
    }
    return replace(corpus, classes=classes, rows=rows)
