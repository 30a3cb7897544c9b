"""Runs that can be ended at any moment: checkpoints known to be whole, stopping at SIGTERM, going on from there."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
import torch.distributed as dist
from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints
from transformers.utils import logging

from .files import write_json
from .losses.joint_loss import process_count


logger = logging.get_logger(__name__)

SEAL = "complete.json"
"""Written last: size and CRC-32 of every file of a checkpoint."""
SEED = "seed.json"


def seal(folder: str | Path) -> None:
    """Record that everything in a checkpoint's folder has been written."""
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL)
    record = {path.relative_to(folder).as_posix(): [path.stat().st_size, _checksum(path)] for path in files}
    write_json(folder / SEAL, record)


def check_finite(model: Any) -> None:
    """Refuse to save weights that are not numbers."""
    if spoilt := [name for name, weight in model.named_parameters() if not weight.isfinite().all()]:
        raise ValueError(
            f"{len(spoilt)} weights are not finite, first {spoilt[0]}, so that the model is not saved: lower the "
            "learning rates."
        )


def seal_newest(output_dir: str, state: Any, seed: int, limit: int | None) -> None:
    """Seal the checkpoint of the current step, with the run's seed, then delete older ones beyond `limit`."""
    newest = Path(output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
    write_json(newest / SEED, {"seed": seed})
    seal(newest)
    rotate_checkpoints(output_dir, limit, state.best_model_checkpoint, use_mtime=True)


@contextmanager
def no_limit(args: Any) -> Iterator[int | None]:
    """Lift `save_total_limit` within the block, so that no checkpoint is deleted there. Give the limit."""
    limit, args.save_total_limit = args.save_total_limit, None
    try:
        yield limit
    finally:
        args.save_total_limit = limit


def fault(folder: str | Path) -> str | None:
    """Return what is wrong with a checkpoint's folder, or `None`."""
    folder = Path(folder)
    if not folder.is_dir():
        return "there is no such folder"
    if not (folder / SEAL).is_file():
        return f"it has no {SEAL}: it was not finished when the run stopped, or was not written by SmoothCLAPTrainer"
    try:
        record = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        files = {name: (int(size), int(checksum)) for name, (size, checksum) in record.items()}
    except (ValueError, TypeError, AttributeError):
        return f"its {SEAL} is damaged"
    if not files:
        return f"its {SEAL} names no files"
    for name, (size, checksum) in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} is truncated or was changed: {path.stat().st_size} bytes instead of {size}"
        if _checksum(path) != checksum:
            return f"{name} is damaged: its checksum is not the one it was written with"
    return None


def all_checkpoints(output_dir: str | Path) -> list[Path]:
    """Return the folders of a run's checkpoints, whole or not, the latest first."""
    found = [path for path in Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.is_dir()]
    steps = {path: path.name.rsplit("-", 1)[1] for path in found}
    return sorted((path for path in found if steps[path].isdigit()), key=lambda path: int(steps[path]), reverse=True)


def last_whole_checkpoint(output_dir: str | Path) -> str | None:
    """Return the folder of a run's latest whole checkpoint, or `None`. Broken ones are skipped with a warning."""
    for path in all_checkpoints(output_dir):
        if (problem := fault(path)) is None:
            return os.fspath(path)
        logger.warning(f"Skipping the checkpoint {path}: {problem}.")
    return None


def checked(asked: str | bool, args: Any) -> str:
    """Return the checkpoint to resume from: the folder that is asked for, or for `True` the last whole one."""
    folder = last_whole_checkpoint(args.output_dir) if asked is True else str(asked)
    if folder is None:
        raise ValueError(f"There is no whole checkpoint in {args.output_dir!r} to resume from: start without resuming.")
    if asked is not True and (problem := fault(folder)):
        raise ValueError(f"Cannot resume from {asked}: {problem}. Name another checkpoint.")
    _warn_of_other_training(Path(folder), args.seed)
    return folder


def _warn_of_other_training(folder: Path, seed: int) -> None:
    if not any(folder.glob("*optim*")) and not any(folder.glob("global_step*")):  # the latter are DeepSpeed's
        logger.warning(f"{folder} was saved without its optimiser (save_only_model): the optimiser starts anew.")
    saved = json.loads((folder / SEED).read_text(encoding="utf-8")) if (folder / SEED).is_file() else {"seed": seed}
    if saved["seed"] != seed:
        logger.warning(
            f"{folder} was trained with seed {saved['seed']}, and training goes on with seed {seed}: crops, captions "
            f"and the order of clips will be others. To go on as before, set seed to {saved['seed']}."
        )


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = crc32(block, value)
    return value


class StopCallback(TrainerCallback):
    """On SIGTERM, which schedulers send before they kill, or Ctrl-C: finish the step, save a checkpoint, end training.

    A second Ctrl-C ends it at once. The signal may reach the processes at different steps, or one process only. They
    agree on the step to stop at, for which one number is exchanged per step. `stopped` tells whether training ended
    that way.
    """

    def __init__(self) -> None:
        self.requested: int = 0
        self.stopped = False
        self._previous: dict[int, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.requested, self.stopped = 0, False
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread listen
            self._previous = {each: signal.signal(each, self._request) for each in (signal.SIGTERM, signal.SIGINT)}

    def _request(self, number: int, *_: Any) -> None:
        if number == self.requested == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = number

    def on_step_end(self, args: Any, state: TrainerState, control: Any, **kwargs: Any) -> None:
        requested = torch.tensor(int(self.requested), device=args.device)
        if process_count() > 1:
            dist.all_reduce(requested, op=dist.ReduceOp.MAX)
        if requested:
            self.requested = int(requested)
            name = signal.Signals(self.requested).name
            logger.warning(f"{name}: saving a checkpoint at step {state.global_step} and stopping.")
            control.should_save = control.should_training_stop = self.stopped = True

    def restore(self) -> None:
        """Give the signals back to their earlier handlers. To be called when training has ended or failed."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def raise_interrupt(self, step: int) -> None:
        """Raise the KeyboardInterrupt that ended training, with the step of the checkpoint that was saved."""
        if self.stopped and self.requested == signal.SIGINT:
            raise KeyboardInterrupt(
                f"Interrupted at step {step}: a checkpoint was saved. Go on from it with resume_from_checkpoint."
            )


def restore_early_stopping(callbacks: list[TrainerCallback], state: TrainerState) -> None:
    """Let early stopping go on counting where the run that is resumed had stopped."""
    for callback in callbacks:
        if isinstance(callback, EarlyStoppingCallback):
            states: Any = state.stateful_callbacks
            saved = states.get(type(callback).__name__, {})
            last = saved[-1] if isinstance(saved, list) else saved
            for name, value in last.get("attributes", {}).items():
                setattr(callback, name, value)
