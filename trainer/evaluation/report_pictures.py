"""The pictures of a report: which there are, what they are called, and what is said of them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .emotion_map import project
from .pictures import circumplex_picture, confusion_picture, emotion_map_picture, reliability_picture
from .report_cells import number, with_interval
from .valence_arousal import class_centres, class_pairs


CAPTIONS = {
    "confusion": "Confusion matrix of {} in {}: rows are true classes, columns predicted",
    "reliability": "Reliability of the scores of {} in {}: accuracy against confidence",
    "map": "Emotion map of {} in {}: clips and text queries on one plane",
    "valence-arousal": (
        "Similarity of emotions of {} in {}: cosine of two classes against their distance in valence and arousal"
    ),
}
"""What pictures show, of a model in a task, by how their names end."""
STEM_LENGTH = 120
"""File systems take names of 255 bytes."""


class Answers(Protocol):
    """
    What pictures need beside the results, of one model in one task.

    Attributes:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of the clips.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
    """

    @property
    def audio_embeds(self) -> np.ndarray: ...
    @property
    def class_embeds(self) -> np.ndarray: ...
    @property
    def true(self) -> np.ndarray: ...


class Picture(NamedTuple):
    """
    One picture.

    Args:
        path (`Path`): Its PNG.
        alt (`str`): What one would be told who does not see it.
    """

    path: Path
    alt: str


def pairs_of(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names of task and model of all results, in their order."""
    return [(task["protocol"]["name"], result["model"]) for task in results["tasks"] for result in task["results"]]


def captions(results: Mapping[str, Any]) -> dict[str, str]:
    """
    Says what the pictures of an evaluation show.

    Args:
        results (`Mapping[str, Any]`): Of the evaluation; see `docs/evaluation.md`.

    Returns:
        `dict[str, str]`: By the names of all files that [`draw_pictures`] may write.
    """
    titles = {task["protocol"]["name"]: task["protocol"]["title"] for task in results["tasks"]}
    return {
        f"{stem}-{kind}.png": caption.format(model, titles[task])
        for (task, model), stem in file_stems(pairs_of(results)).items()
        for kind, caption in CAPTIONS.items()
    }


def file_stems(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """
    Names files after tasks and models.

    Args:
        pairs (`Iterable[tuple[str, str]]`): Names of task and model, of any characters.

    Returns:
        `dict[tuple[str, str], str]`: A name for each pair that any file system takes, and that no two have in common,
        also where capitals do not count.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.report_pictures import file_stems
    >>> list(file_stems([("tess-7", "user/name"), ("tess-7", "/user/Name")]).values())
    ['tess-7-user-name', 'tess-7-user-Name-2']

    ```
    """
    stems: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for task, model in pairs:
        plain = (re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") for name in (task, model))
        stem = wanted = "-".join(part for part in plain if part)[:STEM_LENGTH] or "task"
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{wanted}-{count}"
        taken.add(stem.lower())
        stems[task, model] = stem
    return stems


def draw_pictures(
    task: Mapping[str, Any], result: Mapping[str, Any], answers: Answers, folder: Path, stem: str
) -> list[Picture]:
    """
    Draws the pictures of one model in one task.

    Args:
        task (`Mapping[str, Any]`): An entry of `tasks` of the results.
        result (`Mapping[str, Any]`): The model's entry in it.
        answers ([`Answers`]): Of the same.
        folder (`Path`): Where the PNGs go.
        stem (`str`): What their names begin with.

    Returns:
        `list[Picture]`: Confusion matrix, reliability and emotion map; and similarity against distance, where three
        classes or more have a published place.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: if the embeddings do not fit the results.
    """
    classes = list(task["protocol"]["words"])
    counts = np.bincount(answers.true, minlength=len(classes)).tolist()
    if counts != (expected := [sum(row) for row in result["confusion"]]):
        raise ValueError(
            f"The embeddings of {result['model']!r} in {task['protocol']['name']!r} are of {counts} clips a class, but "
            f"its results of {expected}; give those of the same evaluation."
        )
    title = task["protocol"]["title"]
    kinds = [kind for kind in CAPTIONS if kind != "valence-arousal" or result["valence_arousal"]["texts"] is not None]
    pictures = {
        kind: Picture(folder / f"{stem}-{kind}.png", CAPTIONS[kind].format(result["model"], title)) for kind in kinds
    }

    def head(kind: str) -> str:
        uar = with_interval(result["figures"]["uar"])
        return f"{kind}: {title}\n{result['model']}\nUAR {uar}, chance {number(result['chance'])}"

    confusion_picture(result["confusion"], classes, head("Confusion matrix"), pictures["confusion"].path)
    reliability_picture(result["reliability"], head("Reliability of scores"), pictures["reliability"].path)
    projected = project(answers.audio_embeds, answers.class_embeds)
    emotion_map_picture(*projected, answers.true, classes, head("Emotion map"), pictures["map"].path)
    if "valence-arousal" in pictures:
        centres = class_centres(answers.audio_embeds, answers.true, len(classes))
        pairs = class_pairs(answers.class_embeds, classes), class_pairs(centres, classes)
        circumplex_picture(*pairs, head("Similarity of emotions"), pictures["valence-arousal"].path)
    return list(pictures.values())
