"""Training under acoustic conditions that captions name: what is drawn depends on seed, clip and epoch alone.

That it does not depend on chunks and processes is tested where two processes train as one.
"""

import pytest

from tests.invariants import command_line


CONDITIONS = ["clean", "noise-10db", "telephone"]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Settings of a run of two epochs of three steps, the last of them short; towers draw nothing."""
    folder = tmp_path_factory.mktemp("runs")
    encoders = command_line.encoders(folder / "encoders")
    dataset = command_line.manifest(folder / "data", train=11, validation=2)
    always = {"max_steps": 6, "acoustic_conditions": CONDITIONS, "name_conditions": True}
    return lambda name, **changes: command_line.settings(folder / name, dataset, encoders, **always | changes)


@pytest.fixture(scope="module")
def plain(make):
    config = make("plain")
    command_line.train(config)
    return config


def test_it_matters(make, plain):
    """Which conditions there are, and that they are named; so the tests below could fail."""
    for name, changes in (("other", {"acoustic_conditions": CONDITIONS[:2]}), ("unnamed", {"name_conditions": None})):
        config = make(name, **changes)
        command_line.train(config)
        assert command_line.differences(config, plain) > 1e-5


def test_the_number_of_workers(make, plain):
    config = make("workers", dataloader_num_workers=2)
    command_line.train(config)
    assert command_line.differences(config, plain) == 0


def test_resuming_within_an_epoch(make, plain):
    config = make("resumed", save_strategy="steps", save_steps=4)
    command_line.train(config | {"output_dir": f"{config['output_dir']}-whole"})
    checkpoint = f"{config['output_dir']}-whole/checkpoint-4"
    command_line.train(config, "--resume_from_checkpoint", checkpoint)
    assert command_line.differences(config, plain) == 0


def test_validation_clips_are_as_recorded(make):
    """An untrained model says the same of them."""
    figures = []
    for name, conditions in (("judged", []), ("judged-augmented", CONDITIONS[1:])):
        rates = dict.fromkeys(("learning_rate", "audio_learning_rate", "text_learning_rate"), 1e-30)
        config = make(name, acoustic_conditions=conditions, name_conditions=bool(conditions), max_steps=1, **rates)
        trainer = command_line.train(config)
        figures.append(trainer.evaluate()["eval_loss"])
    assert figures[0] == figures[1]
