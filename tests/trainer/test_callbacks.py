import os
import signal
import threading
from types import SimpleNamespace

import torch
from transformers import TrainerControl, TrainerState

from smoothclap_trainer.checkpoints import StopCallback
from tests import processes


ARGS = SimpleNamespace(device=torch.device("cpu"))


def step(callback):
    control = TrainerControl()
    callback.on_step_end(ARGS, TrainerState(global_step=7), control)
    return control


def test_epochs_are_told():
    listeners = [SimpleNamespace(epoch=0), SimpleNamespace(epoch=0)]
    callback = EpochCallback(listeners)
    for epoch, expected in ((None, 0), (1.5, 1), (2 - 1e-9, 2)):
        callback.on_epoch_begin(ARGS, TrainerState(epoch=epoch), TrainerControl())
        assert [listener.epoch for listener in listeners] == [expected] * 2


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


def _stop_together(rank: int) -> None:
    callback = StopCallback()
    assert not step(callback).should_training_stop
    callback.requested = rank == 1  # the signal reached one process only
    assert step(callback).should_training_stop and callback.stopped


def test_processes_agree_when_to_stop(tmp_path):
    processes.run(_stop_together, tmp_path)
