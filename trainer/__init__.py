"""Training, evaluation and sharing of SmoothCLAP models. A public name is imported when it is first used."""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .arguments import SmoothCLAPTrainingArguments
    from .clep_dg.context_bank import AcousticContextBank
    from .data.captions.thresholds import Thresholds
    from .data.collator import SmoothCLAPCollator
    from .data.manifest import load_manifest
    from .evaluation.evaluator import evaluate
    from .lora import save_lora
    from .model_card import write_model_card
    from .search import SpeechIndex
    from .train import train
    from .trainer import SmoothCLAPTrainer

MODULES = {
    "AcousticContextBank": ".clep_dg.context_bank",
    "SmoothCLAPCollator": ".data.collator",
    "SmoothCLAPTrainer": ".trainer",
    "SmoothCLAPTrainingArguments": ".arguments",
    "SpeechIndex": ".search",
    "Thresholds": ".data.captions.thresholds",
    "evaluate": ".evaluation.evaluator",
    "load_manifest": ".data.manifest",
    "save_lora": ".lora",
    "train": ".train",
    "write_model_card": ".model_card",
}
"""Public names and the modules that define them."""

TRAINING_LIBRARIES = ("accelerate", "datasets", "evaluate", "jinja2", "pandas", "peft", "pydantic")
"""What the extra `train` installs."""

__all__ = [
    "AcousticContextBank",
    "SmoothCLAPCollator",
    "SmoothCLAPTrainer",
    "SmoothCLAPTrainingArguments",
    "SpeechIndex",
    "Thresholds",
    "evaluate",
    "load_manifest",
    "save_lora",
    "train",
    "write_model_card",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # Not at import: every worker process that computes functionals imports this package, and torch takes seconds.
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(MODULES[name], __name__), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in TRAINING_LIBRARIES:
            raise ImportError(f'{name} needs {error.name}: pip install "smoothclap[train]"') from error
        raise


class _Package(ModuleType):
    """Keeps `train` the function: importing the module of that name would put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        public = name in MODULES and isinstance(value, ModuleType)
        super().__setattr__(name, getattr(value, name) if public else value)


sys.modules[__name__].__class__ = _Package
