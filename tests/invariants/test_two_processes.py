"""Two processes train as one: the whole run, by the command, and the gradients of one joint batch."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import TrainerCallback

from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from tests import processes, tiny
from tests.invariants import command_line
from tests.trainer import rows
from tests.trainer.test_trainer import clap_model


CLIPS = 5
DETACHED, LEARNED = {"detach_targets": True}, {"detach_targets": False}
CACHED = {"gradient_cache": True, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 3}
VARIANTS = [
    sizes | targets for sizes in ({"per_device_train_batch_size": 3}, CACHED) for targets in (DETACHED, LEARNED)
]
"""Two processes have 3 and 2 of the clips, in one chunk each or, the last of uneven size, in two."""


def test_two_processes_train_the_model_of_one(tmp_path):
    """
    Over two epochs with uneven ends, with validation, under acoustic conditions that each process draws and names.

    The two processes take chunks whose gradients are cached, and a loss in tiles.
    """
    encoders = command_line.encoders(tmp_path / "encoders")
    dataset = command_line.manifest(tmp_path / "data", train=11, validation=3)
    sizes = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "gradient_cache": True, "loss_tile": 1}
    # At .03 the steps amplify the last digit of float32 to 2e-6; at .003 it stays below 5e-7.
    always = dict.fromkeys(("learning_rate", "text_learning_rate", "audio_learning_rate"), 0.003)
    always |= {"max_steps": 6, "acoustic_conditions": ["clean", "noise-10db", "telephone"], "name_conditions": True}

    def settings(name: str, **changes: Any) -> dict[str, Any]:
        return command_line.settings(tmp_path / name, dataset, encoders, **always | changes)

    one, two = settings("one"), settings("two", **sizes)
    command_line.train(one)
    with command_line.start(two, world_size=2) as script:
        assert script.end() == [0, 0], script.printed()
    assert command_line.losses(two) == pytest.approx(command_line.losses(one), abs=1e-6)
    assert command_line.differences(two, one) < 1e-6
    assert recalls(two) == recalls(one)  # of 3 clips, which two processes cannot share evenly
    assert (Path(two["output_dir"]) / "thresholds.json").is_file()


def recalls(settings: dict[str, Any]) -> dict[str, float]:
    """Retrieval over the whole validation set."""
    metrics = json.loads((Path(settings["output_dir"]) / "metrics.json").read_text())
    found = {name: value for name, value in metrics.items() if "_r@" in name}
    assert found
    return found


class Gradients(TrainerCallback):
    """Takes the gradients down before they are used."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        parameters = kwargs["model"].named_parameters()
        self.found = {
            name.removeprefix("module."): value.grad.clone() for name, value in parameters if value.grad is not None
        }


def trainer(folder: Path, **changes: Any) -> SmoothCLAPTrainer:
    data = rows.dataset(folder / "audio", CLIPS)
    text = tiny.text_config(max_position_embeddings=256, initializer_range=0.3, **command_line.NO_TEXT_DROPOUT)
    audio = tiny.audio_config(initializer_range=0.3, **command_line.NO_DROPOUT)
    # In double precision, so that how far a batch is padded does not show in the sixth digit; the loss is in single.
    model = tiny.model(audio_config=audio, text_config=text, projection_dropout=0.0).double()
    model.register_forward_pre_hook(_doubled, with_kwargs=True)
    fields = {"output_dir": str(folder), "use_cpu": True, "report_to": "none", "save_strategy": "no"}
    fields |= {
        "max_steps": 1,
        "max_grad_norm": 0.0,
        "disable_tqdm": True,
        "freeze_audio_tower": False,
        "beta": 0.5,
        "gamma": 0.8,
    }
    return SmoothCLAPTrainer(
        model=model,
        args=SmoothCLAPTrainingArguments(**fields | changes),
        data_collator=rows.collator(data),
        train_dataset=data,
    )


def _doubled(model: Any, args: tuple, kwargs: dict[str, torch.Tensor]) -> tuple[tuple, dict[str, torch.Tensor]]:
    return args, {name: value.double() if value.is_floating_point() else value for name, value in kwargs.items()}


def gradients(folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """Of one step, as the optimiser sees them."""
    the_trainer, callback = trainer(folder, **changes), Gradients()
    the_trainer.add_callback(callback)
    the_trainer.train()
    return callback.found


def joint_gradients(folder: Path) -> dict[bool, dict[str, torch.Tensor]]:
    """What one process finds for all clips in one batch, with the targets detached and not."""
    whole = {"per_device_train_batch_size": CLIPS}
    return {each["detach_targets"]: gradients(folder / "one", **whole, **each) for each in (DETACHED, LEARNED)}


def assert_equal(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], what: Any) -> None:
    assert found.keys() == expected.keys(), what
    assert {name.split(".")[0] for name in found} >= {"audio_model", "text_model", "text_projection", "logit_scale"}
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-6, rtol=0, msg=f"{name} with {what}")


def _compare(rank: int, folder: Path) -> None:
    expected = torch.load(folder / "expected.pt")
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    folder = folder / f"rank-{rank}"
    for variant in VARIANTS:
        assert_equal(gradients(folder, **variant), expected[variant["detach_targets"]], variant)
    for targets in (DETACHED, LEARNED):
        assert_equal(
            _sharded_gradients(rank, folder, targets), expected[targets["detach_targets"]], f"FSDP2, {targets}"
        )


def _sharded_gradients(rank: int, folder: Path, targets: dict[str, bool]) -> dict[str, torch.Tensor]:
    the_trainer = trainer(folder, per_device_train_batch_size=3, **targets)
    model, mesh = the_trainer.model.train(), init_device_mesh("cpu", (2,))
    for tower in (model.audio_model, model.text_model):
        fully_shard(tower, mesh=mesh)
    sharded = fully_shard(model, mesh=mesh)
    the_trainer.compute_loss(sharded, next(iter(the_trainer.get_train_dataloader()))).backward()
    return {name: each.grad.full_tensor() for name, each in sharded.named_parameters() if each.grad is not None}


def test_two_processes_find_the_gradients_of_one(tmp_path):
    """Under DDP, in whole shares and in chunks, and under FSDP2; with tag texts that teach the text tower, and not."""
    expected = joint_gradients(tmp_path)
    distances = {name: (value - expected[False][name]).abs().max() for name, value in expected[True].items()}
    assert distances["text_model.encoder.layer.0.output.dense.weight"] > 1e-2
    assert all(distance == 0 for name, distance in distances.items() if not name.startswith("text_model"))
    torch.save(expected, tmp_path / "expected.pt")
    processes.run(_compare, tmp_path, tmp_path)


def clap_gradients(folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    """Of one step of a ClapModel, whose audio tower, which has batch normalisation, trains; its statistics rest."""
    clap = clap_model().double()
    for module in clap.modules():
        for dropout in {"p", "drop_prob", "attention_dropout"} & vars(module).keys():
            setattr(module, dropout, 0.0)
        if isinstance(module, torch.nn.BatchNorm2d):  # as after pretraining, unlike those of any batch
            module.running_mean += 0.5
    clap.register_forward_pre_hook(_doubled, with_kwargs=True)
    statistics = {name: value.clone() for name, value in clap.named_buffers() if "running" in name}
    assert statistics
    generator = torch.Generator().manual_seed(0)
    clips = {"input_ids": torch.randint(5, 400, (CLIPS, 6), generator=generator)}
    clips["input_features"] = torch.randn(CLIPS, 1, 16, 16, generator=generator)
    arguments = {"output_dir": str(folder), "use_cpu": True, "report_to": "none", "save_strategy": "no"}
    arguments |= {
        "max_steps": 1,
        "max_grad_norm": 0.0,
        "beta": 0.0,
        "kl_reading": "forward",
        "freeze_audio_tower": False,
    }
    the_trainer, callback = (
        SmoothCLAPTrainer(
            model=clap,
            args=SmoothCLAPTrainingArguments(**arguments | changes, disable_tqdm=True),
            data_collator=lambda rows: {name: values[[row["index"] for row in rows]] for name, values in clips.items()},
            train_dataset=Dataset.from_dict({"index": range(CLIPS)}),
        ),
        Gradients(),
    )
    the_trainer.add_callback(callback)
    the_trainer.train()
    assert all(torch.equal(value, clap.get_buffer(name)) for name, value in statistics.items())
    return callback.found


def _compare_clap(rank: int, folder: Path) -> None:
    expected = torch.load(folder / "clap.pt")
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    for changes in ({"per_device_train_batch_size": 3}, CACHED):
        found = clap_gradients(folder / f"rank-{rank}", **changes)
        assert found.keys() == expected.keys()
        for name, gradient in found.items():
            distance = (gradient - expected[name]).abs().max()
            assert distance < 1e-4 * expected[name].abs().max() + 1e-6, (
                f"{name} with {changes}: {distance}, {expected[name].abs().max()}"
            )


def test_batch_normalisation_sees_no_difference_between_one_process_two_and_cached_gradients(tmp_path):
    """Its statistics rest, see [`~trainer.towers.rest_frozen_towers`]; its weights train."""
    expected = clap_gradients(tmp_path / "one", per_device_train_batch_size=CLIPS)
    assert any("batch_norm" in name and gradient.abs().max() > 1e-4 for name, gradient in expected.items())
    torch.save(expected, tmp_path / "clap.pt")
    processes.run(_compare_clap, tmp_path, tmp_path)
