"""A first YAML file for training on a manifest, with every line explained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from datasets import Dataset, DatasetDict
from transformers.utils import logging

from .config import Settings, Text, one_of, read_overrides
from .data.captions import LANGUAGES
from .data.captions.thresholds import ACOUSTIC_GROUPS
from .data.manifest import load_manifest, unread_columns
from .files import write_text
from .templating import render


logger = logging.get_logger(__name__)

MOST_LABELS = 50
"""With more labels than that, their wordings are left to the user."""
BATCH_SIZE = 32


class _Reading(Settings):
    """How the manifest is read. All other settings are changed in the file that is written."""

    columns: dict[str, str] | None = None
    audio_root: Text | None = None
    bad_clips: Annotated[str, one_of(("raise", "skip", "trust"))] = "raise"


def write_starting_config(manifest: Path, config: Path | None = None, options: Sequence[str] = ()) -> Path:
    """Write a YAML file that trains on a manifest as it is, and return its path; `options` are of [`_Reading`]."""
    path = config or Path(f"{manifest.stem}.yaml")
    if path.exists():
        raise ValueError(f"{str(path)!r} exists: name another file, smoothclap train OTHER.yaml --init {manifest}.")
    reading = dict(_Reading.from_mapping(read_overrides(options, _Reading.yaml_fields())))
    missing: Literal["raise", "keep"] = "keep" if reading["bad_clips"] == "skip" else "raise"
    splits = load_manifest(str(manifest), reading["columns"], reading["audio_root"], missing)
    if "train" not in splits:
        raise ValueError(f"{str(manifest)!r} has no training clips, only {sorted(splits)}.")
    values = _choices(splits) | {"output": f"build/{path.stem}"} | reading
    if unread := values["unread"]:
        logger.warning(
            f"The columns {unread} are not read. If one is a label, a split or another column that training knows, "
            'name it: --columns "{label: ITS_NAME, split: ITS_NAME}".'
        )
    write_text(path, render("starting_config.yaml.jinja", dataset=str(manifest), file=str(path), **values))
    return path


def _choices(splits: DatasetDict) -> dict[str, Any]:
    """Choose settings by what the manifest knows of its clips."""
    train = splits["train"]
    checked = [splits[name] for name in ("train", "validation") if name in splits]
    captions = _values(train, "caption")
    given = len(set(captions)) > 1 and all(all(_values(each, "caption")) for each in checked)
    labels = sorted({label for each in checked for label in _values(each, "label") if label})
    targets = ["local_features"] if given else ["local_features", "tags"]
    if given and len({*_values(train, "label")} - {None}) > 1:
        targets.append("labels")
    measured = {column for columns in ACOUSTIC_GROUPS.values() for column in columns}
    return {
        "counts": ", ".join(f"{len(rows)} {name}" for name, rows in splits.items()),
        "unread": unread_columns(train),
        "captions_given": given,
        "needs_opensmile": not measured <= set(train.column_names),
        "languages": _languages(train),
        "known_languages": list(LANGUAGES),
        "labels": labels,
        "wordings": {label: _wording(label) for label in labels} if len(labels) <= MOST_LABELS else {},
        "targets": targets,
        "model": "smoothclap-tiny",
        "batch_size": max(2, min(BATCH_SIZE, len(train))),
        "has_validation": "validation" in splits,
    }


def _wording(label: str) -> str:
    return f"{'an' if label[0].lower() in 'aeiou' else 'a'} {label} voice"


def _values(rows: Dataset, column: str) -> list[Any]:
    return list(rows[column]) if column in rows.column_names else [None] * len(rows)


def _languages(rows: Dataset) -> list[str]:
    """List the languages of the speech that there are captions in; English if there are none."""
    spoken = {value.lower().partition("-")[0] for value in _values(rows, "language") if value}
    return [language for language in LANGUAGES if language in spoken] or ["en"]
