"""What a run was made with, written before it trains, so that no other run goes on in its folder."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd


MADE_WITH = "made_with.json"
"""Lies in the folder of a run from before its training on."""
ENCODERS = ("model", "audio_encoder", "text_encoder", "local_feature_encoder")
"""Fields of the training script that may name a folder with weights."""
ENCODER_FILES = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Endings of weights, configurations and vocabularies."""
WITHOUT_EFFECT = ("path", "package", "package_version", "licence")
"""Columns that change no figure: they say where a clip lies and who gave it."""


def fingerprint(
    config: Mapping[str, Any], train: pd.DataFrame, expressive: pd.DataFrame, speech: pd.DataFrame
) -> dict[str, str]:
    """
    What training and scoring read, as hashes.

    Of clips the ids, the SHA-256 of the audio, labels, functionals and all else that may change a figure count, and
    their order; where they lie does not. Of start encoders the files in their folders count. One that is no folder
    here, such as a model of the Hub, is known by its name in the configuration alone.

    Args:
        config (`Mapping[str, Any]`): The configuration that all runs share.
        train (`pd.DataFrame`): Manifest rows that are trained on, those of all manifests.
        expressive (`pd.DataFrame`), speech (`pd.DataFrame`): Manifest rows of both test sets.

    Returns:
        `dict[str, str]`: SHA-256 in hexadecimal of `train`, `expressive`, `speech`, and of each encoder by the name of
        its field, such as `audio_encoder`.

    Raises:
        ValueError: if rows have no `id` or no `sha256`, or an encoder's folder has no such files.
    """
    sets = {"train": train, "expressive": expressive, "speech": speech}
    hashes = {name: _hash_of_rows(name, rows) for name, rows in sets.items()}
    folders = {name: Path(str(config[name])) for name in ENCODERS if config.get(name)}
    return hashes | {name: _hash_of_files(folder) for name, folder in folders.items() if folder.is_dir()}


def made_with(
    config: Mapping[str, Any], settings: Mapping[str, Any], seed: int, data: Mapping[str, str]
) -> dict[str, Any]:
    """
    The record of one run, as plain JSON gives it back.

    Args:
        config (`Mapping[str, Any]`): The configuration that all runs share.
        settings (`Mapping[str, Any]`): Of the objective.
        seed (`int`): Of the run.
        data (`Mapping[str, str]`): From [`fingerprint`].

    Returns:
        `dict[str, Any]`: With these four names as keys.
    """
    record = {"config": config, "settings": settings, "seed": seed, "data": data}
    return dict(json.loads(json.dumps(record, default=str)))


def check_folder(folder: Path, record: Mapping[str, Any], model: Path) -> None:
    """
    Refuse a folder that holds another run.

    Args:
        folder (`Path`): Of the run; it need not exist.
        record (`Mapping[str, Any]`): From [`made_with`].
        model (`Path`): Where the run's training writes to.

    Raises:
        ValueError: if the folder's record differs, with what differs; or there is none beside what a training left.
    """
    path = folder / MADE_WITH
    if path.is_file():
        if differing := _differences(json.loads(path.read_text()), record):
            raise ValueError(
                f"{str(folder)!r} holds a run with other settings or data: {'; '.join(differing)}. Choose another "
                "output folder, or delete this one."
            )
    elif model.exists():
        raise ValueError(
            f"{str(folder)!r} holds a run that does not say what it was made with: it has no {MADE_WITH}. Choose "
            "another output folder, or delete this one."
        )


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


def _hash_of_rows(name: str, rows: pd.DataFrame) -> str:
    if absent := [column for column in ("id", "sha256") if column not in rows.columns]:
        raise ValueError(f"The {name} rows lack {absent}, which tell their clips from others; build them anew.")
    columns = sorted(set(rows.columns) - {*WITHOUT_EFFECT})
    return hashlib.sha256(rows[columns].to_csv(index=False).encode()).hexdigest()


def _hash_of_files(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.suffix in ENCODER_FILES and path.is_file())
    if not files:
        raise ValueError(f"{str(folder)!r} holds no encoder: there are no files that end in {list(ENCODER_FILES)}.")
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            whole.update(f"{path.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """What differs, by dotted name; values too, but those of `data`, which say nothing to a reader."""
    found = []
    flat = [_flat(record) for record in (there, here)]
    for name in dict.fromkeys([*flat[0], *flat[1]]):
        old, new = (values.get(name) for values in flat)
        if old != new:
            found.append(name if name.startswith("data.") else f"{name} is {old!r} there and {new!r} now")
    return found


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in record.items():
        flat |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat
