"""The clips that CLEP-DG is tested on: several corpora, labelled with the classes that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.captions.labels import CLASSLESS
from ..data.clips import SEGMENT
from ..data.manifest import load_manifest
from ..evaluation.attributes import thirds
from ..evaluation.corpora import EMOTION_CORPORA
from ..evaluation.protocols import PROTOCOLS
from ..evaluation.tasks import as_texts, clips_where, cure_of_split, misnamed_corpora, read_task
from .settings import CorpusSettings


SYNTHETIC = " (SYNTHETIC)"


@dataclass(frozen=True, eq=False)
class LabelledCorpus:
    """
    A corpus with labels. `source` is a sentence on where the classes come from.

    `rows` has one row a clip, sorted by `id`: `id`, absolute `path`, `label` (the class), `speaker` (text, or `None`
    where it is unknown), `corpus` and `language`; `attrs["left_out"]` has reasons and counts.
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
    """
    Read one corpus, with all classes that it has.

    Raises:
        ValueError: if the folder is not that of the corpus; or the manifest is faulty, lacks a column, a split, a label
            of `labels` or any labelled clip, or has labelled clips of corpora with other names.
    """
    corpus = _known(settings) if settings.data_root is not None else _own(settings)
    corpus.rows["corpus"], corpus.rows["language"] = corpus.name, corpus.language
    return corpus


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
    rows = read_task(protocol, str(settings.data_root))
    left_out = rows.attrs["left_out"]
    rows = rows[["id", "path", "label", "speaker"]]
    rows.attrs["left_out"] = left_out
    source = f"Classes of the protocol {protocol.title}; clips: {protocol.split}."
    return LabelledCorpus(known.name, known.title, known.language, known.licence, source, protocol.classes, rows)


def _own(settings: CorpusSettings) -> LabelledCorpus:
    column = settings.thirds_of or settings.label_column or "emotion"
    cells, left_out = _chosen(settings, column)
    if settings.thirds_of:
        labels, source = _thirds(cells[column], settings), f"Classes are the top and the bottom third of {column}."
        unlabelled = f"in the middle third of {column}, or without a value"
    else:
        labels, source = as_texts(cells[column]), f"Classes are from the column {column}."
        unlabelled = "no class"
        labels[labels.isin(set(CLASSLESS) - set(settings.labels))] = None
    if labels.isna().all():
        raise ValueError(f"{settings.name!r}: none of {len(labels)} clips has a class in {column!r}.")
    if absent := sorted(set(settings.labels) - set(labels.dropna())):
        there = sorted(set(labels.dropna()))
        raise ValueError(f"`labels` of {settings.name!r} has {absent}, but the labels of its clips are {there}.")
    classes = labels.map(settings.labels).astype(object) if settings.labels else labels
    others = labels[classes.isna() & labels.notna()]
    left_out |= {unlabelled: int(labels.isna().sum())}
    left_out |= {f"label {label!r}": int(count) for label, count in others.value_counts().sort_index().items()}
    rows = cells[["id", "path"]].assign(label=classes, speaker=cells["speaker"], corpus=cells["corpus"])
    rows = rows.join(cells[[name for name in SEGMENT if name in cells]])
    rows = rows[classes.notna()].sort_values("id", ignore_index=True)
    if rows["path"].isna().any():
        raise ValueError(f"{settings.name!r}: {int(rows['path'].isna().sum())} clips are bytes; write them to files.")
    if misnamed := misnamed_corpora(rows["corpus"], settings.name, "name"):
        raise ValueError(f"{settings.name!r}: {misnamed[0]}.")
    rows.attrs["left_out"] = {reason: count for reason, count in left_out.items() if count}
    found = set(rows["label"])
    order = tuple(dict.fromkeys(settings.labels.values())) if settings.labels else tuple(sorted(found))
    title = settings.name + (SYNTHETIC if settings.synthetic else "")
    return LabelledCorpus(
        settings.name, title, str(settings.language), str(settings.licence), source,
        tuple(name for name in order if name in found), rows,
    )  # fmt: skip


def _chosen(settings: CorpusSettings, column: str) -> tuple[pd.DataFrame, dict[str, int]]:
    """The clips of a manifest that `split` and `where` select, and how many are left out for which reason."""
    splits = load_manifest(str(settings.manifest), settings.columns, settings.audio_root)
    chosen = list(splits) if settings.split == "all" else [settings.split]
    if not set(chosen) <= set(splits):
        cure = cure_of_split(str(settings.manifest), settings.columns)
        there = [*splits, "all"]
        raise ValueError(f"{settings.name!r} has no split {settings.split!r}; its manifest has {there}{cure}.")
    names = next(iter(splits.values())).column_names
    needed = list(dict.fromkeys(["path", column, *settings.where]))
    if absent := [name for name in needed if name not in names]:
        raise ValueError(f"The manifest of {settings.name!r} has no columns {absent}, only {names}.")
    wanted = list(dict.fromkeys(["id", *needed, *(name for name in ("speaker", "corpus", *SEGMENT) if name in names)]))
    cells = pd.concat([splits[name].select_columns(wanted).to_pandas() for name in chosen], ignore_index=True)
    left_out = {"another split": sum(len(part) for name, part in splits.items() if name not in chosen)}
    try:
        cells, others = clips_where(cells, settings.where)
    except ValueError as error:
        raise ValueError(f"{settings.name!r}: {error}.") from error
    cells = cells.reset_index(drop=True)
    for name in ("id", "path", "speaker", "corpus"):
        cells[name] = as_texts(cells[name]) if name in cells else None
    return cells, left_out | others


def _thirds(column: pd.Series, settings: CorpusSettings) -> pd.Series:
    """High, low, or `None` for the middle third and where there is no value."""
    try:
        values = column.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{settings.name!r}: `thirds_of` needs numbers, but {column.name!r} has {error}.") from error
    values = values.where(np.isfinite(values))
    labels = pd.Series([None] * len(values), index=values.index, dtype=object)
    if (known := values.dropna()).nunique() < 2:
        raise ValueError(f"{settings.name!r}: {column.name!r} has {known.nunique()} different values in "
                         f"{len(values)} clips, which make no thirds.")  # fmt: skip
    top, bottom = thirds(known.to_numpy())
    if (top & bottom).any():
        raise ValueError(f"{settings.name!r}: a third of {column.name!r} or more is one value, {known[top].min():g}.")
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
