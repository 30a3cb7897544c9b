"""A run that was interrupted ends with the weights of one that was not, to the last bit.

Everything that draws numbers is on: dropout, SpecAugment, sampled captions, new crops in every epoch.
"""

import signal
from pathlib import Path

import pytest

from smoothclap_trainer import checkpoints
from tests.invariants import command_line


STEPS = 14
RESUME = ("--resume_from_checkpoint", "true")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Settings of a run of almost five epochs of three steps, with a checkpoint after every step."""
    folder = tmp_path_factory.mktemp("runs")
    encoders = command_line.encoders(folder / "encoders", noise=True)
    dataset = command_line.manifest(folder / "data", 11)
    always = {"max_steps": STEPS, "optim": "adamw_torch", "lr_scheduler_type": "cosine", "crop_seconds": 0.05}
    saving = {"save_strategy": "steps", "save_steps": 1, "save_total_limit": 3}
    rates = {"learning_rate": 1e-3, "text_learning_rate": 1e-3, "audio_learning_rate": 1e-3}

    def settings(name, **changes):
        return command_line.settings(folder / name, dataset, encoders, **always | saving | rates | changes)

    return settings


@pytest.fixture(scope="module")
def uninterrupted(make):
    config = make("uninterrupted", save_strategy="no", save_steps=None, save_total_limit=None)
    command_line.train(config)
    return config


def sealed(config, step):
    """Whether there is a whole checkpoint of this step or a later one."""

    def look():
        seals = Path(config["output_dir"]).glob(f"checkpoint-*/{checkpoints.SEAL}")
        return any(int(seal.parent.name.split("-")[1]) >= step for seal in seals)

    return look


def test_training_on_from_any_checkpoint(make, uninterrupted):
    """Within the first epoch, at its end, and later; also from a checkpoint that is not the last."""
    whole = make("whole", save_total_limit=None)
    command_line.train(whole)
    assert command_line.differences(whole, uninterrupted) == 0  # saving changes nothing
    for step in (2, 3, 11):
        parts = make(f"from-{step}", save_strategy="no", save_steps=None, save_total_limit=None)
        command_line.train(parts, "--resume_from_checkpoint", f"{whole['output_dir']}/checkpoint-{step}")
        assert command_line.differences(parts, uninterrupted) == 0


def test_killed_at_any_moment(make, uninterrupted, logs):
    """So that the newest checkpoint stayed unfinished, too: it is reported and skipped."""
    config = make("killed")
    with command_line.start(config) as script:
        script.wait_for(sealed(config, 3))
        script.kill(signal.SIGKILL)
        assert script.end() == [-signal.SIGKILL]
    assert not (Path(config["output_dir"]) / "model.safetensors").exists()
    newest = Path(checkpoints.last_whole_checkpoint(config["output_dir"]))
    weights = newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    trainer = command_line.train(config, *RESUME)
    assert f"{newest}: model.safetensors" in logs.text
    assert trainer.state.global_step == STEPS
    assert command_line.differences(config, uninterrupted) == 0


def test_killed_before_the_first_checkpoint_was_whole(make, uninterrupted, logs):
    """There is nothing to lose yet: the same command starts anew."""
    config = make("early")
    unfinished = Path(config["output_dir"]) / "checkpoint-1"
    unfinished.mkdir(parents=True)
    (unfinished / "model.safetensors").write_bytes(b"")
    command_line.train(config, *RESUME)
    assert f"{unfinished}: it has no {checkpoints.SEAL}" in logs.text
    assert command_line.differences(config, uninterrupted) == 0


def test_sigterm_to_one_of_two_processes_stops_both(make):
    """As a scheduler sends it, which kills a while later. Both agree on a step, and both go on from there."""
    sizes = {"per_device_train_batch_size": 1, "gradient_cache": True, "gradient_accumulation_steps": 2}
    whole, config = (
        make("whole-of-two", save_strategy="no", save_steps=None, save_total_limit=None, **sizes),
        make("one-of-two", save_steps=1000, **sizes),
    )
    with command_line.start(whole, world_size=2) as script:
        assert script.end() == [0, 0], script.printed()
    with command_line.start(config, world_size=2) as script:
        script.wait_for(lambda: "'loss'" in script.printed())
        script.kill(signal.SIGTERM, rank=1)
        assert script.end() == [128 + signal.SIGTERM] * 2, script.printed()
        assert "Stopped by SIGTERM at step" in script.printed()
    assert not (Path(config["output_dir"]) / "model.safetensors").exists()
    (only,) = Path(config["output_dir"]).glob("checkpoint-*")
    assert checkpoints.fault(only) is None
    with command_line.start(config, *RESUME, world_size=2) as script:
        assert script.end() == [0, 0], script.printed()
    assert command_line.differences(config, whole) == 0
