"""Data sets on the Hub by name and revision, and their clips: streamed once into audio files that stay in the cache."""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple, Self

from datasets import Audio, ClassLabel, load_dataset
from huggingface_hub import cached_assets_path
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import AUDIO_SUFFIXES
from modeling_smoothclap.checkpoint_smoothclap import can_only_be_a_path

from ..files import held, write_text


INDEX = "clips.jsonl"
"""Lists the clips of a data set in its folder; written last, so that a folder with it is whole."""


class HubData(NamedTuple):
    """A data set on the Hub, at a commit, branch or tag; by default the latest."""

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, source: str) -> Self | None:
        """Read `USER/NAME` or `USER/NAME@REVISION`; `None` for what can only be a path."""
        name, _, revision = source.partition("@")
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?", source) or can_only_be_a_path(name):
            return None
        return cls(name, revision or None)

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a whole commit hash, under which nothing changes."""
        return bool(re.fullmatch("[0-9a-f]{40}", self.revision or ""))

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


class HubClip(NamedTuple):
    """A clip of a data set: its audio file, the name of the file it was made from, and its other columns as text."""

    path: str
    name: str | None
    cells: dict[str, str | None]


def hub_clips(data: HubData) -> list[HubClip]:
    """
    Return the clips of all splits of a pinned data set.

    The first call streams it, one shard after the other, and keeps only audio files, in the cache of the Hub's client
    (`HF_HOME/assets`). Later calls need no network. A `ValueError` if it cannot be read, has no column of audio or
    several, or another run is fetching it.
    """
    folder = cached_assets_path("smoothclap", data.name, str(data.revision))
    if not (folder / INDEX).is_file():
        with held(folder):
            try:
                lines = [json.dumps(clip) for clip in _streamed(data, folder)]
            except Exception as error:  # of the network, the Hub, the data set's own files: too many classes to name
                raise ValueError(f"the data set {str(data)!r} cannot be read from the Hub: {error}") from error
            write_text(folder / INDEX, "\n".join(lines))
    listed = [json.loads(line) for line in (folder / INDEX).read_text(encoding="utf-8").splitlines()]
    return [HubClip(str(folder / file), name, cells) for file, name, cells in listed]


def _streamed(data: HubData, folder: Path) -> Iterator[tuple[str, str | None, dict[str, str | None]]]:
    """Write each clip to a numbered file; yield the file's name, the clip's, and its cells."""
    number = 0
    for part in load_dataset(data.name, revision=data.revision, streaming=True).values():
        rows = part.decode(False)  # audio stays as it is encoded, and nothing needs a decoder
        for row in logging.tqdm(rows, desc=f"reading {data.name}", unit="clip"):
            columns = [name for name, feature in rows.features.items() if isinstance(feature, Audio)]
            if len(columns) != 1 or not row[columns[0]]["bytes"]:
                raise ValueError(f"row {number} must hold one audio file; its columns of audio are {columns}")
            audio = row.pop(columns[0])
            name = PurePath(audio["path"]).name if audio.get("path") else None
            suffix = PurePath(name or "").suffix.lower()
            file = f"{number:06}{suffix if suffix in AUDIO_SUFFIXES else ''}"
            (folder / file).write_bytes(audio["bytes"])
            yield file, name, {column: _text(value, rows.features[column]) for column, value in row.items()}
            number += 1


def _text(value: Any, feature: Any) -> str | None:
    """Return a cell as text, classes by their names; `None` for what is neither text nor a number."""
    if isinstance(feature, ClassLabel) and value is not None:
        return feature.int2str(value) if value >= 0 else None
    return str(value) if isinstance(value, str | int | float) else None
