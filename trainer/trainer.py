"""Trainer for contrastive language-audio models with soft targets."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub import CommitInfo
from peft import LoraConfig
from torch import nn
from torch.utils.data import BatchSampler, DataLoader
from transformers import AutoConfig, EarlyStoppingCallback, Trainer, set_seed
from transformers.trainer_utils import HubStrategy
from transformers.utils import logging
from transformers.utils.hub import hf_api

from . import checkpoints, towers
from .arguments import SmoothCLAPTrainingArguments
from .data.collator import (
    METADATA_INPUTS,
    EpochCallback,
    SmoothCLAPCollator,
    clips_of_step,
    evaluation_loader,
    joint_loader,
)
from .files import held
from .hub.card import write_model_card
from .hub.plan import forget_earlier_run
from .hub.provenance import ProvenanceCallback, TrainingSources, corpora_of_encoder, corpora_of_rows, record_training
from .hub.push import explained, push
from .losses.gradient_cache import CachedGradients
from .losses.joint_loss import BatchStatistics, Representations
from .prepare import prepare
from .rules import check_options
from .settings import DataSettings


logger = logging.get_logger(__name__)

NOT_OF_THE_MODEL = ("tag_input_ids", "tag_attention_mask", "local_features", "functionals", *METADATA_INPUTS)
"""Entries of a batch that shape the targets or describe its clips."""
FRONT_MATTER = {name: name for name in ("language", "license", "tags")}
FRONT_MATTER |= {"finetuned_from": "base_model", "dataset_tags": "datasets"}
"""Arguments of `create_model_card` to entries of the card's front matter."""
Batch = dict[str, torch.Tensor]


class SmoothCLAPTrainer(Trainer):
    """
    [`~transformers.Trainer`] with SmoothCLAP's loss, over a batch that all processes share.

    The candidates of a clip are the captions of all processes and, with `gradient_cache`, of all accumulation steps.
    Without a `data_collator`, rows are prepared as for a run from a YAML file, see [`~prepare.prepare`], and
    `compute_metrics` is zero-shot classification and retrieval. SIGTERM and Ctrl-C save a checkpoint and end training,
    Ctrl-C as a KeyboardInterrupt. A push is one commit that replaces what was there.

    Args:
        model (*optional*): [`SmoothCLAPModel`], transformers' `ClapModel` or another dual encoder with `audio_model`,
            `text_model` and `get_text_features`, whose `forward` returns `audio_embeds` and `text_embeds`; or the name
            or folder of a checkpoint, such as `"smoothclap-tiny"`. The towers that `args` freeze are frozen here.
        args ([`SmoothCLAPTrainingArguments`], *optional*): Settings.
        data_collator (`Callable`, *optional*): Makes batches, see [`SmoothCLAPCollator`].
        train_dataset, eval_dataset (*optional*): Rows of [`load_manifest`], or what `data_collator` takes.
        processing_class (*optional*): The model's processor; by default the checkpoint's or the collator's.
        data ([`DataSettings`] or `Mapping`, *optional*): How rows without a `data_collator` are prepared.
        peft_config (`peft.LoraConfig`, *optional*): Adds adapters to both towers.
        sources ([`TrainingSources`], *optional*): Describes the data for records and card; by default both datasets.
        **kwargs: As for [`~transformers.Trainer`]. If `compute_metrics` has a method `prepare(model)`, it is called
            before each evaluation.

    Attributes:
        stop ([`~checkpoints.StopCallback`]): Its `stopped` is true if SIGTERM ended training.

    Raises:
        ValueError: An argument or a row is wrong, or one process would drive several GPUs.
    """

    args: SmoothCLAPTrainingArguments

    def __init__(
        self,
        model: Any = None,
        args: SmoothCLAPTrainingArguments | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        *,
        data: DataSettings | Mapping[str, Any] | None = None,
        peft_config: LoraConfig | None = None,
        sources: TrainingSources | None = None,
        **kwargs: Any,
    ):
        args = args or SmoothCLAPTrainingArguments(output_dir="smoothclap-output")
        check_options(kwargs, args)
        if isinstance(model, str | Path):
            set_seed(args.seed)
            model, loaded = towers.load_checkpoint(str(model))
            processing_class = processing_class or loaded
        if peft_config is not None:
            model = towers.add_lora(model, peft_config, args.freeze_audio_tower, args.freeze_text_tower)
        if model is not None:
            towers.freeze_towers(model, args)
        if data_collator is None:
            splits = {"train": train_dataset} | ({} if eval_dataset is None else {"validation": eval_dataset})
            start = kwargs["model_init"]() if model is None and kwargs.get("model_init") else model
            prepared = prepare(splits, start, processing_class, data, args)
            data_collator, sources = prepared.collator, sources or prepared.sources
            train_dataset, eval_dataset = prepared.splits["train"], prepared.splits.get("validation")
            if eval_dataset is not None:
                kwargs.setdefault("compute_metrics", prepared.compute_metrics)
        elif data is not None:
            raise ValueError(f"`data` ({data}) has no effect with a `data_collator`: leave one of them out.")
        processor = processing_class or getattr(data_collator, "processor", None)
        super().__init__(model, args, data_collator, train_dataset, eval_dataset, processor, **kwargs)
        if self.args.n_gpu > 1:
            raise ValueError(
                f"One process would drive {self.args.n_gpu} GPUs by DataParallel, which this loss does not support: "
                "start one process per GPU with torchrun or accelerate launch, or set CUDA_VISIBLE_DEVICES=0."
            )
        if self.is_fsdp_enabled and hasattr(model, "peft_config"):
            raise ValueError("Adapters cannot be saved from sharded weights: train them without FSDP.")
        # The loss is a mean over the batch, whatever the model's own loss would be: accumulation divides it.
        self.model_accepts_loss_kwargs = False
        rows = {"train": self.train_dataset, "validation": self.eval_dataset}
        self.sources = sources or TrainingSources({name: each for name, each in rows.items() if each is not None})
        self.joint_loss = args.joint_loss
        self.statistics = BatchStatistics()
        self._chunks: list[Batch] = []
        self._cached: CachedGradients | None = None
        self.stop, self._epoch = checkpoints.StopCallback(), EpochCallback([self.data_collator])
        for callback in (self.stop, ProvenanceCallback(self.corpora), self._epoch, towers.ScaleCallback()):
            self.add_callback(callback)
        if args.early_stopping_patience is not None:
            self.add_callback(EarlyStoppingCallback(args.early_stopping_patience))

    def _hp_search_setup(self, trial: Any) -> None:
        super()._hp_search_setup(trial)
        if trial is not None:  # it may have other targets
            self.args.check()
            self.joint_loss = self.args.joint_loss

    def call_model_init(self, trial: Any = None) -> Any:
        """Make the model by `model_init`, and freeze the towers that `args` freeze."""
        model = super().call_model_init(trial)
        towers.freeze_towers(model, self.args)
        return model

    def corpora(self) -> set[str]:
        """Return the corpora that the model is trained and selected on, and those of the encoder behind its targets."""
        corpora = corpora_of_rows(self.train_dataset) | corpora_of_rows(self.eval_dataset)
        if self.sources.feature_encoder is not None:
            corpora |= corpora_of_encoder(AutoConfig.from_pretrained(self.sources.feature_encoder))
        return corpora

    def get_train_dataloader(self) -> DataLoader:
        """Return this process's shares of the joint batches, see [`~data.collator.JointBatchSampler`]."""
        if self.train_dataset is None:
            raise ValueError("There is nothing to train on: pass `train_dataset`.")
        args, rows = self.args, cast(Any, self.train_dataset)
        chunks = args.gradient_accumulation_steps if args.gradient_cache else 1
        if self._train_batch_size * args.world_size * chunks < 2:
            raise ValueError("A batch of a single clip has no negatives, so nothing would be learned: take 2 or more.")
        loader = joint_loader(rows, self.data_collator, self._train_batch_size, args)
        self._epoch.listeners = [self.data_collator, loader.batch_sampler]
        return loader

    def _get_dataloader(self, dataset: Any, description: str, batch_size: int, *args: Any, **kwargs: Any) -> DataLoader:
        """Make batches to evaluate or to predict, with whole clips and fixed captions."""
        collator = self.data_collator
        if isinstance(collator, SmoothCLAPCollator):
            collator = replace(collator, training=False)
        loader = evaluation_loader(dataset, collator, batch_size, self.args)
        # Accelerate would take a last batch that is larger for one that is smaller, and drop its results.
        return loader if type(loader.batch_sampler) is not BatchSampler else self.accelerator.prepare(loader)

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return this process's part of the joint loss in nats: the average over processes is the joint loss."""
        outputs = self._forward(model, inputs)
        batch = self._represent(model, inputs, outputs)
        loss, parts = self.joint_loss(batch)
        if model.training:
            self.statistics.add(parts, batch.scales, inputs.get("caption_ids"))
        return (loss, outputs) if return_outputs else loss

    def _forward(self, model: nn.Module, inputs: Batch) -> Any:
        if model.training:
            towers.rest_frozen_towers(self.accelerator.unwrap_model(model))
        return model(**{name: value for name, value in inputs.items() if name not in NOT_OF_THE_MODEL})

    def _represent(self, model: nn.Module, inputs: Batch, outputs: Any, with_features: bool = True) -> Representations:
        encoder = self.accelerator.unwrap_model(model)
        features = self.joint_loss.targets.features(encoder, inputs) if with_features else []
        return Representations(
            outputs.audio_embeds, outputs.text_embeds, towers.logit_scales(encoder, outputs), features
        )

    def training_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any = None) -> torch.Tensor:
        """Run one forward and backward pass; with `gradient_cache`, of one chunk of the joint batch."""
        step = self._cached_step if self.args.gradient_cache else super().training_step
        loss = step(model, inputs, num_items_in_batch)
        if not loss.isfinite():
            sampler, number = self._epoch.listeners[1], self.state.global_step
            clips = clips_of_step(self.train_dataset, sampler, number, self.args.gradient_accumulation_steps)
            cure = "look at their features, or lower the learning rates"
            raise ValueError(f"The loss of step {number + 1} is {loss.item()}, over the clips {clips}: {cure}.")
        return loss

    def _cached_step(self, model: nn.Module, inputs: Batch, num_items_in_batch: Any) -> torch.Tensor:
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
        def represent(chunk: Batch, with_features: bool) -> Representations:
            return self._represent(model, chunk, self._forward(model, chunk), with_features)

        chunks = [self._prepare_inputs(chunk) for chunk in self._chunks]
        cached = CachedGradients(represent, chunks, self.joint_loss, model)
        captions = [chunk["caption_ids"] for chunk in chunks if "caption_ids" in chunk]
        self.statistics.add(cached.parts, cached.scales, torch.cat(captions) if captions else None)
        return cached

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As in [`~transformers.Trainer`]; a training loss is logged with the statistics of its batches."""
        super().log(logs | (self.statistics.pop() if "loss" in logs else {}), start_time)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """As in [`~transformers.Trainer`], over the whole gathered set."""
        if prepare_metrics := getattr(self.compute_metrics, "prepare", None):
            prepare_metrics(self.accelerator.unwrap_model(self.model))
        return super().evaluation_loop(*args, **kwargs)

    def prediction_step(
        self, model: nn.Module, inputs: Batch, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor | None, Any, Any]:
        """Return loss, embeddings, and labels: pairs of class, -1 where unknown, and caption, equal for equal ones."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss.detach(), None, None
        if "caption_ids" not in inputs:
            raise ValueError(f"Evaluation needs `caption_ids` in the batch, which has {list(inputs)}: give it those.")
        captions = inputs["caption_ids"]
        labels = (inputs.get("labels", torch.full_like(captions, -1)), captions)
        return loss.detach(), (outputs.audio_embeds.detach(), outputs.text_embeds.detach()), labels

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        """As in [`~transformers.Trainer`], without the logit scale: weight decay never applies to it."""
        return [name for name in super().get_decay_parameter_names(model) if "logit_scale" not in name]

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the optimiser, with a learning rate of its own for each tower."""
        if self.optimizer is not None:
            return self.optimizer
        optimizer = super().create_optimizer(model)
        towers.set_learning_rates(optimizer, self.model if model is None else model, self.args)
        return optimizer

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """As in [`~transformers.Trainer`]; a `ValueError` without a checkpoint to resume, or in a folder in use."""
        if resume_from_checkpoint is None:
            resume_from_checkpoint = self.args.resume_from_checkpoint
        if resume_from_checkpoint:
            resume_from_checkpoint = checkpoints.checked(resume_from_checkpoint, self.args)
            self.args.eval_on_start = False  # that evaluation was made, and counted by early stopping, at the start
        try:
            with held(str(self.args.output_dir), self.args.should_save):
                output = super().train(resume_from_checkpoint, *args, **kwargs)
        finally:
            self.stop.restore()
        self.stop.raise_interrupt(self.state.global_step)
        return output

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        checkpoints.check_finite(model)
        # Older checkpoints go only when the new one is known to be whole.
        with checkpoints.no_limit(self.args) as limit:
            super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()  # every process writes a file of its own
        if self.args.should_save:
            checkpoints.seal_newest(self._get_output_dir(trial=trial), self.state, self.args.seed, limit)
        self.accelerator.wait_for_everyone()  # a process that went on and ended would have the launcher end this one

    def _finalize_training(self, *args: Any, **kwargs: Any) -> Any:
        if not self.stop.stopped:
            return super()._finalize_training(*args, **kwargs)
        # With a limit of one, Trainer would now delete all but the best checkpoint: also the one to resume from.
        with checkpoints.no_limit(self.args):
            return super()._finalize_training(*args, **kwargs)

    def _load_callback_state(self) -> None:
        super()._load_callback_state()
        checkpoints.restore_early_stopping(self.callback_handler.callbacks, self.state)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """
        Save a checkpoint that AutoModel, pipelines and [`SmoothCLAPEncoder`] load, with records and card; push it with
        `push_to_hub`. Adapters are added to the weights. Every process calls it.
        """
        if _internal_call:
            return super().save_model(output_dir, _internal_call=True)
        folder = str(output_dir or self.args.output_dir)
        self.save_pretrained(folder)
        self.publish(folder, "Model save")

    def publish(self, folder: str | Path, message: str) -> None:
        """Add records and card to a saved model, and push it if `push_to_hub` is set; only the first process does."""
        self.create_model_card(self.hub_model_id, folder)
        if self.args.push_to_hub and self.is_world_process_zero():
            self.push_folder(folder, message)

    def save_pretrained(self, folder: str | Path, lora_save: str = "merged") -> None:
        """Save model and processor only; for `lora_save` see [`~towers.save_lora`]. Every process must call this."""
        checkpoints.check_finite(self.model)
        if self.args.should_save:
            forget_earlier_run(folder)
        if not hasattr(self.model, "peft_config"):
            self.save_model(str(folder), _internal_call=True)  # gathers what is sharded
        elif self.args.should_save:
            adapted = cast(Any, self.accelerator.unwrap_model(self.model))
            towers.save_lora(adapted, self.processing_class, folder, lora_save)

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """As in [`~transformers.Trainer`]; a refusal of the Hub is a `ValueError` that explains it."""
        with explained(self.args.hub_model_id or Path(str(self.args.output_dir)).absolute().name):
            super().init_hf_repo(token, **({} if private is None else {"private": private}))

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """As in [`~transformers.Trainer`]; a `ValueError` if the Hub refuses or the model has PEFT adapters."""
        if hasattr(self.model, "peft_config"):
            # Saved into the folder of a merged model, they would be applied to it a second time.
            raise ValueError("Adapters alone are not a whole checkpoint: call `save_model()`, then `push_folder(...)`.")
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        self.create_model_card(**{"model_name": self.hub_model_id} | kwargs)
        upload = partial(self.push_folder, str(self.args.output_dir), commit_message, token, revision)
        return upload() if blocking else hf_api().run_as_future(upload)

    def push_folder(
        self, folder: str | Path, commit_message: str | None = None, token: str | None = None, revision: Any = None
    ) -> Any:
        """Push a checkpoint as it is to the run's repository, in the first process. Arguments are `push_to_hub`'s."""
        revision, token = revision or self.args.hub_revision, token or self.args.hub_token
        name = str(self.hub_model_id)
        result = push(folder, name, revision=revision, overwrite=True, token=token, message=commit_message)
        return CommitInfo(str(result.url), commit_message or "", "", str(result.commit))

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        if self.args.hub_strategy == HubStrategy.END:
            return
        try:
            self.push_to_hub(f"Training in progress, step {self.state.global_step}")
        except ValueError as error:
            logger.warning(f"The model of step {self.state.global_step} was not pushed: {error}")

    def create_model_card(self, model_name: str | None = None, folder: Any = None, **front: Any) -> None:  # type: ignore[override]
        """Write records and card next to the model, in `output_dir`; `front` has the keys of `FRONT_MATTER`."""
        if refused := sorted(front.keys() - FRONT_MATTER.keys()):
            raise ValueError(f"The card has no place for {refused}: leave it out, or write it into notes.md.")
        if self.is_world_process_zero():
            folder = folder or str(self.args.output_dir)
            record_training(self, folder)
            entries = {FRONT_MATTER[name]: value for name, value in front.items()}
            write_model_card(folder, model_name or self.args.hub_model_id, entries)
