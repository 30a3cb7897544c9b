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
from datasets import Dataset
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
        default="float32", metadata={"help": "Type of the saved weights; they are loaded as float32 all the same."}
    )


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


def add_features(train: Dataset, model: ModelSettings, data: DataSettings, soft: bool) -> Dataset:
    """Add what frozen encoders say of each clip: `local_features` for soft targets, `pooled_audio` as a cache."""
    wanted = {}
    if soft:
        wanted["local_features"] = data.local_feature_encoder or model.audio_encoder
    if data.cache_audio_tower:
        wanted["pooled_audio"] = model.audio_encoder
    computed = {
        name: FrozenSpeechEncoder(name, model.max_frequency).of_files(train["path"]) for name in {*wanted.values()}
    }
    for column, encoder in wanted.items():
        train = train.add_column(column, list(computed[encoder]))
    return train


def save(model: SmoothCLAPModel, processor: SmoothCLAPProcessor, folder: Path, storage_dtype: str) -> None:
    """Save model and processor; weights in `storage_dtype`, to be loaded as float32."""
    model.to(getattr(torch, storage_dtype)).save_pretrained(folder)
    processor.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["audio_config"], config["text_config"]):
        part["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def main() -> None:
    """Train, save, evaluate."""
    if len(sys.argv) != 2 or not sys.argv[1].endswith((".yaml", ".yml")):
        sys.exit(f"usage: {sys.argv[0]} CONFIG.yaml")
    config_file = Path(sys.argv[1])
    parser = HfArgumentParser((ModelSettings, DataSettings, SmoothCLAPTrainingArguments))
    model_settings, data_settings, training_arguments = parser.parse_yaml_file(str(config_file))
    set_seed(training_arguments.seed)
    output = Path(training_arguments.output_dir)

    if data_settings.cache_audio_tower and not training_arguments.freeze_audio_tower:
        sys.exit("cache_audio_tower needs freeze_audio_tower: the output of a tower that trains changes at every step.")

    splits = load_splits(data_settings.dataset)
    train = splits["train"]
    if data_settings.max_train_clips is not None:
        train = train.shuffle(seed=0).select(range(data_settings.max_train_clips))
    thresholds = Thresholds.fit(train.to_pandas())
    train = add_features(train, model_settings, data_settings, soft=training_arguments.beta > 0)

    towers = (model_settings.audio_encoder, model_settings.text_encoder)
    model = SmoothCLAPModel.from_audio_text_pretrained(
        *towers, projection_dim=model_settings.projection_dim, projection_dropout=model_settings.projection_dropout
    )
    processor = SmoothCLAPProcessor.from_audio_text_pretrained(*towers, max_frequency=model_settings.max_frequency)
    collator = SmoothCLAPCollator(
        processor, thresholds, tuple(data_settings.languages), data_settings.crop_seconds, training=True
    )
    trainer = SmoothCLAPTrainer(model=model, args=training_arguments, data_collator=collator, train_dataset=train)
    trainer.train()

    model.eval()
    save(model, processor, output, model_settings.storage_dtype)
    thresholds.save(output / "thresholds.json")
    shutil.copy(config_file, output / "training_config.yaml")
    shutil.copy(Path(data_settings.dataset) / "provenance.json", output / "provenance.json")
    (output / "training_log.yaml").write_text(yaml.safe_dump(trainer.state.log_history))

    model = SmoothCLAPModel.from_pretrained(output)  # what users will load, rounded as it was stored
    tables = []
    for name in ("validation", "test"):
        rows = splits[name].to_pandas()
        embeds = embed_files(model, processor.feature_extractor, rows["path"])
        tables.append(attribute_table(rows, embeds, model, processor).assign(split=name))
    table = pd.concat(tables)
    table.to_csv(output / "attributes.csv", index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format="%.3f"))
    print(f"The model, its processor and its figures are in {output}.")


if __name__ == "__main__":
    main()
