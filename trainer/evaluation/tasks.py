"""Tasks by name or YAML file, and the folders of their corpora."""

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
    Find the folder of each corpus that is needed.

    Args:
        corpora (`Sequence[str]`): Keys of [`~.corpora.EMOTION_CORPORA`], each once.
        data_roots (`Sequence[str]`): `"CORPUS=FOLDER"`, and at most one plain folder. That holds a folder named like
            each corpus; if only one corpus is needed, it may be the corpus itself.

    Returns:
        `dict[str, Path]`: Corpus to folder, which exists.

    Raises:
        ValueError: if corpora have no folder or two, a folder does not exist, or no corpus needs it. The message says
            where to ask for the corpora.

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
    """Check all corpora before one is read, which may take long."""
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
    Read the clips of a protocol on one of the known corpora.

    Args:
        protocol ([`Protocol`]): What to read.
        root (`str` or `Path`): Folder of its corpus, as it is distributed.

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


YAML_SUFFIXES = (".yaml", ".yml")


def load_tasks(asked: Sequence[str | Path | Task], data_roots: Sequence[str | Path] = ()) -> list[Task]:
    """
    Read the clips of tasks.

    Args:
        asked (`Sequence[str | Path | Task]`): Names in [`~.protocols.PROTOCOLS`], YAML files of one's own tasks, and
            tasks, which are returned as they are.
        data_roots (`Sequence[str | Path]`): Where the corpora of named tasks are, see [`corpus_roots`].

    Returns:
        `list[Task]`: In the order of `asked`.

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
