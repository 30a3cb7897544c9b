"""Which weights a checkpoint has."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from accelerate.utils import extract_model_from_parallel
from datasets import Dataset
from huggingface_hub import try_to_load_from_cache
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import CONFIG_NAME
from transformers.utils.hub import extract_commit_hash

from ..data.collator import SmoothCLAPCollator
from ..evaluation.results import versions
from ..files import file_sha256, write_json


# In the order in which transformers prefers them. Other files of a training run are no weights of the model.
_WEIGHTS = (("model*.safetensors", "adapter_model*.safetensors"), ("pytorch_model*.bin", "adapter_model*.bin"))


def weights_sha256(folder: Path) -> str:
    """
    Say which weights a checkpoint has.

    Args:
        folder (`Path`): Of a checkpoint or of PEFT adapters.

    Returns:
        `str`: In hexadecimal, the SHA-256 of the file of weights: safetensors if there are any, as transformers
        prefers them. Of several files, that of what `sha256sum` prints of them in the order of their names.

    Raises:
        ValueError: if the folder has no weights.
    """
    for patterns in _WEIGHTS:
        if files := sorted(path for pattern in patterns for path in folder.glob(pattern)):
            break
    else:
        raise ValueError(f"{str(folder)!r} holds no file of weights: none is called {' or '.join(sum(_WEIGHTS, ()))}.")
    sums = [file_sha256(path) for path in files]
    if len(files) == 1:
        return sums[0]
    listing = "".join(f"{each}  {path.name}\n" for each, path in zip(sums, files, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


UNRECORDED = "unrecorded"
"""Stands in the record for speech of which nobody wrote down where it is from."""

CORPORA_OF_ENCODERS: dict[str, tuple[str, ...]] = {
    "wav2vec2-large-robust-12-ft-emotion-msp-dim": ("msp-podcast",),  # audeering's, as its model card says
}
"""Encoders that were fine-tuned on emotion corpora and do not say so in their configurations."""


def corpora_of_rows(rows: Any) -> set[str]:
    """
    The corpora that clips are from.

    Args:
        rows (`datasets.Dataset`, `Mapping` of such or `None`): Clips, whose `corpus` says it.

    Returns:
        `set[str]`: Names, [`UNRECORDED`] among them where a row has none.

    Example:

    ```python
    >>> from datasets import Dataset
    >>> from smoothclap_trainer.hub.provenance import corpora_of_rows
    >>> sorted(corpora_of_rows(Dataset.from_dict({"corpus": ["queen", None, "queen"]})))
    ['queen', 'unrecorded']

    ```
    """
    if rows is None:
        return set()
    if isinstance(rows, Mapping):
        return {name for each in rows.values() for name in corpora_of_rows(each)}
    if not isinstance(rows, Dataset) or "corpus" not in rows.column_names:
        return {UNRECORDED}
    return {name or UNRECORDED for name in rows.unique("corpus")}


def corpora_of_encoder(config: Any) -> set[str]:
    """
    The emotion corpora that an encoder is known to have been trained on, by its own record or by its name.

    What else it was pretrained on is no part of the record: an encoder that nothing is known of adds nothing.

    Args:
        config ([`PreTrainedConfig`]): The encoder's.
    """
    source = str(getattr(config, "_name_or_path", ""))
    named = [corpora for name, corpora in CORPORA_OF_ENCODERS.items() if name in source]
    return {*(getattr(config, "training_corpora", None) or ()), *(name for corpora in named for name in corpora)}


def corpora_of_start(config: Any) -> set[str]:
    """
    The corpora that a model had heard before it is trained here.

    Args:
        config ([`PreTrainedConfig`]): A dual encoder's. One that was loaded as a whole says it itself; if it does
            not, that is [`UNRECORDED`]. Of one that was made from two encoders, these say it.
    """
    if getattr(config, "training_corpora", None) is not None:
        return set(config.training_corpora)
    if getattr(config, "_name_or_path", ""):
        return {UNRECORDED}
    towers = (getattr(config, name, None) for name in ("audio_config", "text_config"))
    return {name for tower in towers for name in corpora_of_encoder(tower)}


class CorporaCallback(TrainerCallback):
    """
    Records in the configuration of the model, before its first step, which corpora it will have heard.

    Args:
        heard (`Callable`): Gives the names of the corpora of this training.
    """

    def __init__(self, heard: Callable[[], set[str]]):
        self.heard = heard

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write `training_corpora`, in alphabetical order."""
        model = extract_model_from_parallel(kwargs["model"])
        config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config
        config.training_corpora = sorted(corpora_of_start(config) | self.heard())


PROVENANCE_FILE = "provenance.json"
"""Where the builders of a data set write which packages its clips come from."""


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
    write_json(folder / "objective.json", trainer.joint_loss.describe())
    write_json(folder / "data.json", describe_data(trainer.sources.splits))
    write_json(folder / "origin.json", describe_origin(config, trainer.sources.hub_datasets))
    write_json(folder / "versions.json", versions())
    (folder / "training_log.yaml").write_text(yaml.safe_dump(trainer.state.log_history), encoding="utf-8")


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
            # A corpus that says nothing of them may be joined with one that does.
            if "duration" in members and members["duration"].notna().all():
                entry["minutes"] = round(float(members["duration"].sum()) / 60, 1)
            if "speaker" in members and members["speaker"].notna().any():
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
    """The commit of what was loaded from the Hub, by its copy here: the Hub's may be newer by now. None of a folder."""
    if Path(name).exists():
        return None
    try:
        found = try_to_load_from_cache(name, CONFIG_NAME)
    except ValueError:  # no name of the Hub's: a folder that has gone since
        return None
    return extract_commit_hash(found, None) if isinstance(found, str) else None
