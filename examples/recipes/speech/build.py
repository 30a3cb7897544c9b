"""Building the speech dataset: packages to clips to features to splits."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from transformers.utils import logging

from smoothclap_trainer.data.functionals import PITCH_COLUMN, extract_table, functional_names
from smoothclap_trainer.files import Record, file_sha256

from .arousal import add_arousal
from .audio import SAMPLING_RATE, decode_clip, reason_to_drop, to_common_band, write_flac
from .corpora import CorpusSpec
from .dataset import save_splits
from .packages import Package


logger = logging.get_logger(__name__)

DROPPED_FILE = "dropped.csv"


def convert_corpus(
    spec: CorpusSpec, packages: list[Package], output: str | Path, limit: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """
    Writes a corpus's clips as 16 kHz mono FLAC in the common band; does nothing twice.

    Args:
        spec ([`CorpusSpec`]):
            The corpus.
        packages (`list[Package]`):
            Its packages, in the spec's order.
        output (`str` or `Path`):
            The dataset's folder; clips go to `audio/CORPUS/`.
        limit (`int`, *optional*):
            Take only this many clips, evenly from the whole corpus.

    Returns:
        `tuple[pd.DataFrame, pd.DataFrame]`: Manifest rows of the kept clips, and `id`, `reason` and `duration`
        of the dropped.

    Raises:
        ValueError: `limit` is below 1, or the archive is not what the reader expects.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, got {limit}")
    output = Path(output)
    state = _state(spec, packages, limit)
    state_file = output / "work" / f"{spec.name}.json"
    rows_file, dropped_file = (output / "work" / f"{spec.name}-{kind}.parquet" for kind in ("rows", "dropped"))
    if state_file.is_file() and json.loads(state_file.read_text()) == state:
        rows, dropped = pd.read_parquet(rows_file), pd.read_parquet(dropped_file)
        if all((output / path).is_file() for path in rows["path"]):
            logger.info(f"{spec.name}: {len(rows)} clips are already there")
            return rows, dropped
    rows, dropped = _convert_clips(spec, packages, output, limit)
    state_file.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(rows_file, index=False)
    dropped.to_parquet(dropped_file, index=False)
    state_file.write_text(json.dumps(state))
    return rows, dropped


def _state(spec: CorpusSpec, packages: list[Package], limit: int | None) -> dict[str, Any]:
    """What the converted clips depend on: if any of it changed, they are converted again."""
    state = {"packages": [package.sha256 for package in packages], "limit": limit, "licence": spec.licence}
    return {**state, "min_duration": spec.min_duration, "format": 2}


def _convert_clips(
    spec: CorpusSpec, packages: list[Package], output: Path, limit: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    clips = list(spec.reader([package.root for package in packages]))
    if limit is not None and limit < len(clips):
        clips = [clips[index * len(clips) // limit] for index in range(limit)]
    rows, dropped, seen = [], [], set()
    for clip in logging.tqdm(clips, desc=spec.name, unit="clip"):
        samples = to_common_band(*decode_clip(clip))
        identity = f"{spec.name}/{clip.name}"
        reason = reason_to_drop(samples, min_duration=spec.min_duration)
        path = Path("audio") / f"{identity}.flac"
        if reason is None:
            write_flac(output / path, samples)
            digest = file_sha256(output / path)
            reason = "duplicate audio" if digest in seen else None
            seen.add(digest)
        if reason is not None:
            (output / path).unlink(missing_ok=True)
            dropped.append({"id": identity, "reason": reason, "duration": len(samples) / SAMPLING_RATE})
            continue
        rows.append(
            {
                "id": identity,
                "path": path.as_posix(),
                "corpus": spec.name,
                "speaker": f"{spec.name}:{clip.speaker}",
                "language": clip.language or spec.language,
                "transcript": clip.transcript,
                "duration": len(samples) / SAMPLING_RATE,
                "package": packages[0].name,
                "package_version": packages[0].version,
                "licence": spec.licence,
                "sha256": digest,
                **clip.columns,
            }
        )
    return pd.DataFrame(rows), pd.DataFrame(dropped, columns=["id", "reason", "duration"])


def split_rows(rows: pd.DataFrame, specs: list[CorpusSpec]) -> dict[str, pd.DataFrame]:
    """
    Divides rows by speaker.

    Args:
        rows (`pd.DataFrame`):
            Manifest rows of all corpora.
        specs (`list[CorpusSpec]`):
            Their specs.

    Returns:
        `dict[str, pd.DataFrame]`: `train`, `validation` and `test`, those that have rows, each in the rows' order.
    """
    by_name = {spec.name: spec for spec in specs}
    held_out = {f"{spec.name}:{speaker}" for spec in specs for speaker in spec.validation_speakers}
    split = rows["corpus"].map(lambda corpus: by_name[corpus].split)
    split = split.mask((split == "train") & rows["speaker"].isin(held_out), "validation")
    parts = {name: rows[split == name].reset_index(drop=True) for name in ("train", "validation", "test")}
    return {name: part for name, part in parts.items() if len(part)}


def build_dataset(
    specs: list[CorpusSpec],
    packages: dict[str, Package],
    output: str | Path,
    cache_dir: str | Path,
    limit: int | None = None,
    num_workers: int = 1,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """
    Builds the dataset: audio, features, splits, and the record of what came from where and what was dropped.

    Args:
        specs (`list[CorpusSpec]`):
            Corpora to take.
        packages (`dict[str, Package]`):
            Their unpacked packages by name.
        output (`str` or `Path`):
            The dataset's folder.
        cache_dir (`str` or `Path`):
            Folder of the functionals' cache.
        limit (`int`, *optional*):
            Take only this many clips of each corpus.
        num_workers (`int`, defaults to 1):
            Processes for the functionals.

    Returns:
        `tuple[dict[str, pd.DataFrame], pd.DataFrame]`: Rows per split, and the dropped clips.
    """
    output = Path(output)
    converted = [convert_corpus(spec, [packages[name] for name in spec.packages], output, limit) for spec in specs]
    rows = pd.concat([kept for kept, _ in converted], ignore_index=True)
    dropped = pd.concat([gone for _, gone in converted], ignore_index=True)
    features = extract_table([output / path for path in rows["path"]], cache_dir, num_workers)
    rows = pd.concat([rows, features[functional_names()]], axis=1)
    unvoiced = features["problem"].isna() & (features[PITCH_COLUMN] == 0)
    features["problem"] = features["problem"].mask(unvoiced, "no voiced sound")
    faulty = features["problem"].notna()
    if faulty.any():
        more = rows.loc[faulty, ["id", "duration"]].assign(reason=features.loc[faulty, "problem"])
        dropped = pd.concat([dropped, more], ignore_index=True)
    splits = split_rows(rows[~faulty].reset_index(drop=True), specs)
    splits, arousal = add_arousal(splits)
    save_splits(splits, output)
    dropped.to_csv(output / DROPPED_FILE, index=False)
    _write_provenance(output, specs, packages, arousal)
    return splits, dropped


def _write_provenance(
    output: Path, specs: list[CorpusSpec], packages: dict[str, Package], arousal: dict[str, Any] | None
) -> None:
    record = []
    for spec in specs:
        entry = {key: value for key, value in asdict(spec).items() if key != "reader"}
        if arousal is not None and spec.split == "train":
            entry["arousal"] = arousal
        record.append({**entry, "packages": [packages[name].provenance() for name in spec.packages]})
    (output / Record.PROVENANCE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
