"""What a training run trains on, as a YAML file says it: the clips, their captions, and how they are heard."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .data.acoustic_conditions import CONDITIONS
from .data.augmentation import Augmentation
from .data.captions import language_data, select_levels
from .data.clips import MIN_SECONDS
from .data.collator import CAPTION_KINDS
from .data.crops import Crops
from .evaluation.spelling import did_you_mean


ColumnNames = dict[str, str] | list[dict[str, str]]


@dataclass
class DataSettings:
    """What it is trained on."""

    dataset: list[str] = field(
        metadata={
            "help": "Manifests: .csv, .tsv, .jsonl or .parquet files, folders that `datasets` or the builders in "
            "examples/ wrote, or Hub data sets. Several are joined; one may be given as plain text."
        }
    )
    columns: Any = field(  # of the type `ColumnNames`, a union that HfArgumentParser does not take
        default_factory=dict,
        metadata={
            "help": "Our column names to the manifests', where they differ: one mapping for all, or a list of one for "
            "each of `dataset`."
        },
    )
    audio_root: str | None = field(
        default=None, metadata={"help": "Folder that relative audio paths start at; default: the manifest's."}
    )
    bad_clips: str = field(
        default="raise",
        metadata={
            "help": "What to do about clips that cannot be used: 'raise' lists them and stops, 'skip' leaves them out "
            "and reports them, 'trust' does not look, for data that were checked when they were built.",
            "choices": ["raise", "skip", "trust"],
        },
    )
    captions: str = field(
        default="sampled",
        metadata={
            "help": "'sampled': some of a clip's phrases, anew in every epoch; 'full': all of them; 'given': the rows' "
            "own.",
            "choices": list(CAPTION_KINDS),
        },
    )
    caption_groups: list[str] = field(
        default_factory=list, metadata={"help": "What captions may speak of; default: everything that is known."}
    )
    languages: list[str] = field(default_factory=lambda: ["en"], metadata={"help": "Languages of the captions."})
    label_wordings: dict[str, str] = field(
        default_factory=dict,
        metadata={"help": "Text of each label in zero-shot evaluation; default: 'a happy voice' for happy, and so on."},
    )
    crop_seconds: float | None = field(
        default=5.0, metadata={"help": "Length of training crops in seconds (5 in ParaCLAP); null takes clips whole."}
    )
    crops_per_clip: int | None = field(
        default=None,
        metadata={"help": "Different crops per clip; default: a new one every epoch, which cannot be cached."},
    )
    acoustic_conditions: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Acoustic conditions that training clips are heard under, one of them drawn in every epoch, of: "
            f"{', '.join(CONDITIONS)}; default: as recorded."
        },
    )
    local_feature_encoder: str | None = field(
        default=None,
        metadata={"help": "Frozen encoder of the audio half of soft targets; default: the audio tower as it starts."},
    )
    cache_audio_tower: bool = field(
        default=False, metadata={"help": "Run the frozen audio tower once per crop or whole clip, not in every epoch."}
    )
    cache_dir: str = field(
        default="~/.cache/smoothclap", metadata={"help": "Folder for computed features, shared by all runs."}
    )
    max_train_clips: int | None = field(default=None, metadata={"help": "Take only this many clips, for trials."})
    preparation_workers: int = field(
        default=os.cpu_count() or 1, metadata={"help": "Processes that check clips and compute functionals."}
    )
    report_attributes: bool = field(
        default=True,
        metadata={"help": "Measure zero-shot attributes on the validation and test clips when training is done."},
    )

    def __post_init__(self) -> None:
        for name in ("dataset", "caption_groups", "languages", "acoustic_conditions"):
            if isinstance(getattr(self, name), str):
                setattr(self, name, [getattr(self, name)])
        if self.bad_clips not in ("raise", "skip", "trust"):
            raise ValueError(f"`bad_clips` is raise, skip or trust, not {self.bad_clips!r}.")
        if self.captions not in CAPTION_KINDS:
            raise ValueError(f"`captions` is one of {CAPTION_KINDS}, not {self.captions!r}.")
        self._check_conditions()
        if self.cache_audio_tower and self.crop_seconds is not None and self.crops_per_clip is None:
            raise ValueError(
                "`cache_audio_tower` needs to know the crops beforehand: set `crops_per_clip`, for instance to 4, or "
                "crop_seconds: null to take clips whole."
            )
        try:
            Crops(self.crop_seconds, self.crops_per_clip)
        except ValueError as error:
            raise ValueError(f"`crop_seconds` or `crops_per_clip` is wrong: {error}") from error
        self._check_captions()
        self._check_columns()

    def _check_conditions(self) -> None:
        if not self.acoustic_conditions:
            return
        faults = []
        for name in self.acoustic_conditions:
            if name not in CONDITIONS:
                cure = did_you_mean(str(name), CONDITIONS) or f"there are {list(CONDITIONS)}."
                faults.append(f"`acoustic_conditions` has {name!r}; {cure}")
        if not faults:
            try:
                Augmentation(tuple(self.acoustic_conditions))
            except ValueError as error:
                faults.append(f"`acoustic_conditions` is wrong: {error}")
        if self.cache_audio_tower:
            faults.append(
                "`acoustic_conditions` change in every epoch, and `cache_audio_tower` keeps one output: leave out one."
            )
        if self.crop_seconds is not None and self.crop_seconds < MIN_SECONDS:
            faults.append(
                f"`acoustic_conditions` need `crop_seconds` of at least {MIN_SECONDS}, not {self.crop_seconds}."
            )
        if faults:
            raise ValueError("\n".join(faults))

    def _check_captions(self) -> None:
        if not self.languages and self.captions != "given":
            raise ValueError("`languages` is empty, but captions are in some language: name one, such as en.")
        for language in self.languages:
            language_data(language)  # raises where there are no captions in it
        select_levels({}, self.caption_groups)  # raises for a group that there is not

    def _check_columns(self) -> None:
        maps = self.columns if isinstance(self.columns, list) else [self.columns]
        if wrong := [each for each in maps if not isinstance(each, Mapping)]:
            raise ValueError(
                f"`columns` is a mapping of our column names to the manifests', or a list of such, but {wrong[0]!r} is "
                "no mapping."
            )
        if isinstance(self.columns, list) and len(maps) != len(self.dataset):
            raise ValueError(
                f"`columns` lists {len(maps)} mappings for {len(self.dataset)} manifests in `dataset`: give each one, "
                "{} where the names are ours."
            )

    @property
    def column_maps(self) -> list[dict[str, str]]:
        """For each manifest in `dataset`, our column names to its own."""
        maps = self.columns if isinstance(self.columns, list) else [self.columns] * len(self.dataset)
        return [dict(each) for each in maps]
