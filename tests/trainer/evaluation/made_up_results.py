"""Made-up results of an evaluation, as its JSON has them: two models, a task in sessions, one of SYNTHETIC speech."""

from types import SimpleNamespace
from typing import Any

import numpy as np

from smoothclap_trainer.evaluation.metrics import reliability
from smoothclap_trainer.evaluation.protocols import Protocol
from smoothclap_trainer.evaluation.valence_arousal import valence_arousal


MODELS = ("user/name", "/a/b")
SESSIONS = Protocol(
    name="sessions-4",
    title="Sessions 4",
    corpus="sessions",
    language="en",
    text_language="en",
    words={"neutral": "neutral", "happy": "happy", "anger": "anger", "sadness": "sadness"},
    template="this person is feeling {}.",
    other_words=({"neutral": "calm", "happy": "joyful", "anger": "angry", "sadness": "sad"},),
    other_templates=("{}", "a {} voice"),
    split="all clips",
    labels={"neu": "neutral", "hap": "happy", "exc": "happy", "ang": "anger", "sad": "sadness"},
    grouped_by="session",
    published={"SmoothCLAP": 0.606, "CLAP": 0.353},
    source="Made up.",
)
SYNTHETIC = Protocol(
    name="Made up/2",
    title="Made up 2 (SYNTHETIC)",
    corpus="made up",
    language="de",
    text_language="en",
    words={"intoxicated": "intoxicated with alcohol", "not intoxicated": "not intoxicated with alcohol"},
    template="{}",
    other_words=(),
    other_templates=("a person who is {}",),
    split="test",
    labels={"a": "intoxicated", "na": "not intoxicated"},
    grouped_by=None,
    published={},
    source="Made up as well.",
)
STATUS = {
    ("sessions-4", "user/name"): ("zero-shot", "It records other corpora."),
    ("sessions-4", "/a/b"): ("not zero-shot", "It records sessions."),
    ("Made up/2", "user/name"): ("zero-shot", "It records other corpora."),
    ("Made up/2", "/a/b"): ("unknown", "It records nothing."),
}
UARS = {
    ("sessions-4", "user/name"): (0.5, 0.41, 0.62),
    ("sessions-4", "/a/b"): (0.26, 0.2, 0.31),
    ("Made up/2", "user/name"): (0.38, 0.3, 0.45),
    ("Made up/2", "/a/b"): (0.7, 0.61, 0.8),
}


def made_up_arrays() -> dict[tuple[str, str], SimpleNamespace]:
    """Of each task and model: `audio_embeds`, `class_embeds`, `true` and `probabilities` of 40 clips."""
    arrays = {}
    for seed, (task, model) in enumerate(STATUS):
        rng = np.random.default_rng(seed)
        classes = 4 if task == SESSIONS.name else 2
        true = np.arange(40) % classes
        class_embeds = rng.normal(size=(classes, 6)) + 2
        audio_embeds = rng.normal(size=(40, 6)) + class_embeds[true] - 4
        scores = np.exp(rng.normal(size=(40, classes)) + np.eye(classes)[true])
        probabilities = scores / scores.sum(axis=1, keepdims=True)
        arrays[task, model] = SimpleNamespace(
            audio_embeds=audio_embeds, class_embeds=class_embeds, true=true, probabilities=probabilities
        )
    return arrays


def made_up_results() -> dict[str, Any]:
    """The results that belong to the arrays; UARs and statuses are those of this module."""
    return {
        "format": 1,
        "models": [_model(name) for name in MODELS],
        "tasks": [_task(SESSIONS), _task(SYNTHETIC)],
        "settings": {"seed": 0, "bootstrap_samples": 2000, "batch_size": 16},
        "versions": {"smoothclap": "0.1", "torch": "2.13"},
        "times": {"finished": "yesterday"},
    }


def _model(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "revision": "c0ffee" if name == MODELS[0] else None,
        "weights_sha256": "0123456789abcdef" * 4,
        "class": "SmoothCLAPModel",
        "training_corpora": ["queen", "drascula"] if name == MODELS[0] else None,
        "sampling_rate": 16000,
        "long_clips": "whole",
    }


def _task(protocol: Protocol) -> dict[str, Any]:
    count = 40 // len(protocol.classes)
    return {
        "protocol": protocol.describe(),
        "licence": "none",
        "data": {
            "clips": 40,
            "per_class": dict.fromkeys(protocol.classes, count),
            "speakers": 10 if protocol.grouped_by else None,
            "left_out": {"frustration": 3} if protocol.grouped_by else {},
            "sha256": "f" * 64,
        },
        "results": [_result(protocol, model) for model in MODELS],
    }


def _result(protocol: Protocol, model: str) -> dict[str, Any]:
    arrays = made_up_arrays()[protocol.name, model]
    size = len(protocol.classes)
    confusion = np.zeros((size, size), dtype=int)
    np.add.at(confusion, (arrays.true, arrays.probabilities.argmax(axis=1)), 1)
    status, why = STATUS[protocol.name, model]
    value, low, high = UARS[protocol.name, model]
    uar = _figure(value, low, high)
    interval = {"level": 0.95, "unit": "clips", "units": 40, "samples": 2000, "note": None}
    if protocol.grouped_by:
        interval |= {"unit": "session", "units": 5, "note": "5 units make a rough interval."}
    parts = arrays.audio_embeds, arrays.true, arrays.class_embeds, protocol.classes
    return {
        "model": model,
        "zero_shot": {"status": status, "why": why},
        "figures": {"uar": uar, "accuracy": _figure(0.45, 0.4, 0.5), "macro_f1": _figure(0.4, 0.35, 0.45)},
        "per_class_recall": {name: _figure(0.3, 0.2, 0.4) for name in protocol.classes},
        "confusion": confusion.tolist(),
        "groups": {f"Session{number}": number / 10 for number in range(1, 6)} if protocol.grouped_by else None,
        "chance": round(1 / size, 6),
        "interval": interval,
        "reliability": reliability(arrays.probabilities, arrays.true),
        "valence_arousal": valence_arousal(*parts),
        "prompts": _prompts(protocol, value),
    }


def _figure(value: float, low: float, high: float) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def _prompts(protocol: Protocol, uar: float) -> dict[str, Any]:
    variants = [
        {"words": index, "template": template, "texts": protocol.texts(words, template)}
        for index, words in enumerate((protocol.words, *protocol.other_words))
        for template in (protocol.template, *protocol.other_templates)
    ]
    uars = [round(uar - 0.01 * index, 6) for index in range(len(variants))]
    return {
        "variants": [variant | {"uar": each} for variant, each in zip(variants, uars, strict=True)],
        "lowest": min(uars),
        "highest": max(uars),
        "mean": float(np.mean(uars)),
        "deviation": float(np.std(uars)),
    }
