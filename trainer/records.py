"""What a training run leaves beside the weights, so that what happened can be read from the folder alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from .data.collator import SmoothCLAPCollator
from .evaluation.checkpoint_location import find_checkpoint
from .evaluation.results import versions


@dataclass
class TrainingSources:
    """
    What a trainer trains on, and cannot tell from the rows that it is given.

    Args:
        splits (`Mapping[str, datasets.Dataset]`): All clips of the run, by split; `test` may be among them.
        hub_datasets (`list[str]`): Those of the data sets that are on the Hub.
        feature_encoder (`str`, *optional*): Hub id or directory of a frozen encoder whose features shaped the targets.
    """

    splits: Mapping[str, Any]
    hub_datasets: list[str] = field(default_factory=list)
    feature_encoder: str | None = None


def record_training(trainer: Any, folder: str | Path) -> None:
    """
    Write down what was trained, on what, and how it went.

    Into `folder` go `objective.json`, the loss in words and numbers; `data.json`; `origin.json`, what training started
    from; `versions.json`; `training_log.yaml`; and `thresholds.json` and `standardisation.json`, as far as captions and
    targets used them.

    Args:
        trainer ([`SmoothCLAPTrainer`]): After training.
        folder (`str` or `Path`): Is made if it is not there.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    collator = trainer.data_collator
    if isinstance(collator, SmoothCLAPCollator):
        if collator.thresholds is not None:
            collator.thresholds.save(folder / "thresholds.json")
        if collator.functionals is not None:
            collator.functionals.save(folder / "standardisation.json")
    model = trainer.accelerator.unwrap_model(trainer.model)
    config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config
    write_json(folder / "objective.json", trainer.objective.describe())
    write_json(folder / "data.json", describe_data(trainer.sources.splits))
    write_json(folder / "origin.json", describe_origin(config, trainer.sources.hub_datasets))
    write_json(folder / "versions.json", versions())
    (folder / "training_log.yaml").write_text(yaml.safe_dump(trainer.state.log_history), encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write what JSON can say, legibly."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def describe_data(splits: Mapping[str, Any]) -> dict[str, Any]:
    """
    What was trained and validated on, by split and corpus: clips, minutes, speakers, language, licence, and whether the
    speech is synthetic, as far as the rows say.

    Args:
        splits (`Mapping[str, datasets.Dataset]`): Manifest rows. What is no `datasets.Dataset` is passed over.
    """
    described: dict[str, Any] = {}
    facts = ("language", "licence", "package", "package_version", "synthetic")
    for split, rows in splits.items():
        if not hasattr(rows, "select_columns"):
            continue
        kept = [name for name in ("corpus", "speaker", "duration", *facts) if name in rows.column_names]
        table = rows.select_columns(kept).to_pandas() if kept else pd.DataFrame(index=range(len(rows)))
        corpora = table["corpus"].fillna("unnamed") if "corpus" in table else pd.Series("unnamed", table.index)
        described[split] = {}
        for corpus, members in table.groupby(corpora):
            entry: dict[str, Any] = {"clips": len(members)}
            if "duration" in members:
                entry["minutes"] = round(float(members["duration"].sum()) / 60, 1)
            if "speaker" in members:
                entry["speakers"] = int(members["speaker"].nunique())
            for fact in facts:
                values = sorted(members[fact].dropna().unique().tolist()) if fact in members else []
                entry |= {fact: values[0] if len(values) == 1 else values} if values else {}
            described[split][str(corpus)] = entry
    return described


def describe_origin(config: Any, hub_datasets: list[str]) -> dict[str, Any]:
    """
    What a model started from: a checkpoint, or two encoders.

    Args:
        config ([`PreTrainedConfig`]): The dual encoder's.
        hub_datasets (`list[str]`): Data sets of the Hub that it was trained on.

    Returns:
        `dict[str, Any]`: `model`, or `audio_encoder` and `text_encoder`, each with `name`, whether that is on the
        `hub`, and the `revision` there if it is known; and `datasets`.
    """
    if getattr(config, "_name_or_path", ""):
        starts = {"model": config}
    else:
        starts = {f"{kind}_encoder": getattr(config, f"{kind}_config", None) for kind in ("audio", "text")}
    origin: dict[str, Any] = {}
    for role, start in starts.items():
        if name := str(getattr(start, "_name_or_path", "")):
            origin[role] = {"name": name, "hub": not Path(name).exists(), "revision": _commit(name)}
    return origin | {"datasets": hub_datasets}


def _commit(name: str) -> str | None:
    """The commit of what was just loaded from the Hub; none of a folder, or of one that has gone since."""
    try:
        return find_checkpoint(name)[1]
    except ValueError:
        return None
