"""Read what is next to the weights of a checkpoint: records of programs, and what a person wrote."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import RepoCard


@dataclass(frozen=True)
class Notes:
    """What a person wrote into `notes.md`: front matter, an introduction, and sections with their headings."""

    front_matter: dict[str, Any] = field(default_factory=dict)
    introduction: str = ""
    sections: str = ""


@contextmanager
def unreadable(path: str | Path) -> Iterator[None]:
    """Turn the many errors that damaged records raise into a `ValueError` that names the file or folder."""
    try:
        yield
    except DamagedRecord:
        raise
    except Exception as error:
        raise DamagedRecord(f"{str(path)!r} is damaged: {_reason(error)}. Repair it, or delete it.") from error


def _reason(error: Exception) -> str:
    """Say in one line what an error means; those of YAML also print what they read."""
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}, {getattr(error, 'problem', None) or 'this is not YAML'}"
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}, {error.msg}"
    return str(error).strip().partition("\n")[0].rstrip(". ") or type(error).__name__


class DamagedRecord(ValueError):
    """A file next to the weights that does not hold what it should."""


def read_record(path: Path, kind: type = dict) -> Any:
    """The content of a JSON or YAML file, which is a mapping or a list, or `None` if there is none."""
    if not path.is_file():
        return None
    with unreadable(path):
        content = (json.loads if path.suffix == ".json" else yaml.safe_load)(path.read_text(encoding="utf-8"))
        if not isinstance(content, kind | None):
            raise TypeError(f"it holds a {type(content).__name__}")
    return content


def read_notes(path: Path) -> Notes:
    """Read what a person wrote into `notes.md`; nothing if there is no such file."""
    if not path.is_file():
        return Notes()
    with unreadable(path):
        text, front = path.read_text(encoding="utf-8"), {}
    if text.startswith("---"):
        try:
            card = RepoCard(text)
        except (ValueError, yaml.YAMLError) as error:
            raise ValueError(
                f"The front matter of {str(path)!r} is not YAML, `name: value`: {_reason(error)}."
            ) from error
        front, text = card.data.to_dict(), card.text
        if text.startswith("---"):
            raise ValueError(f"The front matter of {str(path)!r} has no end: put a second line of --- below it.")
    introduction, heading, sections = f"\n{text}".partition("\n## ")
    return Notes(front, introduction.strip(), f"## {sections}".strip() if heading else "")
