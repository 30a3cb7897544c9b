"""The kinds of checkpoints that can be shared: what each needs beside its weights, and how it is tried."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch
import yaml
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor
from transformers.dynamic_module_utils import get_relative_imports
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

from modeling_smoothclap import SmoothCLAPForAudioClassification

from ..data.captions.thresholds import Thresholds


EXTRACTOR_FILES = ("processor_config.json", "preprocessor_config.json")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model")


@dataclass(frozen=True)
class CheckpointKind:
    """
    One kind.

    Args:
        model, processor: The Auto classes that load it.
        parts (`Mapping[str, tuple[str, ...]]`): Part of the processor to the files of which one holds it.
        code (`frozenset[str]`): The Auto classes whose code `auto_map` must name, if transformers has no such model.
        card (`str`): Where its card comes from, as a cure.
    """

    model: Any
    processor: Any
    parts: Mapping[str, tuple[str, ...]]
    code: frozenset[str]
    card: str

    def check_loading(self, folder: Path) -> None:
        """
        Load everything once, with the package's own classes, as a user would.

        Raises:
            ValueError: Something does not load, or weights and configuration do not fit each other.
        """
        locally: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            with torch.random.fork_rng(devices=[]):  # loading draws numbers, which training may be in the midst of
                _, found = self.model.from_pretrained(folder, output_loading_info=True, **locally)
            self.processor.from_pretrained(folder, **locally)
        except Exception as error:  # of truncated and foreign files: too many classes to name
            raise ValueError(f"{str(folder)!r} cannot be loaded, so nothing is uploaded: {error}") from error
        for problem in ("missing_keys", "unexpected_keys"):
            if names := sorted(found[problem]):
                raise ValueError(
                    f"The weights in {str(folder)!r} do not fit its configuration: {problem.replace('_', ' ')} "
                    f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}. Save the model again."
                )


DUAL_ENCODER = CheckpointKind(
    AutoModel,
    AutoProcessor,
    {"feature extractor": EXTRACTOR_FILES, "tokenizer": VOCABULARIES},
    frozenset({"AutoConfig", "AutoModel", "AutoProcessor", "AutoFeatureExtractor"}),
    "write its card with examples/write_model_card.py",
)
CLASSIFIER = CheckpointKind(
    AutoModelForAudioClassification,
    AutoFeatureExtractor,
    {"feature extractor": EXTRACTOR_FILES},
    frozenset({"AutoConfig", "AutoModelForAudioClassification", "AutoFeatureExtractor"}),
    "examples/run_clep_dg.py writes those of its classifiers; write that of another one yourself",
)


def kind_of(config: Mapping[str, Any]) -> CheckpointKind:
    """
    Which kind a checkpoint is of, by the class that its configuration names.

    Args:
        config (`Mapping[str, Any]`): The content of `config.json`.

    Example:

    ```python
    >>> from smoothclap_trainer.hub.plan import CLASSIFIER, kind_of
    >>> kind_of({"architectures": ["SmoothCLAPForAudioClassification"]}) is CLASSIFIER
    True

    ```
    """
    classes = config.get("architectures") or ()
    return CLASSIFIER if SmoothCLAPForAudioClassification.__name__ in classes else DUAL_ENCODER


CARD = "README.md"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")
TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json"),
    *("vocab.txt", "merges.txt", "sentencepiece.bpe.model", "spiece.model", "tokenizer.model"),
)
RECORDS = {
    "LICENSE": "licence",
    "thresholds.json": "thresholds of the captions",
    "standardisation.json": "standardisation of the functionals",
    "objective.json": "objective",
    "data.json": "what it was trained on",
    "provenance.json": "what it was trained on",
    "origin.json": "what it started from",
    "versions.json": "what it was trained with",
    "text_tower.json": "how the text tower was made",
    "metrics.json": "figures",
    "attributes.csv": "figures",
    "results.json": "figures",
    "zero_shot.json": "figures",
    "training_config.yaml": "settings of the training run",
    "training_log.yaml": "log of the training run",
}
LINKED_KINDS = (".csv", ".json", ".md", ".png", ".svg", ".txt", ".yaml")
"""What a card may show or link to in its own folder, and take along."""
ACCESS_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")
NO_CHECKPOINTS = {
    "classifier.safetensors": "the class vectors of a classifier for an encoder of another kind than SmoothCLAP, which "
    "no pipeline loads: `hf upload user/name FOLDER` uploads its files as they are",
    "contexts.safetensors": "acoustic contexts: load them and call their `push_to_hub`",
}
"""What else this project leaves in folders of its own, by a file in them, and how it is shared."""


@dataclass(frozen=True)
class PlannedFile:
    """
    One file of an upload.

    Args:
        name (`str`): Its path in the repository.
        path (`Path`): Where its content is; symbolic links are followed.
        what (`str`): What it is, in words.
    """

    name: str
    path: Path
    what: str

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size


@dataclass(frozen=True)
class Plan:
    """
    What would be uploaded.

    Args:
        folder (`Path`): The checkpoint.
        files (`tuple[PlannedFile, ...]`): What goes, by name.
        left_out (`tuple[str, ...]`): What else lies in the folder and stays there; folders end in `/`.
    """

    folder: Path
    files: tuple[PlannedFile, ...]
    left_out: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def plan(folder: str | Path) -> Plan:
    """
    What of `folder` would be uploaded, after making sure that it is a whole checkpoint that loads.

    It is one of a dual encoder, or of a [`SmoothCLAPForAudioClassification`], which has no tokenizer.

    A file goes only if it is known: configuration, weights that the index names, processor, the code that `auto_map`
    names with what it imports, the card and what the card links to, and the records of training and evaluation.
    Training checkpoints, optimiser states, pickles, `work/`, caches and anything else stay.

    Args:
        folder (`str` or `Path`): What [`~smoothclap_trainer.train.run_training`] wrote, or the `classifier/` of
            [`~smoothclap_trainer.clep_dg.experiment.run_experiment`], or `save_pretrained` with a card.

    Raises:
        ValueError: Something is missing, damaged, names code of another repository, or holds an access token.

    Example:

    ```python
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY
    >>> from smoothclap_trainer.hub.plan import plan
    >>> upload = plan(SMOOTHCLAP_TINY)
    >>> {file.name: file.what for file in upload.files}["thresholds.json"], upload.size > 20e6
    ('thresholds of the captions', True)

    ```
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is no folder: name the one that holds config.json and the weights.")
    kinds = {CONFIG: "configuration", CARD: "model card"}
    other = next((what for name, what in NO_CHECKPOINTS.items() if (folder / name).is_file()), None)
    if other and not (folder / CONFIG).is_file():
        raise ValueError(f"{str(folder)!r} is no checkpoint. It holds {other}.")
    _need(folder, CONFIG, "save the model there with `save_pretrained`")
    kind = kind_of(_json(folder / CONFIG))
    kinds |= dict.fromkeys(_weights(folder), "weights")
    kinds |= dict.fromkeys(_processor(folder, kind), "processor")
    kinds |= dict.fromkeys(_code(folder, kind), "code that loads it")
    _need(folder, CARD, kind.card)
    kinds |= {name: what for name, what in RECORDS.items() if (folder / name).is_file()}
    kinds |= {name: "shown by the card" for name in _linked(folder) if name not in kinds}
    _check_thresholds(folder)
    files = tuple(PlannedFile(name, (folder / name).resolve(), kinds[name]) for name in sorted(kinds))
    _check_tokens(files)
    kind.check_loading(folder)
    present = (f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    going = {file.name for file in files} | {f"{file.name.split('/')[0]}/" for file in files}
    return Plan(folder, files, tuple(sorted(set(present) - going)))


def _need(folder: Path, name: str, cure: str) -> None:
    if not (folder / name).is_file():
        raise ValueError(f"{str(folder)!r} is not a whole checkpoint: it has no {name}; {cure}.")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged: {error}. Save the checkpoint again.") from error


def _weights(folder: Path) -> list[str]:
    """The files of weights that transformers would load, and no others that may lie beside them."""
    names = [WEIGHTS]
    if not (folder / WEIGHTS).is_file() and (folder / INDEX).is_file():
        names = [INDEX, *sorted(set(_json(folder / INDEX)["weight_map"].values()))]
    names += ADAPTER if any((folder / name).is_file() for name in ADAPTER) else ()
    for name in names:
        _need(folder, name, "save the whole model there; adapters with `save_lora`, which puts their base beside them")
    return names


def _processor(folder: Path, kind: CheckpointKind) -> list[str]:
    known = (*EXTRACTOR_FILES, *(TOKENIZER_FILES if "tokenizer" in kind.parts else ()))
    names = [name for name in known if (folder / name).is_file()]
    for part, one_of in kind.parts.items():
        if not set(one_of) & set(names):
            raise ValueError(
                f"{str(folder)!r} is not a whole checkpoint: of its {part} it has none of {', '.join(one_of)}; save "
                "the processor there with `save_pretrained`."
            )
    return names


def _code(folder: Path, kind: CheckpointKind) -> list[str]:
    """The modules that a machine without this package needs: those that `auto_map` names, and their siblings."""
    maps = {
        name: dict(_auto_maps(_json(folder / name)))
        for name in (CONFIG, *EXTRACTOR_FILES, "tokenizer_config.json")
        if (folder / name).is_file()
    }
    named = {auto: reference for entries in maps.values() for auto, reference in entries.items()}
    missing = sorted(kind.code - set(named))
    if missing and _json(folder / CONFIG).get("model_type") not in CONFIG_MAPPING_NAMES:
        raise ValueError(
            f"{str(folder)!r} would load only where this package is installed: no `auto_map` names the code of "
            f"{', '.join(missing)}. Load model and processor with the package and save both again."
        )
    found: list[str] = []
    for name, entries in maps.items():
        for reference in entries.values():
            if "--" in reference:
                raise ValueError(
                    f"{name} in {str(folder)!r} takes its code from another repository ({reference}), which may change "
                    "or vanish. Load model and processor with the package and save both again."
                )
            _follow(folder, reference.split(".")[0], found)
    return found


def _auto_maps(content: Any) -> Iterator[tuple[str, str]]:
    """The entries of every `auto_map` in a JSON file, however deep."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key != "auto_map":
            yield from _auto_maps(value)
            continue
        for auto, references in value.items():
            # A tokenizer has two, slow and fast, of which one may be null.
            for reference in references if isinstance(references, list) else [references]:
                if reference is not None:
                    yield auto, reference


def _follow(folder: Path, module: str, found: list[str]) -> None:
    name = f"{module}.py"
    if name in found:
        return
    _need(folder, name, "load model and processor with the package and save both again, which writes their code")
    found.append(name)
    for sibling in sorted(get_relative_imports(folder / name)):
        _follow(folder, sibling, found)


def _linked(folder: Path) -> list[str]:
    """Files of the folder that its card shows or links to."""
    links = re.findall(r"\]\(([^)#\s]+)", (folder / CARD).read_text(encoding="utf-8"))
    targets = [unquote(link) for link in dict.fromkeys(links) if not re.match(r"[a-z]+:|/", link)]
    paths = [(target, folder / target) for target in targets]
    return [
        target.removeprefix("./")
        for target, path in paths
        if path.suffix in LINKED_KINDS and ".." not in Path(target).parts and path.is_file()
    ]


def _check_thresholds(folder: Path) -> None:
    """Captions made from functionals need the thresholds that made them."""
    path, said = folder / "thresholds.json", folder / "training_config.yaml"
    if path.is_file():
        Thresholds.load(path)
    elif said.is_file() and (yaml.safe_load(said.read_text(encoding="utf-8")) or {}).get("captions") != "given":
        _need(folder, path.name, "training_config.yaml says that captions were made with it; copy it from the run")


def _check_tokens(files: tuple[PlannedFile, ...]) -> None:
    for file in files:
        if file.what != "weights" and ACCESS_TOKEN.search(file.path.read_text(encoding="utf-8", errors="ignore")):
            raise ValueError(f"{file.name} holds what looks like an access token of the Hub (hf_...): take it out.")
