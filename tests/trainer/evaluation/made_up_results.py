"""Made-up results of an evaluation: two models, a task in sessions, one of SYNTHETIC speech."""

from dataclasses import replace
from typing import Any

import numpy as np

from smoothclap_trainer.evaluation.corpus_names import ZeroShot, ZeroShotStatus
from smoothclap_trainer.evaluation.metrics import reliability
from smoothclap_trainer.evaluation.protocols import Protocol
from smoothclap_trainer.evaluation.results import (
    Answers,
    EvaluatedModel,
    EvaluationResults,
    Interval,
    JudgedClips,
    Metric,
    ModelResult,
    PromptSensitivity,
    PromptVariant,
    TaskResults,
)
from smoothclap_trainer.evaluation.valence_arousal import valence_arousal


MODELS = ("user/name", "/a/b")


def protocol(name: str, words: dict[str, str], **changes: Any) -> Protocol:
    """A protocol of the simplest kind, but for the changes."""
    fields = {
        "title": name.title(),
        "corpus": "made",
        "language": "en",
        "text_language": "en",
        "template": "{}",
        "other_words": (),
        "other_templates": ("a {} voice",),
        "split": "all clips",
        "labels": {label: label for label in words},
        "grouped_by": None,
        "published": {},
        "source": "Made up.",
    }
    return Protocol(name=name, words=words, **fields | changes)


SESSIONS = protocol(
    "sessions-4",
    {"neutral": "neutral", "happy": "happy", "anger": "anger", "sadness": "sadness"},
    title="Sessions 4",
    corpus="sessions",
    template="this person is feeling {}.",
    other_words=({"neutral": "calm", "happy": "joyful", "anger": "angry", "sadness": "sad"},),
    other_templates=("{}", "a {} voice"),
    labels={"neu": "neutral", "hap": "happy", "exc": "happy", "ang": "anger", "sad": "sadness"},
    grouped_by="session",
    published={"SmoothCLAP": 0.606, "CLAP": 0.353},
)
SYNTHETIC = protocol(
    "Made up/2",
    {"intoxicated": "intoxicated with alcohol", "not intoxicated": "not intoxicated with alcohol"},
    title="Made up 2 (SYNTHETIC)",
    corpus="made up",
    language="de",
    other_templates=("a person who is {}",),
    split="test",
    labels={"a": "intoxicated", "na": "not intoxicated"},
)
UNSEEN = ZeroShot(ZeroShotStatus.ZERO_SHOT)
GIVEN = {
    ("sessions-4", "user/name"): (UNSEEN, Metric(0.5, 0.41, 0.62)),
    ("sessions-4", "/a/b"): (ZeroShot(ZeroShotStatus.NOT_ZERO_SHOT), Metric(0.26, 0.2, 0.31)),
    ("Made up/2", "user/name"): (UNSEEN, Metric(0.38, 0.3, 0.45)),
    ("Made up/2", "/a/b"): (ZeroShot(ZeroShotStatus.UNKNOWN), Metric(0.7, 0.61, 0.8)),
}
"""Status and UAR of each task and model."""


def made_up_results() -> EvaluationResults:
    """The results, rounded as in a file, with answers for 40 clips; UARs and statuses are those of this module."""
    return EvaluationResults(
        models=tuple(map(_model, MODELS)),
        tasks=(_task(SESSIONS), _task(SYNTHETIC)),
        settings={"seed": 0, "bootstrap_samples": 2000, "batch_size": 16},
        versions={"smoothclap": "0.1", "transformers": "5.23", "torch": "2.13"},
        times={"finished": "yesterday"},
        answers={pair: _answers(seed, *pair) for seed, pair in enumerate(GIVEN)},
    ).rounded()


def with_result(results: EvaluationResults, task: int, model: int, **changes: object) -> EvaluationResults:
    """The same, but for fields of what one model reached in one task."""
    tasks = list(results.tasks)
    its = list(tasks[task].results)
    its[model] = replace(its[model], **changes)
    tasks[task] = replace(tasks[task], results=tuple(its))
    return replace(results, tasks=tuple(tasks))


def with_task(results: EvaluationResults, task: int, **changes: object) -> EvaluationResults:
    """The same, but for fields of a task; those of its protocol go by their own names."""
    tasks = list(results.tasks)
    own = {name: changes.pop(name) for name in list(changes) if name in ("data", "licence")}
    tasks[task] = replace(tasks[task], **own, protocol=replace(tasks[task].protocol, **changes))
    return replace(results, tasks=tuple(tasks))


def _answers(seed: int, task: str, model: str) -> Answers:
    rng = np.random.default_rng(seed)
    classes = 4 if task == SESSIONS.name else 2
    true = np.arange(40) % classes
    class_embeds = rng.normal(size=(classes, 6)) + 2
    audio_embeds = rng.normal(size=(40, 6)) + class_embeds[true] - 4
    scores = np.exp(rng.normal(size=(40, classes)) + np.eye(classes)[true])
    probabilities = scores / scores.sum(axis=1, keepdims=True)
    ids = [f"clip {number}" for number in range(40)]
    return Answers(ids, [None] * 40, audio_embeds, class_embeds, true, probabilities.argmax(axis=1), probabilities)


def _model(name: str) -> EvaluatedModel:
    first = name == MODELS[0]
    return EvaluatedModel(
        name=name,
        revision="c0ffee" if first else None,
        weights_sha256="0123456789abcdef" * 4,
        class_name="SmoothCLAPModel",
        training_corpora=["queen", "drascula"] if first else None,
        sampling_rate=16000,
        long_clips="whole",
    )


def _task(protocol: Protocol) -> TaskResults:
    data = JudgedClips(
        clips=40,
        per_class=dict.fromkeys(protocol.classes, 40 // len(protocol.classes)),
        speakers=10 if protocol.grouped_by else None,
        left_out={"frustration": 3} if protocol.grouped_by else {},
        sha256="f" * 64,
    )
    return TaskResults(protocol, "none", data, tuple(_result(protocol, model) for model in MODELS))


def _result(protocol: Protocol, model: str) -> ModelResult:
    pair = protocol.name, model
    answers = _answers(list(GIVEN).index(pair), *pair)
    size = len(protocol.classes)
    confusion = np.zeros((size, size), dtype=int)
    np.add.at(confusion, (answers.true, answers.predicted), 1)
    zero_shot, uar = GIVEN[pair]
    unit, units = ("session", 5) if protocol.grouped_by else ("clips", 40)
    return ModelResult(
        model=model,
        zero_shot=zero_shot,
        metrics={"uar": uar, "accuracy": Metric(0.45, 0.4, 0.5), "macro_f1": Metric(0.4, 0.35, 0.45)},
        per_class_recall=dict.fromkeys(protocol.classes, Metric(0.3, 0.2, 0.4)),
        confusion=confusion.tolist(),
        groups={f"Session{number}": number / 10 for number in range(1, 6)} if protocol.grouped_by else None,
        chance=1 / size,
        interval=Interval(level=0.95, unit=unit, units=units, samples=2000),
        calibration=reliability(answers.probabilities, answers.true),
        valence_arousal=valence_arousal(answers.audio_embeds, answers.true, answers.class_embeds, protocol.classes),
        prompts=_prompts(protocol, uar.value or 0.0),
    )


def _prompts(protocol: Protocol, uar: float) -> PromptSensitivity:
    variants = tuple(
        PromptVariant(prompt.words, prompt.template, tuple(prompt.texts), uar - 0.01 * index)
        for index, prompt in enumerate(protocol.prompts())
    )
    uars = [variant.uar for variant in variants]
    return PromptSensitivity(variants, min(uars), max(uars), float(np.mean(uars)), float(np.std(uars)))
