"""Tasks by name or YAML file: a protocol and its clips."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import AfterValidator, Field

from ..config import FileName, LanguageTag, Several, Text, did_you_mean, read_yaml
from ..data.clips import SEGMENT
from .corpora import EMOTION_CORPORA, read_task
from .corpus_sources import YAML_SUFFIXES, CorpusSource
from .labelled_clips import (
    LABEL_COLUMN,
    ManifestClips,
    alternatives,
    as_texts,
    faults_of_clips,
    labels_of,
    read_clips,
    with_labels,
)
from .protocols import PROTOCOLS, Protocol


@dataclass(frozen=True, eq=False)
class Task:
    """
    A protocol, the clips it judges, as [`read_task`] returns them, and the licence of the clips.

    `unjudged` are further clips of the same speakers, which only serve to standardise their scores.
    """

    protocol: Protocol
    rows: pd.DataFrame
    licence: str
    unjudged: pd.DataFrame | None = None

    @property
    def heard(self) -> pd.DataFrame:
        """All clips that a model hears, those that are judged first."""
        return self.rows if self.unjudged is None else pd.concat([self.rows, self.unjudged], ignore_index=True)


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
    Find where each corpus is that is needed: a folder, USER/NAME@COMMIT on the Hub, or a YAML file of [`CorpusSource`].

    Data roots are `"CORPUS=PLACE"`, and at most one plain folder. That holds a folder, or a YAML file, named like each
    corpus; if only one corpus is needed, it may be the place itself. A `ValueError` says which corpora have no place or
    two, which place does not exist or is not needed, and where to ask for the corpora.
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
        file = whole / f"{corpus}.yaml"
        inside = file if file.is_file() and not (whole / corpus).is_dir() else whole / corpus
        roots[corpus] = inside if inside.exists() or len(corpora) > 1 else whole
    # All corpora are checked before one is read, which may take long.
    if missing := [corpus for corpus in corpora if corpus not in roots or not _is_there(corpus, roots[corpus])]:
        tried = [CorpusSource.at(corpus, roots[corpus]).data_root for corpus in missing if corpus in roots]
        where = f"there are no folders {tried}" if tried else "some corpora have no data root"
        facts = [EMOTION_CORPORA[corpus] for corpus in missing]
        lines = [f"\n  {each.name}=FOLDER, from {each.ask}; licence: {each.licence}" for each in facts]
        on_hub = [f"{each.name}=USER/NAME@COMMIT" for each in facts if each.may_be_on_hub]
        lines += [f"\nor, of a data set on the Hub, {' '.join(on_hub)}"] if on_hub else []
        raise ValueError(f"{where}; give a data root for each of these corpora:{''.join(lines)}")
    return roots


def _is_there(corpus: str, root: Path) -> bool:
    source = CorpusSource.at(corpus, root)
    return source.hub is not None or source.folder.is_dir()


def _template(value: str) -> str:
    if value.count("{}") != 1:
        raise ValueError(f"must have one {{}}, where the words go, unlike {value!r}")
    return value


Template = Annotated[str, AfterValidator(_template)]


class OwnTask(ManifestClips):
    """What the YAML file of one's own task may say."""

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
    averaged: bool = Field(
        default=False, description="Ask for a class by the mean embedding of all its wordings in all templates."
    )
    by_speaker: bool = Field(
        default=False,
        description="Give a second result, for which the scores of each class are brought to mean 0 and standard "
        "deviation 1 within each speaker, over all clips of the speaker that `split` and `where` choose, with or "
        "without a class.",
    )
    confounded_by: Text | None = Field(
        default=None,
        description="Column of what classes may be confused with, such as the words spoken: the recall of each of its "
        "values is given, and labels are also shuffled among whole values.",
    )
    shuffles: int = Field(
        default=0,
        ge=0,
        le=10**6,
        description="How often labels are shuffled within speakers, to see what chance gives.",
    )

    def protocol(self) -> Protocol:
        """Return the protocol, which may refuse its words and templates with a `ValueError`."""
        marked = self.synthetic and "synthetic" not in self.title.lower()
        wanted = [f"{column} {alternatives(value)}" for column, value in self.where.items()]
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
            averaged=self.averaged,
            by_speaker=self.by_speaker,
            confounded_by=self.confounded_by,
            shuffles=self.shuffles,
        )


def read_own_task(path: str | Path) -> Task:
    """
    Read a task of one's own from a YAML file with the fields of [`OwnTask`].

    A `ValueError` lists all faults of the file, or else of the manifest and its clips, at once.
    """
    settings = read_yaml(path, OwnTask)
    rows, unjudged, unworded = None, None, {}
    try:
        rows, unjudged = _rows(settings)
        unworded = dict(sorted(Counter(label for label in rows["label"] if label not in settings.words).items()))
        faults = _faults(rows, unworded, settings) + _option_faults(rows, unjudged, settings)
        faults += faults_of_clips(rows, settings.corpus, "corpus")
    except ValueError as error:
        faults = [str(error)]
    faults = _protocol_faults(settings, unworded) + faults
    if faults or rows is None:
        lines = "\n  ".join(dict.fromkeys(faults))
        raise ValueError(f"{str(path)!r} cannot be used:\n  {lines}")
    return Task(settings.protocol(), rows.drop(columns="corpus"), settings.licence, unjudged)


def _rows(settings: OwnTask) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """The clips as [`read_task`] has them, with their `corpus` by the manifest, and those without a class, if used."""
    column, more = settings.label_column or LABEL_COLUMN, {"group": settings.grouped_by}
    more |= {"confound": settings.confounded_by} if settings.confounded_by else {}
    cells, left_out = read_clips(settings, column, [name for name in more.values() if name])
    labels = labels_of(cells[column], settings.words)
    for ours, theirs in more.items():
        cells[ours] = as_texts(cells[theirs]) if theirs else None
    rows = with_labels(cells, labels, left_out | {"no class": int(labels.isna().sum())})
    kept = ["id", "path", "label", "speaker", *more, "corpus", *(name for name in SEGMENT if name in rows)]
    if not settings.by_speaker:
        return rows[kept], None
    others = cells[labels.isna() & cells["speaker"].isin(rows["speaker"])].sort_values("id")
    return rows[kept], others.assign(label=None)[kept]


def _faults(rows: pd.DataFrame, unworded: Mapping[str, int], settings: OwnTask) -> list[str]:
    """What is wrong with the labels and groups of clips; `unworded` counts those whose label has no text."""
    faults = []
    found, words = set(rows["label"]), set(settings.words)
    if unworded:
        faults.append(f"`words` has no text for these labels and their clips: {unworded}; add it, or filter by `where`")
    if words - found:
        faults.append(f"these classes have no clip: {sorted(words - found)}; the labels are {sorted(found)}")
    if settings.grouped_by and rows["group"].isna().any():
        faults.append(f"{int(rows['group'].isna().sum())} clips have no {settings.grouped_by!r} to group them by")
    return faults


def _option_faults(rows: pd.DataFrame, unjudged: pd.DataFrame | None, settings: OwnTask) -> list[str]:
    """What is wrong with the columns that `by_speaker` and `confounded_by` need."""
    faults = []
    if unjudged is not None:
        if rows["speaker"].isna().any():
            faults.append(f"{int(rows['speaker'].isna().sum())} clips have no speaker; `by_speaker` needs one for each")
        clips = pd.concat([rows["speaker"], unjudged["speaker"]]).value_counts()
        if len(single := clips.index[clips == 1]):
            faults.append(
                f"`by_speaker` needs two clips of each speaker, but {single[0]!r} has one: leave it out by `where`, or "
                "do without `by_speaker`"
            )
        if settings.grouped_by:
            faults.append("`by_speaker` and `grouped_by` exclude each other: leave out one")
    if settings.confounded_by:
        if settings.confounded_by == (settings.label_column or LABEL_COLUMN):
            faults.append(f"`confounded_by` is {settings.confounded_by!r}, the labels themselves: name another column")
        if rows["confound"].isna().any():
            faults.append(
                f"{int(rows['confound'].isna().sum())} clips have no {settings.confounded_by!r}, the column of "
                "`confounded_by`: fill it in"
            )
        classes = rows.groupby("confound")["label"].nunique()
        if len(mixed := classes.index[classes > 1]):
            faults.append(
                f"`confounded_by` needs a column whose values go with one class each, but {mixed[0]!r} in "
                f"{settings.confounded_by!r} goes with several classes: name another column, or leave it out"
            )
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
