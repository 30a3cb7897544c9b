"""Settings of a SmoothCLAP training run."""

import os
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from .losses.targets import FunctionalsSimilarity, LabelEquality, LocalFeatureSimilarity, SoftTargets, TagTextSimilarity


TARGET_SOURCES = ("local_features", "tags", "functionals", "labels")


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
            "choices": ["symmetric", "forward"],
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
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay off: the collator reads columns that the model does not take."}
    )

    def __post_init__(self):
        self._check_targets()
        if self.loss_tile is not None and self.loss_tile < 1:
            raise ValueError(f"`loss_tile` is a number of rows, at least 1, got {self.loss_tile}.")
        if self.dataloader_persistent_workers:
            raise ValueError(
                "Set dataloader_persistent_workers=False: workers that outlive an epoch would go on drawing its crops "
                "and captions."
            )
        if self.remove_unused_columns:
            raise ValueError("Set remove_unused_columns=False: the collator reads columns the model does not take.")
        super().__post_init__()
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
        if self.train_sampling_strategy != "random":
            raise ValueError(
                f"train_sampling_strategy={self.train_sampling_strategy!r} is not supported: joint batches are drawn "
                "at random, so that negatives are."
            )

    def _check_targets(self) -> None:
        for name in ("beta", "gamma"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` is a mixing weight between 0 and 1, got {getattr(self, name)}.")
        if unknown := [name for name in self.targets if name not in TARGET_SOURCES]:
            raise ValueError(f"Unknown `targets` {unknown}; there are {list(TARGET_SOURCES)}.")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError(f"`targets` names a source twice: {self.targets}.")
        if self.kl_reading not in ("symmetric", "forward"):
            raise ValueError(f"`kl_reading` must be 'symmetric' or 'forward', got {self.kl_reading!r}.")
        if self.target_weights is None and len(self.targets) > 2:
            raise ValueError(f"Give `target_weights`, one share for each of the {len(self.targets)} `targets`.")
        targets = self.soft_targets  # raises where weights or temperatures are wrong
        weighed = {source.name for source, weight in zip(targets.sources, targets.weights, strict=True) if weight > 0}
        if self.kl_reading == "symmetric" and weighed <= {"labels"}:
            raise ValueError(
                f"With beta={self.beta} and targets={self.targets} some targets are zero and the reverse divergence is "
                "unbounded. Set kl_reading='forward', which for beta=0 is plain CLAP (symmetric InfoNCE)."
            )

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
