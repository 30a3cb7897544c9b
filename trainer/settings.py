"""What a training run is made of, as a YAML file says it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml
from transformers import HfArgumentParser

from .arguments import SmoothCLAPTrainingArguments
from .data.collator import CAPTION_KINDS
from .data.corpora import CORPORA
from .lora import LoraSettings


@dataclass
class ModelSettings:
    """What is trained: two encoders joined by new heads, or a checkpoint that goes on."""

    model: str | None = field(
        default=None,
        metadata={"help": "Hub id or directory of a SmoothCLAP or transformers CLAP checkpoint to go on from."},
    )
    audio_encoder: str | None = field(
        default=None, metadata={"help": "Hub id or directory of the audio tower's start, for a new model."}
    )
    text_encoder: str | None = field(
        default=None, metadata={"help": "Hub id or directory of the text tower's start, for a new model."}
    )
    projection_dim: int = field(default=768, metadata={"help": "Width of the shared space, for a new model."})
    projection_dropout: float = field(
        default=0.5, metadata={"help": "Dropout in the projection heads, for a new model (0.5 in ParaCLAP)."}
    )
    max_frequency: int | None = field(
        default=None,
        metadata={"help": "For log-mel towers of a new model: silence mel bands above this frequency, in Hz."},
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
        encoders = {"audio_encoder": self.audio_encoder, "text_encoder": self.text_encoder}
        given = any(encoders.values())
        if given if self.model is not None else not all(encoders.values()):
            raise ValueError(
                "Name either `model`, a checkpoint to go on from, or both `audio_encoder` and `text_encoder`, the "
                f"start of a new one; got model={self.model!r} and {encoders}."
            )


@dataclass
class DataSettings:
    """What it is trained on."""

    dataset: list[str] = field(
        metadata={
            "help": "Manifests: .csv, .tsv, .jsonl or .parquet files, folders that `datasets` or the builders in "
            "examples/ wrote, or Hub data sets. Several are joined; one may be given as plain text."
        }
    )
    columns: dict[str, str] = field(
        default_factory=dict, metadata={"help": "Our column names to the manifests', where they differ."}
    )
    audio_root: str | None = field(
        default=None, metadata={"help": "Folder that relative audio paths start at; default: the manifest's."}
    )
    corpora: list[str] = field(
        default_factory=list,
        metadata={"help": f"Open corpora to build into `dataset` if it is not there yet, of: {', '.join(CORPORA)}."},
    )
    corpora_limit: int | None = field(default=None, metadata={"help": "Take only this many clips of each of them."})
    bad_clips: str = field(
        default="raise",
        metadata={
            "help": "What to do about clips that cannot be used: 'raise' lists them and stops, 'skip' leaves them out "
            "and reports them, 'trust' does not look, for data that were checked when they were built.",
            "choices": ["raise", "skip", "trust"],
        },
    )
    captions: str = field(
        default="sampled",
        metadata={
            "help": "'sampled': some of a clip's phrases, anew in every epoch; 'full': all of them; 'given': the rows' "
            "own.",
            "choices": list(CAPTION_KINDS),
        },
    )
    caption_groups: list[str] = field(
        default_factory=list, metadata={"help": "What captions may speak of; default: everything that is known."}
    )
    languages: list[str] = field(default_factory=lambda: ["en"], metadata={"help": "Languages of the captions."})
    label_wordings: dict[str, str] = field(
        default_factory=dict,
        metadata={"help": "Text of each label in zero-shot evaluation; default: 'a happy voice' for happy, and so on."},
    )
    crop_seconds: float | None = field(
        default=5.0, metadata={"help": "Length of training crops in seconds (5 in ParaCLAP); null takes clips whole."}
    )
    crops_per_clip: int | None = field(
        default=None,
        metadata={"help": "Different crops per clip; default: a new one every epoch, which cannot be cached."},
    )
    local_feature_encoder: str | None = field(
        default=None,
        metadata={"help": "Frozen encoder of the audio half of soft targets; default: the audio tower as it starts."},
    )
    cache_audio_tower: bool = field(
        default=False, metadata={"help": "Run the frozen audio tower once per crop or whole clip, not in every epoch."}
    )
    cache_dir: str = field(
        default="~/.cache/smoothclap", metadata={"help": "Folder for computed features, shared by all runs."}
    )
    max_train_clips: int | None = field(default=None, metadata={"help": "Take only this many clips, for trials."})
    preparation_workers: int = field(
        default=os.cpu_count() or 1, metadata={"help": "Processes that check clips and compute functionals."}
    )
    report_attributes: bool = field(
        default=True,
        metadata={"help": "Measure zero-shot attributes on the validation and test clips when training is done."},
    )

    def __post_init__(self) -> None:
        if isinstance(self.dataset, str):
            self.dataset = [self.dataset]
        if self.bad_clips not in ("raise", "skip", "trust"):
            raise ValueError(f"`bad_clips` is raise, skip or trust, not {self.bad_clips!r}.")
        if self.captions not in CAPTION_KINDS:
            raise ValueError(f"`captions` is one of {CAPTION_KINDS}, not {self.captions!r}.")
        if self.corpora and len(self.dataset) != 1:
            raise ValueError(f"`corpora` are built into one folder, but `dataset` names {len(self.dataset)}.")
        if unknown := [name for name in self.corpora if name not in CORPORA]:
            raise ValueError(f"Unknown `corpora` {unknown}; there are {list(CORPORA)}.")
        if self.cache_audio_tower and self.crop_seconds is not None and self.crops_per_clip is None:
            raise ValueError(
                "`cache_audio_tower` needs to know the crops beforehand: set `crops_per_clip`, for instance to 4, or "
                "crop_seconds: null to take clips whole."
            )


Settings = tuple[ModelSettings, DataSettings, LoraSettings, SmoothCLAPTrainingArguments]


def read_settings(config: str | Path, overrides: Sequence[str] = ()) -> tuple[Settings, dict[str, Any]]:
    """
    Read a YAML file and what a command line changes of it.

    Args:
        config (`str` or `Path`): The file.
        overrides (`Sequence[str]`): For instance `["--seed", "3", "--targets", "[labels]"]`; values are YAML.

    Returns:
        `tuple`: the settings, and all that was said, as one dictionary.

    Raises:
        ValueError: The file is missing or no YAML mapping, an override is malformed, or a setting is unknown or wrong.
    """
    if not Path(config).is_file():
        raise ValueError(f"There is no file {str(config)!r}; examples/configs/ holds some.")
    try:
        said = yaml.safe_load(Path(config).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{str(config)!r} is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{str(config)!r} holds no settings of the form `name: value`.")
    names, values = list(overrides[::2]), list(overrides[1::2])
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise ValueError(f"Settings on the command line come in pairs, `--seed 3`; got {' '.join(overrides)!r}.")
    said |= {name.removeprefix("--"): yaml.safe_load(value) for name, value in zip(names, values, strict=True)}
    parser = HfArgumentParser((ModelSettings, DataSettings, LoraSettings, SmoothCLAPTrainingArguments))  # type: ignore[arg-type]
    known = {action.dest for action in parser._actions}
    if unknown := sorted(set(said) - known):
        raise ValueError(f"Unknown settings {unknown} in {str(config)!r} or on the command line.")
    if "dataset" not in said:
        raise ValueError(f"{str(config)!r} does not say what to train on: set `dataset`.")
    return cast(Settings, parser.parse_dict(said)), said
