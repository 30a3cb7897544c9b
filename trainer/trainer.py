"""Trainer for contrastive language-audio models with softened targets."""

from collections.abc import Iterator, Sized
from dataclasses import replace
from functools import partial
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback
from transformers.trainer_utils import seed_worker

from .arguments import SmoothCLAPTrainingArguments
from .callbacks import BatchFigures, EpochCallback, ScaleCallback
from .data.collator import METADATA_INPUTS, JointBatchSampler, SmoothCLAPCollator
from .dual_encoder import freeze_towers, logit_scales, rest_frozen_towers
from .losses.gradient_cache import CachedGradients
from .losses.joint_loss import JointLoss, Representations
from .recording import RecordingTrainer


TARGET_INPUTS = ("tag_input_ids", "tag_attention_mask", "local_features", "functionals")
"""Entries of a batch that shape the targets and are not inputs of the model."""


class SmoothCLAPTrainer(RecordingTrainer):
    """
    [`~transformers.Trainer`] whose loss is SmoothCLAP's, over a batch that all processes share.

    It trains any dual encoder with `audio_model`, `text_model` and `get_text_features` whose `forward` returns
    `audio_embeds` and `text_embeds`: [`SmoothCLAPModel`] and transformers' `ClapModel` are two. The candidates of a
    clip are the captions of all processes and, with `gradient_cache`, of all accumulation steps; an uneven end of an
    epoch is shared evenly. Batches come from [`~smoothclap_trainer.data.collator.SmoothCLAPCollator`], which evaluation
    uses with `training=False`: whole clips, fixed captions.

    Logs hold, beside the loss, the divergences that make it up, the logit scale, how many negatives a clip has, and
    the rate of duplicate captions, which are negatives of each other although they say the same. How it stops and
    resumes: see [`~resumable.ResumableTrainer`]; what it records and pushes: [`~recording.RecordingTrainer`].

    Args:
        model (*optional*): What to train. The towers that `args` freeze are frozen here; a PEFT model is left as PEFT
            set it.
        args ([`SmoothCLAPTrainingArguments`], *optional*): Settings.
        **kwargs: As for [`~recording.RecordingTrainer`]. `compute_metrics` may have a method `prepare(model)`, as
            `evaluation.training_metrics.ZeroShotMetrics` has; it is called before each evaluation.
    """

    args: SmoothCLAPTrainingArguments

    def __init__(self, model: Any = None, args: SmoothCLAPTrainingArguments | None = None, **kwargs):
        args = args or SmoothCLAPTrainingArguments(output_dir="smoothclap-output")
        if kwargs.get("data_collator") is None:
            raise ValueError("There is no collator: pass `data_collator=SmoothCLAPCollator(processor, thresholds)`.")
        if model is not None:
            freeze_towers(model, args.freeze_audio_tower, args.freeze_text_tower)
        super().__init__(model=model, args=args, **kwargs)
        if self.args.n_gpu > 1:
            raise ValueError(
                f"One process would drive {self.args.n_gpu} GPUs by DataParallel, which this loss does not support: "
                "start one process per GPU with torchrun or accelerate launch, or set CUDA_VISIBLE_DEVICES=0."
            )
        # The loss is a mean over the batch whatever the model's own loss would be: accumulation divides it.
        self.model_accepts_loss_kwargs = False
        reading: Any = args.kl_reading
        self.objective: JointLoss = JointLoss(args.soft_targets, reading, args.loss_tile)
        self.figures = BatchFigures()
        self._chunks: list[dict[str, torch.Tensor]] = []
        self._cached: CachedGradients | None = None
        self._epoch = EpochCallback([self.data_collator])
        for callback in (self._epoch, ScaleCallback()):
            self.add_callback(callback)
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))

    def call_model_init(self, trial: Any = None) -> Any:
        """The model of `model_init`, with the towers frozen that are to be."""
        model = super().call_model_init(trial)
        freeze_towers(model, self.args.freeze_audio_tower, self.args.freeze_text_tower)
        return model

    # Data

    def get_train_dataloader(self) -> DataLoader:
        """This process's shares of the joint batches, see [`JointBatchSampler`]."""
        if self.train_dataset is None:
            raise ValueError("There is nothing to train on: pass `train_dataset`.")
        args, clips = self.args, cast(Sized, self.train_dataset)
        chunks = args.gradient_accumulation_steps if args.gradient_cache else 1
        if self._train_batch_size * args.world_size * chunks < 2:
            raise ValueError("A batch of a single clip has no negatives, so nothing would be learned: take 2 or more.")
        sampler = JointBatchSampler(
            len(clips),
            self._train_batch_size,
            args.world_size,
            args.process_index,
            seed=args.seed if args.data_seed is None else args.data_seed,
            drop_last=args.dataloader_drop_last,
        )
        self._epoch.listeners = [self.data_collator, sampler]
        return DataLoader(
            self.train_dataset,
            batch_sampler=sampler,
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            pin_memory=args.dataloader_pin_memory,
            prefetch_factor=args.dataloader_prefetch_factor,
            worker_init_fn=partial(seed_worker, num_workers=args.dataloader_num_workers, rank=args.process_index),
        )

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

    # Loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """This process's part of the joint loss in nats; with `return_outputs`, also what the model returned.

        The average over processes is the joint loss, in value and in gradient.
        """
        outputs = self._forward(model, inputs)
        batch = self._represent(model, inputs, outputs)
        loss, parts = self.objective(batch)
        if model.training:
            self.figures.add(parts, batch.scales, inputs.get("caption_ids"))
        return (loss, outputs) if return_outputs else loss

    def _forward(self, model: nn.Module, inputs: dict[str, torch.Tensor]) -> Any:
        if model.training:
            rest_frozen_towers(self.accelerator.unwrap_model(model))
        others = (*TARGET_INPUTS, *METADATA_INPUTS)
        return model(**{name: value for name, value in inputs.items() if name not in others})

    def _represent(
        self, model: nn.Module, inputs: dict[str, torch.Tensor], outputs: Any, with_features: bool = True
    ) -> Representations:
        encoder = self.accelerator.unwrap_model(model)
        features = self.objective.targets.features(encoder, inputs) if with_features else []
        return Representations(outputs.audio_embeds, outputs.text_embeds, logit_scales(encoder, outputs), features)

    def training_step(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """One forward and backward pass; with `gradient_cache`, of one chunk of the joint batch."""
        if not self.args.gradient_cache:
            return super().training_step(model, inputs, num_items_in_batch)
        model.train()
        if callable(getattr(self.optimizer, "train", None)):  # schedule-free optimisers have two modes
            self.optimizer.train()  # type: ignore[union-attr]
        with self.compute_loss_context_manager():
            if self._cached is None:
                self._cached = self._cache_gradients(model)
            cached, index = self._cached, self._chunks_done
            surrogate = cached.surrogate(index)
        self._chunks_done += 1
        if self._chunks_done == len(self._chunks):
            self._cached, self._chunks = None, []
        self.accelerator.backward(surrogate)
        # Trainer adds up what the accumulation steps return.
        return cached.loss / len(cached.chunks)

    def get_batch_samples(self, epoch_iterator: Iterator, num_batches: int, device: torch.device) -> Any:
        """As in [`~transformers.Trainer`]; the batches of an optimiser step are kept as chunks of a joint batch."""
        batches, count = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._chunks, self._cached, self._chunks_done = batches, None, 0
        return batches, count

    def _cache_gradients(self, model: nn.Module) -> CachedGradients:
        def represent(chunk: dict[str, torch.Tensor], with_features: bool) -> Representations:
            return self._represent(model, chunk, self._forward(model, chunk), with_features)

        chunks = [self._prepare_inputs(chunk) for chunk in self._chunks]
        cached = CachedGradients(represent, chunks, self.objective, model)
        captions = [chunk["caption_ids"] for chunk in chunks if "caption_ids" in chunk]
        self.figures.add(cached.parts, cached.scales, torch.cat(captions) if captions else None)
        return cached

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As in [`~transformers.Trainer`]; a training loss is logged with the figures of its batches."""
        if "loss" in logs:
            logs |= self.figures.pop()
        super().log(logs, start_time)

    # Evaluation

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """As in [`~transformers.Trainer`], over the whole gathered set."""
        if prepare := getattr(self.compute_metrics, "prepare", None):
            prepare(self.accelerator.unwrap_model(self.model))
        return super().evaluation_loop(*args, **kwargs)

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
        would come in blocks of one batch. Labels are pairs of class, -1 where unknown, and caption, equal for equal
        captions.

        Raises:
            ValueError: The batch does not say which captions are equal.
        """
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss.detach(), None, None
        if "caption_ids" not in inputs:
            raise ValueError(
                "Evaluation needs `caption_ids` in the batch, equal for equal captions; see METADATA_INPUTS."
            )
        captions = inputs["caption_ids"]
        labels = (inputs.get("labels", torch.full_like(captions, -1)), captions)
        return loss.detach(), (outputs.audio_embeds.detach(), outputs.text_embeds.detach()), labels

    # Optimiser

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
