"""The phrases that captions are made from, in each language: the TOML files of this folder."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Language:
    """
    Everything that captions in one language are made from.

    `wordings` are group to level to phrases; `persons` gender, or `"unknown"`, to words for the speaker, which replace
    `{person}`. A caption is put into one of `frames`, or of `noun_frames` if all its phrases start with one of
    `articles`. `conjunction` joins two phrases where no comma does. `conditions` are acoustic conditions, and kinds of
    them, to phrases that are put after a caption.
    """

    wordings: dict[str, dict[str, tuple[str, ...]]]
    persons: dict[str, tuple[str, ...]]
    frames: tuple[str, ...]
    noun_frames: tuple[str, ...]
    articles: tuple[str, ...]
    conjunction: str
    conditions: dict[str, tuple[str, ...]]


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(value) if isinstance(value, list) else value


LANGUAGES = {
    name: Language(**_tuples(tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))))
    for name in ("en", "de")
}
