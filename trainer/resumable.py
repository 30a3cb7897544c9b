"""A Trainer that can be stopped or killed at any step, and goes on as if it had not been."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import EarlyStoppingCallback, Trainer
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from . import checkpoints
from .callbacks import StopCallback


class ResumableTrainer(Trainer):
    """
    [`~transformers.Trainer`] whose checkpoints are sealed when they are whole, and that heeds SIGTERM.

    Resuming refuses or skips a checkpoint that is not whole, and goes on counting what early stopping had counted.

    Attributes:
        stop ([`StopCallback`]): Its `stopped` says whether SIGTERM ended training.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.stop = StopCallback()
        self.add_callback(self.stop)

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """
        As in [`~transformers.Trainer`].

        Args:
            resume_from_checkpoint (`str` or `bool`, *optional*): A checkpoint's folder, or `True` for the last whole
                one in `output_dir`.
            *args, **kwargs: As for [`~transformers.Trainer`].

        Raises:
            ValueError: The checkpoint is broken, or there is none.
        """
        if resume_from_checkpoint is True:
            resume_from_checkpoint = checkpoints.last_whole_checkpoint(str(self.args.output_dir))
            if resume_from_checkpoint is None:
                raise ValueError(f"There is no whole checkpoint in {self.args.output_dir!r} to resume from.")
        elif resume_from_checkpoint and (problem := checkpoints.fault(resume_from_checkpoint)):
            raise ValueError(f"Cannot resume from {resume_from_checkpoint}: {problem}. Name another checkpoint.")
        if resume_from_checkpoint:
            self.args.eval_on_start = False  # that evaluation was made, and counted by early stopping, at the start
        try:
            return super().train(resume_from_checkpoint, *args, **kwargs)
        finally:
            self.stop.restore()

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        # Older checkpoints go only when the new one is known to be whole.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()  # every process writes a file of its own
        if self.args.should_save:
            folder = self._get_output_dir(trial=trial)
            checkpoints.seal(Path(folder) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
            rotate_checkpoints(folder, limit, self.state.best_model_checkpoint, use_mtime=True)
        self.accelerator.wait_for_everyone()  # a process that went on and ended would have the launcher end this one

    def _finalize_training(self, *args: Any, **kwargs: Any) -> Any:
        # With a limit of one, Trainer would now delete all but the best checkpoint: also the one to resume from.
        limit = self.args.save_total_limit
        if self.stop.stopped:
            self.args.save_total_limit = None
        try:
            return super()._finalize_training(*args, **kwargs)
        finally:
            self.args.save_total_limit = limit

    def _load_callback_state(self) -> None:
        """Restore what callbacks had counted: the patience of early stopping goes on where it was."""
        super()._load_callback_state()
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, EarlyStoppingCallback):
                states: Any = self.state.stateful_callbacks
                saved = states.get(type(callback).__name__, {})
                last = saved[-1] if isinstance(saved, list) else saved
                for name, value in last.get("attributes", {}).items():
                    setattr(callback, name, value)
