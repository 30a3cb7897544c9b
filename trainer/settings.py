"""What the YAML file of a training run says."""

import os
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, InstanceOf, model_validator
from pydantic.fields import FieldInfo
from transformers import SchedulerType
from transformers.training_args import OptimizerNames

from modeling_smoothclap.audio_smoothclap import MIN_SECONDS

from .arguments import SmoothCLAPTrainingArguments, argument_settings
from .config import UNIQUE, Count, Fraction, Positive, Settings, SettingsError, Several, Text, one_of, unknown_key
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
    functionals_rate: int = Field(
        default=16000,
        ge=8000,
        le=48000,
        description="Rate in Hz at which functionals, which depend on it, are computed.",
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
            faults += ignored_settings(said, **made)
        if faults:
            raise SettingsError(faults)
        return cls(**made, said=dict(said))


def _arguments(settings: Settings) -> SmoothCLAPTrainingArguments:
    try:
        return SmoothCLAPTrainingArguments(**{name: getattr(settings, name) for name in settings.model_fields_set})
    except SettingsError:
        raise
    except Exception as error:  # transformers' own checks raise many classes
        raise SettingsError([("", str(error) or repr(error))]) from error


Rule = tuple[bool, tuple[str, ...], str]
"""Whether it applies, the settings that then have no effect, and why."""


def ignored_settings(
    said: Mapping[str, Any],
    model: ModelSettings,
    data: DataSettings,
    lora: LoraSettings,
    arguments: SmoothCLAPTrainingArguments,
) -> list[tuple[str, str]]:
    """List the settings that the user gave and that another one rules out, and why; null and `[]` say nothing."""
    rules = [*_start_rules(model, data, lora), *_objective_rules(arguments), *_tower_rules(lora, arguments)]
    rules += _step_rules(said, arguments)
    given = {name for name, value in said.items() if value not in (None, [], {})}
    faults = {name: why for applies, names, why in rules if applies for name in names if name in given}
    return [(name, f"has no effect: {why}; leave it out, or set it to null") for name, why in faults.items()]


def _start_rules(model: ModelSettings, data: DataSettings, lora: LoraSettings) -> Iterator[Rule]:
    new = ("projection_dim", "projection_dropout", "max_frequency")
    yield model.model is not None, new, "it is for new models, and `model` has its own"
    captions = ("caption_groups", "languages")
    yield data.captions == "given", captions, "with captions: given captions are the rows' own"
    yield data.acoustic_conditions == ["clean"], ("acoustic_conditions",), "clean means as recorded"
    yield data.crop_seconds is None, ("crops_per_clip",), "with crop_seconds: null clips are taken whole"
    adapters = tuple(name for name in LoraSettings.model_fields if name != "lora_towers")
    yield not lora.lora_towers, adapters, "`lora_towers` names no tower that gets adapters"
    yield lora.lora_save == "adapter", ("storage_dtype",), "adapters are kept apart, in float32"


SETTINGS_OF_TARGETS = {
    "local_features": ("audio_temperature", "local_feature_encoder"),
    "tags": ("tag_temperature", "detach_targets"),
    "functionals": ("functionals_temperature",),
}


def _objective_rules(arguments: SmoothCLAPTrainingArguments) -> Iterator[Rule]:
    shares, hard = arguments.target_shares, arguments.beta == 0
    for target, names in SETTINGS_OF_TARGETS.items():
        yield not shares.get(target), names, f"`targets` gives {target} no weight"
    yield arguments.target_weights is not None, ("gamma",), "`target_weights` gives the shares"
    yield len(arguments.targets) == 1, ("gamma",), "there is one target, which has it all"
    soft = ("targets", "target_weights", "gamma", *sum(SETTINGS_OF_TARGETS.values(), ()))
    yield hard, soft, "with beta: 0 targets have no soft part"


def _tower_rules(lora: LoraSettings, arguments: SmoothCLAPTrainingArguments) -> Iterator[Rule]:
    frozen = {"audio": arguments.freeze_audio_tower, "text": arguments.freeze_text_tower}
    for tower in TOWERS:
        adapted = tower in lora.lora_towers
        yield adapted, (f"freeze_{tower}_tower",), f"the {tower} tower has adapters, and is frozen but for them"
        rests = frozen[tower] and not adapted
        yield rests, (f"{tower}_learning_rate",), f"the {tower} tower is frozen and has no adapters"
    text_rests = arguments.freeze_text_tower and "text" not in lora.lora_towers
    yield text_rests, ("detach_targets",), "the text tower is frozen, so that targets cannot move it"


NO_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
NOT_ADAM = ("sgd", "adagrad", "rmsprop", "adafactor", "lomo", "adalomo")


def _step_rules(said: Mapping[str, Any], arguments: SmoothCLAPTrainingArguments) -> Iterator[Rule]:
    at_steps = {name: getattr(arguments, f"{name}_strategy") == "steps" for name in ("logging", "eval", "save")}
    for name, set_so in at_steps.items():
        read = name == "logging" and at_steps["eval"] and said.get("eval_steps") is None  # stands in for `eval_steps`
        yield not set_so and not read, (f"{name}_steps",), f"{name}_strategy is not steps"
    choosing = ("eval_delay", "metric_for_best_model", "greater_is_better")
    yield arguments.eval_strategy == "no", choosing, "nothing is evaluated in training: set eval_strategy"
    yield arguments.metric_for_best_model is None, ("greater_is_better",), "there is no metric_for_best_model"
    alone = arguments.gradient_cache and arguments.gradient_accumulation_steps == 1
    yield alone, ("gradient_cache",), "there is one batch per step: set gradient_accumulation_steps, for instance to 4"
    schedule = SchedulerType(arguments.lr_scheduler_type).value
    warms = bool(arguments.warmup_steps) and schedule in NO_WARMUP
    yield warms, ("warmup_steps",), f"lr_scheduler_type: {schedule} has no warm-up, as constant_with_warmup has"
    plain = schedule in ("constant", "constant_with_warmup")
    yield plain, ("lr_scheduler_kwargs",), f"lr_scheduler_type: {schedule} takes none"
    adam = ("adam_beta1", "adam_beta2", "adam_epsilon")
    optim = OptimizerNames(arguments.optim).value
    yield optim in NOT_ADAM, adam, f"optim: {optim} is not Adam"
    checkpointing = ("activation_checkpointing_kwargs", "gradient_checkpointing_kwargs")
    yield not arguments.gradient_checkpointing, checkpointing, "gradient_checkpointing is false"
    yield arguments.gradient_cache, ("torch_empty_cache_steps",), "with gradient_cache: true the cache is kept"
    yield not arguments.use_liger_kernel, ("liger_kernel_config",), "use_liger_kernel is false"
    hub = ("hub_token", "hub_strategy", "hub_private_repo", "hub_always_push", "hub_revision")
    yield not arguments.push_to_hub, hub, "push_to_hub is false"
    trackio = ("project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id")
    yield "trackio" not in (arguments.report_to or []), trackio, "report_to does not name trackio"
