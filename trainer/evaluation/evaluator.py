"""What is asked: the texts of a protocol, and how far its figure moves when they are worded otherwise."""

import csv
import io
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from transformers.utils import logging

from ..files import write_text
from .checkpoint_location import find_checkpoint
from .corpora import ZERO_SHOT, zero_shot_status
from .dual_encoders import DualEncoder, load_dual_encoder
from .embed import unit_rows
from .embed_files import embed_files
from .intervals import figures_with_intervals
from .metrics import confusion_matrix, reliability, unweighted_average_recall_of, zero_shot_predictions
from .named_checkpoint import parse_model
from .own_task import Task
from .protocols import Protocol
from .results import DECIMALS, FORMAT, describe_data, file_hashes, ready_for_json, versions
from .valence_arousal import valence_arousal


logger = logging.get_logger(__name__)


class Prompt(NamedTuple):
    """
    One way to ask for the classes.

    Args:
        words (`int`): Which wording: 0 is the protocol's, 1 the first of its `other_words`, and so on.
        template (`str`): What the words are put into.
        texts (`list[str]`): One for each class, in the order of the classes.
    """

    words: int
    template: str
    texts: list[str]


def prompts_of(protocol: Protocol) -> list[Prompt]:
    """
    Every wording of a protocol in every template.

    Args:
        protocol ([`Protocol`]): With `words`, `template` and their alternatives.

    Returns:
        `list[Prompt]`: The protocol's own first.
    """
    wordings = enumerate((protocol.words, *protocol.other_words))
    templates = dict.fromkeys((protocol.template, *protocol.other_templates))
    return [
        Prompt(index, template, protocol.texts(words, template))
        for (index, words), template in product(wordings, templates)
    ]


def distinct_texts(protocols: Iterable[Protocol]) -> list[str]:
    """
    All texts that protocols ask, each once.

    Args:
        protocols (`Iterable[Protocol]`): Any.

    Returns:
        `list[str]`: In alphabetical order.
    """
    return sorted({text for protocol in protocols for prompt in prompts_of(protocol) for text in prompt.texts})


def prompt_sensitivity(
    protocol: Protocol,
    audio_embeds: np.ndarray,
    text_embeds: Mapping[str, np.ndarray],
    true: np.ndarray,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """
    The UAR of every wording in every template. Which of them are asked is this project's choice.

    Args:
        protocol ([`Protocol`]): What is judged.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of the clips.
        text_embeds (`Mapping[str, np.ndarray]`): The embedding, `(width,)`, of each of the protocol's texts.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        groups (`Sequence[str]`, *optional*): Of each clip; the figure is then the mean of the groups' UARs.

    Returns:
        `dict[str, Any]`: `variants`, a list with `words` (0 is the protocol's wording), `template`, `texts` and `uar`,
        the protocol's own first; `lowest`, `highest`, `mean` and `deviation`, their standard deviation as that of a
        whole population, for the variants are all there are.
    """
    members = np.zeros(len(true), dtype=int) if groups is None else np.unique(list(groups), return_inverse=True)[1]
    variants = []
    for prompt in prompts_of(protocol):
        predicted = zero_shot_predictions(audio_embeds, np.stack([text_embeds[text] for text in prompt.texts]))
        confusions = [
            confusion_matrix(predicted[members == group], true[members == group], len(prompt.texts))
            for group in range(members.max() + 1)
        ]
        variants.append(prompt._asdict() | {"uar": float(unweighted_average_recall_of(np.stack(confusions)).mean())})
    figures = [variant["uar"] for variant in variants]
    return {
        "variants": variants,
        "lowest": min(figures),
        "highest": max(figures),
        "mean": float(np.mean(figures)),
        "deviation": float(np.std(figures)),
    }


SHOWN = 5
"""At most this many doubtful clips are named in a warning."""


@dataclass(frozen=True, eq=False)
class Answers:
    """
    What one model answered in one task, clip by clip.

    Attributes:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of the clips, unit length, in the order of the rows.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Of the protocol's texts, unit length.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        predicted (`np.ndarray` of shape `(clips,)`): The class with the largest cosine; among equals the first.
        probabilities (`np.ndarray` of shape `(clips, classes)`): Softmax of the model's logit scale times the cosines.
    """

    audio_embeds: np.ndarray
    class_embeds: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, eq=False)
class Evaluation:
    """
    What an evaluation gives.

    Attributes:
        results (`dict[str, Any]`): The figures with all that they depend on, ready for JSON. Only `times` differs
            between equal runs.
        answers (`dict[tuple[str, str], Answers]`): By the names of task and model.
    """

    results: dict[str, Any]
    answers: dict[tuple[str, str], Answers]


def evaluate_models(
    asked: Sequence[str],
    tasks: Sequence[Task],
    batch_size: int = 16,
    seed: int = 0,
    bootstrap_samples: int = 2000,
    device: str = "cpu",
    trust_remote_code: bool = False,
    num_workers: int = 2,
) -> Evaluation:
    """
    Evaluate models zero-shot, one after the other, so that only one is in memory.

    Clips that are silent or too short are judged all the same, for protocols count them; they are counted, too, and the
    first few are named in a warning.

    The figures are the same for every batch size. Confidences, which amplify rounding by the logit scale, agree to
    about 1e-4.

    Args:
        asked (`Sequence[str]`): Hub ids or folders of dual encoders, as [`parse_model`] reads them.
        tasks (`Sequence[Task]`): From [`load_tasks`]. A clip that several tasks share is embedded once.
        batch_size (`int`, defaults to 16): Clips per batch.
        seed (`int`, defaults to 0): Of the bootstrap.
        bootstrap_samples (`int`, defaults to 2000): Its draws.
        device (`str`, defaults to `"cpu"`): Where the models run.
        trust_remote_code (`bool`, defaults to `False`): Whether code that comes with a checkpoint may run.
        num_workers (`int`, defaults to 2): Threads that decode and hash audio.

    Returns:
        [`Evaluation`]

    Raises:
        ValueError: if there is no model or no task, two have one name, a model cannot be loaded, clips cannot be read,
            or a text is too long.
    """
    checkpoints = [parse_model(each) for each in asked]
    _check_names("model", [each.name for each in checkpoints], "write NAME=MODEL to call one otherwise")
    _check_names("task", [task.protocol.name for task in tasks], "give each once, or change `name` in a YAML file")
    for _, checkpoint, revision in checkpoints:
        find_checkpoint(checkpoint, revision)  # a misspelt one is told before the others have run
    texts = distinct_texts(task.protocol for task in tasks)
    paths = [path for task in tasks for path in task.rows["path"]]
    models, judged, answers, seconds = [], [], {}, {}
    doubtful: dict[str, str] = {}
    for name, checkpoint, revision in checkpoints:
        started = time.monotonic()
        encoder = load_dual_encoder(checkpoint, revision, trust_remote_code, device)
        encoder.name = name
        models.append(encoder.describe())
        text_embeds = dict(zip(texts, encoder.embed_texts(texts), strict=True))
        audio_embeds = embed_files(encoder, paths, batch_size, num_workers, doubtful)
        parts = np.split(audio_embeds, np.cumsum([len(task.rows) for task in tasks])[:-1])
        for task, part in zip(tasks, parts, strict=True):
            given = answer(task, encoder.logit_scale, part, text_embeds)
            answers[task.protocol.name, name] = given
            judged.append(judge(task, encoder, given, text_embeds, seed, bootstrap_samples))
        del encoder  # or it would stay until the next one is loaded
        seconds[name] = time.monotonic() - started
    _warn_of(doubtful)
    hashes = file_hashes(paths, num_workers)
    results = {
        "format": FORMAT,
        "models": models,
        "tasks": [
            {
                "protocol": task.protocol.describe(),
                "licence": task.licence,
                "data": describe_data(task.rows, task.protocol.classes, hashes, doubtful),
                "results": judged[index :: len(tasks)],
            }
            for index, task in enumerate(tasks)
        ],
        "settings": {"seed": seed, "bootstrap_samples": bootstrap_samples, "batch_size": batch_size},
        "versions": versions(),
        "times": {"finished": datetime.now(UTC).isoformat(timespec="seconds"), "seconds": seconds},
    }
    return Evaluation(ready_for_json(results), answers)


def answer(task: Task, logit_scale: float, audio_embeds: np.ndarray, text_embeds: Mapping[str, np.ndarray]) -> Answers:
    """
    Choose a class for every clip, as the protocol asks.

    Args:
        task ([`Task`]): With its clips.
        logit_scale (`float`): The model's factor between cosine and logit.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of the task's clips, unit length.
        text_embeds (`Mapping[str, np.ndarray]`): The embedding, `(width,)` and of unit length, of each text.

    Returns:
        [`Answers`]
    """
    classes = task.protocol.classes
    class_embeds = np.stack([text_embeds[text] for text in prompts_of(task.protocol)[0].texts])
    # Computed as for the predictions, so that the largest probability is always that of the predicted class.
    cosines = unit_rows(audio_embeds, "audio_embeds") @ unit_rows(class_embeds, "class_embeds").T  # (clips, classes)
    scores = np.exp(logit_scale * (cosines - cosines.max(axis=1, keepdims=True)).astype(np.float64))
    return Answers(
        audio_embeds,
        class_embeds,
        true=np.array([classes.index(label) for label in task.rows["label"]]),
        predicted=zero_shot_predictions(audio_embeds, class_embeds),
        probabilities=scores / scores.sum(axis=1, keepdims=True),
    )


def judge(
    task: Task,
    encoder: DualEncoder,
    answers: Answers,
    text_embeds: Mapping[str, np.ndarray],
    seed: int,
    bootstrap_samples: int,
) -> dict[str, Any]:
    """
    All figures of one model in one task.

    Args:
        task ([`Task`]): What was asked.
        encoder ([`DualEncoder`]): Which model.
        answers ([`Answers`]): What it answered.
        text_embeds (`Mapping[str, np.ndarray]`): The embedding of every text that the protocol names.
        seed (`int`): Of the bootstrap.
        bootstrap_samples (`int`): Its draws.

    Returns:
        `dict[str, Any]`: One entry of `results` of a task, not rounded.
    """
    protocol, rows = task.protocol, task.rows
    classes = protocol.classes
    speakers = [speaker if isinstance(speaker, str) else None for speaker in rows["speaker"]]  # pandas has NaN for None
    groups = rows["group"].tolist() if protocol.grouped_by else None
    found = figures_with_intervals(
        answers.predicted,
        answers.true,
        len(classes),
        speakers,
        groups,
        bootstrap_samples,
        seed,
        grouped_by=protocol.grouped_by or "session",
    )
    status, why = zero_shot_status(encoder.training_corpora, protocol.corpus)
    if status != ZERO_SHOT:
        logger.warning(f"{encoder.name} in {protocol.title}: {status}. {why}")
    return {
        "model": encoder.name,
        "zero_shot": {"status": status, "why": why},
        "figures": found["figures"],
        "per_class_recall": dict(zip(classes, found["per_class_recall"], strict=True)),
        "confusion": found["confusion"],
        "groups": found["groups"],
        "chance": 1 / len(classes),
        "interval": found["interval"],
        "reliability": reliability(answers.probabilities, answers.true),
        "valence_arousal": valence_arousal(answers.audio_embeds, answers.true, answers.class_embeds, classes),
        "prompts": prompt_sensitivity(protocol, answers.audio_embeds, text_embeds, answers.true, groups),
    }


def _check_names(what: str, names: Sequence[str], cure: str) -> None:
    if not len(names):
        raise ValueError(f"There is no {what} to evaluate: name at least one.")
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ValueError(f"Two {what}s are called {twice[0]!r}, but results are told apart by name: {cure}.")


def _warn_of(doubtful: Mapping[str, str]) -> None:
    if doubtful:
        named = [f"{path!r} is {problem}" for path, problem in sorted(doubtful.items())]
        more = f", and {len(named) - SHOWN} more" if len(named) > SHOWN else ""
        logger.warning(f"doubtful clips are judged all the same: {', '.join(named[:SHOWN])}{more}")


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
