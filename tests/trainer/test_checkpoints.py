import json
import os
import signal
import threading
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerControl, TrainerState

from smoothclap_trainer.checkpoints import SEAL, StopCallback, all_checkpoints, fault, last_whole_checkpoint, seal


def checkpoint(folder, step):
    made = folder / f"checkpoint-{step}"
    (made / "part").mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"weights" * step)
    (made / "part" / "state.json").write_text("{}")
    seal(made)
    return made


def test_what_was_sealed_is_whole(tmp_path):
    made = checkpoint(tmp_path, 3)
    assert fault(made) is None
    assert set(json.loads((made / SEAL).read_text())) == {"model.safetensors", "part/state.json"}
    seal(made)  # once more, over itself
    assert fault(made) is None


def test_every_damage_is_named(tmp_path):
    assert "no such folder" in fault(tmp_path / "none")
    unsealed = checkpoint(tmp_path, 1)
    (unsealed / SEAL).unlink()
    assert "not finished" in fault(unsealed)
    for step, damage, message in (
        (2, lambda made: (made / "model.safetensors").write_bytes(b"weig"), "truncated.*4 bytes instead of 14"),
        (3, lambda made: (made / "model.safetensors").write_bytes(b"WEIGHTS" * 3), "model.safetensors is damaged"),
        (4, lambda made: (made / "part" / "state.json").unlink(), "part/state.json is missing"),
        (5, lambda made: (made / SEAL).write_text("{"), "complete.json is damaged"),
        (6, lambda made: (made / SEAL).write_text("[]"), "complete.json is damaged"),
        (7, lambda made: (made / SEAL).write_text("{}"), "complete.json names no files"),
        (8, lambda made: (made / SEAL).write_text('{"model.safetensors": 3}'), "complete.json is damaged"),
    ):
        made = checkpoint(tmp_path, step)
        damage(made)
        with pytest.raises(AssertionError, match=message):
            raise AssertionError(fault(made))


def test_the_last_whole_one_is_found_and_the_broken_reported(tmp_path, logs):
    for step in (2, 10, 9):
        checkpoint(tmp_path, step)
    (tmp_path / "checkpoint-final").mkdir()
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    (tmp_path / "checkpoint-10" / "model.safetensors").write_bytes(b"")
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-9")
    assert "checkpoint-10: model.safetensors is truncated" in logs.text
    assert [path.name for path in all_checkpoints(tmp_path)] == ["checkpoint-10", "checkpoint-9", "checkpoint-2"]


def test_no_checkpoint_and_none_whole(tmp_path, logs):
    assert last_whole_checkpoint(tmp_path / "none") is None
    (checkpoint(tmp_path, 1) / SEAL).unlink()  # a run that was killed while it wrote its first
    assert last_whole_checkpoint(tmp_path) is None
    assert "checkpoint-1: it has no complete.json" in logs.text


ARGS = SimpleNamespace(device=torch.device("cpu"))


def step(callback):
    control = TrainerControl()
    callback.on_step_end(ARGS, TrainerState(global_step=7), control)
    return control


def test_a_signal_saves_and_stops_at_the_end_of_the_step(logs):
    before = signal.getsignal(signal.SIGTERM)
    callback = StopCallback()
    callback.on_train_begin(ARGS, TrainerState(), TrainerControl())
    assert not step(callback).should_training_stop
    os.kill(os.getpid(), signal.SIGTERM)
    control = step(callback)
    assert control.should_save and control.should_training_stop and callback.stopped
    assert "saving a checkpoint at step 7" in logs.text
    callback.restore()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_thread_cannot_listen_and_trains_all_the_same():
    callback = StopCallback()
    thread = threading.Thread(target=callback.on_train_begin, args=(ARGS, TrainerState(), TrainerControl()))
    thread.start()
    thread.join()
    assert not step(callback).should_training_stop
    callback.restore()
