"""What a training run is made of, as a YAML file says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, cast, get_type_hints

import yaml
from transformers import HfArgumentParser

from .arguments import SmoothCLAPTrainingArguments
from .data_settings import ColumnNames, DataSettings
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
        (data.acoustic_conditions == ["clean"], ("acoustic_conditions",), "clean means as recorded"),
        (data.crop_seconds is None, ("crops_per_clip",), "with crop_seconds: null clips are taken whole"),
    ]
    told = {name for name, value in said.items() if value not in (None, [], {})}
    return [
        f"`{name}` has no effect: {why}." for applies, names, why in rules if applies for name in names if name in told
    ]
