"""From settings or rows to batches: clips checked, functionals and features computed, captions and classes fixed."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset, DatasetDict, load_from_disk
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPModel
from modeling_smoothclap.checkpoint_smoothclap import loading_encoders

from .arguments import SmoothCLAPTrainingArguments
from .config import SettingsError, did_you_mean
from .data.acoustic_conditions import LOWEST_RATE, Augmentation
from .data.cache import FrozenSpeechEncoder, add_features, cached_features
from .data.captions import language_data, phrases, row_levels, select_levels
from .data.captions.thresholds import ACOUSTIC_GROUPS, AnyThresholds, CorpusThresholds, Thresholds
from .data.clips import Crops, check_clips
from .data.collator import SmoothCLAPCollator
from .data.functionals import Standardisation, add_functionals, functional_names, usable_rows
from .evaluation.training_metrics import ZeroShotMetrics
from .hub.provenance import TrainingSources
from .rules import ignored_settings
from .settings import DataSettings, LoraSettings, ModelSettings
from .towers import plain


if TYPE_CHECKING:
    import pandas as pd


logger = logging.get_logger(__name__)
Made = TypeVar("Made")

CLIPS_PER_WORKER = 100
"""A process takes seconds to start, in which this one deals with about as many clips."""
IN_MEMORY = "rows in memory"
"""Stands in the settings for rows that come from Python, where a file names its manifests."""


@dataclass(frozen=True)
class Prepared:
    """What a trainer needs besides the model; the clips have the features that frozen encoders computed."""

    splits: DatasetDict
    collator: SmoothCLAPCollator
    compute_metrics: ZeroShotMetrics
    sources: TrainingSources


def prepare(
    splits: Mapping[str, Any],
    model: Any,
    processor: Any,
    data: DataSettings | Mapping[str, Any] | None,
    arguments: SmoothCLAPTrainingArguments,
) -> Prepared:
    """
    Make everything that batches are made of. Every process of a run must call this.

    `splits` are rows named `train`, `validation` and `test`; with [`DataSettings`] only the first process needs them.
    By default captions are those of the rows if all training rows have one and functionals are missing.
    """
    if processor is None:
        raise ValueError("There is no processor to make batches with: pass `processing_class`, or a `data_collator`.")
    _check_rows(splits)
    if not isinstance(data, DataSettings | Mapping | None):
        raise ValueError(f"`data` is of type {type(data).__name__}: give a mapping of settings, or DataSettings.")
    settings = data if isinstance(data, DataSettings) else _settings_of_rows(splits, data or {}, arguments)
    check_libraries(settings)
    if settings.cache_audio_tower and _audio_tower_trains(model, arguments):
        raise ValueError(
            "cache_audio_tower needs freeze_audio_tower and no adapters there: the output of a tower that trains "
            "changes at every step."
        )
    clips = _load_clips(splits, settings, arguments)
    return make_batches(clips, model, processor, settings, arguments)


def check_libraries(settings: DataSettings) -> None:
    """Raise an `ImportError` if what `acoustic_conditions` need is not installed."""
    if settings.acoustic_conditions:
        Augmentation(tuple(settings.acoustic_conditions)).try_out(LOWEST_RATE)


def in_first_process(arguments: SmoothCLAPTrainingArguments, make: Callable[[], Made]) -> Made | None:
    """Return what the first process makes, and `None` in the others, which wait; if it fails, all of them do."""
    made, done = None, [False]
    try:
        if arguments.process_index == 0:
            made, done = make(), [True]
    finally:
        broadcast_object_list(done)
    if not done[0]:
        raise ValueError("The first process could not prepare the clips; its message says why.")
    return made


def _audio_tower_trains(model: Any, arguments: SmoothCLAPTrainingArguments) -> bool:
    tower = plain(model).audio_model
    adapted = hasattr(model, "peft_config") and any(each.requires_grad for each in tower.parameters())
    return adapted or not arguments.freeze_audio_tower


def _check_rows(splits: Mapping[str, Any]) -> None:
    for split, rows in splits.items():
        if not isinstance(rows, Dataset) or "id" not in rows.column_names:
            raise ValueError(
                f"The {split} rows ({type(rows).__name__}) are not those of a checked manifest: load them with "
                "`load_manifest`, or pass a `data_collator` that makes batches of them."
            )


def _settings_of_rows(splits: Any, data: Mapping[str, Any], arguments: SmoothCLAPTrainingArguments) -> DataSettings:
    """Return the settings for rows from Python, whose captions are used where nothing else could make some."""
    if idle := sorted({"dataset", "columns", "leave_out", "audio_root", "report_attributes"} & data.keys()):
        raise ValueError(f"`data` has {idle}, which have no effect on rows that are loaded: leave them out.")
    if "captions" not in data:
        train = splits["train"]
        captions = train["caption"] if "caption" in train.column_names else [None]
        if all(captions) and not _have_functionals(train, arguments):
            logger.warning(
                "Captions are the rows' own. To word functionals instead, pass data={'captions': 'sampled'}."
            )
            data = {**data, "captions": "given"}
    settings = DataSettings(**{"dataset": [IN_MEMORY], **data})
    if faults := ignored_settings(data, ModelSettings(model=IN_MEMORY), settings, LoraSettings(), arguments):
        raise SettingsError(faults)
    return settings


def _load_clips(
    splits: Mapping[str, Any], settings: DataSettings, arguments: SmoothCLAPTrainingArguments
) -> DatasetDict:
    """Check all clips and compute functionals in the first process; others read what it kept in `output_dir/work`."""
    work = Path(str(arguments.output_dir)) / "work"

    def save() -> None:
        shutil.rmtree(work / "clips", ignore_errors=True)
        chosen = chosen_clips(splits, settings, arguments)
        done = {name: _with_functionals(rows, settings, arguments, work, name) for name, rows in chosen.items()}
        DatasetDict(done).save_to_disk(str(work / "clips"))

    in_first_process(arguments, save)
    if not (work / "clips").is_dir():
        raise ValueError(
            f"There is no folder {str(work / 'clips')!r} on this machine, and the first process has written it: set "
            "`output_dir` to a folder that all machines of the run see."
        )
    return cast(DatasetDict, load_from_disk(str(work / "clips")))


def chosen_clips(
    splits: Mapping[str, Any], settings: DataSettings, arguments: SmoothCLAPTrainingArguments
) -> DatasetDict:
    """Return the clips of a run; a `ValueError` if by their number and captions they cannot be trained on."""
    clips = DatasetDict(splits)
    if arguments.load_best_model_at_end and "validation" not in clips:
        raise ValueError(
            "load_best_model_at_end chooses by validation clips, and there are none: give rows that split."
        )
    if settings.max_train_clips is not None:
        kept = range(min(settings.max_train_clips, len(clips["train"])))
        clips["train"] = clips["train"].shuffle(seed=0).select(kept)
    for split, kind in (("train", "training"), ("validation", "validation")):
        if split in clips and len(clips[split]) < 2:
            raise ValueError(f"There is only one {kind} clip, and no other to tell it apart from: give more clips.")
    if settings.captions == "given":
        _check_captions(clips)
    return clips


def _check_captions(clips: DatasetDict) -> None:
    for split in ("train", "validation"):
        if split not in clips:
            continue
        captions = clips[split]["caption"] if "caption" in clips[split].column_names else [None] * len(clips[split])
        if empty := sum(not caption for caption in captions):
            raise ValueError(
                f"{empty} of {len(captions)} {split} clips have no `caption`: give each one, or set captions to "
                "'sampled', which words what is known of a clip."
            )
    if len(set(clips["train"]["caption"])) == 1:
        raise ValueError(
            f"All training clips have the same caption, {clips['train']['caption'][0]!r}: there is nothing to tell "
            "apart. Give them captions of their own, or set captions to 'sampled'."
        )


def _with_functionals(
    rows: Dataset, settings: DataSettings, arguments: SmoothCLAPTrainingArguments, work: Path, split: str
) -> Dataset:
    workers = min(settings.preparation_workers, 1 + len(rows) // CLIPS_PER_WORKER)
    rows = check_clips(rows, settings.bad_clips, workers, work / f"bad_{split}_clips.csv")
    if _needs_functionals(settings, arguments) and not _have_functionals(rows, arguments):
        folder = Path(settings.cache_dir).expanduser() / "functionals"
        rows = add_functionals(rows, folder, workers, settings.functionals_rate)
        rows = usable_rows(rows, settings.bad_clips, work / f"{split}_clips_without_functionals.csv")
    return rows


def _needs_functionals(settings: DataSettings, arguments: SmoothCLAPTrainingArguments) -> bool:
    """Whether captions or targets are made from functionals."""
    return settings.captions != "given" or bool({"tags", "functionals"} & arguments.target_shares.keys())


def _have_functionals(rows: Dataset, arguments: SmoothCLAPTrainingArguments) -> bool:
    wanted = {column for columns in ACOUSTIC_GROUPS.values() for column in columns}
    if "functionals" in arguments.target_shares:
        wanted |= set(functional_names())
    if not wanted <= set(rows.column_names):
        return False
    table = rows.select_columns(sorted(wanted)).to_pandas()
    return bool(table.notna().all(axis=None))  # of joined manifests one may have functionals and another not


def make_batches(
    splits: DatasetDict,
    model: Any,
    processor: Any,
    settings: DataSettings,
    arguments: SmoothCLAPTrainingArguments,
) -> Prepared:
    """Fit what is fitted on training rows, and compute the features of frozen encoders."""
    augmentation = None
    if settings.acoustic_conditions:
        augmentation = Augmentation(tuple(settings.acoustic_conditions), arguments.seed)
        augmentation.try_out(processor.feature_extractor.sampling_rate)
    elif settings.name_conditions:
        _check_own_conditions(splits["train"])
    targets = arguments.target_shares
    train = splits["train"].select_columns([name for name in splits["train"].column_names if name != "audio"])
    table = train.to_pandas()
    thresholds = _thresholds(splits, table, settings) if _needs_functionals(settings, arguments) else None
    functionals = Standardisation.fit(table, functional_names()) if "functionals" in targets else None
    labels = _labels(splits)
    if "labels" in targets and len(_labels({"train": splits["train"]})) < 2:
        raise ValueError(f"Targets by label equality need two or more labels in column `label`, got {list(labels)}.")
    if thresholds is not None and settings.caption_groups and settings.captions != "given":
        _check_caption_groups(splits, thresholds, settings.caption_groups)
    crops = Crops(settings.crop_seconds, settings.crops_per_clip, arguments.seed)
    collator = SmoothCLAPCollator(
        processor,
        thresholds,
        tuple(settings.languages),
        settings.captions,
        tuple(settings.caption_groups) or None,
        crops,
        labels,
        functionals,
        augmentation,
        seed=arguments.seed,
        max_phrases=settings.max_phrases,
        always_emotion=settings.always_emotion,
        name_conditions=settings.name_conditions,
    )
    metrics = ZeroShotMetrics(processor, _wordings(labels, settings), labels)
    check_metric(arguments.metric_for_best_model, () if arguments.prediction_loss_only else metrics.names)
    encoders = _frozen_encoders(model, processor, settings, arguments)
    splits = _add_frozen_features(splits, encoders, crops, settings, arguments)
    on_hub = [] if IN_MEMORY in settings.dataset else [str(data) for *_, data in settings.manifests() if data]
    encoder = settings.local_feature_encoder if "local_features" in targets else None
    return Prepared(splits, collator, metrics, TrainingSources(dict(splits), on_hub, encoder, settings.licences))


def _check_own_conditions(train: Dataset) -> None:
    """Refuse names of acoustic conditions where captions would name none."""
    if "acoustic_condition" not in train.column_names or not any(train["acoustic_condition"]):
        why = "`acoustic_conditions` applies none, and no training clip has an `acoustic_condition`"
        raise SettingsError([("name_conditions", f"has no effect: {why}; give one of the two, or leave it out")])


def check_metric(wanted: str | None, names: Iterable[str]) -> None:
    """Refuse a metric that no evaluation gives before training comes to the first."""
    given = ["loss", *names]
    if wanted is not None and wanted.removeprefix("eval_") not in given:
        raise ValueError(f"metric_for_best_model is {wanted!r}, but evaluation gives {', '.join(given)}.")


def _labels(splits: Mapping[str, Dataset]) -> tuple[str, ...]:
    """The classes that training and validation clips name; zero-shot evaluation may have some that training lacks."""
    both = [splits[name] for name in ("train", "validation") if name in splits]
    found = {label for rows in both if "label" in rows.column_names for label in rows["label"]}
    return tuple(sorted(label for label in found if isinstance(label, str)))


def _thresholds(splits: DatasetDict, train: "pd.DataFrame", settings: DataSettings) -> AnyThresholds:
    """Fit thresholds on training rows; find validation clips that have none before evaluation comes across one."""
    # `problem` comes with functionals that were computed here; a manifest's own do not say their rate.
    rate = settings.functionals_rate if "problem" in train.columns else None
    if not settings.thresholds_by_corpus:
        return Thresholds.fit(train, sampling_rate=rate)
    thresholds = CorpusThresholds.fit(train, sampling_rate=rate)
    if (rows := splits.get("validation")) is not None:
        corpora = rows["corpus"] if "corpus" in rows.column_names else [None]
        if unknown := sorted({corpus or "unnamed" for corpus in corpora} - thresholds.corpora.keys()):
            raise ValueError(
                f"There are validation clips of corpus {unknown}, and training clips only of "
                f"{sorted(thresholds.corpora)}: thresholds_by_corpus needs training clips of each. Give some, leave "
                "those validation clips out, or set thresholds_by_corpus to false."
            )
    return thresholds


def _check_caption_groups(splits: DatasetDict, thresholds: AnyThresholds, groups: list[str]) -> None:
    """Find clips of which captions could say nothing before training comes across one."""
    for name in [name for name in ("train", "validation") if name in splits]:
        columns = [column for column in splits[name].column_names if column not in ("audio", "path")]
        rows = splits[name].select_columns(columns).to_list()  # not pandas, which makes an absent label NaN
        silent = [row["id"] for row in rows if not select_levels(row_levels(row, thresholds), groups)]
        if silent:
            raise ValueError(
                f"{len(silent)} of {len(rows)} {name} clips have nothing that their captions may speak of "
                f"(caption_groups: {groups}), first {silent[:5]}: name more groups, or leave those clips out."
            )


def _add_frozen_features(
    splits: DatasetDict,
    encoders: Mapping[str, FrozenSpeechEncoder],
    crops: Crops,
    settings: DataSettings,
    arguments: SmoothCLAPTrainingArguments,
) -> DatasetDict:
    """Add a column for each encoder: features of the crops where these are known beforehand, or of whole clips."""
    cache = Path(settings.cache_dir).expanduser() / "features"
    shares = {"process_index": arguments.process_index, "num_processes": arguments.world_size, "wait": _wait}
    # In an order that all processes agree on, which that of a set is not: they wait for each other at every step.
    for split in [name for name in ("train", "validation") if name in splits]:
        cut = crops if split == "train" and crops.per_clip is not None else None
        made = {
            encoder: cached_features(splits[split], encoder, cut, cache, **shares)
            for encoder in dict.fromkeys(encoders.values())
        }
        for column, encoder in encoders.items():
            splits[split] = add_features(splits[split], made[encoder], column)
    return splits


def _wait() -> None:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.barrier()


def _frozen_encoders(
    model: Any, processor: Any, settings: DataSettings, arguments: SmoothCLAPTrainingArguments
) -> dict[str, FrozenSpeechEncoder]:
    """Which encoder makes which column."""
    encoders = {}
    dual_encoder, device = plain(model), arguments.device

    def own_tower() -> FrozenSpeechEncoder:
        if not isinstance(dual_encoder, SmoothCLAPModel):
            raise ValueError(
                f"The audio tower of a {type(dual_encoder).__name__} cannot be run by itself: leave "
                "`cache_audio_tower` off, and name a `local_feature_encoder` or choose `targets` without it."
            )
        tower_of: Any = dual_encoder.to(device).eval()  # type: ignore[arg-type]
        return FrozenSpeechEncoder.from_model(tower_of, processor.feature_extractor)

    if settings.cache_audio_tower:
        encoders["pooled_audio"] = own_tower()
    if "local_features" in arguments.target_shares:
        if settings.local_feature_encoder is not None:
            with loading_encoders(settings.local_feature_encoder):
                encoders["local_features"] = FrozenSpeechEncoder(settings.local_feature_encoder, device=str(device))
        else:
            encoders["local_features"] = encoders.get("pooled_audio") or own_tower()
    return encoders


def _wordings(labels: tuple[str, ...], settings: DataSettings) -> dict[str, str]:
    unknown = sorted(settings.label_wordings.keys() - set(labels))
    if unknown and settings.max_train_clips is None:  # among a few of the clips some labels may be missing
        cure = did_you_mean(unknown[0], labels) or f"the clips have {list(labels)}"
        raise ValueError(f"`label_wordings` words {unknown}, which no training or validation clip has; {cure}")
    known = language_data("en").wordings["emotion"]
    worded = {label: phrases("emotion", label)[0].format(person="the speaker") for label in labels if label in known}
    return {label: label for label in labels} | worded | settings.label_wordings
