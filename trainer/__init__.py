"""What makes a SmoothCLAP model: data, objectives, trainer, evaluation."""

from .arguments import SmoothCLAPTrainingArguments
from .trainer import SmoothCLAPTrainer


__all__ = ["SmoothCLAPTrainer", "SmoothCLAPTrainingArguments"]
