"""The phrases that captions are made from, in each language: the TOML files of this folder."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Language:
    """
    Everything that captions in one language are made from.

    Args:
        wordings (`dict[str, dict[str, tuple[str, ...]]]`): Group to level to phrases; `{person}` stands for the
            speaker.
        persons (`dict[str, tuple[str, ...]]`): Gender, or `"unknown"`, to words for the speaker. If the gender is
            unknown, "she" and "he" are among them and mean nothing.
        frames (`tuple[str, ...]`): What any caption is put into; `{}` stands for the phrases.
        noun_frames (`tuple[str, ...]`): What a caption may also be put into if all its phrases start with an article.
        articles (`tuple[str, ...]`): Those articles.
        conjunction (`str`): What joins two phrases when it is not a comma.
    """

    wordings: dict[str, dict[str, tuple[str, ...]]]
    persons: dict[str, tuple[str, ...]]
    frames: tuple[str, ...]
    noun_frames: tuple[str, ...]
    articles: tuple[str, ...]
    conjunction: str


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _tuples(each) for name, each in value.items()}
    return tuple(value) if isinstance(value, list) else value


LANGUAGES = {
    name: Language(**_tuples(tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))))
    for name in ("en", "de")
}
