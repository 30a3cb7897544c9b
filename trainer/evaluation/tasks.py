"""Tasks by name or YAML file: a protocol and its clips."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from datasets import DatasetDict
from pydantic import AfterValidator, Field

from ..config import FileName, LanguageTag, Settings, Several, Split, Text, did_you_mean, read_yaml
from ..data.captions.labels import CLASSLESS
from ..data.clips import SEGMENT
from ..data.manifest import load_manifest
from ..data.manifest_reading import as_text, read_source
from .corpora import EMOTION_CORPORA, read_corpus, zero_shot_status
from .protocols import PROTOCOLS, Protocol
from .results import ZeroShotStatus


SHOWN = 10
"""An error shows at most this many values of a column."""
YAML_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, eq=False)
class Task:
    """A protocol, the clips it judges, as [`read_task`] returns them, and the licence of the clips."""

    protocol: Protocol
    rows: pd.DataFrame
    licence: str


def load_tasks(asked: Sequence[str | Path | Task], data_roots: Sequence[str | Path] = ()) -> list[Task]:
    """
    Read the clips of tasks, in the order asked for.

    Args:
        asked (`Sequence[str | Path | Task]`): Names in [`~.protocols.PROTOCOLS`], YAML files of one's own tasks, and
            tasks, which are returned as they are.
        data_roots (`Sequence[str | Path]`): Where the corpora of named tasks are, see [`corpus_roots`].

    Raises:
        ValueError: if a task is unknown or comes twice, a corpus has no folder, a folder no task, or clips cannot be
            read. All that is wrong with the corpora and tasks is reported at once.
    """
    names = [each if isinstance(each, Task) else str(each) for each in asked]
    named = [name for name in names if isinstance(name, str) and not name.endswith(YAML_SUFFIXES)]
    unknown = [name for name in named if name not in PROTOCOLS]
    if unknown or not names:
        guesses = [f" ({guess})" for name in unknown if (guess := did_you_mean(name, PROTOCOLS))]
        raise ValueError(
            f"unknown tasks {unknown}{''.join(guesses)}; give YAML files of your own, or some of {list(PROTOCOLS)}"
        )
    roots = corpus_roots(list(dict.fromkeys(PROTOCOLS[name].corpus for name in named)), [*map(str, data_roots)])
    tasks: dict[str, Task] = {}
    faults: list[str] = []
    for name in names:
        try:
            task = name if isinstance(name, Task) else _load(name, roots)
        except ValueError as error:
            faults.append(str(error))
            continue
        if task.protocol.name in tasks:
            faults.append(f"two tasks are called {task.protocol.name!r}; give each once, under a name of its own")
        tasks[task.protocol.name] = task
    if faults:
        raise ValueError("\n".join(dict.fromkeys(faults)))  # tasks of one corpus have its faults in common
    return list(tasks.values())


def _load(name: str, roots: Mapping[str, Path]) -> Task:
    if name not in PROTOCOLS:
        return read_own_task(name)
    protocol = PROTOCOLS[name]
    return Task(protocol, read_task(protocol, roots[protocol.corpus]), EMOTION_CORPORA[protocol.corpus].licence)


def corpus_roots(corpora: Sequence[str], data_roots: Sequence[str]) -> dict[str, Path]:
    """
    Find the folder of each corpus that is needed.

    Data roots are `"CORPUS=FOLDER"`, and at most one plain folder. That holds a folder named like each corpus; if only
    one corpus is needed, it may be the corpus itself. A `ValueError` says which corpora have no folder or two, which
    folder does not exist or is not needed, and where to ask for the corpora.
    """
    roots: dict[str, Path] = {}
    plain = []
    for entry in data_roots:
        corpus, equals, folder = entry.partition("=")
        if not equals or (corpus not in EMOTION_CORPORA and Path(entry).expanduser().exists()):
            plain.append(entry)
        elif corpus not in EMOTION_CORPORA:
            guess = did_you_mean(corpus, EMOTION_CORPORA)
            hint = f" ({guess})" if guess else ""
            raise ValueError(
                f"unknown corpus {corpus!r} in the data root {entry!r}{hint}; the corpora are {list(EMOTION_CORPORA)}"
            )
        elif corpus in roots:
            raise ValueError(f"the corpus {corpus!r} has two folders, {str(roots[corpus])!r} and {folder!r}; give one")
        else:
            roots[corpus] = Path(folder).expanduser()
    needless = [corpus for corpus in roots if corpus not in corpora]
    open_ones = [corpus for corpus in corpora if corpus not in roots]
    if needless or (plain and not open_ones):
        raise ValueError(f"no task needs the data roots {needless or plain}; leave them out, or name their tasks")
    if len(plain) > 1:
        raise ValueError(f"of the data roots {plain} only one can be plain; write the others as CORPUS=FOLDER")
    for corpus in open_ones if plain else ():
        whole = Path(plain[0]).expanduser()
        roots[corpus] = whole / corpus if (whole / corpus).is_dir() or len(corpora) > 1 else whole
    # All corpora are checked before one is read, which may take long.
    if missing := [corpus for corpus in corpora if corpus not in roots or not roots[corpus].is_dir()]:
        tried = [str(roots[corpus]) for corpus in missing if corpus in roots]
        where = f"there are no folders {tried}" if tried else "some corpora have no data root"
        facts = [EMOTION_CORPORA[corpus] for corpus in missing]
        lines = [f"\n  {each.name}=FOLDER, from {each.ask}; licence: {each.licence}" for each in facts]
        raise ValueError(f"{where}; give a data root for each of these corpora:{''.join(lines)}")
    return roots


def read_task(protocol: Protocol, root: str | Path) -> pd.DataFrame:
    """
    Read the clips of a protocol on one of the known corpora, whose folder is `root`.

    Returns:
        `pd.DataFrame`: One row a clip, sorted by `id`: `id`, absolute `path`, `label` (the class), `speaker` and
        `group` (text, or `None` where there is none); `attrs["left_out"]` has reasons and counts.

    Raises:
        ValueError: if the folder does not hold the corpus, or a class has no clip.
    """
    corpus = EMOTION_CORPORA[protocol.corpus]
    rows = read_corpus(corpus, root, protocol.labels)
    used = rows["label"].isin(list(protocol.labels))
    left_out = rows.attrs["left_out"] | {
        f"label {label!r}": count for label, count in sorted(Counter(rows["label"][~used]).items())
    }
    rows = rows[used].reset_index(drop=True)
    rows["label"] = rows["label"].map(dict(protocol.labels)).astype(object)
    rows.attrs["left_out"] = left_out
    empty = sorted(set(protocol.classes) - set(rows["label"]))
    if empty:
        raise ValueError(
            f"{protocol.title}: of the classes {list(protocol.classes)}, {empty} have no clip in {str(root)!r}; the "
            f"corpus is incomplete. Get it from {corpus.ask}."
        )
    return rows


def _template(value: str) -> str:
    if value.count("{}") != 1:
        raise ValueError(f"must have one {{}}, where the words go, unlike {value!r}")
    return value


Template = Annotated[str, AfterValidator(_template)]


class OwnTask(Settings):
    """What the YAML file of one's own task may say. Relative paths start at the current folder, as in training."""

    name: FileName = Field(description="Short name; it starts the names of plots.")
    title: Text = Field(description="Name for people.")
    corpus: Text = Field(
        description="Name of the corpus: a checkpoint trained on a corpus of this name is not zero-shot on it. Where "
        "the manifest has a column `corpus`, as it is there, with or without more after it."
    )
    manifest: Text = Field(description="A manifest, as in training; its rows have files.")
    language: LanguageTag = Field(description="BCP-47 tag of the speech.")
    licence: Text = Field(description="Licence of the clips.")
    words: dict[str, str] = Field(
        description="Class to what the text query calls it. Classes are labels of the manifest."
    )
    columns: dict[str, str] = Field(default_factory=dict, description="As in training: our column to the manifest's.")
    audio_root: Text | None = Field(default=None, description="As in training: where relative paths start.")
    split: Split = Field(default="test", description="train, validation, test, or all.")
    where: dict[str, str | list[str]] = Field(
        default_factory=dict, description="Column to the value, or the list of values, that clips must have there."
    )
    label_column: Text = Field(
        default="emotion",
        description="Column of the labels. Without one, a clip is left out; so is one labelled 'no agreement' or "
        "'other', unless `words` has that.",
    )
    template: Template = Field(default="{}", description="What the words are put into.")
    other_words: Several[dict[str, str]] = Field(
        default_factory=list, description="Further wordings of all classes, for prompt sensitivity."
    )
    other_templates: Several[Template] = Field(
        default_factory=list, description="Further templates, for prompt sensitivity."
    )
    text_language: LanguageTag | None = Field(
        default=None, description="BCP-47 tag of words and templates; default: `language`."
    )
    grouped_by: Text | None = Field(default=None, description="Column of groups; results are means over them.")
    synthetic: bool = Field(default=False, description="The speech is synthetic; the title will say so.")

    def protocol(self) -> Protocol:
        """Return the protocol, which may refuse its words and templates with a `ValueError`."""
        marked = self.synthetic and "synthetic" not in self.title.lower()
        wanted = [f"{column} {_alternatives(value)}" for column, value in self.where.items()]
        manifest = Path(self.manifest)
        called = manifest.resolve().name if manifest.exists() else self.manifest  # else it is an id on the Hub
        return Protocol(
            name=self.name,
            title=f"{self.title} (SYNTHETIC)" if marked else self.title,
            corpus=self.corpus,
            language=self.language,
            text_language=self.text_language or self.language,
            words=self.words,
            template=self.template,
            other_words=tuple(self.other_words),
            other_templates=tuple(self.other_templates),
            split="; ".join(["all splits" if self.split == "all" else self.split, *wanted]),
            labels={name: name for name in self.words},
            grouped_by=self.grouped_by,
            published={},
            source=f"The user's own task over {called}; all of it is the user's choice."
            + (" The speech is synthetic: labels name how it was made." if self.synthetic else ""),
        )


def read_own_task(path: str | Path) -> Task:
    """
    Read a task of one's own from a YAML file with the fields of [`OwnTask`].

    A `ValueError` lists all faults of the file, or else of the manifest and its clips, at once.
    """
    settings = read_yaml(path, OwnTask)
    rows, unworded = None, {}
    try:
        rows, corpora = _rows(settings)
        unworded = dict(sorted(Counter(label for label in rows["label"] if label not in settings.words).items()))
        faults = _faults(rows, unworded, settings) + misnamed_corpora(corpora, settings.corpus, "corpus")
    except ValueError as error:
        faults = [str(error)]
    faults = _protocol_faults(settings, unworded) + faults
    if faults or rows is None:
        lines = "\n  ".join(dict.fromkeys(faults))
        raise ValueError(f"{str(path)!r} cannot be used:\n  {lines}")
    return Task(settings.protocol(), rows, settings.licence)


def _rows(settings: OwnTask) -> tuple[pd.DataFrame, pd.Series]:
    """The clips as [`read_task`] has them, and their corpora by the manifest."""
    splits = _splits(settings)
    chosen = list(splits) if settings.split == "all" else [settings.split]
    if not set(chosen) <= set(splits):
        cure = cure_of_split(settings.manifest, settings.columns)
        raise ValueError(f"there is no split {settings.split!r}; the manifest has {[*splits, 'all']}{cure}")
    names = next(iter(splits.values())).column_names
    needed = [settings.label_column, *settings.where, *([settings.grouped_by] if settings.grouped_by else [])]
    if absent := [name for name in dict.fromkeys(["path", *needed]) if name not in names]:
        cure = "; clips must be files, and `path` says where they are" if "path" in absent else ""
        raise ValueError(f"the manifest has no columns {absent}, only {names}{cure}")
    wanted = list(
        dict.fromkeys(["id", "path", *needed, *(name for name in ("speaker", "corpus", *SEGMENT) if name in names)])
    )
    table = pd.concat([splits[name].select_columns(wanted).to_pandas() for name in chosen], ignore_index=True)
    cells = pd.DataFrame({name: as_texts(table[name]) for name in wanted}, dtype=object)
    left_out = {"another split": sum(len(part) for name, part in splits.items() if name not in chosen)}
    cells, others = clips_where(cells, settings.where)
    labels = cells[settings.label_column]
    classless = labels.isna() | labels.isin(set(CLASSLESS) - set(settings.words))
    left_out |= others | {"no class": int(classless.sum())}
    cells = cells[~classless]
    rows = cells[["id", "path"]].assign(label=cells[settings.label_column])
    unknown = pd.Series([None] * len(rows), index=rows.index, dtype=object)
    rows = rows.join(table[[name for name in SEGMENT if name in names]])
    rows["speaker"], rows["group"] = cells.get("speaker", unknown), cells.get(settings.grouped_by, unknown)
    rows = rows.sort_values("id", ignore_index=True)
    rows.attrs["left_out"] = {reason: count for reason, count in left_out.items() if count}
    return rows, cells.get("corpus", unknown)


def _splits(settings: OwnTask) -> DatasetDict:
    try:
        return load_manifest(settings.manifest, settings.columns, settings.audio_root)
    except ValueError as error:
        if Path(settings.manifest).is_absolute() or Path(settings.manifest).exists():
            raise
        hint = f"`manifest` starts at the current folder, which is {str(Path.cwd())!r}"
        raise ValueError(f"{error}\n  {hint}") from error


def _faults(rows: pd.DataFrame, unworded: Mapping[str, int], settings: OwnTask) -> list[str]:
    """What is wrong with clips that are to be judged; `unworded` counts those whose label has no text."""
    faults = []
    found, words = set(rows["label"]), set(settings.words)
    if unworded:
        faults.append(f"`words` has no text for these labels and their clips: {unworded}; add it, or filter by `where`")
    if words - found:
        faults.append(f"these classes have no clip: {sorted(words - found)}; the labels are {sorted(found)}")
    if rows["path"].isna().any():
        faults.append(f"{int(rows['path'].isna().sum())} clips are bytes in the manifest: write them to files")
    if settings.grouped_by and rows["group"].isna().any():
        faults.append(f"{int(rows['group'].isna().sum())} clips have no {settings.grouped_by!r} to group them by")
    return faults


def _protocol_faults(settings: OwnTask, unworded: Iterable[str]) -> list[str]:
    """What is wrong with the protocol, apart from what follows from labels without a text."""
    added = {label: f"`{label}`" for label in unworded}
    other_words = [added | words for words in settings.other_words]
    try:
        settings.changed(words=settings.words | added, other_words=other_words).protocol()
    except ValueError as error:
        return str(error).splitlines()
    return []


def clips_where(cells: pd.DataFrame, where: Mapping[str, str | list[str]]) -> tuple[pd.DataFrame, dict[str, int]]:
    """
    Choose the clips that have the value, or one of the values, that `where` gives for each column.

    Returns the clips, and for each column how many have others. A `ValueError` says that no clip is left.
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
        left_out[f"not {column} {_alternatives(value)}"] = int((~fits).sum())
        cells = cells[fits]
    return cells, left_out


def _alternatives(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " or ".join(value)


def as_texts(column: pd.Series) -> pd.Series:
    """Return a column as text, where 1.0 is 1 and a missing cell `None`; lists and the like are a `ValueError`."""
    try:
        cells = [None if pd.api.types.is_scalar(cell) and pd.isna(cell) else as_text(cell) for cell in column]
    except ValueError as error:
        raise ValueError(f"the column {column.name!r} must be text or numbers: {error}") from None
    return pd.Series(cells, index=column.index, dtype=object, name=column.name)


def cure_of_split(manifest: str, columns: Mapping[str, str]) -> str:
    """Return what to add to the message that a manifest lacks a split: nothing if it says which clip is in which."""
    found = read_source(manifest)
    if found.parts is not None or columns.get("split", "split") in found.rows.column_names:
        return ""
    return "; it has no column `split`, so write `split: all`"


def misnamed_corpora(corpora: pd.Series, corpus: str, key: str) -> list[str]:
    """
    Check whether clips are of other corpora than `corpus`, as which they are judged, and return what is wrong.

    Training records the manifest's names: what was trained on under another name would pass for unseen. `corpora` has
    the names of the clips, or `None`; they may have more after `corpus`. `key` is the setting that is to be changed.
    """
    unseen = ZeroShotStatus.ZERO_SHOT
    others = [name for name in corpora.dropna().unique() if zero_shot_status([name], corpus).status == unseen]
    if not others:
        return []
    return [
        f"clips are of the corpora {others} by the manifest, not of {corpus!r}: a checkpoint that was trained "
        f"on them would pass for zero-shot; write `{key}` as there, or choose one by `where`"
    ]
