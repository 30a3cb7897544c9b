"""What a training run records next to the weights: data, starting point, objective, versions and log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from accelerate.utils import extract_model_from_parallel
from datasets import Dataset
from huggingface_hub import try_to_load_from_cache
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import CONFIG_NAME, cached_file, logging
from transformers.utils.hub import extract_commit_hash

from ..data.collator import SmoothCLAPCollator
from ..data.leakage import recording_hashes
from ..evaluation.corpus_names import UNRECORDED
from ..evaluation.results import versions
from ..files import Record, write_json, write_text
from .licences import (
    InputKind,
    LicensedInput,
    as_text,
    corpora_inputs,
    inputs_from_json,
    inputs_of_conversion,
    known_licence,
    stated_licence,
    write_licences,
)
from .privacy import shareable
from .records import read_record, unreadable


logger = logging.get_logger(__name__)

CORPORA_OF_ENCODERS: dict[str, tuple[str, ...]] = {
    "wav2vec2-large-robust-12-ft-emotion-msp-dim": ("msp-podcast",),  # audeering's, as its model card says
}
"""Encoders that were fine-tuned on emotion corpora and do not say so in their configurations."""


def corpora_of_rows(rows: Any) -> set[str]:
    """Return the corpora of `datasets.Dataset` rows, or of a mapping of such; [`UNRECORDED`] for rows without one."""
    if rows is None:
        return set()
    if isinstance(rows, Mapping):
        return {name for each in rows.values() for name in corpora_of_rows(each)}
    if not isinstance(rows, Dataset) or "corpus" not in rows.column_names:
        return {UNRECORDED}
    return {name or UNRECORDED for name in rows.unique("corpus")}


def corpora_of_encoder(config: Any) -> set[str]:
    """
    Return the emotion corpora that an encoder is known to have been trained on, by its configuration or its name.

    Other pretraining data is not recorded: an encoder of which nothing is known adds nothing.
    """
    source = str(getattr(config, "_name_or_path", ""))
    named = [corpora for name, corpora in CORPORA_OF_ENCODERS.items() if name in source]
    return {*(getattr(config, "training_corpora", None) or ()), *(name for corpora in named for name in corpora)}


def corpora_of_start(config: Any) -> set[str]:
    """
    Return the corpora that a dual encoder was trained on before it is trained here.

    A model that was loaded as a whole records them; if it does not, that is [`UNRECORDED`]. A model that was made from
    two encoders was trained on those of its encoders.
    """
    if getattr(config, "training_corpora", None) is not None:
        return set(config.training_corpora)
    if getattr(config, "_name_or_path", ""):
        return {UNRECORDED}
    towers = (getattr(config, name, None) for name in ("audio_config", "text_config"))
    return {name for tower in towers for name in corpora_of_encoder(tower)}


FIRST_STEP = "first_step"
"""Entry of the training log next to the run time: the step that it counts from, if that is not 0."""


class ProvenanceCallback(TrainerCallback):
    """Write `training_corpora` into the model's configuration before the first step, and note which step that is."""

    def __init__(self, corpora: Callable[[], set[str]]):
        self.corpora = corpora
        self.first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write them in alphabetical order, with those of the model's start."""
        if UNRECORDED in (corpora := self.corpora()):
            logger.warning(
                "Some clips have no `corpus`: results of this model will not be called zero-shot. Add the column, so "
                "that evaluation knows what the model was trained on."
            )
        model = extract_model_from_parallel(kwargs["model"])
        config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config
        config.training_corpora = sorted(corpora_of_start(config) | corpora)
        self.first_step = state.global_step

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Note in the log that a resumed run is timed from the step that it was resumed at."""
        if "train_runtime" in state.log_history[-1] and self.first_step:
            state.log_history[-1][FIRST_STEP] = self.first_step


@dataclass
class TrainingSources:
    """
    What a trainer is trained on: all clips of the run by split, the data sets on the Hub as NAME or NAME@REVISION, the
    Hub id or folder of a frozen encoder whose features shape the targets, and licences that are given by name.
    """

    splits: Mapping[str, Any]
    hub_datasets: list[str] = field(default_factory=list)
    feature_encoder: str | None = None
    licences: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def recordings(self) -> set[str]:
        """The hashes of the recordings of training and validation."""
        rows = [self.splits[name] for name in ("train", "validation") if isinstance(self.splits.get(name), Dataset)]
        return {each for one in rows for each in recording_hashes(one)}


def recordings_of_checkpoint(config: Any, folder: Path | None = None) -> set[str]:
    """
    Return the SHA-256 of the recordings that a model was trained on, as far as its checkpoint lists them.

    `config` names the folder or Hub id that the model was loaded from; `folder` is that of adapters.
    """
    places = {str(place) for place in (getattr(config, "_name_or_path", None), folder) if place}
    found = [_record_of(place, Record.RECORDINGS, getattr(config, "_commit_hash", None)) for place in places]
    return {line for path in found if path for line in path.read_text(encoding="utf-8").split()}


def _record_of(checkpoint: str, record: Record, revision: str | None) -> Path | None:
    """Find a record of a checkpoint, in its folder or on the Hub; `None` if it has none or cannot be reached."""
    absent = ("gated_repo", "missing_entries", "connection_errors")
    options: dict[str, Any] = {f"_raise_exceptions_for_{each}": False for each in absent}
    try:
        found = cached_file(checkpoint, record, revision=revision, **options)
    except OSError:  # not a name of the Hub: a folder that no longer exists
        return None
    return Path(found) if found else None


def inputs_of_run(trainer: Any) -> list[LicensedInput]:
    """
    Return what a run makes its checkpoint from, with licences: what it starts from, with the inputs of that; the
    encoder behind its targets; its corpora. A `ValueError` if a licence is given for something else.
    """
    sources, config = trainer.sources, config_of(trainer)
    given = {shareable(name): licence for name, licence in sources.licences.items()}
    starts = [(InputKind(role.replace("_", " ")), str(each._name_or_path)) for role, each in starts_of(config).items()]
    starts += [(InputKind.TEACHER, sources.feature_encoder)] if sources.feature_encoder is not None else []
    found = [each for kind, source in starts for each in inputs_of_start(kind, source, given)]
    found += corpora_inputs(describe_data(sources.splits), corpora_of_start(config) | trainer.corpora())
    if idle := sorted(given.keys() - {each.name for each in found}):
        raise ValueError(
            f"`licences` names {idle}, which this run does not use: it uses {sorted({each.name for each in found})}."
        )
    once = {(each.kind, each.name): each for each in reversed(found)}  # the rows of this run state more than a record
    return [replace(each, licence=given.get(each.name, each.licence)) for each in reversed(once.values())]


def inputs_of_start(
    kind: InputKind, source: str, given: Mapping[str, str] | None = None, revision: str | None = None
) -> list[LicensedInput]:
    """
    Return a model that another is made from or learns from, and what its own record says that it was made from.

    `given` are licences by name; a model whose licence is neither known nor given is left out if it has a record.
    """
    revision = revision or _commit(source)
    record = _record_of(source, Record.LICENCES, revision)
    earlier: list[LicensedInput] = []
    if record:
        with unreadable(record):
            earlier = inputs_from_json(read_record(record, list))
    elif converted := _record_of(source, Record.CONVERSION, revision):
        with unreadable(converted):
            earlier = inputs_of_conversion(read_record(converted))
    card = stated_licence(source, revision)
    licence = as_text(card.get("license_name") or card.get("license")) or known_licence(source)
    own = LicensedInput(kind, shareable(source), licence)
    return [own, *earlier] if licence or own.name in (given or ()) or not earlier else earlier


def record_training(trainer: Any, folder: str | Path) -> None:
    """Write what was trained, on which data, and how it went: the [`~files.Record`]s that a trainer knows."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    collator = trainer.data_collator
    if isinstance(collator, SmoothCLAPCollator):
        if collator.thresholds is not None:
            collator.thresholds.save(folder / Record.THRESHOLDS)
        if collator.functionals is not None:
            collator.functionals.save(folder / Record.STANDARDISATION)
    config = config_of(trainer)
    write_json(folder / Record.OBJECTIVE, trainer.joint_loss.describe())
    write_json(folder / Record.DATA, describe_data(trainer.sources.splits))
    write_licences(folder, inputs_of_run(trainer))
    write_json(folder / Record.ORIGIN, describe_origin(config, trainer.sources.hub_datasets))
    write_json(folder / Record.VERSIONS, versions())
    write_text(folder / Record.LOG, yaml.safe_dump(trainer.state.log_history))
    recordings = trainer.sources.recordings | recordings_of_checkpoint(config)
    write_text(folder / Record.RECORDINGS, "".join(f"{each}\n" for each in sorted(recordings)))


def describe_data(splits: Mapping[str, Any]) -> dict[str, Any]:
    """
    Describe the clips of each split and corpus: how many, minutes, speakers, language, licence, package, and whether
    the speech is synthetic, as far as the rows say. Splits that are not of `datasets` are not described.
    """
    described: dict[str, Any] = {}
    facts = ("language", "licence", "package", "package_version", "synthetic")
    for split, rows in splits.items():
        if not hasattr(rows, "select_columns"):
            continue
        kept = [name for name in ("corpus", "speaker", "duration", *facts) if name in rows.column_names]
        table = rows.select_columns(kept).to_pandas() if kept else pd.DataFrame(index=range(len(rows)))
        corpora = table["corpus"].fillna("unnamed") if "corpus" in table else pd.Series("unnamed", table.index)
        described[split] = {}
        for corpus, members in table.groupby(corpora):
            entry: dict[str, Any] = {"clips": len(members)}
            # Rows of a corpus without these columns may be joined with rows of one that has them.
            if "duration" in members and members["duration"].notna().all():
                entry["minutes"] = round(float(members["duration"].sum()) / 60, 2)
            if "speaker" in members and members["speaker"].notna().any():
                entry["speakers"] = int(members["speaker"].nunique())
            for fact in facts:
                values = sorted(members[fact].dropna().unique().tolist()) if fact in members else []
                entry |= {fact: values[0] if len(values) == 1 else values} if values else {}
            described[split][str(corpus)] = entry
    return described


def describe_origin(config: Any, hub_datasets: list[str]) -> dict[str, Any]:
    """
    Describe what a dual encoder started from: `model`, or `audio_encoder` and `text_encoder`.

    Each has `name`, whether that is on the `hub`, and the `revision` there if it is known. `datasets` is as given.
    """
    origin: dict[str, Any] = {}
    for role, start in starts_of(config).items():
        name = str(start._name_or_path)
        origin[role] = {"name": shareable(name), "hub": not Path(name).exists(), "revision": _commit(name)}
    return origin | {"datasets": hub_datasets}


def starts_of(config: Any) -> dict[str, Any]:
    """Return the configurations of what a dual encoder started from, by role, where their names are known."""
    if getattr(config, "_name_or_path", ""):
        return {"model": config}
    towers = {f"{kind}_encoder": getattr(config, f"{kind}_config", None) for kind in ("audio", "text")}
    return {role: tower for role, tower in towers.items() if getattr(tower, "_name_or_path", "")}


def config_of(trainer: Any) -> Any:
    """Return the configuration of the model that a trainer trains."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return (model.get_base_model() if hasattr(model, "get_base_model") else model).config


def _commit(name: str) -> str | None:
    """The commit of the local copy of a model on the Hub, where there may be a newer one by now; None for a folder."""
    if Path(name).exists():
        return None
    try:
        found = try_to_load_from_cache(name, CONFIG_NAME)
    except ValueError:  # not a name of the Hub: a folder that no longer exists
        return None
    return extract_commit_hash(found, None) if isinstance(found, str) else None
