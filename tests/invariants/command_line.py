"""A tiny run of `smoothclap train`: encoders, clips and settings on disk, and ways to start it and read its results.

A process of its own costs seconds, so [`train`] makes the calls of the command in this one. Where the process matters,
because it is killed or there are two, [`start`] runs the command itself.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile as sf
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModel

from smoothclap_trainer import SmoothCLAPTrainer
from smoothclap_trainer.config import read_yaml
from smoothclap_trainer.data.captions.thresholds import ACOUSTIC_GROUPS
from smoothclap_trainer.settings import TrainingRun
from smoothclap_trainer.train import run_training as run
from tests import processes, tiny
from tests.processes import Script


MODULE = "smoothclap_trainer.cli"
NO_DROPOUT = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0, "feat_proj_dropout": 0.0}
NO_TEXT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SPEC_AUGMENT = {
    "apply_spec_augment": True,
    "mask_time_prob": 0.4,
    "mask_time_length": 2,
    "mask_feature_prob": 0.2,
    "mask_feature_length": 2,
}


def encoders(folder: Path, noise: bool = False) -> dict[str, Any]:
    """Saves tiny encoders; with `noise`, dropout everywhere and SpecAugment. Returns the settings that name them."""
    torch.manual_seed(0)
    rate = 0.2 if noise else 0.0
    audio = tiny.audio_config(**dict.fromkeys(NO_DROPOUT, rate), **(SPEC_AUGMENT if noise else {}))
    text = tiny.text_config(max_position_embeddings=256, **dict.fromkeys(NO_TEXT_DROPOUT, rate))
    AutoModel.from_config(audio).save_pretrained(folder / "audio")
    AutoModel.from_config(text).save_pretrained(folder / "text")
    tiny.tokenizer().save_pretrained(folder / "text")
    return {
        "audio_encoder": str(folder / "audio"),
        "text_encoder": str(folder / "text"),
        "projection_dim": 16,
        "projection_dropout": rate,
    }


def manifest(folder: Path, train: int, validation: int = 0, seconds: Sequence[float] = (0.12, 0.2, 0.16)) -> Path:
    """Writes noise clips and a manifest with made-up functionals, captions and labels, so that nothing is extracted."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(train + validation):
        name = f"{index}.wav"
        sf.write(folder / name, tiny.clips(seconds[index % len(seconds)], seed=index)[0], tiny.SAMPLING_RATE)
        row = {"id": f"clip-{index}", "path": name, "split": "train" if index < train else "validation"}
        row |= {"label": ("happy", "sad")[index % 2], "caption": f"voice number {index}"}
        rows.append(row | {name: rng.normal() for columns in ACOUSTIC_GROUPS.values() for name in columns})
        rows[-1]["duration"] = rng.uniform(0.1, 0.3)
    pd.DataFrame(rows).to_csv(folder / "clips.csv", index=False)
    return folder / "clips.csv"


def settings(folder: Path, dataset: Path, encoders: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Settings of three steps over joint batches of 4, without anything that is not asked for, or changed to `None`."""
    made = {
        **encoders,
        "dataset": str(dataset),
        "output_dir": str(folder / "out"),
        "cache_dir": str(folder / "cache"),
        "crop_seconds": 0.1,
        "languages": ["en", "de"],
        "preparation_workers": 1,
        "report_attributes": False,
        "freeze_audio_tower": False,
        "per_device_train_batch_size": 4,
        "max_steps": 3,
        "optim": "sgd",  # Adam divides small gradients by small numbers, and rounding would show
        "learning_rate": 0.1,
        "text_learning_rate": 0.1,
        "audio_learning_rate": 0.1,
        "beta": 0.3,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def train(config: dict[str, Any], *overrides: str) -> SmoothCLAPTrainer:
    """Trains in this process, by the two calls that the script consists of."""
    return run(read_yaml(written(config), TrainingRun, overrides))


def written(config: dict[str, Any]) -> Path:
    """Writes the YAML file of a run."""
    output = Path(config["output_dir"])
    output.parent.mkdir(parents=True, exist_ok=True)
    file = output.parent / f"{output.name}.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def start(
    config: dict[str, Any], *overrides: str, world_size: int = 1, **environment: str
) -> AbstractContextManager[Script]:
    """Starts the command in processes of its own."""
    file = written(config)
    return processes.script(
        MODULE, ["train", str(file), *overrides], file.parent / "printed", world_size, **environment
    )


def weights(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The weights that a run saved."""
    return load_file(Path(config["output_dir"]) / "model.safetensors")


def losses(config: dict[str, Any]) -> list[float]:
    """The loss of each step of a run."""
    log = yaml.safe_load((Path(config["output_dir"]) / "training_log.yaml").read_text())
    return [entry["loss"] for entry in log if "loss" in entry]


def differences(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference between the weights that two runs saved."""
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    return max((first[name] - second[name]).abs().max().item() for name in first)
