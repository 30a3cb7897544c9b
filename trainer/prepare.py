"""From settings to clips: built or loaded, checked, and with the functionals that captions and targets need."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from datasets import Dataset, DatasetDict, concatenate_datasets, load_from_disk
from transformers import AutoModel, AutoProcessor
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPProcessor

from .arguments import SmoothCLAPTrainingArguments
from .data.acoustic_conditions import LOWEST_RATE, Augmentation
from .data.cache import FrozenSpeechEncoder, add_features, cached_features
from .data.captions import language_data, phrases, row_levels, select_levels
from .data.captions.thresholds import ACOUSTIC_GROUPS, Thresholds
from .data.clips import Crops, check_clips
from .data.collator import SmoothCLAPCollator
from .data.functionals import Standardisation, add_functionals, functional_names, usable_rows
from .data.manifest import check_across, load_manifest
from .lora import add_lora
from .settings import DataSettings, LoraSettings, ModelSettings


logger = logging.get_logger(__name__)

CLIPS_PER_WORKER = 100
"""A process takes seconds to start, in which this one deals with about as many clips."""


def load_clips(settings: DataSettings, arguments: SmoothCLAPTrainingArguments, work: Path) -> DatasetDict:
    """
    All clips of a run, checked and with the functionals that captions and targets need.

    One process does it; the others read what it kept in `work`.

    Args:
        settings ([`DataSettings`]): What to load, and what to do about bad clips.
        arguments ([`SmoothCLAPTrainingArguments`]): Whether targets need functionals; who is the first process.
        work (`Path`): Folder for what is made, the reports of skipped clips among it.

    Returns:
        `DatasetDict`: `train`, and `validation` and `test` where there are any.

    Raises:
        ValueError: A manifest or a clip is faulty, or there is nothing to train on.
        ImportError: An acoustic condition needs the extra `acoustics`, which is not installed.
    """
    if settings.acoustic_conditions:
        Augmentation(tuple(settings.acoustic_conditions)).try_out(LOWEST_RATE)  # are the libraries there?
    with arguments.main_process_first(local=False, desc="preparing the clips"):
        if arguments.process_index == 0:
            shutil.rmtree(work / "clips", ignore_errors=True)
            splits = _loaded(settings, arguments)
            prepared = {name: _prepared(rows, settings, arguments, work, name) for name, rows in splits.items()}
            DatasetDict(prepared).save_to_disk(str(work / "clips"))
    if not (work / "clips").is_dir():
        raise ValueError("The first process could not prepare the clips; its message says why.")
    return cast(DatasetDict, load_from_disk(str(work / "clips")))


def _loaded(settings: DataSettings, arguments: SmoothCLAPTrainingArguments) -> DatasetDict:
    """All manifests, joined, with every check that needs no audio."""
    maps = zip(settings.dataset, settings.column_maps, strict=True)
    clips = _joined([load_manifest(source, columns, settings.audio_root) for source, columns in maps])
    if "train" not in clips:
        raise ValueError(f"{settings.dataset} have no training rows, only {sorted(clips)}.")
    if arguments.load_best_model_at_end and "validation" not in clips:
        raise ValueError(
            "load_best_model_at_end chooses by validation clips, and there are none: give rows that split."
        )
    if settings.max_train_clips is not None:
        kept = range(min(settings.max_train_clips, len(clips["train"])))
        clips["train"] = clips["train"].shuffle(seed=0).select(kept)
    if len(clips["train"]) < 2:
        raise ValueError("There is one training clip only, which has nothing to be told apart from.")
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


def _joined(sources: list[DatasetDict]) -> DatasetDict:
    check_across(sources)
    names = dict.fromkeys(name for source in sources for name in source)
    return DatasetDict({name: concatenate_datasets([one[name] for one in sources if name in one]) for name in names})


def _prepared(
    rows: Dataset, settings: DataSettings, arguments: SmoothCLAPTrainingArguments, work: Path, split: str
) -> Dataset:
    workers = min(settings.preparation_workers, 1 + len(rows) // CLIPS_PER_WORKER)
    rows = check_clips(rows, settings.bad_clips, workers, work / f"bad_{split}_clips.csv")
    if needs_functionals(settings, arguments) and not _have_functionals(rows, arguments):
        rows = add_functionals(rows, Path(settings.cache_dir).expanduser() / "functionals", workers)
        rows = usable_rows(rows, settings.bad_clips, work / f"{split}_clips_without_functionals.csv")
    return rows


def needs_functionals(settings: DataSettings, arguments: SmoothCLAPTrainingArguments) -> bool:
    """Whether captions or targets are made from functionals."""
    targets = arguments.targets if arguments.beta > 0 else []
    return settings.captions != "given" or bool({"tags", "functionals"} & set(targets))


def _have_functionals(rows: Dataset, arguments: SmoothCLAPTrainingArguments) -> bool:
    wanted = {column for columns in ACOUSTIC_GROUPS.values() for column in columns}
    if "functionals" in arguments.targets:
        wanted |= set(functional_names())
    if not wanted <= set(rows.column_names):
        return False
    table = rows.select_columns(sorted(wanted)).to_pandas()
    return bool(table.notna().all(axis=None))  # of joined manifests one may have functionals and another not


def make_model(settings: ModelSettings, lora: LoraSettings, arguments: SmoothCLAPTrainingArguments) -> tuple[Any, Any]:
    """
    The model and its processor, with adapters if there are to be any.

    Raises:
        ValueError: The checkpoint is no dual encoder, or cannot be loaded.
    """
    processor: Any
    model: Any
    if settings.model is not None:
        try:
            model = AutoModel.from_pretrained(settings.model)
            processor = AutoProcessor.from_pretrained(settings.model)
        except Exception as error:  # of missing, truncated and foreign files: too many classes to name
            where = "" if Path(settings.model).is_dir() else "there is no such folder, and as a Hub id: "
            raise ValueError(f"The checkpoint {settings.model!r} cannot be loaded: {where}{error}") from error
        if not all(hasattr(model, name) for name in ("audio_model", "text_model", "get_text_features")):
            raise ValueError(f"{settings.model!r} is a {type(model).__name__}, which is no audio-text dual encoder.")
    else:
        towers = (str(settings.audio_encoder), str(settings.text_encoder))
        model = SmoothCLAPModel.from_audio_text_pretrained(
            *towers, projection_dim=settings.projection_dim, projection_dropout=settings.projection_dropout
        )
        processor = SmoothCLAPProcessor.from_audio_text_pretrained(*towers, max_frequency=settings.max_frequency)
    if lora.lora_towers:
        model = add_lora(model, lora, arguments.freeze_audio_tower, arguments.freeze_text_tower)
    return model, processor


@dataclass
class Batches:
    """
    Everything batches are made of.

    Args:
        splits (`DatasetDict`): Clips with what frozen encoders say of them.
        collator ([`SmoothCLAPCollator`]): For training.
        wordings (`dict[str, str]`): Text of each label, for zero-shot evaluation.
    """

    splits: DatasetDict
    collator: SmoothCLAPCollator
    wordings: dict[str, str]


def make_batches(
    splits: DatasetDict,
    model: Any,
    processor: Any,
    settings: DataSettings,
    lora: LoraSettings,
    arguments: SmoothCLAPTrainingArguments,
    wait: Callable[[], None],
) -> Batches:
    """
    Fit what is fitted on training rows, and compute what frozen encoders say of the clips.

    Args:
        splits (`DatasetDict`): From [`load_clips`].
        model, processor: From [`make_model`].
        settings ([`DataSettings`]), lora ([`LoraSettings`]), arguments ([`SmoothCLAPTrainingArguments`]): Of the run.
        wait (`Callable`): Returns when all processes have called it.

    Raises:
        ValueError: A setting does not fit the model or the clips.
        ImportError: An acoustic condition needs the extra `acoustics`, which is not installed.
    """
    augmentation = None
    if settings.acoustic_conditions:
        augmentation = Augmentation(tuple(settings.acoustic_conditions), arguments.seed)
        augmentation.try_out(processor.feature_extractor.sampling_rate)
    targets = arguments.targets if arguments.beta > 0 else []
    train = splits["train"].select_columns([name for name in splits["train"].column_names if name != "audio"])
    table = train.to_pandas()
    thresholds = Thresholds.fit(table) if needs_functionals(settings, arguments) else None
    functionals = Standardisation.fit(table, functional_names()) if "functionals" in targets else None
    labels = _labels(splits)
    if "labels" in targets and len(_labels({"train": splits["train"]})) < 2:
        raise ValueError(
            f"Targets by label equality need a `label` column with two or more labels, got {list(labels)}."
        )
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
    )
    encoders = _frozen_encoders(model, processor, settings, lora, arguments)
    splits = _add_frozen_features(splits, encoders, crops, settings, arguments, wait)
    return Batches(splits, collator, _wordings(labels, settings))


def _labels(splits: Mapping[str, Dataset]) -> tuple[str, ...]:
    """The classes that training and validation clips name; zero-shot evaluation may have some that training lacks."""
    heard = [splits[name] for name in ("train", "validation") if name in splits]
    found = {label for rows in heard if "label" in rows.column_names for label in rows["label"]}
    return tuple(sorted(label for label in found if isinstance(label, str)))


def _check_caption_groups(splits: DatasetDict, thresholds: Thresholds, groups: list[str]) -> None:
    """Find clips of which captions could say nothing before training comes across one."""
    for name in [name for name in ("train", "validation") if name in splits]:
        columns = [column for column in splits[name].column_names if column not in ("audio", "path")]
        rows: Any = splits[name].select_columns(columns).to_pandas().to_dict("records")
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
    wait: Callable[[], None],
) -> DatasetDict:
    """Add a column for each encoder to the clips that training looks at.

    Features follow the crops where these are known beforehand, and else describe whole clips.
    """
    cache = Path(settings.cache_dir).expanduser() / "features"
    shares = {"process_index": arguments.process_index, "num_processes": arguments.world_size, "wait": wait}
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


def _frozen_encoders(
    model: Any,
    processor: Any,
    settings: DataSettings,
    lora: LoraSettings,
    arguments: SmoothCLAPTrainingArguments,
) -> dict[str, FrozenSpeechEncoder]:
    """Which encoder makes which column."""
    encoders = {}
    plain = model.get_base_model() if lora.lora_towers else model
    device = arguments.device

    def own_tower() -> FrozenSpeechEncoder:
        if not isinstance(plain, SmoothCLAPModel):
            raise ValueError(
                f"The audio tower of a {type(plain).__name__} cannot be run by itself: leave `cache_audio_tower` off, "
                "and name a `local_feature_encoder` or choose `targets` without local_features."
            )
        tower_of: Any = plain.to(device).eval()  # type: ignore[arg-type]
        return FrozenSpeechEncoder.from_model(tower_of, processor.feature_extractor)

    if settings.cache_audio_tower:
        encoders["pooled_audio"] = own_tower()
    if arguments.beta > 0 and "local_features" in arguments.targets:
        if settings.local_feature_encoder is not None:
            encoders["local_features"] = FrozenSpeechEncoder(settings.local_feature_encoder, device=str(device))
        else:
            encoders["local_features"] = encoders.get("pooled_audio") or own_tower()
    return encoders


def _wordings(labels: tuple[str, ...], settings: DataSettings) -> dict[str, str]:
    known = language_data("en").wordings["emotion"]
    worded = {label: phrases("emotion", label)[0].format(person="the speaker") for label in labels if label in known}
    return {label: label for label in labels} | worded | settings.label_wordings
