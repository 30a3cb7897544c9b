"""Train a SmoothCLAP model from two encoders and a data set, as a YAML file says.

Usage: python examples/run_training.py examples/configs/smoothclap-tiny.yaml

Writes to `output_dir`: the model and its processor, the caption thresholds, the settings, where the data came from, and
`attributes.csv`, the zero-shot attribute figures on the validation and test splits. The test split selects nothing: the
model of the last step is the model.
"""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch
import yaml
from datasets import DatasetDict
from transformers import HfArgumentParser, set_seed

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer import SmoothCLAPTrainer, SmoothCLAPTrainingArguments
from smoothclap_trainer.data.collator import SmoothCLAPCollator
from smoothclap_trainer.data.frozen_encoder import FrozenSpeechEncoder
from smoothclap_trainer.data.manifest import load_splits
from smoothclap_trainer.data.thresholds import Thresholds
from smoothclap_trainer.evaluation.attributes import attribute_table
from smoothclap_trainer.evaluation.embed import embed_files


@dataclass
class ModelSettings:
    """What is trained."""

    audio_encoder: str = field(metadata={"help": "Hub id or directory of the audio tower's start."})
    text_encoder: str = field(metadata={"help": "Hub id or directory of the text tower's start."})
    projection_dim: int = field(default=768, metadata={"help": "Width of the shared space."})
    projection_dropout: float = field(default=0.5, metadata={"help": "Dropout in the projection heads."})
    max_frequency: int | None = field(
        default=None, metadata={"help": "For log-mel towers: silence mel bands above this frequency, in Hz."}
    )
    storage_dtype: str = field(
        default="float32",
        metadata={
            "help": "Type of the saved weights; they are loaded as float32 all the same.",
            "choices": ["float32", "float16", "bfloat16"],
        },
    )

    def __post_init__(self) -> None:
        if self.storage_dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"`storage_dtype` is float32, float16 or bfloat16, not {self.storage_dtype!r}.")


@dataclass
class DataSettings:
    """What it is trained on."""

    dataset: str = field(metadata={"help": "Folder written by build_speech_dataset.py."})
    languages: list[str] = field(default_factory=lambda: ["en"], metadata={"help": "Languages of the captions."})
    crop_seconds: float | None = field(default=5.0, metadata={"help": "Longest training clip, in seconds."})
    local_feature_encoder: str | None = field(
        default=None, metadata={"help": "Frozen encoder of the audio half of soft targets; default: audio_encoder."}
    )
    cache_audio_tower: bool = field(
        default=False,
        metadata={"help": "Run the frozen audio tower once per whole clip, not in every epoch on a random crop."},
    )
    max_train_clips: int | None = field(default=None, metadata={"help": "Take only this many clips, for trials."})


def add_features(splits: DatasetDict, encoders: dict[str, str], max_frequency: int | None, device: str) -> DatasetDict:
    """Add to training and validation clips what frozen encoders say of them: `encoders` is column to encoder."""
    made = {name: FrozenSpeechEncoder(name, max_frequency, device) for name in {*encoders.values()}}
    for split in {"train", "validation"} & {*splits}:
        features = {name: encoder.of_files(splits[split]["path"]) for name, encoder in made.items()}
        for column, name in encoders.items():
            splits[split] = splits[split].add_column(column, list(features[name]))
    return splits


def save(model: SmoothCLAPModel, processor: SmoothCLAPProcessor, folder: Path, storage_dtype: str) -> None:
    """Save model and processor; weights in `storage_dtype`, to be loaded as float32."""
    model.to(getattr(torch, storage_dtype)).save_pretrained(folder)
    processor.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["audio_config"], config["text_config"]):
        part["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def report(folder: Path, splits: DatasetDict, device: str) -> None:
    """Measure the saved model, rounded as it was stored, on the splits it did not train on."""
    model = SmoothCLAPModel.from_pretrained(folder).to(device)
    processor = SmoothCLAPProcessor.from_pretrained(folder)
    tables = []
    for name in [name for name in ("validation", "test") if name in splits]:
        rows = splits[name].to_pandas()
        embeds = embed_files(model, processor.feature_extractor, rows["path"])
        tables.append(attribute_table(rows, embeds, model, processor).assign(split=name))
    if tables:
        table = pd.concat(tables)
        table.to_csv(folder / "attributes.csv", index=False, float_format="%.4f")
        print(table.to_string(index=False, float_format="%.3f"))


def main() -> None:
    """Train, save, evaluate."""
    if len(sys.argv) != 2 or not sys.argv[1].endswith((".yaml", ".yml")):
        sys.exit(f"usage: {sys.argv[0]} CONFIG.yaml")
    config_file = Path(sys.argv[1])
    if not config_file.is_file():
        sys.exit(f"There is no file {config_file}; examples/configs/ holds some.")
    parser = HfArgumentParser((ModelSettings, DataSettings, SmoothCLAPTrainingArguments))
    model_settings, data_settings, training_arguments = parser.parse_yaml_file(str(config_file))
    set_seed(training_arguments.seed)
    output = Path(training_arguments.output_dir)

    if data_settings.cache_audio_tower and not training_arguments.freeze_audio_tower:
        sys.exit("cache_audio_tower needs freeze_audio_tower: the output of a tower that trains changes at every step.")

    try:
        splits = load_splits(data_settings.dataset)
    except ValueError as error:
        sys.exit(str(error))
    if data_settings.max_train_clips is not None:
        kept = range(min(data_settings.max_train_clips, len(splits["train"])))
        splits["train"] = splits["train"].shuffle(seed=0).select(kept)
    thresholds = Thresholds.fit(splits["train"].to_pandas())
    encoders = {}
    if training_arguments.beta > 0:
        encoders["local_features"] = data_settings.local_feature_encoder or model_settings.audio_encoder
    if data_settings.cache_audio_tower:
        encoders["pooled_audio"] = model_settings.audio_encoder
    splits = add_features(splits, encoders, model_settings.max_frequency, str(training_arguments.device))

    towers = (model_settings.audio_encoder, model_settings.text_encoder)
    model = SmoothCLAPModel.from_audio_text_pretrained(
        *towers, projection_dim=model_settings.projection_dim, projection_dropout=model_settings.projection_dropout
    )
    processor = SmoothCLAPProcessor.from_audio_text_pretrained(*towers, max_frequency=model_settings.max_frequency)
    collator = SmoothCLAPCollator(
        processor,
        thresholds,
        tuple(data_settings.languages),
        data_settings.crop_seconds,
        seed=training_arguments.seed,
    )
    trainer = SmoothCLAPTrainer(
        model=model,
        args=training_arguments,
        data_collator=collator,
        train_dataset=splits["train"],
        eval_dataset=splits.get("validation"),
        processing_class=processor,
    )
    trainer.train()

    model.eval()
    save(model, processor, output, model_settings.storage_dtype)
    thresholds.save(output / "thresholds.json")
    shutil.copy(config_file, output / "training_config.yaml")
    provenance = Path(data_settings.dataset) / "provenance.json"
    if provenance.is_file():
        shutil.copy(provenance, output)
    (output / "training_log.yaml").write_text(yaml.safe_dump(trainer.state.log_history))

    report(output, splits, str(training_arguments.device))
    print(f"The model, its processor and its figures are in {output}.")


if __name__ == "__main__":
    main()
