"""Training, evaluation and sharing of SmoothCLAP models. A public name is imported when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from modeling_smoothclap import SmoothCLAPEncoder

    from .arguments import SmoothCLAPTrainingArguments
    from .clep_dg.context_bank import AcousticContextBank
    from .clep_dg.experiment import fit_clep_dg
    from .data.captions.thresholds import Thresholds
    from .data.collator import SmoothCLAPCollator
    from .data.manifest import load_manifest
    from .evaluation.evaluator import evaluate
    from .hub.card import write_model_card
    from .hub.push import push
    from .search import SpeechIndex
    from .towers import save_lora
    from .train import run_training
    from .trainer import SmoothCLAPTrainer

_MODULES = {
    "AcousticContextBank": ".clep_dg.context_bank",
    "SmoothCLAPCollator": ".data.collator",
    "SmoothCLAPEncoder": "modeling_smoothclap",
    "SmoothCLAPTrainer": ".trainer",
    "SmoothCLAPTrainingArguments": ".arguments",
    "SpeechIndex": ".search",
    "Thresholds": ".data.captions.thresholds",
    "evaluate": ".evaluation.evaluator",
    "fit_clep_dg": ".clep_dg.experiment",
    "load_manifest": ".data.manifest",
    "push": ".hub.push",
    "run_training": ".train",
    "save_lora": ".towers",
    "write_model_card": ".hub.card",
}
EXTRAS = {
    "matplotlib": "plots",
    "opensmile": "opensmile",
    "silero_vad": "app",
    **dict.fromkeys(("pyroomacoustics", "scipy"), "acoustics"),
    **dict.fromkeys(("tensorboard", "trackio"), "logging"),
    **dict.fromkeys(
        ("accelerate", "datasets", "evaluate", "jinja2", "pandas", "peft", "pyarrow", "pydantic", "yaml"), "train"
    ),
}
"""Libraries that a light install lacks, as they are imported, and the extra that installs each."""

__all__ = [
    "AcousticContextBank",
    "SmoothCLAPCollator",
    "SmoothCLAPEncoder",
    "SmoothCLAPTrainer",
    "SmoothCLAPTrainingArguments",
    "SpeechIndex",
    "Thresholds",
    "evaluate",
    "fit_clep_dg",
    "load_manifest",
    "push",
    "run_training",
    "save_lora",
    "write_model_card",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # Not at import: every worker process that computes functionals imports this package, and torch takes seconds.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_MODULES[name], __name__), name)
    except ModuleNotFoundError as error:
        if extra := EXTRAS.get((error.name or "").partition(".")[0]):
            raise ImportError(f'{name} needs {error.name}: pip install "smoothclap[{extra}]"') from error
        raise
