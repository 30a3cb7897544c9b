"""What makes a SmoothCLAP model: data, objectives, trainer, evaluation."""

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from .arguments import SmoothCLAPTrainingArguments
    from .trainer import SmoothCLAPTrainer


__all__ = ["SmoothCLAPTrainer", "SmoothCLAPTrainingArguments"]


def __getattr__(name: str) -> Any:
    # Not at import: every worker process that computes functionals imports this package, and torch takes seconds.
    if name == "SmoothCLAPTrainer":
        from .trainer import SmoothCLAPTrainer

        return SmoothCLAPTrainer
    if name == "SmoothCLAPTrainingArguments":
        from .arguments import SmoothCLAPTrainingArguments

        return SmoothCLAPTrainingArguments
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
