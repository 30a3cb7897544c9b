"""The clips that CLEP-DG is tested on: several corpora, labelled with the classes that all of them share."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.leakage import same_bytes
from ..evaluation.attributes import thirds
from ..evaluation.corpora import EMOTION_CORPORA, read_task
from ..evaluation.labelled_clips import LABEL_COLUMN, faults_of_clips, labels_of, read_clips, with_labels
from ..evaluation.protocols import PROTOCOLS
from .settings import CorpusSettings


SYNTHETIC = " (SYNTHETIC)"


@dataclass(frozen=True, eq=False)
class LabelledCorpus:
    """A corpus with labels; `source` says where its classes come from, and has its note."""

    name: str
    title: str
    language: str
    licence: str
    source: str
    classes: tuple[str, ...]
    rows: pd.DataFrame  # sorted by `id`: `id`, absolute `path`, `label`, `speaker` or None; `left_out` in `attrs`


def read_corpora(settings: Sequence[CorpusSettings]) -> list[LabelledCorpus]:
    """Read corpora and keep the classes that all have, in the order of the first; a `ValueError` if that fails."""
    corpora = [read_labelled(each) for each in settings]
    shared = tuple(name for name in corpora[0].classes if all(name in corpus.classes for corpus in corpora))
    if len(shared) < 2:
        lines = "\n  ".join(f"{corpus.name}: {', '.join(corpus.classes)}" for corpus in corpora)
        raise ValueError(
            f"The corpora share the classes {list(shared)}, but two are needed; map their labels to common classes by "
            f"`labels`. They have:\n  {lines}"
        )
    corpora = [_restricted(corpus, shared) for corpus in corpora]
    # By content: a copy under another name is the same recording.
    files = {(corpus.name, str(Path(path).resolve())): path for corpus in corpora for path in corpus.rows["path"]}
    names = [name for name, _ in files]
    groups = same_bytes([path for _, path in files], names)
    common = Counter(pair for group in groups for pair in combinations(sorted({names[each] for each in group}), 2))
    if found := [f"{one!r} and {other!r}: {count}" for (one, other), count in common.items()]:
        raise ValueError(
            "Corpora have audio files in common, or copies of them, so a classifier trained on one would be tested on "
            "its own training clips; choose different clips by `where` or `split`, or leave out a corpus:\n  "
            + "\n  ".join(found)
        )
    return corpora


def read_labelled(settings: CorpusSettings) -> LabelledCorpus:
    """Read one corpus, with all classes that it has; a `ValueError` says why it cannot be read or labelled."""
    if settings.data_root is not None:
        return _known(settings)
    try:
        return _own(settings)
    except ValueError as error:
        raise ValueError(f"{settings.name!r} cannot be used: {error}") from error


def _known(settings: CorpusSettings) -> LabelledCorpus:
    protocols = [each for each in PROTOCOLS.values() if each.corpus == settings.name]
    protocol = protocols[0] if settings.protocol is None else PROTOCOLS[settings.protocol]
    known = EMOTION_CORPORA[settings.name]
    rows = read_task(protocol, str(settings.data_root))
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
    if settings.note:
        source += f" {settings.note}"
    title, language = settings.name + (SYNTHETIC if settings.synthetic else ""), str(settings.language)
    return LabelledCorpus(settings.name, title, language, str(settings.licence), source, found, rows)


def _thirds(column: pd.Series) -> pd.Series:
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
