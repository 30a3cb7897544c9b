"""A whole training run, from settings to a checkpoint with its figures."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from datasets import DatasetDict
from transformers import AutoModel, AutoProcessor, set_seed
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPModel

from . import checkpoints
from .arguments import SmoothCLAPTrainingArguments
from .data.cache import cached_embeddings
from .evaluation.attributes import ATTRIBUTE_QUERIES, attribute_table
from .evaluation.training_metrics import ZeroShotMetrics
from .files import write_json
from .hub.card import write_model_card
from .hub.facts import ZERO_SHOT
from .hub.plan import ADAPTER
from .hub.provenance import PROVENANCE_FILE, TrainingSources, record_training
from .lora import merged, save_lora
from .prepare import Batches, load_clips, make_batches, make_model
from .settings import DataSettings, LoraSettings, ModelSettings, TrainingRun
from .trainer import SmoothCLAPTrainer


logger = logging.get_logger(__name__)


def train(run: TrainingRun) -> SmoothCLAPTrainer:
    """
    Train as the settings say, and save what came out.

    Writes to `output_dir`: the model and its processor; `thresholds.json` and `standardisation.json`, as far as
    captions and targets used them; `objective.json`, the loss in words and numbers; `training_config.yaml`;
    `training_log.yaml`; `data.json` and `provenance.json`, what was trained on; `origin.json`, what it started from;
    `versions.json`; `metrics.json`, the figures of the validation split; `attributes.csv`, zero-shot attributes of
    validation and test; `README.md`, the model card, written from all of these. The test split selects nothing.

    With `push_to_hub` all of that is published at the end, in one commit; see [`~hub_trainer.HubTrainer`].

    Args:
        run ([`TrainingRun`]): The settings, from [`~config.read_yaml`].

    Returns:
        [`SmoothCLAPTrainer`]: After training. If SIGTERM ended it, `trainer.stop.stopped` is true, a checkpoint was
        saved, and nothing else was written.

    Raises:
        ValueError: A setting, a manifest, a clip or a checkpoint is faulty.
    """
    model_settings, data_settings, lora, arguments = run.model, run.data, run.lora, run.arguments
    output = Path(str(arguments.output_dir))
    resume_from = _resume_from(arguments.resume_from_checkpoint, output)
    arguments.run_name = arguments.run_name or output.name  # loggers then join what is logged after training
    _check_cache(data_settings, lora, arguments)
    set_seed(arguments.seed)
    model, processor = make_model(model_settings, lora, arguments)  # first, because it may fail at once
    splits = load_clips(data_settings, arguments, output / "work")
    trainer_parts = make_batches(splits, model, processor, data_settings, lora, arguments, _barrier)
    metrics_of = ZeroShotMetrics(processor, trainer_parts.wordings, trainer_parts.collator.label_names)
    _check_metric(arguments.metric_for_best_model, metrics_of)
    sources = _sources(trainer_parts, data_settings, arguments)
    trainer = _trainer(model, processor, trainer_parts, arguments, metrics_of, sources)
    if lora.lora_towers and trainer.is_fsdp_enabled:
        raise ValueError("Adapters cannot be saved from sharded weights: train `lora_towers` without FSDP.")
    if arguments.push_to_hub and arguments.should_save:
        _forget_earlier_run(output)  # or cards that are pushed in training would show its figures
    trainer.train(resume_from_checkpoint=resume_from)
    if trainer.stop.stopped:
        return trainer
    if arguments.should_save:
        _forget_earlier_run(output)
    _save(trainer, processor, output, model_settings, lora.lora_save if lora.lora_towers else None)
    metrics = trainer.evaluate() if "validation" in splits else {}
    metrics.pop("epoch", None)  # the last, while the model may be of the best
    if arguments.process_index == 0:
        record_training(trainer, output)
        _record_run(output, data_settings, metrics, run.said)
    _barrier()
    # The others are done: none waits for what the first now does alone.
    if arguments.process_index == 0:
        if data_settings.report_attributes and isinstance(_plain(model), SmoothCLAPModel):
            _report_attributes(output, trainer_parts.splits, data_settings.cache_dir, str(arguments.device))
        write_model_card(output, trainer.hub_model_id if arguments.push_to_hub else arguments.hub_model_id)
        if arguments.push_to_hub:
            trainer.push_folder(output, "End of training")
    return trainer


def _check_cache(data: DataSettings, lora: LoraSettings, arguments: SmoothCLAPTrainingArguments) -> None:
    if data.cache_audio_tower and (not arguments.freeze_audio_tower or "audio" in lora.lora_towers):
        raise ValueError(
            "cache_audio_tower needs freeze_audio_tower and no adapters there: the output of a tower that trains "
            "changes at every step."
        )


def _check_metric(wanted: str | None, metrics: ZeroShotMetrics) -> None:
    """Refuse a metric that no evaluation gives before training comes to the first."""
    given = ["loss", *metrics.names]
    if wanted is not None and wanted.removeprefix("eval_") not in given:
        raise ValueError(f"metric_for_best_model is {wanted!r}, but evaluation gives {', '.join(given)}.")


def _barrier() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def _resume_from(asked: str | bool | None, output: Path) -> str | None:
    """The checkpoint to go on from: the one asked for, the last whole one if any will do, or none."""
    if not asked or str(asked).lower() in ("false", "none"):
        if there := checkpoints.all_checkpoints(output):
            raise ValueError(
                f"{str(output)!r} holds {there[0].name} of an earlier run: go on from it with --resume_from_checkpoint "
                "true, or choose another output_dir."
            )
        return None
    if str(asked).lower() != "true":
        return str(asked)
    last = checkpoints.last_whole_checkpoint(output)
    if last is None:
        logger.warning("There is no whole checkpoint to resume from: training starts from the beginning.")
    return last


def _sources(parts: Batches, data: DataSettings, arguments: SmoothCLAPTrainingArguments) -> TrainingSources:
    on_hub = [name for name in data.dataset if not Path(name).exists()]  # loaded, so from there
    uses_features = arguments.beta > 0 and "local_features" in arguments.targets
    return TrainingSources(dict(parts.splits), on_hub, data.local_feature_encoder if uses_features else None)


def _trainer(
    model: Any, processor: Any, parts: Batches, arguments: Any, metrics: ZeroShotMetrics, sources: TrainingSources
) -> SmoothCLAPTrainer:
    return SmoothCLAPTrainer(
        model=model,
        args=arguments,
        data_collator=parts.collator,
        train_dataset=parts.splits["train"],
        eval_dataset=parts.splits.get("validation"),
        processing_class=processor,
        compute_metrics=metrics,
        sources=sources,
    )


def _forget_earlier_run(folder: Path) -> None:
    """Take away what would be taken for a part of the model that comes now, or for its figures and data."""
    data = ("thresholds.json", "standardisation.json", PROVENANCE_FILE)
    for name in ("attributes.csv", ZERO_SHOT, *data, *ADAPTER):
        (folder / name).unlink(missing_ok=True)


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _save(
    trainer: SmoothCLAPTrainer, processor: Any, folder: Path, settings: ModelSettings, lora_save: str | None
) -> None:
    """Save model and processor, weights in `storage_dtype`, to be loaded as float32."""
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    if lora_save == "adapter":
        if trainer.args.should_save:
            save_lora(model, processor, folder, lora_save)
        return
    if lora_save is None:
        trainer.save_model(str(folder), _internal_call=True)  # gathers what is sharded, and does not publish yet
    if trainer.args.should_save:
        if lora_save == "merged":
            merged(model).save_pretrained(folder)
        processor.save_pretrained(folder)
        if settings.storage_dtype != "float32":
            _store_as(folder, type(_plain(model)), settings.storage_dtype)


def _store_as(folder: Path, model_class: Any, storage_dtype: str) -> None:
    model_class.from_pretrained(folder).to(getattr(torch, storage_dtype)).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    for part in (config, config["audio_config"], config["text_config"]):
        part["dtype"] = "float32"
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _record_run(folder: Path, data: DataSettings, metrics: dict[str, float], said: dict[str, Any]) -> None:
    """What the trainer does not know of: the settings as they were said, the figures, where the clips are from."""
    write_json(folder / "metrics.json", metrics)
    said = {name: value for name, value in said.items() if name != "hub_token"}  # the folder may be published
    (folder / "training_config.yaml").write_text(yaml.safe_dump(said, sort_keys=False), encoding="utf-8")
    sources = [Path(source) / PROVENANCE_FILE for source in data.dataset]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sources if path.is_file()]
    if records:
        write_json(folder / PROVENANCE_FILE, [entry for record in records for entry in record])


def _report_attributes(folder: Path, splits: DatasetDict, cache_dir: str, device: str) -> None:
    """Measure the saved model, as it was stored, on the splits it did not train on whose clips have functionals."""
    model: Any = AutoModel.from_pretrained(folder).to(device)
    processor = AutoProcessor.from_pretrained(folder)
    needed = {query.column for query in ATTRIBUTE_QUERIES}
    tables = []
    for name in [name for name in ("validation", "test") if name in splits]:
        if missing := sorted(needed - {*splits[name].column_names}):
            logger.warning(f"No attribute figures of the {name} clips, which have no {', '.join(missing)}.")
            continue
        rows = splits[name].with_format(None)
        kept = [column for column in ("corpus", *needed) if column in rows.column_names]
        table = rows.select_columns(kept).to_pandas()
        corpora = table["corpus"].fillna("unnamed") if "corpus" in table else "unnamed"
        embeds = cached_embeddings(model, processor.feature_extractor, rows, Path(cache_dir).expanduser() / "features")
        tables.append(attribute_table(table.assign(corpus=corpora), embeds, model, processor).assign(split=name))
    if tables:
        pd.concat(tables).to_csv(folder / "attributes.csv", index=False, float_format="%.4f")
