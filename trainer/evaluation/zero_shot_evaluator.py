"""Judging dual encoders by zero-shot tasks, side by side: every clip and every text is embedded once per model."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from transformers.utils import logging

from .bootstrap import figures_with_intervals
from .checkpoint_location import find_checkpoint
from .contamination import ZERO_SHOT, zero_shot_status
from .dual_encoders import DualEncoder, load_dual_encoder
from .embed import unit_rows
from .embed_files import embed_files
from .named_checkpoint import parse_model
from .own_task import Task
from .prompts import distinct_texts, prompt_sensitivity, prompts_of
from .reliability import reliability
from .results import FORMAT, describe_data, file_hashes, ready_for_json, versions
from .valence_arousal import valence_arousal
from .zero_shot import zero_shot_predictions


logger = logging.get_logger(__name__)

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
