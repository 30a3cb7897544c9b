"""Made-up results of an experiment with two seeds, and classifiers that were saved for them."""

from pathlib import Path
from typing import Any

import torch

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.clep_dg.classifier import save_classifier
from smoothclap_trainer.clep_dg.methods import METHODS
from smoothclap_trainer.clep_dg.prompts import ENGLISH
from tests import tiny
from tests.trainer.evaluation.tiny_clap import clap


CHANCE = 0.5
WHY = {"zero-shot": "It was never seen.", "not zero-shot": "It was trained on it.", "unknown": "Nobody knows."}


def found(name: str, first: float, second: float | None, low: float = 0.6, high: float = 0.9) -> dict[str, Any]:
    """One method: UAR of the seeds 4 and 7, or of none; WA is a hundredth more."""
    values = {None: first} if second is None else {4: first, 7: second}
    figures = {
        figure: {"value": sum(values.values()) / len(values) + more, "sd": None, "low": low + more, "high": high + more}
        for figure, more in (("uar", 0), ("accuracy", 0.01))
    }
    seeds = [{"seed": seed, "uar": value, "accuracy": value + 0.01} for seed, value in values.items()]
    return {"method": name, "figures": figures, "per_class_recall": {}, "seeds": seeds}


def entry(corpus: str, condition: str, first: float, status: str = "zero-shot", **intervals: Any) -> dict[str, Any]:
    """What one corpus is judged by; CLEP-DG's UAR is `first` and, with the other seed, .05 less."""
    methods = [
        found(each.name, 0.71, 0.81 if each.is_random else None, **intervals)
        for each in METHODS
        if each.name != "clep-dg"
    ]
    methods.append(found("clep-dg", first, first - 0.05, **intervals))
    return {
        "corpus": corpus,
        "zero_shot": {"status": status, "why": WHY[status]},
        "condition": condition,
        "sha256": "a" * 64,
        "speakers_in_others": 0,
        "clips": 60,
        "interval": {"level": 0.95, "unit": "clips", "units": 60, "samples": 100},
        "methods": methods,
    }


def corpus(name: str, title: str, language: str) -> dict[str, Any]:
    """One corpus."""
    data = {"clips": 1234, "per_class": {}, "speakers": None, "left_out": {}, "sha256": "a" * 64}
    return {"name": name, "title": title, "language": language, "licence": "free", "source": "Said.", "data": data}


def encoder_entry(folder: Path, corpora: list[str]) -> dict[str, Any]:
    """What results say of an encoder."""
    described = SmoothCLAPEncoder.from_pretrained(folder).describe()
    return described | {
        "name": folder.name,
        "corpora": corpora,
        "texts": [],
    }


def results(folder: Path) -> dict[str, Any]:
    """Return what `results.json` has of one encoder, made if missing, on two corpora under two conditions."""
    if not (folder / "encoder").is_dir():
        tiny.checkpoint(folder / "encoder")
    conditions = {"clean": "as recorded", "noise": "in noise"}
    return {
        "format": 1,
        "methods": [{"name": each.name, "title": each.title, "meaning": each.meaning} for each in METHODS],
        "classes": {"sad": "sad", "glad": "cheerful"},
        "chance": CHANCE,
        "conditions": [
            {"name": name, "title": title, "effect": None, "parameters": {}} for name, title in conditions.items()
        ],
        "corpora": [corpus("one", "One", "en"), corpus("two", "two (SYNTHETIC)", "de")],
        "encoders": [encoder_entry(folder / "encoder", ["one", "two"])],
        "generalisation": [
            entry("one", "clean", 0.75),
            entry("one", "noise", 0.52, low=0.45, high=0.55),
            entry("two", "clean", 0.7, "not zero-shot"),
            entry("two", "noise", 0.41, "not zero-shot", low=0.35, high=0.49),
        ],
        "supervised": [],
        "settings": {
            "encoder": str(folder / "encoder"),
            "corpora": [{"name": "one"}, {"name": "two", "synthetic": True}],
            "seeds": [4, 7],
            "acpt": {"num_contexts": 16, "steps": 100, "seed": 0},
            "classifier": {"loss": "arcface", "scale": 5.0, "seed": 0},
            "templates": {name: getattr(ENGLISH, name) for name in ("context", "joint", "content")},
        },
        "versions": {"smoothclap": "0.1.0", "python": "3.11.7"},
        "times": {"finished": "yesterday", "seconds": 1.0},
    }


def with_clap(folder: Path) -> dict[str, Any]:
    """The same with a checkpoint for each corpus: `folder/encoder` judges one, and `folder/clap`, a ClapModel, two."""
    made = results(folder)
    clap(folder / "clap")
    made["encoders"] = [encoder_entry(folder / "encoder", ["one"]), encoder_entry(folder / "clap", ["two"])]
    made["settings"]["encoder"] = {"one": str(folder / "encoder"), "two": str(folder / "clap")}
    return made


def save(encoder: Path, folder: Path) -> Path:
    """A classifier of two classes, as the experiment saves it."""
    loaded = SmoothCLAPEncoder.from_pretrained(str(encoder))
    width = loaded.model.config.projection_dim
    vectors = torch.randn(2, width, generator=torch.Generator().manual_seed(0))
    save_classifier(loaded, torch.nn.functional.normalize(vectors, dim=-1), ["sad", "glad"], 5.0, folder)
    return folder
