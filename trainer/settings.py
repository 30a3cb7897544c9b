"""What a training run is made of, as a YAML file says it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_type_hints

import yaml
from transformers import HfArgumentParser

from .arguments import SmoothCLAPTrainingArguments
from .data.captions import language_data, select_levels
from .data.collator import CAPTION_KINDS
from .data.corpora import CORPORA
from .data.crops import Crops
from .lora import LoraSettings
from .typed_yaml import fitted, read_mapping, read_value


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


ColumnNames = dict[str, str] | list[dict[str, str]]


@dataclass
class DataSettings:
    """What it is trained on."""

    dataset: list[str] = field(
        metadata={
            "help": "Manifests: .csv, .tsv, .jsonl or .parquet files, folders that `datasets` or the builders in "
            "examples/ wrote, or Hub data sets. Several are joined; one may be given as plain text."
        }
    )
    columns: Any = field(  # of the type `ColumnNames`, a union that HfArgumentParser does not take
        default_factory=dict,
        metadata={
            "help": "Our column names to the manifests', where they differ: one mapping for all, or a list of one for "
            "each of `dataset`."
        },
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
        for name in ("dataset", "corpora", "caption_groups", "languages"):
            if isinstance(getattr(self, name), str):
                setattr(self, name, [getattr(self, name)])
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
        try:
            Crops(self.crop_seconds, self.crops_per_clip)
        except ValueError as error:
            raise ValueError(f"`crop_seconds` or `crops_per_clip` is wrong: {error}") from error
        self._check_captions()
        self._check_columns()

    def _check_captions(self) -> None:
        if not self.languages and self.captions != "given":
            raise ValueError("`languages` is empty, but captions are in some language: name one, such as en.")
        for language in self.languages:
            language_data(language)  # raises where there are no captions in it
        select_levels({}, self.caption_groups)  # raises for a group that there is not

    def _check_columns(self) -> None:
        maps = self.columns if isinstance(self.columns, list) else [self.columns]
        if wrong := [each for each in maps if not isinstance(each, Mapping)]:
            raise ValueError(
                f"`columns` is a mapping of our column names to the manifests', or a list of such, but {wrong[0]!r} is "
                "no mapping."
            )
        if isinstance(self.columns, list) and len(maps) != len(self.dataset):
            raise ValueError(
                f"`columns` lists {len(maps)} mappings for {len(self.dataset)} manifests in `dataset`: give each one, "
                "{} where the names are ours."
            )

    @property
    def column_maps(self) -> list[dict[str, str]]:
        """For each manifest in `dataset`, our column names to its own."""
        maps = self.columns if isinstance(self.columns, list) else [self.columns] * len(self.dataset)
        return [dict(each) for each in maps]


Settings = tuple[ModelSettings, DataSettings, LoraSettings, SmoothCLAPTrainingArguments]
CLASSES = (ModelSettings, DataSettings, LoraSettings, SmoothCLAPTrainingArguments)


def _hints() -> dict[str, Any]:
    """Types of all settings. Two of Transformers' take true and false, which their hints do not say."""
    known = [(kind, get_type_hints(kind)) for kind in CLASSES]
    hints = {each.name: types[each.name] for kind, types in known for each in fields(kind) if each.init}
    return hints | {"columns": ColumnNames} | dict.fromkeys(("resume_from_checkpoint", "fsdp"), bool | str | None)


def read_settings(config: str | Path, overrides: Sequence[str] = ()) -> tuple[Settings, dict[str, Any]]:
    """
    Read a YAML file and what a command line changes of it.

    Args:
        config (`str` or `Path`): The file.
        overrides (`Sequence[str]`): For instance `["--seed", "3", "--targets", "[labels]"]`; values are YAML.

    Returns:
        `tuple`: the settings, and all that was said, as one dictionary.

    Raises:
        ValueError: The file is missing or no YAML mapping, an override is malformed, or a setting is unknown, of the
            wrong type or wrong otherwise.
    """
    if not Path(config).is_file():
        raise ValueError(f"There is no file {str(config)!r}; examples/configs/ holds some.")
    hints = _hints()
    try:
        said = read_mapping(Path(config).read_text(encoding="utf-8"), hints)
    except yaml.YAMLError as error:
        raise ValueError(f"{str(config)!r} is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{str(config)!r} holds no settings of the form `name: value`.")
    said |= _read_overrides(overrides, hints)
    if unknown := sorted(map(str, said.keys() - hints.keys())):
        raise ValueError(f"Unknown settings {unknown} in {str(config)!r} or on the command line.")
    if "dataset" not in said:
        raise ValueError(f"{str(config)!r} does not say what to train on: set `dataset`.")
    parser = HfArgumentParser(CLASSES)  # type: ignore[arg-type]
    return cast(Settings, parser.parse_dict(fitted(said, hints))), said


def _read_overrides(overrides: Sequence[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    names, values = list(overrides[::2]), list(overrides[1::2])
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise ValueError(f"Settings on the command line come in pairs, `--seed 3`; got {' '.join(overrides)!r}.")
    said = {}
    for name, value in zip((name.removeprefix("--") for name in names), values, strict=True):
        try:
            said[name] = read_value(value, hints.get(name, Any))
        except yaml.YAMLError as error:
            raise ValueError(f"The value {value!r} of `--{name}` is no YAML: {error}") from error
    return said


def ignored_settings(said: Mapping[str, Any], settings: Settings) -> list[str]:
    """
    What was said and has no effect, because another setting rules it out.

    Args:
        said (`Mapping[str, Any]`): What the user said; null and empty lists say nothing.
        settings (`Settings`): What came of it, both from [`read_settings`].

    Returns:
        `list[str]`: A sentence for each such setting.
    """
    model, data, lora, arguments = settings
    temperatures = ("audio_temperature", "tag_temperature", "functionals_temperature")
    hard, weighted = arguments.beta == 0, arguments.target_weights is not None
    adapters = [name for name in get_type_hints(LoraSettings) if name != "lora_towers"]
    rules: list[tuple[bool, Sequence[str], str]] = [
        (
            hard,
            ("targets", "target_weights", "gamma", *temperatures, "detach_targets"),
            "with beta: 0 targets have no soft part",
        ),
        (not hard and weighted, ("gamma",), "`target_weights` says the shares"),
        (
            not hard and not weighted and len(arguments.targets) == 1,
            ("gamma",),
            "there is one target, which has it all",
        ),
        (
            model.model is not None,
            ("projection_dim", "projection_dropout", "max_frequency"),
            "it is for new models, and `model` goes on from one that has its own",
        ),
        (data.captions == "given", ("caption_groups", "languages"), "with captions: given captions are the rows' own"),
        (not lora.lora_towers, adapters, "`lora_towers` names no tower that gets adapters"),
        (data.crop_seconds is None, ("crops_per_clip",), "with crop_seconds: null clips are taken whole"),
    ]
    told = {name for name, value in said.items() if value not in (None, [], {})}
    return [
        f"`{name}` has no effect: {why}." for applies, names, why in rules if applies for name in names if name in told
    ]
