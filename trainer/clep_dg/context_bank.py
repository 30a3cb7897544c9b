"""A bank of acoustic contexts: two files, and a check that refuses an encoder they were not made for."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import CardData, CommitInfo, CommitOperationAdd, HfApi, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from modeling_smoothclap.checkpoint_smoothclap import read_object

from ..files import whole_file, write_json, write_text
from ..hub.plan import CARD
from ..hub.push import check_name, explained
from ..templating import render, with_front_matter
from .prompts import PromptEncoder, PromptTemplates


CONTEXTS_FILE = "contexts.safetensors"
RECORD_FILE = "context_bank.json"
_PARTS = {"encoder": "text tower or projection", "tokenizer": "tokenizer"}
"""What has a fingerprint, and what messages call it."""


@dataclass(frozen=True, eq=False)
class AcousticContextBank:
    """
    K acoustic contexts of M vectors each, which replace words in the prompts of one text encoder and no other.

    Args:
        contexts (`torch.Tensor` of shape `(K, M, D)`): Finite, in float32; D is the width of token embeddings.
        templates ([`PromptTemplates`]): The wordings they are for.
        fingerprints (`Mapping[str, str]`): Of the encoder, from [`PromptEncoder.fingerprints`].
        fitted_with (`Mapping[str, Any]`): The settings and the class names of the fit; empty if there was none.
    """

    contexts: torch.Tensor = field(repr=False)
    templates: PromptTemplates
    fingerprints: Mapping[str, str]
    fitted_with: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.contexts.ndim != 3 or 0 in self.contexts.shape or not self.contexts.is_floating_point():
            raise ValueError(
                f"`contexts` are floats of the shape (K, M, D), none of them 0, not {self.contexts.dtype} of the shape "
                f"{tuple(self.contexts.shape)}."
            )
        if wrong := int((~self.contexts.isfinite()).any(dim=(1, 2)).sum()):
            raise ValueError(f"{wrong} of {len(self.contexts)} contexts are not finite; fit them again.")
        if set(self.fingerprints) != set(_PARTS):
            raise ValueError(
                f"`fingerprints` are of {list(_PARTS)}, as `PromptEncoder.fingerprints` has them, not of "
                f"{list(self.fingerprints)}."
            )

    def __len__(self) -> int:
        """Return K, the number of contexts."""
        return len(self.contexts)

    @property
    def record(self) -> dict[str, Any]:
        """Return everything but the vectors, as JSON gives it back."""
        record = {
            "shape": list(self.contexts.shape),
            "templates": self.templates.model_dump(),
            "fingerprints": dict(self.fingerprints),
            "fitted_with": dict(self.fitted_with),
        }
        return dict(json.loads(json.dumps(record)))

    def check(self, encoder: PromptEncoder) -> None:
        """Raise a `ValueError` if the contexts were made for another text tower, projection or tokenizer."""
        present = encoder.fingerprints
        if foreign := [part for part, value in self.fingerprints.items() if present[part] != value]:
            raise ValueError(
                f"These contexts belong to another encoder: its {' and its '.join(_PARTS[each] for each in foreign)} "
                "differs from this one's. Load the encoder they were fitted on, or fit new ones."
            )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `contexts.safetensors` and `context_bank.json`, each whole or not at all, and a model card."""
        folder = Path(folder)
        (folder / CONTEXTS_FILE).unlink(missing_ok=True)  # another bank's vectors must not get this one's record
        write_json(folder / RECORD_FILE, self.record)
        write_contexts(folder, self.contexts)
        # No licence: a bank does not know the owner of its words.
        card = render("contexts_card.md.jinja", record=self.record)
        write_text(folder / CARD, with_front_matter(CardData(tags=["smoothclap", "clep-dg"]), card))

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, encoder: PromptEncoder, revision: str | None = None
    ) -> "AcousticContextBank":
        """
        Read a bank, to be used with `encoder`, from a folder or a repository on the Hub; its vectors are on the CPU.

        It is a `ValueError` if there is no such bank, it is unfinished or damaged, or it belongs to another encoder.
        """
        folder = Path(name_or_path)
        if not folder.is_dir():
            folder = _downloaded(str(name_or_path), revision)
        record, contexts = read_record(folder), read_contexts(folder)
        if record is None or contexts is None:
            missing = RECORD_FILE if record is None else CONTEXTS_FILE
            raise ValueError(f"{str(name_or_path)!r} is not a finished context bank: it has no {missing}.")
        if list(contexts.shape) != record["shape"]:
            raise ValueError(
                f"{str(name_or_path)!r} has contexts of shape {list(contexts.shape)} instead of {record['shape']}. If "
                "the fit was interrupted, run it again with this folder to finish it."
            )
        try:
            templates = PromptTemplates(**record["templates"])
            bank = cls(contexts, templates, record["fingerprints"], dict(record["fitted_with"]))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{str(name_or_path)!r} is not a usable context bank: {error}") from error
        bank.check(encoder)
        return bank

    def push_to_hub(self, repo_id: str) -> CommitInfo:
        """Upload the two files and their card to a model repository, which is created if need be, in one commit."""
        check_name(repo_id)
        api = HfApi()
        with tempfile.TemporaryDirectory() as folder, explained(repo_id):
            self.save_pretrained(folder)
            api.create_repo(repo_id, exist_ok=True)
            files = [CommitOperationAdd(name, f"{folder}/{name}") for name in (RECORD_FILE, CONTEXTS_FILE, CARD)]
            return api.create_commit(repo_id, files, commit_message="Upload acoustic contexts")


def write_contexts(folder: Path, contexts: torch.Tensor) -> None:
    """Write the vectors, (K, M, D), whole or not at all."""
    with whole_file(folder / CONTEXTS_FILE) as unfinished:
        save_file({"contexts": contexts.detach().float().cpu().contiguous()}, unfinished)


def read_contexts(folder: Path) -> torch.Tensor | None:
    """Return the vectors in a folder, (K, M, D), or `None` without a file; a damaged file is a `ValueError`."""
    path = folder / CONTEXTS_FILE
    if not path.is_file():
        return None
    try:
        return load_file(path)["contexts"]
    except (SafetensorError, KeyError) as error:
        raise ValueError(f"{path} is damaged or something else ({error}); delete it.") from error


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return the record in a folder, or `None` without a file; a damaged file is a `ValueError`."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    record = read_object(path)
    if not {"shape", "templates", "fingerprints", "fitted_with"} <= set(record):
        raise ValueError(f"{path} is not the record of a context bank; delete it.")
    match record["fitted_with"]:
        case {"settings": dict(settings)}:
            settings.setdefault("content_temperature", "none")  # before there was a choice, cosines were bare
            if not settings.get("content_loss", True):
                settings["content_temperature"] = "none"  # an earlier version recorded one that had no effect
    return record


def _downloaded(name: str, revision: str | None) -> Path:
    """The folder in the cache with a repository's two files."""
    try:
        check_name(name)
        with explained(name if revision is None else f"{name} at {revision}", looking=True):
            files = [CONTEXTS_FILE, RECORD_FILE]
            return Path(snapshot_download(name, revision=revision, allow_patterns=files))
    except ValueError as error:
        raise ValueError(f"There is no folder {name!r}, and no readable repository on the Hub: {error}") from error


def record_differences(there: Mapping[str, Any], here: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return what differs between two records, in words, each with its dotted name."""
    found = []
    for name in dict.fromkeys([*there, *here]):
        old, new = there.get(name), here.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += record_differences(old, new, f"{prefix}{name}.")
        elif old != new:
            found.append(f"{prefix}{name} is {old!r} there and {new!r} now")
    return found
