"""Settings of a SmoothCLAP training run."""

from dataclasses import dataclass, field

from transformers import TrainingArguments


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
    beta: float = field(
        default=0.1, metadata={"help": "Weight of the soft part of the targets, in [0, 1] (open in the paper; ours)."}
    )
    gamma: float = field(
        default=0.5, metadata={"help": "Share of tag similarity in the soft part, in [0, 1] (open in the paper; ours)."}
    )
    audio_temperature: float = field(
        default=0.07, metadata={"help": "Temperature of the audio-audio similarity (open in the paper; ours)."}
    )
    tag_temperature: float = field(
        default=0.07, metadata={"help": "Temperature of the tag-tag similarity (open in the paper; ours)."}
    )
    kl_reading: str = field(
        default="symmetric",
        metadata={
            "help": "How to read the paper's symmetric KL: 'symmetric' or 'forward' (open in the paper; ours).",
            "choices": ["symmetric", "forward"],
        },
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay off: the collator reads columns that the model does not take."}
    )

    def __post_init__(self):
        for name in ("beta", "gamma"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` is a mixing weight between 0 and 1, got {getattr(self, name)}.")
        if self.kl_reading not in ("symmetric", "forward"):
            raise ValueError(f"`kl_reading` must be 'symmetric' or 'forward', got {self.kl_reading!r}.")
        if self.beta == 0 and self.kl_reading != "forward":
            raise ValueError(
                "With beta=0 the targets are one-hot and the reverse divergence is unbounded. Set "
                "kl_reading='forward', which is then plain CLAP (symmetric InfoNCE)."
            )
        if self.remove_unused_columns:
            raise ValueError("Set remove_unused_columns=False: the collator reads columns the model does not take.")
        super().__post_init__()
