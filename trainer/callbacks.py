"""What happens around a training step: epochs are announced, the scale is clamped, SIGTERM ends the run."""

import signal
import threading
from typing import Any

import torch
import torch.distributed as dist
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from modeling_smoothclap.modeling_smoothclap import MAX_LOGIT_SCALE

from .losses.joint_loss import process_count


logger = logging.get_logger(__name__)


class EpochCallback(TrainerCallback):
    """Set `epoch` of everything that draws by epoch, such as the collator and the sampler.

    Args:
        listeners (`list`): Objects with an attribute `epoch`.
    """

    def __init__(self, listeners: list[Any]):
        self.listeners = listeners

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the epoch."""
        for listener in self.listeners:
            listener.epoch = int((state.epoch or 0) + 1e-6)  # a sum of fractions may fall just short


class ScaleCallback(TrainerCallback):
    """Keep every stored logit scale at or below ln 100 after each step.

    The model clamps the scale it uses; under FSDP2 that is a gathered copy, and the stored one would run on.
    """

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Clamp the scale."""
        for name, parameter in kwargs["model"].named_parameters():
            if "logit_scale" in name:
                parameter.data.clamp_(max=MAX_LOGIT_SCALE)


class StopCallback(TrainerCallback):
    """On SIGTERM, which schedulers send before they kill, finish the step, save a checkpoint and end training.

    The signal may reach the processes at different steps, or one process only. They agree on the step to stop at, for
    which one number is exchanged per step.

    Attributes:
        stopped (`bool`): Whether training ended that way.
    """

    def __init__(self) -> None:
        self.requested = self.stopped = False
        self._previous: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Listen for the signal."""
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread listen
            self._previous = signal.signal(signal.SIGTERM, self._request)

    def _request(self, *_: Any) -> None:
        self.requested = True

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Save and stop if any process was asked to."""
        requested = torch.tensor(int(self.requested), device=args.device)
        if process_count() > 1:
            dist.all_reduce(requested, op=dist.ReduceOp.MAX)
        if requested:
            logger.warning(f"SIGTERM: saving a checkpoint at step {state.global_step} and stopping.")
            control.should_save = control.should_training_stop = self.stopped = True

    def restore(self) -> None:
        """Give the signal back to its earlier handler. To be called when training has ended or failed."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None


def restore_early_stopping(callbacks: list[TrainerCallback], state: TrainerState) -> None:
    """Let early stopping go on counting where the run that is resumed had stopped."""
    for callback in callbacks:
        if isinstance(callback, EarlyStoppingCallback):
            states: Any = state.stateful_callbacks
            saved = states.get(type(callback).__name__, {})
            last = saved[-1] if isinstance(saved, list) else saved
            for name, value in last.get("attributes", {}).items():
                setattr(callback, name, value)
