"""Where the corpora of evaluation are, as the command line says it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from ..config import did_you_mean
from .corpora import EMOTION_CORPORA, read_corpus
from .own_task import Task, read_own_task
from .protocols import PROTOCOLS, Protocol


def corpus_roots(corpora: Sequence[str], data_roots: Sequence[str]) -> dict[str, Path]:
    """
    Finds the folder of each corpus that is needed.

    Args:
        corpora (`Sequence[str]`):
            Keys of [`~smoothclap_trainer.evaluation.corpora.EMOTION_CORPORA`], each once.
        data_roots (`Sequence[str]`):
            `"CORPUS=FOLDER"`, and at most one plain folder. That holds a folder named like each corpus; if only one
            corpus is needed, it may be the corpus itself.

    Returns:
        `dict[str, Path]`: Corpus to folder, which exists.

    Raises:
        ValueError: Corpora have no folder or two, or a folder is not there: where to ask for them is told. Or a folder
            is for no corpus.

    Example:

    ```python
    >>> from pathlib import Path
    >>> from smoothclap_trainer.evaluation.tasks import corpus_roots
    >>> Path("data/Toronto").mkdir(parents=True)
    >>> corpus_roots(["tess"], ["tess=data/Toronto"])["tess"].name
    'Toronto'

    ```
    """
    roots: dict[str, Path] = {}
    plain = []
    for entry in data_roots:
        corpus, equals, folder = entry.partition("=")
        if not equals or (corpus not in EMOTION_CORPORA and Path(entry).expanduser().exists()):
            plain.append(entry)
        elif corpus not in EMOTION_CORPORA:
            guess = did_you_mean(corpus, EMOTION_CORPORA)
            told = f"unknown corpus {corpus!r} in the data root {entry!r}" + (f" ({guess})" if guess else "")
            raise ValueError(f"{told}; the corpora are {list(EMOTION_CORPORA)}")
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
        within = Path(plain[0]).expanduser() / corpus
        if within.is_dir():
            roots[corpus] = within
        elif len(corpora) == 1:
            roots[corpus] = Path(plain[0]).expanduser()
    _check(roots, corpora, plain)
    return roots


def _check(roots: Mapping[str, Path], corpora: Sequence[str], plain: Sequence[str]) -> None:
    """All corpora are looked at before one is read, which may take long."""
    faults = []
    if missing := [corpus for corpus in corpora if corpus not in roots]:
        where = "these corpora have no data root"
        if plain:
            is_there = Path(plain[0]).expanduser().is_dir()
            where = f"{plain[0]!r} has no folder for these corpora" if is_there else f"there is no folder {plain[0]!r}"
        faults.append(f"{where}; give one for each:{_to_be_had(missing)}")
    if gone := [corpus for corpus, folder in roots.items() if not folder.is_dir()]:
        folders = ", ".join(repr(str(roots[corpus])) for corpus in gone)
        faults.append(f"there is no folder {folders}; give those of these corpora:{_to_be_had(gone)}")
    if faults:
        raise ValueError("\n".join(faults))


def _to_be_had(corpora: Sequence[str]) -> str:
    facts = [EMOTION_CORPORA[corpus] for corpus in corpora]
    return "".join(f"\n  {each.name}=FOLDER, from {each.ask}; licence: {each.licence}" for each in facts)


def read_task(protocol: Protocol, root: str | Path) -> pd.DataFrame:
    """
    Reads the clips of a protocol on one of the known corpora.

    Args:
        protocol ([`Protocol`]):
            What to read.
        root (`str` or `Path`):
            Folder of its corpus, as it is distributed.

    Returns:
        `pd.DataFrame`: One row a clip, sorted by `id`: `id`, absolute `path`, `label` (the class), `speaker` and
        `group` (text, or `None` where there is none); `attrs["left_out"]` has reasons and counts.

    Raises:
        ValueError: The folder does not hold the corpus, or a class has no clip.
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
            f"corpus is incomplete. It is to be had from {corpus.ask}."
        )
    return rows


YAML_SUFFIXES = (".yaml", ".yml")


def load_tasks(names: Sequence[str], data_roots: Sequence[str]) -> list[Task]:
    """
    Reads the clips of tasks.

    Args:
        names (`Sequence[str]`):
            Names in [`~smoothclap_trainer.evaluation.protocols.PROTOCOLS`], and YAML files of one's own tasks.
        data_roots (`Sequence[str]`):
            Where the corpora of named tasks are, see [`~smoothclap_trainer.evaluation.tasks.corpus_roots`].

    Returns:
        `list[Task]`: In the order of `names`.

    Raises:
        ValueError: A task is unknown or comes twice, a corpus has no folder, a folder no task, or the clips cannot be
            read. What is wrong with any of the corpora and tasks is told at once.
    """
    named = [name for name in names if not name.endswith(YAML_SUFFIXES)]
    unknown = [name for name in named if name not in PROTOCOLS]
    if unknown or not names:
        guesses = [f" ({guess})" for name in unknown if (guess := did_you_mean(name, PROTOCOLS))]
        raise ValueError(
            f"unknown tasks {unknown}{''.join(guesses)}; give YAML files of your own, or some of {list(PROTOCOLS)}"
        )
    roots = corpus_roots(list(dict.fromkeys(PROTOCOLS[name].corpus for name in named)), data_roots)
    tasks: dict[str, Task] = {}
    faults: list[str] = []
    twice: list[str] = []
    for name in names:
        try:
            task = _load(name, roots)
        except ValueError as error:
            faults.append(str(error))
            continue
        twice += [task.protocol.name] if task.protocol.name in tasks else []
        tasks[task.protocol.name] = task
    if twice:
        faults.append(f"the tasks {twice} come more than once; give each once, under a name of its own")
    if faults:
        raise ValueError("\n".join(dict.fromkeys(faults)))  # tasks of one corpus have its faults in common
    return list(tasks.values())


def _load(name: str, roots: dict[str, Path]) -> Task:
    if name not in PROTOCOLS:
        return read_own_task(name)
    protocol = PROTOCOLS[name]
    return Task(protocol, read_task(protocol, roots[protocol.corpus]), EMOTION_CORPORA[protocol.corpus].licence)
