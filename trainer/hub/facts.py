"""What is known of a checkpoint: the files of its folder, read once into typed facts."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors import safe_open
from transformers.utils import CONFIG_NAME

from modeling_smoothclap import SmoothCLAPForAudioClassification
from modeling_smoothclap.checkpoint_smoothclap import check_files, weights_sha256

from ..data.captions.thresholds import AnyThresholds, load_thresholds
from ..evaluation.plots import captions
from ..evaluation.results import EvaluationResults, ModelResult, TaskResults
from ..files import Record
from ..settings import LoraSettings
from .licences import (
    InputKind,
    LicensedInput,
    RollUp,
    corpora_inputs,
    inputs_from_json,
    inputs_of_conversion,
    known_licence,
)
from .provenance import FIRST_STEP
from .records import read_notes, read_record, unreadable


PARTS = {"audio_model": "audio tower", "text_model": "text tower", "classifier": "classifier"}
HEADS = "projection heads and scale"
SIZES = {"layers": ("num_hidden_layers", "encoder_layers", "n_layers"), "wide": ("hidden_size", "d_model", "dim")}


class Selection(StrEnum):
    """How the checkpoint depends on the validation clips."""

    BEST = "best"
    STOPPED = "stopped"
    NONE = "none"


@dataclass(frozen=True)
class ModelPart:
    """A part of the model: what it is, and its number of parameters."""

    name: str
    description: str
    parameters: int


@dataclass(frozen=True)
class Start:
    """A model on the Hub that training started from; `role` is "model", "audio encoder" or "text encoder"."""

    role: str
    name: str
    revision: str | None


@dataclass(frozen=True)
class CorpusOfSplit:
    """The clips of one corpus in one split; what is not known is `None`, and several values are a list."""

    split: str
    name: str
    clips: int
    minutes: float | None
    speakers: int | None
    language: Any
    licence: Any
    package: Any
    package_version: Any
    synthetic: Any


@dataclass(frozen=True)
class TrainingRun:
    """How long training took, and its loss; minutes and mean are those from `first_step` on."""

    steps: int
    first_step: int
    epochs: float
    minutes: float
    mean_loss: float
    losses: tuple[float, ...]


@dataclass(frozen=True)
class AttributeResult:
    """
    The area under the ROC curve of one pair of texts on one corpus; counts of clips with more and with less.

    Files of earlier versions do not say which words are held out, and have intervals over clips. Labels are shuffled
    where the truth is not measured.
    """

    attribute: str
    high: str
    low: str
    corpus: str
    split: str
    auc: float
    interval_low: float
    interval_high: float
    positives: int
    negatives: int
    held_out: bool = False
    interval_unit: str = "clips"
    shuffled_mean: float | None = None
    shuffled_high: float | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The attribute, the texts, and where they were asked."""
        return self.attribute, self.high, self.low, self.corpus, self.split


class CardFacts:
    """
    The facts in the folder of a checkpoint, as its [`~files.Record`]s have them. What has no file is `None` or empty.

    Args:
        folder (`str` or `Path`): The checkpoint.
        name (`str`, *optional*): Hub id or name of the model. By default the folder's name.

    Raises:
        ValueError: There is no `config.json`, a file is damaged, or `zero_shot.json` is of other weights.
    """

    def __init__(self, folder: str | Path, name: str | None = None):
        folder = Path(folder)
        self.name = name or folder.resolve().name
        if not folder.is_dir():
            raise ValueError(f"There is no folder {str(folder)!r}: name the folder of a checkpoint.")
        check_files(folder)
        self.config: dict[str, Any] = read_record(folder / CONFIG_NAME)
        if self.config is None:
            raise ValueError(f"{str(folder)!r} has no {CONFIG_NAME}: save the model there before its card is written.")
        processor = read_record(folder / "processor_config.json") or {}
        extractor = processor.get("feature_extractor") or read_record(folder / "preprocessor_config.json") or {}
        self.sampling_rate = int(extractor.get("sampling_rate", 16000))
        self.parts = list(_parts(folder, self.config))
        origin = read_record(folder / Record.ORIGIN) or {}
        # A card names data sets without their revisions.
        self.datasets = [name.partition("@")[0] for name in origin.pop("datasets", None) or []]
        with unreadable(folder / Record.ORIGIN):
            self.starts = [
                Start(role.replace("_", " "), start["name"], start.get("revision"))
                for role, start in origin.items()
                if start["hub"]
            ]
        self.settings: dict[str, Any] = read_record(folder / Record.SETTINGS) or {}
        self.settings_text = (folder / Record.SETTINGS).read_text(encoding="utf-8") if self.settings else ""
        with unreadable(folder / Record.LOG):
            self.run = _run(read_record(folder / Record.LOG, list) or [])
        with unreadable(folder / Record.DATA):
            self.corpora = list(_corpora(read_record(folder / Record.DATA) or {}))
        self.provenance: list[dict[str, Any]] = read_record(folder / Record.PROVENANCE, list) or []
        self.objective: dict[str, Any] | None = read_record(folder / Record.OBJECTIVE)
        self.conversion: dict[str, Any] | None = read_record(folder / Record.CONVERSION)
        thresholds = folder / Record.THRESHOLDS
        self.thresholds: AnyThresholds | None = load_thresholds(thresholds) if thresholds.is_file() else None
        self.text_tower: dict[str, Any] | None = read_record(folder / Record.TEXT_TOWER)
        made_with = {"transformers": version} if (version := self.config.get("transformers_version")) else {}
        self.versions: dict[str, str] = read_record(folder / Record.VERSIONS) or made_with
        metrics: dict[str, float] = read_record(folder / Record.METRICS) or {}
        self.metrics = {
            metric.removeprefix("eval_"): value
            for metric, value in metrics.items()
            if not metric.endswith(("_runtime", "_per_second"))
        }
        with unreadable(folder / Record.ATTRIBUTES):
            self.attributes = list(_attributes(folder / Record.ATTRIBUTES))
        self.evaluation, self.evaluated_as = _evaluation(folder)
        with unreadable(folder / Record.PREVIOUS):
            before = folder / Record.PREVIOUS
            self._attributes_before = {each.asked: each for each in _attributes(before / Record.ATTRIBUTES)}
            zero_shot = read_record(before / Record.ZERO_SHOT)
            self.evaluation_before = EvaluationResults.from_json(zero_shot) if zero_shot else None
            if self.evaluation_before and self.evaluation_before.models[0].weights_sha256 == weights_sha256(folder):
                self._attributes_before, self.evaluation_before = {}, None  # these are the same weights
        self.images = list(_images(folder, self.evaluation))
        self.notes = read_notes(folder / Record.NOTES)
        self.licences = licences_of(folder)

    @property
    def title(self) -> str:
        """The name without its owner."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def is_classifier(self) -> bool:
        """Whether this is a classifier and not a dual encoder."""
        return SmoothCLAPForAudioClassification.__name__ in str(self.config.get("architectures"))

    @property
    def frozen_towers(self) -> list[str]:
        """The towers that were not trained, as far as the settings are known."""
        frozen = {"audio": True, "text": False}  # the defaults
        frozen = {tower: self.settings.get(f"freeze_{tower}_tower", default) for tower, default in frozen.items()}
        return [tower for tower in frozen if self.settings and frozen[tower] and tower not in self.adapted_towers]

    @property
    def adapted_towers(self) -> list[str]:
        """The towers that were trained by adapters."""
        return LoraSettings(lora_towers=self.settings.get("lora_towers") or []).lora_towers

    @property
    def given_captions(self) -> bool:
        """Whether captions came with the data, so that nothing is known of their words and languages."""
        return self.settings.get("captions") == "given"

    @property
    def selection(self) -> Selection:
        """How the checkpoint depends on the validation clips."""
        if self.settings.get("load_best_model_at_end"):
            return Selection.BEST
        return Selection.STOPPED if self.settings.get("early_stopping_patience") else Selection.NONE

    @property
    def attribute_places(self) -> list[tuple[str, str]]:
        """Corpus and split of the attribute results."""
        return list(dict.fromkeys((each.corpus, each.split) for each in self.attributes))

    @property
    def attribute_rows(self) -> dict[tuple[str, str, str], list[AttributeResult | None]]:
        """Attribute and pair of texts to their results in the order of [`~CardFacts.attribute_places`]."""
        rows = dict.fromkeys((each.attribute, each.high, each.low) for each in self.attributes)
        found = {each.asked: each for each in self.attributes}
        return {row: [found.get((*row, *place)) for place in self.attribute_places] for row in rows}

    def attribute_before(self, result: AttributeResult) -> AttributeResult | None:
        """Return what the version before reached where this one reached `result`; `None` if that is not known."""
        return self._attributes_before.get(result.asked)

    @property
    def has_attributes_before(self) -> bool:
        """Whether any attribute result of the version before is comparable."""
        return any(map(self.attribute_before, self.attributes))

    def task_before(self, task: TaskResults) -> ModelResult | None:
        """Return what the version before reached in the same task on the same clips; `None` if that is not known."""
        tasks = self.evaluation_before.tasks if self.evaluation_before else ()
        same = [each for each in tasks if (each.protocol, each.data.sha256) == (task.protocol, task.data.sha256)]
        return same[0].results[0] if same else None

    def language_of(self, corpus: str, split: str) -> str | None:
        """Return the language of a corpus; `None` if it has several or none is known."""
        found = [each.language for each in self.corpora if (each.name, each.split) == (corpus, split)]
        return found[0] if found and isinstance(found[0], str) else None

    @property
    def task_results(self) -> list[tuple[TaskResults, ModelResult]]:
        """The zero-shot tasks, each with the results of this model."""
        return self.evaluation.of_model(str(self.evaluated_as)) if self.evaluation else []


def _parts(folder: Path, config: dict[str, Any]) -> Iterator[ModelPart]:
    count: Counter[str] = Counter()
    for path in sorted(folder.glob("model*.safetensors")):
        with unreadable(path), safe_open(path, framework="numpy") as weights:
            for name in weights.keys():  # noqa: SIM118, this is not a dictionary
                count[PARTS.get(name.split(".")[0], HEADS)] += prod(weights.get_slice(name).get_shape())
    text = config.get("text_config") or {}
    pooling = ", averaged over tokens" if config.get("text_pooling") == "mean" else ""
    described = {
        "audio tower": _tower(config.get("audio_config") or {}),
        "text tower": _tower(text, text.get("vocab_size")) + pooling,
        HEADS: f"{config.get('projection_dim')} wide",
        "classifier": f"a vector for each of {len(config.get('id2label') or ())} classes",
    }
    return (ModelPart(name, words, count[name]) for name, words in described.items() if count[name])


def _tower(config: dict[str, Any], tokens: int | None = None) -> str:
    sizes = {of: next((config[name] for name in names if name in config), None) for of, names in SIZES.items()}
    counts = [f"{size:,} {of if size > 1 else of.removesuffix('s')}" for of, size in sizes.items() if size]
    return ", ".join([config.get("model_type", "unknown"), *counts, *([f"{tokens:,} tokens"] if tokens else [])])


def _run(log: list[dict[str, Any]]) -> TrainingRun | None:
    end = next((entry for entry in reversed(log) if "train_runtime" in entry), None)
    if end is None:
        return None
    losses = tuple(entry["loss"] for entry in log if "loss" in entry)
    minutes = end["train_runtime"] / 60
    return TrainingRun(end["step"], end.get(FIRST_STEP, 0), end["epoch"], minutes, end["train_loss"], losses)


def _corpora(data: dict[str, dict[str, dict[str, Any]]]) -> Iterator[CorpusOfSplit]:
    known = [each.name for each in fields(CorpusOfSplit)][2:]
    for split, corpora in data.items():
        for corpus, entry in corpora.items():
            facts: dict[str, Any] = {name: entry.get(name) for name in known}
            yield CorpusOfSplit(split, corpus, **facts)


def _attributes(path: Path) -> Iterator[AttributeResult]:
    if path.is_file():
        table = pd.read_csv(path, dtype={"corpus": str})
        columns = [each.name for each in fields(AttributeResult) if each.name in table or each.default is MISSING]
        for row in table[columns].to_dict("records"):
            yield AttributeResult(**{str(name): value for name, value in row.items() if not pd.isna(value)})


def _evaluation(folder: Path) -> tuple[EvaluationResults | None, str | None]:
    """The zero-shot results, and the name of this model in them."""
    path = folder / Record.ZERO_SHOT
    cure = f"Evaluate this checkpoint and copy {Record.RESULTS} there as {Record.ZERO_SHOT}, or delete the file."
    if (content := read_record(path)) is None:
        return None, None
    try:
        results = EvaluationResults.from_json(content)
    except ValueError as error:
        raise ValueError(f"{str(path)!r} cannot be read. {error} {cure}") from error
    own = weights_sha256(folder)
    for model in results.models:
        if model.weights_sha256 == own:
            return results, model.name
    raise ValueError(f"{str(path)!r} holds results of other weights than those next to it. {cure}")


def _images(folder: Path, evaluation: EvaluationResults | None) -> Iterator[tuple[str, str]]:
    """What each image shows, by its name if it is not the evaluation's, and its path in the folder."""
    known = captions(evaluation) if evaluation else {}
    for path in sorted((folder / Record.PLOTS).glob("*.png")):
        yield known.get(path.name, re.sub(r"[-_\s]+", " ", path.stem)), f"{Record.PLOTS}/{path.name}"


def licences_of(folder: Path) -> RollUp:
    """Return the licences in the record of a checkpoint; without one, those of the inputs that other records name."""
    with unreadable(folder / Record.LICENCES):
        if (listed := read_record(folder / Record.LICENCES, list)) is not None:
            return RollUp(inputs_from_json(listed))
    with unreadable(folder / Record.CONVERSION):
        if (converted := read_record(folder / Record.CONVERSION)) is not None:
            return RollUp(inputs_of_conversion(converted))
    origin = read_record(folder / Record.ORIGIN) or {}
    made = read_record(folder / Record.TEXT_TOWER) or {}
    with unreadable(folder):
        starts = {role.replace("_", " "): each["name"] for role, each in origin.items() if role != "datasets"}
        starts |= {InputKind.TEACHER: made["teacher"]} if made else {}
        found = [LicensedInput(InputKind(kind), name, known_licence(name)) for kind, name in starts.items()]
        sentences = [LicensedInput(InputKind.SENTENCES, each["name"], None) for each in made.get("packages") or ()]
        recorded = (read_record(folder / CONFIG_NAME) or {}).get("training_corpora")
        return RollUp([*found, *sentences, *corpora_inputs(read_record(folder / Record.DATA) or {}, recorded)])
