"""Which files of a checkpoint's folder are uploaded, after checking that they are a whole checkpoint that loads."""

import ast
import csv
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import torch
from huggingface_hub import ModelCard
from huggingface_hub.constants import REPOCARD_NAME as CARD
from transformers import AutoFeatureExtractor, AutoModel, AutoModelForAudioClassification, AutoProcessor
from transformers.dynamic_module_utils import get_relative_import_files
from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES
from transformers.utils import (
    ADAPTER_CONFIG_NAME,
    ADAPTER_SAFE_WEIGHTS_NAME,
    CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
)

import modeling_smoothclap
from modeling_smoothclap import SmoothCLAPForAudioClassification
from modeling_smoothclap.checkpoint_smoothclap import (
    check_files,
    check_finite,
    check_parameters,
    check_sizes,
    explained,
    read_object,
)

from ..data.captions.thresholds import load_thresholds
from ..files import Record
from .facts import licences_of
from .licences import RollUp
from .privacy import check_publishable
from .records import read_record, unreadable


ADAPTER = (ADAPTER_CONFIG_NAME, ADAPTER_SAFE_WEIGHTS_NAME)
EXTRACTOR_FILES = ("processor_config.json", "preprocessor_config.json")
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "sentencepiece.bpe.model", "spiece.model")
TOKENIZER_FILES = (
    *(*VOCABULARIES, "merges.txt", "tokenizer.model"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
)
RECORDS = {
    "LICENSE": "licence",
    "NOTICE": "licence",
    Record.LICENCES: "licences of the inputs",
    Record.THRESHOLDS: "thresholds of the captions",
    Record.STANDARDISATION: "standardisation of the functionals",
    Record.OBJECTIVE: "objective",
    Record.DATA: "training data",
    Record.RECORDINGS: "training data",
    Record.PROVENANCE: "training data",
    Record.ORIGIN: "starting point of training",
    Record.CONVERSION: "origin of the weights",
    Record.VERSIONS: "versions of the software",
    Record.TEXT_TOWER: "distillation of the text tower",
    Record.METRICS: "results",
    Record.ATTRIBUTES: "results",
    Record.RESULTS: "results",
    Record.ZERO_SHOT: "results",
    Record.SETTINGS: "training settings",
    Record.LOG: "training log",
}
LINKED_KINDS = (".csv", ".json", ".md", ".png", ".svg", ".txt", ".yaml")
"""Files that are uploaded if the card shows or links to them."""
SHARED_OTHERWISE = {
    "classifier.safetensors": "class vectors for an encoder that is not SmoothCLAP, which no pipeline loads: upload "
    "the files as they are with `hf upload user/name FOLDER`",
    "contexts.safetensors": "acoustic contexts: load them and call their `push_to_hub`",
}
BINARY = (".safetensors", ".png")
RECORD_KINDS = (".csv", ".json", ".md", ".txt", ".yaml")
TOKENS = {*TOKENIZER_FILES} - {"tokenizer_config.json"}
"""Files with pieces of text from everywhere."""
PACKAGE = Path(modeling_smoothclap.__file__).resolve().parent
SAVE_AGAIN = "Load model and processor with the package and save both again"


def forget_earlier_run(folder: str | Path) -> None:
    """Delete what an earlier run left in a folder and would be taken for parts or results of a new model."""
    records = (
        Record.THRESHOLDS,
        Record.STANDARDISATION,
        Record.METRICS,
        Record.ATTRIBUTES,
        Record.CONVERSION,
        Record.LICENCES,
    )
    for name in (*records, Record.PROVENANCE, Record.SETTINGS, Record.ZERO_SHOT, *ADAPTER):
        (Path(folder) / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class CheckpointKind:
    """
    What a checkpoint of one kind needs: the Auto classes that load `model` and `processor`; of each part of the
    processor one of some files; in `auto_map` the `code` of some Auto classes, if transformers lacks the model; a
    card, and how to get it.
    """

    model: Any
    processor: Any
    parts: Mapping[str, tuple[str, ...]]
    code: frozenset[str]
    card: str

    def check_loading(self, folder: Path) -> None:
        """Load everything once as a user would; a `ValueError` says what does not load, fit, or is not finite."""
        locally: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            check_parameters(folder, self.model, trust_remote_code=False)
            with torch.random.fork_rng(devices=[]):  # loading draws numbers, and training may be running
                model, found = self.model.from_pretrained(folder, output_loading_info=True, **locally)
            self.processor.from_pretrained(folder, **locally)
        except Exception as error:  # damaged files raise many different classes
            raise ValueError(f"{str(folder)!r} cannot be loaded, so nothing is uploaded: {error}") from error
        for problem in ("missing_keys", "unexpected_keys"):
            if names := sorted(found[problem]):
                raise ValueError(
                    f"The weights in {str(folder)!r} do not fit its configuration: {problem.replace('_', ' ')} "
                    f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}. Save the model again."
                )
        check_finite(model, repr(str(folder)))


DUAL_ENCODER = CheckpointKind(
    AutoModel,
    AutoProcessor,
    {"feature extractor": EXTRACTOR_FILES, "tokenizer": VOCABULARIES},
    frozenset({"AutoConfig", "AutoModel", "AutoProcessor", "AutoFeatureExtractor"}),
    "Write it with: smoothclap card {folder}",
)
CLASSIFIER = CheckpointKind(
    AutoModelForAudioClassification,
    AutoFeatureExtractor,
    {"feature extractor": EXTRACTOR_FILES},
    frozenset({"AutoConfig", "AutoModelForAudioClassification", "AutoFeatureExtractor"}),
    "`smoothclap clep-dg` writes the cards of its classifiers; write that of another one yourself",
)


@dataclass(frozen=True)
class PlannedFile:
    """One file of an upload: its path in the repository, where its content is, what it is, and its size in bytes."""

    name: str
    path: Path
    what: str
    size: int


@dataclass(frozen=True)
class Plan:
    """
    What is uploaded of a folder, by name, and what stays there; names of folders end in `/`. And the licences of what
    the checkpoint was made from.
    """

    folder: Path
    files: tuple[PlannedFile, ...]
    left_out: tuple[str, ...]
    licences: RollUp

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def plan(folder: str | Path) -> Plan:
    """
    Check that a folder is a whole checkpoint that loads, with its card, and list what to upload of it.

    A file is uploaded only if it is known: configuration, weights, processor, the code that `auto_map` names with what
    it imports, the card and what the card links to, and the records of training and evaluation. Anything else stays.
    Links are not followed, but for those to this package's code, as in `smoothclap-tiny`.

    Raises:
        ValueError: Something is missing, damaged, a link or not finite, names code of another repository,
            holds an access token or a path of this machine, or is under a licence that those of its inputs rule out.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder: name the one that holds config.json and the weights.")
    for name, other in SHARED_OTHERWISE.items():
        if (folder / name).is_file() and not (folder / CONFIG_NAME).is_file():
            raise ValueError(f"{str(folder)!r} is not a checkpoint. It holds {other}.")
    check_files(folder)
    _need(folder, CONFIG_NAME, "Save the model there with `save_pretrained`")
    with explained(str(folder)):
        kind, what = _known(folder)
        paths = {name: _own(folder, name) for name in sorted(what)}
    files = tuple(PlannedFile(name, path, what[name], path.stat().st_size) for name, path in paths.items())
    for file in files:
        if file.path.suffix not in BINARY:
            is_record = file.path.suffix in RECORD_KINDS and file.name not in TOKENS
            check_publishable(file.name, file.path, folder, is_record)
            _check_content(file)
    with unreadable(folder / CARD):
        stated = ModelCard((folder / CARD).read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict()
    licences = licences_of(folder)
    licences.check(stated.get("license"))
    kind.check_loading(folder)
    present = (f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    going = {file.name for file in files} | {f"{file.name.split('/')[0]}/" for file in files}
    return Plan(folder, files, tuple(sorted(set(present) - going)), licences)


def _known(folder: Path) -> tuple[CheckpointKind, dict[str, str]]:
    """Find the kind of a checkpoint, and what each file is that belongs to it."""
    check_sizes(folder)
    classes = read_object(folder / CONFIG_NAME).get("architectures") or ()
    kind = CLASSIFIER if SmoothCLAPForAudioClassification.__name__ in classes else DUAL_ENCODER
    what = {CONFIG_NAME: "configuration", CARD: "model card"}
    what |= dict.fromkeys(_weights(folder), "weights")
    what |= dict.fromkeys(_processor(folder, kind), "processor")
    what |= dict.fromkeys(_code(folder, kind), "code that loads it")
    _need(folder, CARD, kind.card.format(folder=shlex.quote(str(folder))))
    what |= {name: record for name, record in RECORDS.items() if (folder / name).is_file()}
    what |= {name: "shown by the card" for name in _linked(folder) if name not in what}
    _check_thresholds(folder)
    return kind, what


def _check_content(file: PlannedFile) -> None:
    """Read a record as others will; a `ValueError` names a damaged one. Code is read, and never run."""
    with unreadable(file.path):
        if file.path.suffix in (".json", ".yaml"):
            read_record(file.path, object)
        elif file.path.suffix == ".csv":
            rows = csv.reader(StringIO(file.path.read_text(encoding="utf-8"), newline=""), strict=True)
            header = len(next(rows))
            if odd := [rows.line_num for row in rows if len(row) not in (0, header)]:
                raise ValueError(f"line {odd[0]} has not the {header} columns of the first line")
        elif file.path.suffix == ".py":
            code = file.path.read_text(encoding="utf-8")
            ast.parse(code)
            own = PACKAGE / file.name
            whole = own.read_text(encoding="utf-8") if own.is_file() else code
            if code != whole and (whole.startswith(code) or not code.endswith("\n")):
                raise ValueError("its end is missing")


def _need(folder: Path, name: str, cure: str) -> None:
    if not (folder / name).is_file():
        raise ValueError(f"{str(folder)!r} is not a whole checkpoint: it has no {name}. {cure}.")


def _own(folder: Path, name: str) -> Path:
    """Return where a file is; a `ValueError` if it is a link, unless to code of this package."""
    path = (folder / name).resolve()
    if path != folder.resolve() / name and not (path.parent == PACKAGE and path.suffix == ".py"):
        raise ValueError(
            f"{name} in {str(folder)!r} is a link to {str(path)!r}, and links are not followed: if that file is to be "
            "published, copy it into the folder."
        )
    return path


def _weights(folder: Path) -> list[str]:
    """The files of weights that transformers would load, and no others."""
    names = [SAFE_WEIGHTS_NAME]
    index = folder / SAFE_WEIGHTS_INDEX_NAME
    if not (folder / SAFE_WEIGHTS_NAME).is_file() and index.is_file():
        names = [SAFE_WEIGHTS_INDEX_NAME, *sorted(set(read_object(index)["weight_map"].values()))]
    names += ADAPTER if any((folder / name).is_file() for name in ADAPTER) else ()
    for name in names:
        _need(folder, name, "Save the whole model there; adapters with `save_lora`, which saves the base model, too")
    return names


def _processor(folder: Path, kind: CheckpointKind) -> list[str]:
    known = (*EXTRACTOR_FILES, *(TOKENIZER_FILES if "tokenizer" in kind.parts else ()))
    names = [name for name in known if (folder / name).is_file()]
    for part, one_of in kind.parts.items():
        if not set(one_of) & set(names):
            raise ValueError(
                f"{str(folder)!r} is not a whole checkpoint: it has no {part}, which is one of {', '.join(one_of)}; "
                "save the processor there with `save_pretrained`."
            )
    return names


def _code(folder: Path, kind: CheckpointKind) -> set[str]:
    """The modules that a machine without this package needs: those that `auto_map` names, and what they import."""
    known = (CONFIG_NAME, *EXTRACTOR_FILES, "tokenizer_config.json")
    maps = {name: list(_auto_maps(read_object(folder / name))) for name in known if (folder / name).is_file()}
    named = {auto for entries in maps.values() for auto, _ in entries}
    missing = sorted(kind.code - named)
    if missing and read_object(folder / CONFIG_NAME).get("model_type") not in CONFIG_MAPPING_NAMES:
        raise ValueError(
            f"{str(folder)!r} would load only where this package is installed: no `auto_map` names the code of "
            f"{', '.join(missing)}. {SAVE_AGAIN}."
        )
    found: set[str] = set()
    for name, entries in maps.items():
        for _, reference in entries:
            if "--" in reference:
                raise ValueError(
                    f"{name} in {str(folder)!r} takes its code from another repository ({reference}), which may change "
                    f"or disappear. {SAVE_AGAIN}."
                )
            module = folder / f"{reference.split('.')[0]}.py"
            try:
                found |= {module.name, *(Path(path).name for path in get_relative_import_files(module))}
            except FileNotFoundError as error:
                _need(folder, Path(str(error.filename)).name, SAVE_AGAIN)
    return found


def _auto_maps(content: Any) -> Iterator[tuple[str, str]]:
    """The entries of every `auto_map` in a JSON file, at any depth, and the code of its own pipelines."""
    if not isinstance(content, dict):
        return
    for key, value in content.items():
        if key == "custom_pipelines" and isinstance(value, dict):
            value = {task: info.get("impl") if isinstance(info, dict) else info for task, info in value.items()}
        elif key != "auto_map":
            yield from _auto_maps(value)
            continue
        for auto, references in value.items() if isinstance(value, dict) else [(key, value)]:
            # A tokenizer has two, slow and fast, of which one may be null.
            for reference in references if isinstance(references, list) else [references]:
                if not isinstance(reference, str | None):
                    raise ValueError(f"`auto_map` names {reference!r} as the code of {auto}. {SAVE_AGAIN}.")
                if reference is not None:
                    yield auto, reference


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
    """Captions that were made from functionals need the thresholds that made them."""
    path, settings = folder / Record.THRESHOLDS, folder / Record.SETTINGS
    if path.is_file():
        load_thresholds(path)
    elif settings.is_file() and (read_record(settings) or {}).get("captions") != "given":
        _need(folder, path.name, f"{settings.name} says that captions were made with it: copy it from the run")
