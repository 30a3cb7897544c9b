"""What the YAML file of a training run says."""

import dataclasses
import os
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Annotated, Any, Self, get_args, get_type_hints

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, create_model, model_validator
from pydantic.fields import FieldInfo
from transformers import SchedulerType

from modeling_smoothclap.audio_smoothclap import MIN_SECONDS

from .arguments import TARGET_SOURCES, SmoothCLAPTrainingArguments
from .config import (
    UNIQUE,
    Count,
    Fraction,
    NotNegative,
    Number,
    Positive,
    Seed,
    Settings,
    SettingsError,
    Several,
    Share,
    Text,
    one_of,
    unknown_key,
)
from .data.acoustic_conditions import CONDITIONS
from .data.captions import CAPTION_GROUPS, LANGUAGES
from .data.collator import CAPTION_KINDS


TOWERS = ("audio", "text")
SAVE_KINDS = ("merged", "adapter")


class ModelSettings(Settings):
    """What is trained: two encoders joined by new heads, or a checkpoint that is trained further."""

    model: Text | None = Field(
        default=None, description="Hub id or folder of a SmoothCLAP or transformers CLAP checkpoint to train further."
    )
    audio_encoder: Text | None = Field(
        default=None, description="Hub id or folder that the audio tower of a new model starts from."
    )
    text_encoder: Text | None = Field(
        default=None, description="Hub id or folder that the text tower of a new model starts from."
    )
    projection_dim: Count = Field(default=768, description="Width of the shared space, for a new model.")
    projection_dropout: Fraction = Field(
        default=0.5, description="Dropout in the projection heads, for a new model (0.5 in ParaCLAP)."
    )
    max_frequency: Count | None = Field(
        default=None, description="For log-mel towers of a new model: silence mel bands above this frequency, in Hz."
    )
    storage_dtype: Annotated[str, one_of(("float32", "float16", "bfloat16"))] = Field(
        default="float32",
        description="Type of the saved weights: float32, float16 or bfloat16. They are loaded as float32 anyway.",
    )

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        encoders = {"audio_encoder": self.audio_encoder, "text_encoder": self.text_encoder}
        start = "name either `model`, a checkpoint to train further, or both encoders of a new one"
        if self.model is not None:
            faults = [(name, f"is {value!r} next to `model`: {start}") for name, value in encoders.items() if value]
        elif any(encoders.values()):
            faults = [(name, f"is missing: {start}") for name, value in encoders.items() if not value]
        else:
            faults = [("model", f"is missing: {start}, `audio_encoder` and `text_encoder`")]
        if faults:
            raise SettingsError(faults)
        return self


class DataSettings(Settings):
    """What a model is trained on."""

    dataset: Annotated[Several[Text], Field(min_length=1)] = Field(
        description="Manifests: .csv, .tsv, .jsonl or .parquet files, folders that `datasets` wrote, or Hub data sets. "
        "Several are joined; one may be given as plain text."
    )
    columns: dict[str, str] | list[dict[str, str]] = Field(
        default_factory=dict,
        description="Our column names to the manifests', where they differ: one mapping for all, or a list of one for "
        "each of `dataset`.",
    )
    audio_root: Text | None = Field(
        default=None, description="Folder that relative audio paths start at; default: the manifest's."
    )
    bad_clips: Annotated[str, one_of(("raise", "skip", "trust"))] = Field(
        default="raise",
        description="What to do about clips that cannot be used: 'raise' lists them and stops, 'skip' leaves them out "
        "and reports them, 'trust' skips the check, for data that were checked when they were built.",
    )
    captions: Annotated[str, one_of(CAPTION_KINDS)] = Field(
        default="sampled",
        description="'sampled': some of a clip's phrases, anew in every epoch; 'full': all of them; 'given': the "
        "rows' own.",
    )
    caption_groups: Several[Annotated[str, one_of(CAPTION_GROUPS)]] = Field(
        default_factory=list,
        description=f"What captions may describe, of: {', '.join(CAPTION_GROUPS)}; default: everything that is known.",
    )
    languages: Several[Annotated[str, one_of(LANGUAGES)]] = Field(
        default_factory=lambda: ["en"], description=f"Languages of the captions, of: {', '.join(LANGUAGES)}."
    )
    label_wordings: dict[str, str] = Field(
        default_factory=dict,
        description="Text of each label in zero-shot evaluation; default: 'a happy voice' for happy, and so on.",
    )
    crop_seconds: Positive | None = Field(
        default=5.0, description="Length of training crops in seconds (5 in ParaCLAP); null takes clips whole."
    )
    crops_per_clip: Count | None = Field(
        default=None, description="Different crops per clip; default: a new one every epoch, which cannot be cached."
    )
    acoustic_conditions: Annotated[Several[Annotated[str, one_of(CONDITIONS)]], UNIQUE] = Field(
        default_factory=list,
        description="Acoustic conditions that are applied to training clips, one of them drawn in every epoch, of: "
        f"{', '.join(CONDITIONS)}; default: as recorded.",
    )
    local_feature_encoder: Text | None = Field(
        default=None,
        description="Frozen encoder of the audio half of soft targets; default: the audio tower as it starts.",
    )
    cache_audio_tower: bool = Field(
        default=False, description="Run the frozen audio tower once per crop or whole clip, not in every epoch."
    )
    cache_dir: Text = Field(
        default="~/.cache/smoothclap", description="Folder for computed features, shared by all runs."
    )
    max_train_clips: Count | None = Field(default=None, description="Take only this many clips, for trials.")
    preparation_workers: Count = Field(
        default=os.cpu_count() or 1, description="Processes that check clips and compute functionals."
    )
    report_attributes: bool = Field(
        default=True, description="Measure zero-shot attributes on the validation and test clips when training is done."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if faults := list(self._faults()):
            raise SettingsError(faults)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not self.languages and self.captions != "given":
            yield "languages", "is empty, but captions are in some language: name one, such as en"
        if isinstance(self.columns, list) and len(self.columns) != len(self.dataset):
            yield (
                "columns",
                f"lists {len(self.columns)} mappings for {len(self.dataset)} manifests in `dataset`: give each one, "
                "{} where the names are ours",
            )
        if self.cache_audio_tower and self.crop_seconds is not None and self.crops_per_clip is None:
            yield (
                "cache_audio_tower",
                "needs to know the crops beforehand: set `crops_per_clip`, for instance to 4, or crop_seconds: null "
                "to take clips whole",
            )
        if self.acoustic_conditions and self.cache_audio_tower:
            yield (
                "acoustic_conditions",
                "change in every epoch, and `cache_audio_tower` keeps one output: leave out one of the two",
            )
        if self.acoustic_conditions and self.crop_seconds is not None and self.crop_seconds < MIN_SECONDS:
            yield "crop_seconds", f"must be at least {MIN_SECONDS} for `acoustic_conditions`, not {self.crop_seconds}"

    @property
    def column_maps(self) -> list[dict[str, str]]:
        """For each manifest in `dataset`, our column names to its own."""
        maps = self.columns if isinstance(self.columns, list) else [self.columns] * len(self.dataset)
        return [dict(each) for each in maps]


def _both_towers(value: Any) -> Any:
    return list(TOWERS) if value in ("both", ["both"]) else value


class LoraSettings(Settings):
    """Where low-rank adapters go, how large they are, and how the result is saved."""

    lora_towers: Annotated[Several[Annotated[str, one_of(TOWERS)]], UNIQUE, BeforeValidator(_both_towers)] = Field(
        default_factory=list,
        description="Towers that get adapters and are frozen but for them: audio, text or both; none: no LoRA.",
    )
    lora_rank: Count = Field(default=8, description="Rank of the adapters (PEFT's default).")
    lora_alpha: Count = Field(default=16, description="The adapters' output is scaled by alpha / rank (ours).")
    lora_dropout: Fraction = Field(default=0.0, description="Dropout before the adapters (PEFT's default).")
    lora_target_modules: Several[Text] = Field(
        default_factory=list,
        description="Names of the layers that get adapters; default: the query and value projections, and in WavLM, "
        "where they cannot have any, the feed-forward layers (ours).",
    )
    lora_save: Annotated[str, one_of(SAVE_KINDS)] = Field(
        default="merged",
        description="Save a plain checkpoint with the adapters added to the weights, or the adapters apart: 'merged' "
        "or 'adapter'.",
    )


def _steps(value: int) -> int:
    if value < 1 and value != -1:
        raise ValueError(f"must be at least 1, or -1 to train for num_train_epochs, not {value}")
    return value


_ARGUMENT_TYPES: dict[str, Any] = {
    **dict.fromkeys(("learning_rate", "text_learning_rate", "audio_learning_rate", "num_train_epochs"), Positive),
    **dict.fromkeys(("audio_temperature", "tag_temperature", "functionals_temperature"), Positive),
    **dict.fromkeys(("logging_steps", "save_steps"), Positive),
    **dict.fromkeys(("eval_steps", "neftune_noise_alpha"), Positive | None),
    **dict.fromkeys(("weight_decay", "warmup_steps", "max_grad_norm", "adam_epsilon", "eval_delay"), NotNegative),
    **dict.fromkeys(("adam_beta1", "adam_beta2", "label_smoothing_factor"), Fraction),
    **dict.fromkeys(("beta", "gamma"), Share),
    **dict.fromkeys(
        ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"), Count
    ),
    **dict.fromkeys(("save_total_limit", "eval_accumulation_steps", "dataloader_prefetch_factor"), Count | None),
    **dict.fromkeys(("torch_empty_cache_steps", "ddp_bucket_cap_mb", "loss_tile"), Count | None),
    **dict.fromkeys(("resume_from_checkpoint", "fsdp"), bool | Text | None),
    "early_stopping_patience": Count | None,
    "ddp_timeout": Count,
    "dataloader_num_workers": Annotated[int, Field(ge=0)],
    "local_rank": Annotated[int, Field(ge=-1)],
    "max_steps": Annotated[int, AfterValidator(_steps)],
    "seed": Seed,
    "data_seed": Seed | None,
    "output_dir": Text | None,
    "lr_scheduler_type": Annotated[str, one_of(each.value for each in SchedulerType)],
    "targets": Annotated[Several[Annotated[str, one_of(TARGET_SOURCES)]], UNIQUE],
    "target_weights": Several[NotNegative] | None,
    "parallelism_config": Any,
}
"""What arguments may be, where their type hints say less."""


@cache
def argument_settings() -> type[Settings]:
    """Return the fields of [`SmoothCLAPTrainingArguments`] as settings, with types and ranges that YAML can break."""
    hints, made = get_type_hints(SmoothCLAPTrainingArguments), {}
    for each in dataclasses.fields(SmoothCLAPTrainingArguments):
        if each.init:
            default: dict[str, Any] = {"default": each.default}
            if each.default_factory is not dataclasses.MISSING:
                default = {"default_factory": each.default_factory}
            kind = _ARGUMENT_TYPES.get(each.name) or _argument_type(hints[each.name], each.metadata.get("choices"))
            made[each.name] = (kind, Field(**default, description=each.metadata.get("help")))
    return create_model("ArgumentSettings", __base__=Settings, **made)  # type: ignore[call-overload]


def _argument_type(hint: Any, choices: Any) -> Any:
    members = get_args(hint)
    names = [value.value for kind in members if isinstance(kind, type) and issubclass(kind, Enum) for value in kind]
    if choices or names:
        kind = Annotated[str, one_of(choices or names)]
        return kind | None if type(None) in members else kind
    return {float: Number, list[str]: Several[str], list[str] | None: Several[str] | None}.get(hint, hint)


class TrainingRun(Settings):
    """
    The settings of a training run. In YAML all keys of the parts are in one mapping.

    Args:
        model ([`ModelSettings`]), data ([`DataSettings`]), lora ([`LoraSettings`]),
        arguments ([`SmoothCLAPTrainingArguments`]): The parts.
        said (`dict[str, Any]`): What the file and the command line say, for the record of the run.
    """

    model: ModelSettings
    data: DataSettings
    lora: LoraSettings = LoraSettings()
    arguments: InstanceOf[SmoothCLAPTrainingArguments]
    said: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def yaml_fields(cls) -> dict[str, FieldInfo]:
        """Return the keys of all parts."""
        return {name: each for part in cls._parts().values() for name, each in part.model_fields.items()}

    @classmethod
    def _parts(cls) -> dict[str, type[Settings]]:
        return {"model": ModelSettings, "data": DataSettings, "lora": LoraSettings, "arguments": argument_settings()}

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any]) -> Self:
        """Make all parts of one mapping, or raise one [`SettingsError`] with the faults of all."""
        fields = cls.yaml_fields()
        faults = [(str(key), unknown_key(str(key), fields)) for key in said if key not in fields]
        made: dict[str, Any] = {}
        for name, part in cls._parts().items():
            own = {key: value for key, value in said.items() if key in part.model_fields}
            try:
                settings = part.from_mapping(own)
                made[name] = _arguments(settings) if name == "arguments" else settings
            except SettingsError as error:
                faults += error.faults
        if len(made) == len(cls._parts()):
            faults += _ignored_settings(said, **made)
        if faults:
            raise SettingsError(faults)
        return cls(**made, said=dict(said))


def _arguments(settings: Settings) -> SmoothCLAPTrainingArguments:
    try:
        return SmoothCLAPTrainingArguments(**{name: getattr(settings, name) for name in settings.model_fields_set})
    except Exception as error:  # transformers' own checks raise many classes
        raise SettingsError([("", str(error) or repr(error))]) from error


def _ignored_settings(
    said: Mapping[str, Any],
    model: ModelSettings,
    data: DataSettings,
    lora: LoraSettings,
    arguments: SmoothCLAPTrainingArguments,
) -> list[tuple[str, str]]:
    """List the settings that the user gave and that another one rules out, and why; null and `[]` say nothing."""
    temperatures = ("audio_temperature", "tag_temperature", "functionals_temperature")
    soft = ("targets", "target_weights", "gamma", *temperatures, "detach_targets")
    hard, weighted, single = arguments.beta == 0, arguments.target_weights is not None, len(arguments.targets) == 1
    new = ("projection_dim", "projection_dropout", "max_frequency")
    adapters = tuple(name for name in LoraSettings.model_fields if name != "lora_towers")
    rules: list[tuple[bool, tuple[str, ...], str]] = [
        (hard, soft, "with beta: 0 targets have no soft part"),
        (not hard and weighted, ("gamma",), "`target_weights` gives the shares"),
        (not hard and not weighted and single, ("gamma",), "there is one target, which has it all"),
        (model.model is not None, new, "it is for new models, and `model` has its own"),
        (data.captions == "given", ("caption_groups", "languages"), "with captions: given captions are the rows' own"),
        (not lora.lora_towers, adapters, "`lora_towers` names no tower that gets adapters"),
        (lora.lora_save == "adapter", ("storage_dtype",), "adapters are kept apart, in float32"),
        (data.acoustic_conditions == ["clean"], ("acoustic_conditions",), "clean means as recorded"),
        (data.crop_seconds is None, ("crops_per_clip",), "with crop_seconds: null clips are taken whole"),
    ]
    given = {name for name, value in said.items() if value not in (None, [], {})}
    return [
        (name, f"has no effect: {why}; leave it out, or set it to null")
        for applies, names, why in rules
        if applies
        for name in names
        if name in given
    ]
