"""What must survive a stop: the checkpoint to go on from, and what early stopping had counted."""

import signal

import pytest
from transformers import TrainerCallback

from smoothclap_trainer.checkpoints import all_checkpoints, fault
from tests.trainer import rows
from tests.trainer.test_trainer import trainer


@pytest.fixture
def data(tmp_path):
    return rows.dataset(tmp_path / "audio")


class StopAt(TrainerCallback):
    def __init__(self, the_trainer, step, number=signal.SIGTERM):
        self.the_trainer, self.step, self.number = the_trainer, step, number

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step - 1:
            self.the_trainer.stop.requested = self.number


def getting_worse(folder, data, **changes):
    """A trainer whose first evaluation is its best."""
    settings = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1, "max_steps": 8}
    settings |= {"load_best_model_at_end": True, "metric_for_best_model": "score", "greater_is_better": True}
    the_trainer = trainer(folder, data, **settings | changes)
    the_trainer.compute_metrics = lambda prediction: {"score": -the_trainer.state.global_step}
    return the_trainer


def test_the_checkpoint_to_go_on_from_stays_although_another_was_better(tmp_path, data):
    the_trainer = getting_worse(tmp_path, data, save_total_limit=1)
    the_trainer.add_callback(StopAt(the_trainer, 3))
    the_trainer.train()
    assert the_trainer.stop.stopped
    assert [path.name for path in all_checkpoints(tmp_path)] == ["checkpoint-3", "checkpoint-1"]
    assert all(fault(path) is None for path in all_checkpoints(tmp_path))
    assert the_trainer.args.save_total_limit == 1


def test_ctrl_c_saves_a_checkpoint_and_is_still_an_interrupt(tmp_path, data):
    the_trainer = getting_worse(tmp_path, data)
    the_trainer.add_callback(StopAt(the_trainer, 2, signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="step 2"):
        the_trainer.train()
    assert signal.getsignal(signal.SIGINT) is before
    assert all_checkpoints(tmp_path)[0].name == "checkpoint-2" and fault(all_checkpoints(tmp_path)[0]) is None
    with pytest.raises(KeyboardInterrupt):  # the second does not wait for the end of the step
        the_trainer.stop._request(signal.SIGINT)


@pytest.mark.parametrize("eval_on_start", [False, True])
def test_patience_goes_on_where_it_was(tmp_path, data, eval_on_start):
    settings = {"early_stopping_patience": 3, "eval_on_start": eval_on_start}
    whole = getting_worse(tmp_path, data, **settings)
    whole.train()
    resumed = getting_worse(tmp_path, data, **settings)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    # Step 1 is the best, and steps 2 to 4 are worse.
    assert whole.state.global_step == resumed.state.global_step == 4
    assert "first_step" not in whole.state.log_history[-1] and resumed.state.log_history[-1]["first_step"] == 2


def test_what_is_not_whole_is_not_resumed_from(tmp_path, data):
    the_trainer = getting_worse(tmp_path, data)
    with pytest.raises(ValueError, match=str(tmp_path)):
        the_trainer.train(resume_from_checkpoint=True)
    with pytest.raises(ValueError, match="checkpoint-9"):
        the_trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-9"))


def test_what_changes_in_resuming_is_reported(tmp_path, data, logs):
    trainer(tmp_path, data, max_steps=1, save_strategy="steps", save_steps=1, save_only_model=True).train()
    trainer(tmp_path, data, max_steps=2, seed=7).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert "save_only_model" in logs.text and "seed 42" in logs.text and "seed 7" in logs.text


def test_an_unchanged_run_resumes_without_a_word(tmp_path, data, logs):
    trainer(tmp_path, data, max_steps=1, save_strategy="steps", save_steps=1).train()
    trainer(tmp_path, data, max_steps=2).train(resume_from_checkpoint=str(tmp_path / "checkpoint-1"))
    assert "seed" not in logs.text and "optimiser" not in logs.text
