"""What happens around a training step: epochs told, the scale clamped, a request to stop heeded."""

import signal
import threading
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging

from modeling_smoothclap.modeling_smoothclap import MAX_LOGIT_SCALE

from .losses.joint_loss import gather_rows, gather_sizes, process_count


logger = logging.get_logger(__name__)


class EpochCallback(TrainerCallback):
    """Tells everything that draws by epoch, such as the collator and the sampler, which epoch it is.

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
    """Keeps every stored logit scale at or below ln 100 after each step.

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
    """On SIGTERM, as schedulers send it before they kill, finishes the step, saves a checkpoint and ends training.

    The signal may reach one process in the middle of a step and another after it, or one process only; they agree on
    the step to stop at, at the cost of one number exchanged per step.

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
        """Leave the signal to whoever had it; to be called when training has ended, or failed."""
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)
            self._previous = None


class BatchFigures:
    """Running means of the figures of joint batches, until they are logged."""

    def __init__(self) -> None:
        self.batches: list[dict[str, torch.Tensor]] = []

    def add(self, parts: torch.Tensor, scales: torch.Tensor, caption_ids: torch.Tensor | None) -> None:
        """
        Take down a joint batch.

        Args:
            parts (`torch.Tensor` of shape `(1,)` or `(2,)`): The divergences, as [`JointLoss`] returns them.
            scales (`torch.Tensor` of shape `(2,)`): Factors between cosine and logit.
            caption_ids (`torch.Tensor` of shape `(clips,)`, *optional*): Equal for equal captions, of this process.
        """
        names = ("forward_divergence", "reverse_divergence")
        figures = dict(zip(names, parts.detach(), strict=False))
        figures["logit_scale"] = scales.detach().mean()
        if caption_ids is not None:
            captions = gather_rows(caption_ids, gather_sizes(len(caption_ids), caption_ids.device))
            distinct = len(captions.unique())
            figures["negatives"] = torch.tensor(float(len(captions) - 1))
            figures["duplicate_captions"] = torch.tensor(1 - distinct / len(captions))
        self.batches.append(figures)

    def pop(self) -> dict[str, float]:
        """Means over the batches since the last call and over all processes, which must call this together: the
        divergences in nats, the scale, how many negatives a clip has, and the share of captions that repeat another of
        their batch."""
        taken, self.batches = self.batches, []
        if not taken:
            return {}
        device = taken[0]["logit_scale"].device
        table = torch.stack([torch.stack([value.to(device) for value in one.values()]) for one in taken])
        means = table.mean(dim=0)  # (figures,)
        if process_count() > 1:
            dist.all_reduce(means)
        return dict(zip(taken[0], (means / process_count()).tolist(), strict=True))
