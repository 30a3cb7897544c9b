"""Training from Python is training from a YAML file: the same rows and settings give equal weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import LoraConfig
from transformers import AutoModel, pipeline

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments, load_manifest
from tests import tiny
from tests.invariants import command_line


ARGUMENTS = (
    *("freeze_audio_tower", "per_device_train_batch_size", "max_steps", "optim", "beta", "logging_steps"),
    *("learning_rate", "text_learning_rate", "audio_learning_rate", "save_strategy", "report_to", "use_cpu"),
    "disable_tqdm",
)
DATA = ("crop_seconds", "languages", "cache_dir", "preparation_workers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def checkpoint(folder):
    """A whole checkpoint to train further, whose dropout is on."""
    encoders = command_line.encoders(folder / "encoders", noise=True)
    towers = (encoders["audio_encoder"], encoders["text_encoder"])
    torch.manual_seed(0)
    SmoothCLAPModel.from_audio_text_pretrained(*towers, projection_dim=16).save_pretrained(folder / "start")
    SmoothCLAPProcessor.from_audio_text_pretrained(*towers).save_pretrained(folder / "start")
    return str(folder / "start")


@pytest.fixture(scope="module")
def make(folder, checkpoint):
    dataset = command_line.manifest(folder / "data", train=11, validation=4)
    changes = {"optim": "adamw_torch", "learning_rate": 1e-3, "text_learning_rate": 1e-3, "audio_learning_rate": 1e-3}
    return lambda name, **more: command_line.settings(folder / name, dataset, {"model": checkpoint}, **changes | more)


def in_python(config, output, model=None, data=None, **more) -> SmoothCLAPTrainer:
    """What a user writes, with the settings of a run from YAML."""
    clips = load_manifest(config["dataset"])
    arguments = {name: config[name] for name in ARGUMENTS if name in config}
    trainer = SmoothCLAPTrainer(
        model=model or config["model"],
        args=SmoothCLAPTrainingArguments(output_dir=str(output), **arguments),
        train_dataset=clips["train"],
        eval_dataset=clips.get("validation"),
        data={name: config[name] for name in DATA} | (data or {}),
        **more,
    )
    trainer.train()
    trainer.save_model()
    return trainer


def assert_same(config, output):
    assert command_line.differences(config, {"output_dir": str(output)}) == 0


def test_eight_lines_are_a_run_from_yaml(make, folder):
    config = make("yaml")
    expected = command_line.train(config)
    trainer = in_python(config, folder / "python")
    assert_same(config, folder / "python")
    metrics = {name: value for name, value in trainer.evaluate().items() if "_per_second" not in name}
    others = expected.evaluate()
    assert "eval_uar" in metrics and "eval_audio_to_text_r@1" in metrics
    assert {name: others[name] for name in metrics if "runtime" not in name} == {
        name: value for name, value in metrics.items() if "runtime" not in name
    }
    out = folder / "python"
    for name in ("thresholds.json", "objective.json", "data.json", "origin.json", "config.json"):
        assert (out / name).read_text() == (Path(config["output_dir"]) / name).read_text(), name
    assert "## Objective" in (out / "README.md").read_text()


def test_the_small_checkpoint_trains_by_its_name(make, folder):
    config = make("tiny-yaml", model="smoothclap-tiny", freeze_audio_tower=None, audio_learning_rate=None, max_steps=1)
    command_line.train(config)
    in_python(config, folder / "tiny-python")
    assert_same(config, folder / "tiny-python")


def test_captions_of_rows_and_a_cached_tower(make, folder):
    settings = {"captions": "given", "cache_audio_tower": True, "crops_per_clip": 2}
    plain = {"beta": 0.0, "freeze_audio_tower": True, "audio_learning_rate": None}
    config = make("given-yaml", kl_reading="forward", languages=None, **settings, **plain)
    command_line.train(config)
    clips = load_manifest(config["dataset"])
    arguments = {name: config[name] for name in (*ARGUMENTS, "kl_reading") if name in config}
    trainer = SmoothCLAPTrainer(
        model=AutoModel.from_pretrained(config["model"]),  # or a model of one's own with its processor
        processing_class=SmoothCLAPProcessor.from_pretrained(config["model"]),
        args=SmoothCLAPTrainingArguments(output_dir=str(folder / "given-python"), **arguments),
        train_dataset=clips["train"],
        eval_dataset=clips["validation"],
        data={name: config[name] for name in (*DATA, *settings) if name != "languages"},
    )
    trainer.train()
    trainer.save_model()
    assert_same(config, folder / "given-python")


def test_adapters_of_peft(make, folder):
    """Saved with the adapters in the weights, so that every loader takes the folder, an earlier run's adapters gone."""
    config = make("lora-yaml", lora_towers=["audio", "text"], lora_rank=4, freeze_audio_tower=None)
    command_line.train(config)
    out = folder / "lora-python"
    out.mkdir()
    (out / "adapter_config.json").write_text("of another run")
    in_python(config, out, peft_config=LoraConfig(r=4, lora_alpha=16))
    assert_same(config, out)
    assert not list(out.glob("adapter*"))
    classifier = pipeline("zero-shot-audio-classification", model=str(out))
    answers = classifier(tiny.clips(0.2)[0], candidate_labels=["sad", "happy"], hypothesis_template="{}")
    assert np.isclose(sum(answer["score"] for answer in answers), 1, atol=1e-5)
