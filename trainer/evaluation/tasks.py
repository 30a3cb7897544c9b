"""Loading tasks by name: the protocols of known corpora, and a user's own."""

from collections.abc import Sequence
from pathlib import Path

from ..data.emotion_corpora import EMOTION_CORPORA
from .data_roots import corpus_roots
from .own_task import Task, read_own_task
from .protocols import PROTOCOLS, read_task
from .spelling import did_you_mean


YAML_SUFFIXES = (".yaml", ".yml")


def load_tasks(names: Sequence[str], data_roots: Sequence[str]) -> list[Task]:
    """
    Reads the clips of tasks.

    Args:
        names (`Sequence[str]`):
            Names in [`~smoothclap_trainer.evaluation.protocols.PROTOCOLS`], and YAML files of one's own tasks.
        data_roots (`Sequence[str]`):
            Where the corpora of named tasks are, see [`~smoothclap_trainer.evaluation.data_roots.corpus_roots`].

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
