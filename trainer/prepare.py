"""From settings to clips: built or loaded, checked, and with the functionals that captions and targets need."""

import shutil
from pathlib import Path
from typing import cast

from datasets import Dataset, DatasetDict, concatenate_datasets, load_from_disk
from transformers.utils import logging

from .arguments import SmoothCLAPTrainingArguments
from .data.acoustic_conditions import LOWEST_RATE
from .data.augmentation import Augmentation
from .data.clip_checks import check_clips
from .data.manifest_checks import check_across
from .data.opensmile_features import PITCH_COLUMN, add_functionals, functional_names
from .data.own_manifest import load_manifest
from .data.thresholds import ACOUSTIC_GROUPS
from .data_settings import DataSettings


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
    if settings.bad_clips != "trust":
        work.mkdir(parents=True, exist_ok=True)
        rows = check_clips(rows, settings.bad_clips, workers, work / f"bad_{split}_clips.csv")  # type: ignore[arg-type]
    if needs_functionals(settings, arguments) and not _have_functionals(rows, arguments):
        rows = add_functionals(rows, Path(settings.cache_dir).expanduser() / "functionals", workers)
        rows = _without_gaps(rows, settings.bad_clips, work / f"{split}_clips_without_functionals.csv")
    return rows


def _without_gaps(rows: Dataset, policy: str, report: Path) -> Dataset:
    """Refuse or leave out clips of which openSMILE can say nothing, or nothing of the voice."""
    problems = rows.select_columns(["id", "problem", PITCH_COLUMN]).to_pandas()
    unvoiced = problems["problem"].isna() & (problems[PITCH_COLUMN] == 0)
    problems["problem"] = problems["problem"].mask(unvoiced, "no voiced sound")
    bad = problems.loc[problems["problem"].notna(), ["id", "problem"]]
    if not len(bad):
        return rows
    counts = ", ".join(f"{count} {problem}" for problem, count in bad["problem"].value_counts().items())
    listed = "; ".join(f"{row_id}: {problem}" for row_id, problem in bad.head(50).itertuples(index=False))
    if policy != "skip":
        raise ValueError(
            f"{len(bad)} of {len(rows)} clips have no usable functionals ({counts}): {listed}. Take them out, or set "
            "bad_clips to 'skip'."
        )
    if len(bad) == len(rows):
        raise ValueError(f"None of {len(rows)} clips has usable functionals ({counts}): {listed}.")
    bad.to_csv(report, index=False)
    logger.warning(f"Leaving out {len(bad)} of {len(rows)} clips without functionals ({counts}); see {report}.")
    return rows.select(problems.index[~problems["problem"].notna()].tolist())


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
