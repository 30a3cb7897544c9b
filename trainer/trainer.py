"""Trainer for contrastive language-audio models with softened targets."""

from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from modeling_smoothclap.loss_smoothclap import contrastive_loss, soft_target_loss, soft_targets
from modeling_smoothclap.modeling_smoothclap import MAX_LOGIT_SCALE

from .arguments import SmoothCLAPTrainingArguments
from .data.collator import SmoothCLAPCollator
from .objectives.tag_features import tag_features


TARGET_INPUTS = ("tag_input_ids", "tag_attention_mask", "local_features")
"""Entries of a batch that shape the targets and are not inputs of the model."""


class SmoothCLAPCallback(TrainerCallback):
    """Tells the collator which epoch it is, and keeps the stored logit scale at or below ln 100 after every step.

    The model clamps the scale it uses; under FSDP2 that is a gathered copy, and the stored one would run on.
    """

    def __init__(self, collator: Any):
        self.collator = collator

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the collator's epoch, from which it draws."""
        if isinstance(self.collator, SmoothCLAPCollator):
            self.collator.epoch = int((state.epoch or 0) + 1e-6)  # a sum of fractions may fall just short

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Clamp the scale."""
        for name, parameter in kwargs["model"].named_parameters():
            if "logit_scale" in name:
                parameter.data.clamp_(max=MAX_LOGIT_SCALE)


class SmoothCLAPTrainer(Trainer):
    """
    [`~transformers.Trainer`] whose loss is SmoothCLAP's.

    It trains any dual encoder with `get_audio_features` and `get_text_features` whose `forward` returns
    `logits_per_audio`. Batches come from [`~smoothclap_trainer.data.collator.SmoothCLAPCollator`], which evaluation
    uses with `training=False`: whole clips, fixed captions. The candidates of a clip are the captions of its own
    device's batch.

    Args:
        model (*optional*): What to train. The towers that `args` freeze are frozen here; a PEFT model is left as PEFT
            set it.
        args ([`SmoothCLAPTrainingArguments`], *optional*): Settings.
        **kwargs: As for [`~transformers.Trainer`].
    """

    args: SmoothCLAPTrainingArguments

    def __init__(self, model: Any = None, args: SmoothCLAPTrainingArguments | None = None, **kwargs):
        args = args or SmoothCLAPTrainingArguments(output_dir="smoothclap-output")
        if kwargs.get("data_collator") is None:
            raise ValueError("There is no collator: pass `data_collator=SmoothCLAPCollator(processor, thresholds)`.")
        if model is not None:
            _freeze_towers(model, args)
        super().__init__(model=model, args=args, **kwargs)
        self.add_callback(SmoothCLAPCallback(self.data_collator))

    def call_model_init(self, trial: Any = None) -> Any:
        """The model of `model_init`, with the towers frozen that are to be."""
        model = super().call_model_init(trial)
        _freeze_towers(model, self.args)
        return model

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        """As in [`~transformers.Trainer`], with whole clips and fixed captions."""
        return self._with_evaluation_collator(super().get_eval_dataloader, *args, **kwargs)

    def get_test_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader:
        """As in [`~transformers.Trainer`], with whole clips and fixed captions."""
        return self._with_evaluation_collator(super().get_test_dataloader, *args, **kwargs)

    def _with_evaluation_collator(self, make: Any, *args: Any, **kwargs: Any) -> DataLoader:
        collator = self.data_collator
        if isinstance(collator, SmoothCLAPCollator):
            self.data_collator = replace(collator, training=False)
        try:
            return make(*args, **kwargs)
        finally:
            self.data_collator = collator

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """The loss of one batch in nats; with `return_outputs`, also what the model returned."""
        target_inputs = {name: inputs[name] for name in TARGET_INPUTS if name in inputs}
        outputs = model(**{name: value for name, value in inputs.items() if name not in TARGET_INPUTS})
        if self.args.beta == 0:
            loss = contrastive_loss(outputs.logits_per_audio)
        else:
            targets = self._soft_targets(model, target_inputs)
            loss = soft_target_loss(outputs.logits_per_audio, targets, self.args.kl_reading)  # type: ignore[arg-type]
        return (loss, outputs) if return_outputs else loss

    def _soft_targets(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        missing = [name for name in ("tag_input_ids", "local_features") if name not in inputs]
        if missing:
            raise ValueError(
                f"Soft targets need {missing} in the batch. Give the data set tag texts and `local_features`, or set "
                "beta=0 and kl_reading='forward' to train without soft targets."
            )
        encoder = self.accelerator.unwrap_model(model)
        tags = tag_features(encoder, inputs["tag_input_ids"], inputs.get("tag_attention_mask"))
        return soft_targets(
            inputs["local_features"],
            tags,
            beta=self.args.beta,
            gamma=self.args.gamma,
            audio_temperature=self.args.audio_temperature,
            tag_temperature=self.args.tag_temperature,
        )

    def prediction_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        prediction_loss_only: bool,
        ignore_keys: list[str] | None = None,
    ) -> tuple[torch.Tensor | None, Any, Any]:
        """
        The loss, the embeddings and the labels of one batch.

        Embeddings, not logits: `compute_metrics` then sees the whole set, (clips, projection_dim) twice, where logits
        would come in blocks of one batch. The label of a clip is the place of its caption in its batch.
        """
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss.detach(), None, None
        labels = torch.arange(len(outputs.audio_embeds), device=loss.device)
        return loss.detach(), (outputs.audio_embeds.detach(), outputs.text_embeds.detach()), labels

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """All that weight decay applies to: as in [`~transformers.Trainer`], and never the logit scale."""
        return [name for name in super().get_decay_parameter_names(model) if "logit_scale" not in name]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimiser, with a learning rate of its own for each tower."""
        if self.optimizer is not None:
            return self.optimizer
        optimizer = super().create_optimizer(model)
        rates = {"audio_model.": self.args.audio_learning_rate, "text_model.": self.args.text_learning_rate}
        trained: Any = self.model if model is None else model
        rate_of = {
            parameter: next((rate for tower, rate in rates.items() if tower in name), self.args.learning_rate)
            for name, parameter in trained.named_parameters()
        }
        groups = []
        for group in optimizer.param_groups:
            # The largest first, usually the heads': Trainer logs the first group's.
            for rate in sorted({rate_of[parameter] for parameter in group["params"]}, reverse=True):
                members = [parameter for parameter in group["params"] if rate_of[parameter] == rate]
                groups.append({**group, "params": members, "lr": rate})
        optimizer.param_groups = groups
        return optimizer


def _freeze_towers(model: Any, args: SmoothCLAPTrainingArguments) -> None:
    if hasattr(model, "peft_config"):
        return
    if args.freeze_audio_tower:
        model.audio_model.requires_grad_(False)
    if args.freeze_text_tower:
        model.text_model.requires_grad_(False)
