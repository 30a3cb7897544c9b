"""What each model answered for each clip, as a table to look into."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from .own_task import Task
from ..files import write_text
from .results import DECIMALS
from .zero_shot_evaluator import Answers


COLUMNS = ("task", "model", "id", "speaker", "true", "predicted", "score", "true_score")
"""`score` is the probability of the predicted class, `true_score` that of the true one."""


def write_predictions(tasks: Sequence[Task], answers: Mapping[tuple[str, str], Answers], path: str | Path) -> None:
    """
    Write predictions as CSV, whole or not at all: task by task, model by model, clip by clip.

    Equal answers give equal bytes. Probabilities are comparable within a model and task only: they compare its classes.

    Args:
        tasks (`Sequence[Task]`): As they were evaluated.
        answers (`Mapping[tuple[str, str], Answers]`): By the names of task and model, from [`evaluate_models`].
        path (`str` or `Path`): The file; its folder is made. [`COLUMNS`]; an unknown speaker is an empty cell.
    """
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task in tasks:
        for (name, model), given in answers.items():
            if name == task.protocol.name:
                writer.writerows([name, model, *cells] for cells in _clips(task, given))
    write_text(path, table.getvalue())


def _clips(task: Task, given: Answers) -> list[list[str]]:
    classes, rows = task.protocol.classes, task.rows
    speakers = [speaker if isinstance(speaker, str) else "" for speaker in rows["speaker"]]  # pandas has NaN for None
    clips = zip(rows["id"], speakers, given.true, given.predicted, given.probabilities, strict=True)
    return [
        [name, speaker, classes[true], classes[predicted], _rounded(scores[predicted]), _rounded(scores[true])]
        for name, speaker, true, predicted, scores in clips
    ]


def _rounded(score: float) -> str:
    return f"{score:.{DECIMALS}f}"
