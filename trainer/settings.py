"""What the YAML file of a training run says."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, model_validator
from pydantic.fields import FieldInfo

from modeling_smoothclap.audio_smoothclap import MIN_SECONDS
from modeling_smoothclap.configuration_smoothclap import TEXT_POOLINGS

from .arguments import SmoothCLAPTrainingArguments, argument_settings
from .config import (
    UNIQUE,
    Count,
    Fraction,
    Positive,
    Settings,
    SettingsError,
    Several,
    Text,
    did_you_mean,
    one_of,
    read_yaml,
    unknown_key,
)
from .data.acoustic_conditions import CONDITIONS
from .data.captions import CAPTION_GROUPS, LANGUAGES, MAX_PHRASES
from .data.collator import CAPTION_KINDS
from .data.hub_clips import HubData
from .evaluation.corpus_sources import CorpusSource, is_corpus_file
from .hub.licences import SUGGESTED, unrecognised
from .rules import TOWERS, WithoutEffect, ignored_settings


SAVE_KINDS = ("merged", "adapter")


class ModelSettings(Settings):
    """What is trained: two encoders joined by new heads, or a checkpoint that is trained further."""

    model: Text | None = Field(
        default=None, description="Hub id or folder of a SmoothCLAP or transformers CLAP checkpoint to train further."
    )
    audio_encoder: Text | None = Field(
        default=None, description="Hub id or folder that the audio tower of a new model starts from."
    )
    text_encoder: Text | None = Field(
        default=None, description="Hub id or folder that the text tower of a new model starts from."
    )
    projection_dim: Count = Field(default=768, description="Width of the shared space, for a new model.")
    projection_dropout: Fraction = Field(
        default=0.5, description="Dropout in the projection heads, for a new model (0.5 in ParaCLAP)."
    )
    text_pooling: Annotated[str, one_of(TEXT_POOLINGS)] | None = Field(
        default=None,
        description="What a new model reads of the text tower: 'cls', the first token, or 'mean', over all tokens; "
        "default: what the text encoder's sentence-transformers files say, else 'cls'.",
    )
    max_frequency: Count | None = Field(
        default=None, description="For log-mel towers of a new model: silence mel bands above this frequency, in Hz."
    )
    storage_dtype: Annotated[str, one_of(("float32", "float16", "bfloat16"))] = Field(
        default="float32",
        description="Type of the saved weights: float32, float16 or bfloat16. They are loaded as float32 anyway.",
    )

    @model_validator(mode="after")
    def _check_start(self) -> Self:
        encoders = {"audio_encoder": self.audio_encoder, "text_encoder": self.text_encoder}
        start = "name either `model`, a checkpoint to train further, or both encoders of a new one"
        if self.model is not None:
            faults = [(name, f"is {value!r} next to `model`: {start}") for name, value in encoders.items() if value]
        elif any(encoders.values()):
            faults = [(name, f"is missing: {start}") for name, value in encoders.items() if not value]
        else:
            faults = [("model", f"is missing: {start}, `audio_encoder` and `text_encoder`")]
        if faults:
            raise SettingsError(faults)
        return self


def _licence(value: str) -> str:
    """Refuse what looks like a misspelled licence; other unknown ones are kept, and what they ask for is unknown."""
    for part, name in unrecognised(value).items():
        if cure := did_you_mean(name, SUGGESTED):
            raise ValueError(f"names {part!r}, which is not a known licence; {cure} Call own terms LicenseRef-NAME")
    return value


class DataSettings(Settings):
    """What a model is trained on."""

    dataset: Annotated[Several[Text], Field(min_length=1)] = Field(
        description="Manifests: .csv, .tsv, .jsonl or .parquet files, folders that `datasets` wrote, data sets on the "
        "Hub as USER/NAME@REVISION, or .yaml files of corpora. Several are joined; one may be given as plain text."
    )
    columns: dict[str, str] | list[dict[str, str]] = Field(
        default_factory=dict,
        description="Our column names to the manifests', where they differ: one mapping for all, or a list of one for "
        "each of `dataset`.",
    )
    leave_out: Annotated[Several[Text], UNIQUE] = Field(
        default_factory=list, description="Corpora that the run does without, so that it can be tested on them."
    )
    audio_root: Text | None = Field(
        default=None, description="Folder that relative audio paths start at; default: the manifest's."
    )
    bad_clips: Annotated[str, one_of(("raise", "skip", "trust"))] = Field(
        default="raise",
        description="What to do about clips that cannot be used: 'raise' lists them and stops, 'skip' leaves them out "
        "and reports them, 'trust' skips the check, for data that were checked when they were built.",
    )
    captions: Annotated[str, one_of(CAPTION_KINDS)] = Field(
        default="sampled",
        description="'sampled': some of a clip's phrases, anew in every epoch; 'full': all of them; 'given': the "
        "rows' own.",
    )
    caption_groups: Several[Annotated[str, one_of(CAPTION_GROUPS)]] = Field(
        default_factory=list,
        description=f"What captions may describe, of: {', '.join(CAPTION_GROUPS)}; default: everything that is known.",
    )
    max_phrases: Count = Field(
        default=MAX_PHRASES, description="Sampled captions have at most so many phrases (5 in ParaCLAP)."
    )
    always_emotion: bool = Field(
        default=True,
        description="Sampled captions name the emotion wherever it is known (ParaCLAP); false draws it like any other "
        "group.",
    )
    thresholds_by_corpus: bool = Field(
        default=False,
        description="Call a clip high or low among the training clips of its own `corpus`, not among all.",
    )
    languages: Several[Annotated[str, one_of(LANGUAGES)]] = Field(
        default_factory=lambda: ["en"], description=f"Languages of the captions, of: {', '.join(LANGUAGES)}."
    )
    label_wordings: dict[str, str] = Field(
        default_factory=dict,
        description="Text of each label in zero-shot evaluation; default: 'a happy voice' for happy, and so on.",
    )
    crop_seconds: Positive | None = Field(
        default=5.0, description="Length of training crops in seconds (5 in ParaCLAP); null takes clips whole."
    )
    crops_per_clip: Count | None = Field(
        default=None, description="Different crops per clip; default: a new one every epoch, which cannot be cached."
    )
    acoustic_conditions: Annotated[Several[Annotated[str, one_of(CONDITIONS)]], UNIQUE] = Field(
        default_factory=list,
        description="Acoustic conditions that are applied to training clips, one of them drawn in every epoch, of: "
        f"{', '.join(CONDITIONS)}; default: as recorded.",
    )
    name_conditions: bool = Field(
        default=False,
        description="Sampled captions end with the acoustic condition that their clip is heard in: 'an angry voice "
        "over the telephone'.",
    )
    local_feature_encoder: Text | None = Field(
        default=None,
        description="Frozen encoder of the audio half of soft targets; default: the audio tower as it starts.",
    )
    cache_audio_tower: bool = Field(
        default=False, description="Run the frozen audio tower once per crop or whole clip, not in every epoch."
    )
    functionals_rate: int = Field(
        default=16000,
        ge=8000,
        le=48000,
        description="Rate in Hz at which functionals, which depend on it, are computed.",
    )
    cache_dir: Text = Field(
        default="~/.cache/smoothclap", description="Folder for computed features, shared by all runs."
    )
    max_train_clips: Count | None = Field(default=None, description="Take only this many clips, for trials.")
    preparation_workers: Count = Field(
        default=os.cpu_count() or 1, description="Processes that check clips and compute functionals."
    )
    licences: dict[str, Annotated[str, AfterValidator(_licence)]] = Field(
        default_factory=dict,
        description="Licence of an encoder, a checkpoint or a corpus that training uses, by its name, where nothing "
        "else states it or that is wrong: {my-corpus: cc-by-4.0}. Own terms are called LicenseRef-NAME.",
    )
    report_attributes: bool = Field(
        default=True, description="Measure zero-shot attributes on the validation and test clips when training is done."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if faults := list(self._faults()):
            raise SettingsError(faults)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        if not self.languages and self.captions != "given":
            yield "languages", "is empty, but captions are in some language: name one, such as en"
        if isinstance(self.columns, list) and len(self.columns) != len(self.dataset):
            yield (
                "columns",
                f"lists {len(self.columns)} mappings for {len(self.dataset)} manifests in `dataset`: give each one, "
                "{} where the names are ours",
            )
        if self.cache_audio_tower and self.crop_seconds is not None and self.crops_per_clip is None:
            yield (
                "cache_audio_tower",
                "needs to know the crops beforehand: set `crops_per_clip`, for instance to 4, or crop_seconds: null "
                "to take clips whole",
            )
        if self.acoustic_conditions and self.cache_audio_tower:
            yield (
                "acoustic_conditions",
                "change in every epoch, and `cache_audio_tower` keeps one output: leave out one of the two",
            )
        if self.acoustic_conditions and self.crop_seconds is not None and self.crop_seconds < MIN_SECONDS:
            yield "crop_seconds", f"must be at least {MIN_SECONDS} for `acoustic_conditions`, not {self.crop_seconds}"

    @property
    def column_maps(self) -> list[dict[str, str]]:
        """For each manifest in `dataset`, our column names to its own."""
        maps = self.columns if isinstance(self.columns, list) else [self.columns] * len(self.dataset)
        return [dict(each) for each in maps]

    def corpus_files(self) -> dict[str, CorpusSource]:
        """Return what those in `dataset` that are files of corpora say; a `ValueError` if one is faulty."""
        return {source: read_yaml(source, CorpusSource) for source in self.dataset if is_corpus_file(source)}

    def manifests(self) -> list[tuple[str, dict[str, str], HubData | None]]:
        """Return what is read: manifests with their columns and data sets on the Hub. Files in `leave_out` are not."""
        read, files = [], self.corpus_files()
        for source, columns in zip(self.dataset, self.column_maps, strict=True):
            if source not in files:
                read.append((source, columns, None if Path(source).exists() else HubData.parse(source)))
            elif files[source].corpus not in self.leave_out:
                read.append((source, columns, files[source].hub))
        return read


def _both_towers(value: Any) -> Any:
    return list(TOWERS) if value == "both" or (isinstance(value, list) and "both" in value) else value


class LoraSettings(Settings):
    """Where low-rank adapters go, how large they are, and how the result is saved."""

    lora_towers: Annotated[
        Several[Annotated[str, one_of((*TOWERS, "both"))]], UNIQUE, BeforeValidator(_both_towers)
    ] = Field(
        default_factory=list,
        description="Towers that get adapters and are frozen but for them: audio, text or both; none: no LoRA.",
    )
    lora_rank: Count = Field(default=8, description="Rank of the adapters (PEFT's default).")
    lora_alpha: Count = Field(default=16, description="The adapters' output is scaled by alpha / rank (ours).")
    lora_dropout: Fraction = Field(default=0.0, description="Dropout before the adapters (PEFT's default).")
    lora_target_modules: Several[Text] = Field(
        default_factory=list,
        description="Names of the layers that get adapters; default: the query and value projections, and in WavLM, "
        "where they cannot have any, the feed-forward layers (ours).",
    )
    lora_save: Annotated[str, one_of(SAVE_KINDS)] = Field(
        default="merged",
        description="Save a plain checkpoint with the adapters added to the weights, or the adapters apart: 'merged' "
        "or 'adapter'.",
    )


class TrainingRun(Settings):
    """
    The settings of a training run. In YAML all keys of the parts are in one mapping.

    Args:
        model ([`ModelSettings`]), data ([`DataSettings`]), lora ([`LoraSettings`]),
        arguments ([`SmoothCLAPTrainingArguments`]): The parts.
        said (`dict[str, Any]`): What the file and the command line say, for the record of the run.
    """

    model: ModelSettings
    data: DataSettings
    lora: LoraSettings = LoraSettings()
    arguments: InstanceOf[SmoothCLAPTrainingArguments]
    said: dict[str, Any] = Field(default_factory=dict)

    @classmethod
    def yaml_fields(cls) -> dict[str, FieldInfo]:
        """Return the keys of all parts."""
        return {name: each for part in cls._parts().values() for name, each in part.model_fields.items()}

    @classmethod
    def _parts(cls) -> dict[str, type[Settings]]:
        return {"model": ModelSettings, "data": DataSettings, "lora": LoraSettings, "arguments": argument_settings()}

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any]) -> Self:
        """Make all parts of one mapping, or raise one [`SettingsError`] with the faults of all."""
        fields = cls.yaml_fields()
        faults = [(str(key), unknown_key(str(key), fields)) for key in said if key not in fields]
        made: dict[str, Any] = {}
        for name, part in cls._parts().items():
            own = {key: value for key, value in said.items() if key in part.model_fields}
            try:
                checked: Any = part.from_mapping(own)
                if name == "arguments":
                    checked = SmoothCLAPTrainingArguments(**{key: getattr(checked, key) for key in own})
                made[name] = checked
            except WithoutEffect as error:
                made[name] = error.arguments  # whose faults come with the others below
            except SettingsError as error:
                faults += error.faults
        if len(made) == len(cls._parts()):
            faults += ignored_settings(said, **made)
        if faults:
            raise SettingsError(faults)
        return cls(**made, said=dict(said))
