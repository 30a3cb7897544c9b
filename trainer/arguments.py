"""Settings of a SmoothCLAP training run."""

import dataclasses
import os
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Annotated, Any, cast, get_args, get_type_hints

import torch
from pydantic import AfterValidator, Field, create_model
from transformers import SchedulerType, TrainingArguments, get_scheduler
from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)
from transformers.trainer_utils import HubStrategy
from transformers.training_args import OptimizerNames

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
)
from .losses.joint_loss import JointLoss
from .losses.targets import (
    LOWEST_TEMPERATURE,
    FunctionalsSimilarity,
    LabelEquality,
    LocalFeatureSimilarity,
    SoftTargets,
    TagTextSimilarity,
)
from .rules import REFUSED, WithoutEffect, argument_rules, without_effect


TARGET_SOURCES = ("local_features", "tags", "functionals", "labels")
KL_READINGS = ("symmetric", "forward")


@dataclass
class SmoothCLAPTrainingArguments(TrainingArguments):
    """
    [`~transformers.TrainingArguments`] with the objective and the learning rates of SmoothCLAP.

    Defaults are the paper's where it states them: batches of 32, 10 epochs, Adam (AdamW without weight decay) at a
    constant rate, 1e-3 for projections and scale and 1e-5 for the text encoder, the audio encoder frozen. What the
    paper leaves open says so in its `help`.

    Example:

    ```python
    >>> from smoothclap_trainer import SmoothCLAPTrainingArguments
    >>> arguments = SmoothCLAPTrainingArguments(output_dir="out", use_cpu=True, beta=0.2)
    >>> arguments.beta, arguments.text_learning_rate, arguments.freeze_audio_tower
    (0.2, 1e-05, True)

    ```
    """

    per_device_train_batch_size: int = field(
        default=32, metadata={"help": "Pairs per device and step; the paper's is 32."}
    )
    num_train_epochs: float = field(default=10.0, metadata={"help": "Passes over the data; the paper's is 10."})
    learning_rate: float = field(
        default=1e-3, metadata={"help": "Rate of the projection heads and the logit scale (the paper's)."}
    )
    text_learning_rate: float = field(default=1e-5, metadata={"help": "Rate of the text tower (the paper's)."})
    audio_learning_rate: float = field(
        default=1e-5, metadata={"help": "Rate of the audio tower when it is not frozen (ours: as the text tower's)."}
    )
    lr_scheduler_type: str = field(default="constant", metadata={"help": "The paper uses no schedule."})
    freeze_audio_tower: bool = field(
        default=True, metadata={"help": "Keep the audio tower as it was pretrained, as the paper does."}
    )
    freeze_text_tower: bool = field(
        default=False,
        metadata={"help": "Keep the text tower as it was pretrained (open in the paper; ours)."},
    )
    targets: list[str] = field(
        default_factory=lambda: ["local_features", "tags"],
        metadata={
            "help": f"What the soft part of the targets compares, of: {', '.join(TARGET_SOURCES)}. The first two are "
            "the paper's, the others ours."
        },
    )
    target_weights: list[float] | None = field(
        default=None,
        metadata={"help": "Shares of `targets`, summing to one; by default 1 - gamma and gamma of two, 1 of one."},
    )
    beta: float = field(
        default=0.1, metadata={"help": "Weight of the soft part of the targets, in [0, 1] (open in the paper; ours)."}
    )
    gamma: float = field(
        default=0.5,
        metadata={"help": "Share of the second of two targets, the paper's tags, in [0, 1] (open in the paper; ours)."},
    )
    audio_temperature: float = field(
        default=0.07, metadata={"help": "Temperature of the audio-audio similarity (open in the paper; ours)."}
    )
    tag_temperature: float = field(
        default=0.07, metadata={"help": "Temperature of the tag-tag similarity (open in the paper; ours)."}
    )
    functionals_temperature: float = field(
        default=0.2, metadata={"help": "Temperature of the similarity of standardised functionals (ours)."}
    )
    detach_targets: bool = field(
        default=True, metadata={"help": "Whether no gradient flows into the targets (open in the paper; ours)."}
    )
    kl_reading: str = field(
        default="symmetric",
        metadata={
            "help": "How to read the paper's symmetric KL: 'symmetric' or 'forward' (open in the paper; ours).",
            "choices": list(KL_READINGS),
        },
    )
    gradient_cache: bool = field(
        default=False,
        metadata={
            "help": "Make the batches of gradient_accumulation_steps one batch with common negatives, exactly, at the "
            "cost of embedding every clip twice. Without it accumulation averages gradients and adds no negatives."
        },
    )
    loss_tile: int | None = field(
        default=None,
        metadata={"help": "Rows of the loss that exist at a time, for very large batches; all by default."},
    )
    early_stopping_patience: int | None = field(
        default=None,
        metadata={"help": "Stop after this many evaluations without a better metric_for_best_model; never by default."},
    )
    max_grad_norm: float = field(
        default=1.0,
        metadata={"help": "Longer gradients are scaled down to this length (Transformers' default); the paper's is 0."},
    )
    logging_steps: float = field(
        default=0.02,
        metadata={
            "help": "Steps between entries of the log, or a share of all steps, so that short runs have some, too."
        },
    )
    eval_steps: float | None = field(
        default=None,
        metadata={
            "help": "With eval_strategy 'steps', steps between evaluations, or a share of all steps; by default "
            "logging_steps where it is set, or 500."
        },
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay off: the collator reads columns that the model does not take."}
    )

    def __post_init__(self):
        self.check()
        given = self.given()
        if refused := given & REFUSED.keys():
            raise SettingsError(
                (name, f"cannot be {getattr(self, name)!r}: {REFUSED[name]}; leave it out") for name in sorted(refused)
            )
        self.report_to = self.report_to or "none"
        _check_reporting(self.report_to)
        if self.eval_strategy == "steps" and self.eval_steps is None and "logging_steps" not in given:
            self.eval_steps = 500
        try:
            super().__post_init__()
            _try_out(self)
        except (ImportError, SettingsError):
            raise
        except Exception as error:  # of odd values transformers raises many classes
            raise SettingsError([("", str(error) or repr(error))]) from error
        launched = int(os.environ.get("WORLD_SIZE", "1"))
        if launched > self.world_size:
            raise ValueError(
                f"{launched} processes were started, but each would train alone, because there is no accelerator for "
                "them: set use_cpu=True to train together on the CPU."
            )
        if self.early_stopping_patience is not None and (
            str(getattr(self.eval_strategy, "value", self.eval_strategy)) == "no" or self.metric_for_best_model is None
        ):
            raise ValueError(
                "early_stopping_patience counts evaluations: set eval_strategy, and metric_for_best_model to what "
                "should get better, for instance 'uar' with greater_is_better true."
            )
        shared: Any = self.accelerator_config
        idle = {"split_batches": False, "dispatch_batches": None, "even_batches": True, "use_seedable_sampler": True}
        if changed := [name for name, value in idle.items() if getattr(shared, name) not in (value, value or False)]:
            raise ValueError(f"accelerator_config cannot set {changed}: each process draws its own share of a batch.")
        strategy = HubStrategy(self.hub_strategy)
        if strategy in (HubStrategy.CHECKPOINT, HubStrategy.ALL_CHECKPOINTS):
            why = "checkpoints hold paths and settings of this machine, and stay on it; choose every_save or end"
            raise SettingsError([("hub_strategy", f"cannot be {strategy.value!r}: {why}")])
        if faults := without_effect(given, argument_rules(given, self)):
            raise WithoutEffect(faults, self)

    def given(self) -> set[str]:
        """Return the names of the arguments that differ from their defaults."""
        values = {each.name: (getattr(self, each.name), each) for each in dataclasses.fields(self) if each.init}
        return {name for name, (value, each) in values.items() if value not in (None, [], {}, _default(each))}

    def check(self) -> None:
        """Refuse numbers and names out of range, as in YAML, and targets that make no loss."""
        schema = argument_settings()
        values = {name: getattr(self, name) for name in schema.model_fields if name not in REFUSED}
        values = {name: value.value if isinstance(value, Enum) else value for name, value in values.items()}
        checked = schema.from_mapping({name: each for name, each in values.items() if isinstance(each, PLAIN)})
        for name in ("targets", "target_weights"):
            setattr(self, name, getattr(checked, name))  # one value became a list of one
        if self.target_weights is None and len(self.targets) > 2:
            raise ValueError(f"Give `target_weights`, one share for each of the {len(self.targets)} `targets`.")
        weighed = {name for name, share in self.target_shares.items() if share > 0}
        if self.kl_reading == "symmetric" and weighed <= {"labels"}:
            raise ValueError(
                f"With beta={self.beta} and targets={self.targets} some targets are zero and the reverse divergence is "
                "unbounded. Set kl_reading='forward', which for beta=0 is plain CLAP (symmetric InfoNCE)."
            )

    @property
    def target_shares(self) -> dict[str, float]:
        """Return the share of each target in the soft part; none with `beta` 0."""
        targets = self.soft_targets
        return {source.name: share for source, share in zip(targets.sources, targets.weights, strict=True)}

    @property
    def joint_loss(self) -> JointLoss:
        """Return the loss that these settings describe."""
        return JointLoss(self.soft_targets, cast(Any, self.kl_reading), self.loss_tile)

    @property
    def soft_targets(self) -> SoftTargets:
        """Return the mixture that these settings describe."""
        if self.beta == 0:
            return SoftTargets([], [], 0.0)
        weights = self.target_weights or ([1.0] if len(self.targets) == 1 else [1 - self.gamma, self.gamma])
        make = {
            "local_features": lambda: LocalFeatureSimilarity(self.audio_temperature),
            "tags": lambda: TagTextSimilarity(self.tag_temperature, self.detach_targets),
            "functionals": lambda: FunctionalsSimilarity(self.functionals_temperature),
            "labels": LabelEquality,
        }
        return SoftTargets([make[name]() for name in self.targets], weights, self.beta)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the token out of `training_args.bin`, which Trainer pickles into every checkpoint."""
        return self.__dict__ | {"hub_token": None}


EXTRAS = dict.fromkeys(("tensorboard", "trackio"), 'pip install "smoothclap[logging]"')


def _check_reporting(report_to: Any) -> None:
    """Refuse loggers that cannot start, long before training would start them."""
    wanted = report_to if isinstance(report_to, list) else [report_to]
    for name in wanted:
        if name in ("all", "none"):
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            raise SettingsError([("report_to", f"cannot be {name!r}: there are {', '.join(INTEGRATION_TO_CALLBACK)}")])
        if name not in ("flyte", *get_available_reporting_integrations()):
            raise ImportError(
                f"`report_to` names {name}, which is not installed: {EXTRAS.get(name, f'install {name}')}."
            )


def _try_out(arguments: SmoothCLAPTrainingArguments) -> None:
    """Find the optimiser and make a schedule, which would otherwise fail when training starts."""
    from transformers import Trainer  # heavy

    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    name, settings = SchedulerType(arguments.lr_scheduler_type), arguments.lr_scheduler_kwargs
    tried = {"lr_scheduler_kwargs": lambda: get_scheduler(name, optimizer, 1, 2, settings)}  # type: ignore[arg-type]
    if not OptimizerNames(arguments.optim).value.startswith(("galore", "apollo", "lomo", "adalomo")):  # need the model
        tried["optim_args"] = lambda: Trainer.get_optimizer_cls_and_kwargs(arguments)
    for argument, make in tried.items():
        try:
            make()
        except ImportError:
            raise
        except Exception as error:
            raise SettingsError([(argument, f"cannot be {getattr(arguments, argument)!r}: {error}")]) from error


def _default(field: dataclasses.Field) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


def _steps(value: int) -> int:
    if value < 1 and value != -1:
        raise ValueError(f"must be at least 1, or -1 to train for num_train_epochs, not {value}")
    return value


Temperature = Annotated[Number, Field(ge=LOWEST_TEMPERATURE)]
ARGUMENT_TYPES: dict[str, Any] = {
    **dict.fromkeys(("learning_rate", "text_learning_rate", "audio_learning_rate", "num_train_epochs"), Positive),
    **dict.fromkeys(("audio_temperature", "tag_temperature", "functionals_temperature"), Temperature),
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
    "kl_reading": Annotated[str, one_of(KL_READINGS)],
    "include_for_metrics": Several[Annotated[str, one_of(("inputs", "loss"))]],
    "parallelism_config": Any,
}
"""What arguments may be, where their type hints say less."""
PLAIN = (str, int, float, list, dict, type(None))
"""Types of values that are checked in Python, too, where others may be paths and objects."""


@cache
def argument_settings() -> type[Settings]:
    """Return the fields of [`SmoothCLAPTrainingArguments`] as settings, with types and ranges that YAML can break."""
    hints, made = get_type_hints(SmoothCLAPTrainingArguments), {}
    for each in dataclasses.fields(SmoothCLAPTrainingArguments):
        if each.init:
            default: dict[str, Any] = {"default": each.default}
            if each.default_factory is not dataclasses.MISSING:
                default = {"default_factory": each.default_factory}
            kind = ARGUMENT_TYPES.get(each.name) or _argument_type(hints[each.name], each.metadata.get("choices"))
            made[each.name] = (kind, Field(**default, description=each.metadata.get("help")))
    return create_model("ArgumentSettings", __base__=Settings, **made)  # type: ignore[call-overload]


def _argument_type(hint: Any, choices: Any) -> Any:
    members = get_args(hint)
    names = [value.value for kind in members if isinstance(kind, type) and issubclass(kind, Enum) for value in kind]
    if choices or names:
        kind = Annotated[str, one_of(choices or names)]
        return kind | None if type(None) in members else kind
    return {float: Number, list[str]: Several[str], list[str] | None: Several[str] | None}.get(hint, hint)
