"""Where a known corpus is: in a folder, on the Hub, or as a YAML file says, which has more to say."""

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Annotated, Self

import pandas as pd
from pydantic import Field, model_validator

from ..config import Settings, SettingsError, Several, Text, one_of, read_yaml
from ..data.captions.labels import category
from ..data.hub_clips import HubClip, HubData, hub_clips
from .corpus_readers import FileNames, Reader
from .protocols import PROTOCOLS


YAML_SUFFIXES = (".yaml", ".yml")


class HubColumns(Settings):
    """Columns of a data set on the Hub. File names come first, because they give label and speaker."""

    name: Text | None = Field(default=None, description="Names of the audio files; default: those kept with the audio.")
    label: Text | None = Field(default=None, description="Labels; they must agree with those in file names.")
    speaker: Text | None = Field(default=None, description="Speakers, where file names do not give them.")


class CorpusSource(Settings):
    """What the YAML file of a known corpus says: where it is, and who speaks in which split of training."""

    corpus: Text = Field(description="Name of a known corpus; `smoothclap evaluate --list` lists them.")
    data_root: Text = Field(
        description="Its folder, as it is distributed, or a data set on the Hub as USER/NAME@COMMIT. Relative paths "
        "start at the current folder."
    )
    columns: HubColumns = Field(default=HubColumns(), description="Columns of a data set on the Hub.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Value in the label column of a data set on the Hub to the corpus's label."
    )
    speakers: dict[Annotated[str, one_of(("train", "validation", "test"))], Several[Text]] = Field(
        default_factory=dict, description="Split to its speakers, for training; each must be in one."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if faults := list(self._faults()):
            raise SettingsError(faults)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        for name in ("columns", "labels"):
            if name in self.model_fields_set and self.hub is None:
                yield name, f"has no effect: {self.data_root!r} is not USER/NAME@COMMIT on the Hub"
        if self.labels and self.columns.label is None:
            yield "labels", "has no effect: `columns` names no label"

    @classmethod
    def at(cls, corpus: str, root: str | Path) -> Self:
        """Return where a corpus is: `root` is a folder, USER/NAME@COMMIT on the Hub, or a YAML file."""
        if not is_corpus_file(root):
            return cls(corpus=corpus, data_root=str(root))
        source = read_yaml(Path(root).expanduser(), cls)
        if source.corpus != corpus:
            raise ValueError(f"{str(root)!r} is of the corpus {source.corpus!r}; give the file of {corpus!r}")
        return source

    @property
    def folder(self) -> Path:
        """`Path`: Where the corpus is if it is not on the Hub."""
        return Path(self.data_root).expanduser().absolute()

    @property
    def hub(self) -> HubData | None:
        """[`HubData`]: The data set on the Hub, if the corpus is there."""
        data = None if self.folder.exists() else HubData.parse(self.data_root)
        return data if data and data.revision else None

    def read(self, reader: Reader) -> pd.DataFrame:
        """Read all clips, as `reader` would read them from a folder; a `ValueError` says what is wrong."""
        if self.hub is None:
            if not self.folder.is_dir():
                raise ValueError("there is no such folder; a data set on the Hub is written USER/NAME@COMMIT")
            return reader.read(self.folder)
        if not self.hub.is_pinned:
            raise ValueError(
                f"{self.hub.revision!r} is not a commit, or not the whole hash, so what it names may change: give the "
                "40 digits that the history of the data set shows"
            )
        if not isinstance(reader, FileNames):
            raise ValueError("this corpus can only be read from a folder")
        return _read_from_hub(self, reader, hub_clips(self.hub))


def is_corpus_file(source: str | Path) -> bool:
    """Whether a manifest or data root is the YAML file of a corpus."""
    return str(source).endswith(YAML_SUFFIXES)


def _read_from_hub(source: CorpusSource, reader: FileNames, clips: Sequence[HubClip]) -> pd.DataFrame:
    there = list(clips[0].cells) if clips else []
    if absent := [name for name in dict(source.columns).values() if name and name not in there]:
        raise ValueError(f"it has no columns {absent}, only {there}")
    if strange := sorted(set(source.labels.values()) - set(reader.labels)):
        raise ValueError(f"`labels` leads to {strange}, but the labels of the corpus are {list(reader.labels)}")
    if source.columns.name:
        clips = [clip._replace(name=clip.cells[source.columns.name]) for clip in clips]
    stems = [PurePath(clip.name or "").stem for clip in clips]
    parts = [reader.parse(stem) for stem in stems]
    if any(isinstance(each, tuple) for each in parts):
        _check_labels(source, clips, parts)
        return reader.table(zip(stems, [clip.path for clip in clips], parts, strict=True))
    if source.columns.label is None or source.columns.speaker is None:
        raise ValueError(
            f"none of its clips has a file name of the corpus (the first: {clips[0].name if clips else None!r}), so "
            "that nothing says who speaks: under `columns` give those of label and speaker, or that of file names, as "
            f"name; there are {there}"
        )
    ids = [f"{source.corpus}/{PurePath(clip.path).stem}" for clip in clips]
    named = [(_label(source, reader, clip), _speaker(source, reader, clip)) for clip in clips]
    return reader.table(zip(ids, [clip.path for clip in clips], named, strict=True))


def _check_labels(source: CorpusSource, clips: Sequence[HubClip], parts: Sequence[tuple[str, str] | str]) -> None:
    """Refuse a column of labels in which one value stands for two labels by file names, or by `labels`."""
    meant = dict(source.labels)
    for clip, named in zip(clips, parts, strict=True):
        value = clip.cells[source.columns.label] if source.columns.label else None
        if value is not None and isinstance(named, tuple) and meant.setdefault(value, named[0]) != named[0]:
            raise ValueError(
                f"{value!r} in the column {source.columns.label!r} is {meant[value]}, but the clip {clip.name!r} with "
                f"it is {named[0]} by its name: name the column of labels, or correct `labels`"
            )


def _label(source: CorpusSource, reader: FileNames, clip: HubClip) -> str:
    """Return the corpus's label of a clip by its column: as `labels` has it, or as the corpus or English names it."""
    value = clip.cells[str(source.columns.label)]
    protocol = next(each for each in PROTOCOLS.values() if each.corpus == source.corpus)
    named = {category(name, "emotion"): label for label, name in protocol.labels.items()}
    known = {label: label for label in reader.labels} | source.labels
    if value in known:
        return known[value]
    try:
        return named[category(str(value), "emotion")]
    except (ValueError, KeyError):
        raise ValueError(
            f"the label {value!r} is unknown: let `labels` map it to one of the corpus's, {list(reader.labels)}"
        ) from None


def _speaker(source: CorpusSource, reader: FileNames, clip: HubClip) -> str:
    value = clip.cells[str(source.columns.speaker)]
    for speaker in reader.speakers:
        if value is not None and speaker.lstrip("0") == value.lstrip("0"):
            return speaker
    raise ValueError(f"{value!r} in the column {source.columns.speaker!r} is not a speaker: {list(reader.speakers)}")
