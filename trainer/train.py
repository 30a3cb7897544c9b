"""A whole training run, from settings to a checkpoint with its records, metrics and card."""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from datasets import Dataset, DatasetDict
from transformers import set_seed
from transformers.utils import CONFIG_NAME, logging

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor
from modeling_smoothclap.checkpoint_smoothclap import find_checkpoint, loading_encoders, with_tiny

from . import checkpoints
from .config import did_you_mean, read_yaml
from .data.joining import concatenated
from .data.leakage import check_across
from .data.manifest import load_manifest
from .evaluation.attributes import measured_attributes, write_attributes
from .evaluation.corpus_names import UNRECORDED
from .evaluation.corpus_sources import is_corpus_file
from .files import Record, held, write_json, write_text
from .hub.licences import RollUp
from .hub.plan import forget_earlier_run
from .hub.privacy import shareable
from .hub.provenance import corpora_of_rows, inputs_of_run
from .hub.records import read_notes
from .prepare import check_libraries, chosen_clips, in_first_process, prepare
from .settings import DataSettings, ModelSettings, TrainingRun
from .towers import add_lora, load_checkpoint, plain
from .trainer import SmoothCLAPTrainer


logger = logging.get_logger(__name__)


def run_training(run: TrainingRun | str | Path) -> SmoothCLAPTrainer:
    """
    Train as the settings say, and save the result.

    Writes to `output_dir`: the model and its processor; `thresholds.json` and `standardisation.json`, if captions or
    targets used them; `objective.json`, the loss; `training_config.yaml`; `training_log.yaml`; `data.json` and
    `provenance.json`, the data; `origin.json`, what training started from; `licences.json`, of both; `versions.json`;
    `metrics.json` of the validation split; `attributes.csv`, zero-shot attributes of validation and test; `README.md`,
    the model card, made from all of these. The test split selects nothing. With `push_to_hub` all of that is pushed at
    the end, in one commit.

    Args:
        run ([`TrainingRun`], `str` or `Path`): The settings, or the YAML file with them.

    Returns:
        [`SmoothCLAPTrainer`]: After training. If SIGTERM ended it, `trainer.stop.stopped` is true, a checkpoint was
        saved, and nothing else was written.

    Raises:
        ValueError: A setting, a manifest, a clip or a checkpoint is faulty, `notes.md` in `output_dir` states a licence
            that an input rules out, or another run is at work there.
    """
    if not isinstance(run, TrainingRun):
        run = read_yaml(run, TrainingRun)
    with held(str(run.arguments.output_dir), run.arguments.should_save):
        return _run(run)


def _run(run: TrainingRun) -> SmoothCLAPTrainer:
    lora, arguments = run.lora, run.arguments
    output = Path(str(arguments.output_dir))
    resume_from = _resume_from(arguments.resume_from_checkpoint, output)
    arguments.run_name = arguments.run_name or output.name  # loggers then join what is logged after training
    trainer, splits = _make_trainer(run)
    RollUp(inputs_of_run(trainer)).check(read_notes(output / Record.NOTES).front_matter.get("license"))
    if arguments.push_to_hub and arguments.should_save:
        forget_earlier_run(output)  # or cards that are pushed in training would show its metrics
    trainer.train(resume_from_checkpoint=resume_from or False)
    if trainer.stop.stopped:
        return trainer
    trainer.save_pretrained(output, lora.lora_save)
    apart = lora.lora_towers and lora.lora_save == "adapter"
    if arguments.should_save and run.model.storage_dtype != "float32" and not apart:
        _store_as(output, type(plain(trainer.model)), run.model.storage_dtype)
    metrics = trainer.evaluate() if "validation" in splits else {}
    metrics.pop("epoch", None)  # the last, while the model may be of the best
    trainer.accelerator.wait_for_everyone()  # none of them waits for what the first now does alone
    if arguments.process_index == 0:
        _record_run(output, run.data, metrics, run.said)
        if run.data.report_attributes:
            table = measured_attributes(output, splits, run.data.cache_dir, str(arguments.device))
            if len(table):
                write_attributes(table, output / Record.ATTRIBUTES)
    trainer.publish(output, "End of training")
    return trainer


def _make_trainer(run: TrainingRun) -> tuple[SmoothCLAPTrainer, DatasetDict]:
    """Return the trainer of a run, and all of its clips."""
    lora, arguments = run.lora, run.arguments
    check_libraries(run.data)
    encoders = (run.model.audio_encoder, run.model.text_encoder, run.data.local_feature_encoder)
    for name in (run.model.model and with_tiny(run.model.model), *encoders):
        if name is not None:
            find_checkpoint(name)
    rows = in_first_process(arguments, partial(_manifests_to_train_on, run))  # before weights, which may take long
    set_seed(arguments.seed)
    model, processor = make_model(run.model)
    if lora.lora_towers:
        model = add_lora(model, lora, arguments.freeze_audio_tower, arguments.freeze_text_tower)
    prepared = prepare(rows or {}, model, processor, run.data, arguments)
    trainer = SmoothCLAPTrainer(
        model=model,
        args=arguments,
        data_collator=prepared.collator,
        train_dataset=prepared.splits["train"],
        eval_dataset=prepared.splits.get("validation"),
        processing_class=processor,
        compute_metrics=prepared.compute_metrics,
        sources=prepared.sources,
    )
    return trainer, prepared.splits


def _manifests_to_train_on(run: TrainingRun) -> DatasetDict:
    rows = load_manifests(run.data)
    chosen_clips(rows, run.data, run.arguments)  # refuses those of which no run can be made
    return rows


def make_model(settings: ModelSettings) -> tuple[Any, Any]:
    """Load the model that training starts from, or make a new one of two encoders; and its processor."""
    if settings.model is not None:
        return load_checkpoint(settings.model)
    towers = (str(settings.audio_encoder), str(settings.text_encoder))
    fields = ("projection_dim", "projection_dropout", "text_pooling")
    heads: dict[str, Any] = {name: getattr(settings, name) for name in fields}
    with loading_encoders(*towers):
        model = SmoothCLAPModel.from_audio_text_pretrained(*towers, **heads)
        return model, SmoothCLAPProcessor.from_audio_text_pretrained(*towers, max_frequency=settings.max_frequency)


def load_manifests(settings: DataSettings) -> DatasetDict:
    """Load and join the manifests that `settings` name, with every check that needs no audio."""
    missing: Literal["raise", "keep"] = "keep" if settings.bad_clips == "skip" else "raise"
    named, read = settings.manifests(), dict[int, DatasetDict]()
    for of_corpora in (False, True):  # which come last: their names are known, and they may have to be downloaded
        if of_corpora:
            _check_left_out(settings, read.values())
        for number, (source, columns, _) in enumerate(named):
            if is_corpus_file(source) == of_corpora:
                read[number] = load_manifest(source, columns, settings.audio_root, missing)
    clips = joined([source for source, *_ in named], [read[number] for number in range(len(named))])
    if settings.leave_out:
        clips = _without_corpora(clips, settings.leave_out)
    if "train" not in clips:
        without = f" without {settings.leave_out}" if settings.leave_out else ""
        found = f"only those of {sorted(clips)}" if clips else "nor any others"
        raise ValueError(f"{settings.dataset} have no training rows{without}, {found}: add a manifest that has some.")
    return clips


def _check_left_out(settings: DataSettings, manifests: Iterable[DatasetDict]) -> None:
    """Refuse names in `leave_out` that are neither of a file of a corpus nor of rows of the other manifests."""
    known = {each.corpus for each in settings.corpus_files().values()}
    known |= {name for each in manifests for name in corpora_of_rows(each)} - {UNRECORDED}
    if unknown := [corpus for corpus in settings.leave_out if corpus not in known]:
        cure = did_you_mean(unknown[0], known) or "name some of these"
        raise ValueError(f"`leave_out` has {unknown}, but the corpora of the clips are {sorted(known)}; {cure}")


def _without_corpora(clips: DatasetDict, left_out: Sequence[str]) -> DatasetDict:
    """Return the rows whose `corpus` is not left out."""
    for name, rows in clips.items():
        if "corpus" in rows.column_names:
            clips[name] = rows.select([row for row, corpus in enumerate(rows["corpus"][:]) if corpus not in left_out])
    return DatasetDict({name: rows for name, rows in clips.items() if len(rows)})


def joined(names: Sequence[str], sources: Sequence[DatasetDict]) -> DatasetDict:
    """Join manifests by split, after checking that no clip or speaker is in two splits."""
    check_across(sources)
    found: dict[str, list[tuple[str, Dataset]]] = {}
    for name, source in zip(names, sources, strict=True):
        for split, rows in source.items():
            found.setdefault(str(split), []).append((name, rows))
    return DatasetDict({split: concatenated(parts) for split, parts in found.items()})


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


def _store_as(folder: Path, model_class: Any, storage_dtype: str) -> None:
    model_class.from_pretrained(folder).to(getattr(torch, storage_dtype)).save_pretrained(folder)
    config = json.loads((folder / CONFIG_NAME).read_text())
    for part in (config, config["audio_config"], config["text_config"]):
        part["dtype"] = "float32"
    write_json(folder / CONFIG_NAME, config)


def _record_run(folder: Path, data: DataSettings, metrics: dict[str, float], said: dict[str, Any]) -> None:
    """Write what the trainer does not know: the settings as the user wrote them, metrics, and where clips are from."""
    write_json(folder / Record.METRICS, metrics)
    said = {name: shareable(value) for name, value in said.items() if name != "hub_token"}  # it may be published
    write_text(folder / Record.SETTINGS, yaml.safe_dump(said, sort_keys=False))
    sources = [Path(source) / Record.PROVENANCE for source in data.dataset]
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sources if path.is_file()]
    if records:
        write_json(folder / Record.PROVENANCE, [entry for record in records for entry in record])
