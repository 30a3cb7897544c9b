"""What an evaluation yields, as typed values, and the JSON file that holds it."""

import hashlib
import json
import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modeling_smoothclap import __version__
from modeling_smoothclap.audio_smoothclap import PROBLEMS, Segment, Source
from modeling_smoothclap.batching_smoothclap import map_ahead
from modeling_smoothclap.checkpoint_smoothclap import read_object

from ..data.clips import clips_of
from ..files import file_sha256, write_json
from ..templating import code, zero_shot_reason
from .corpus_names import ZeroShot
from .intervals import AgainstChance, Interval, Metric
from .metrics import Calibration
from .protocols import Prompt, Protocol, Unset
from .shuffling import Shuffled
from .valence_arousal import ValenceArousal


FORMAT = 1
"""Of the file."""
DECIMALS = 6
"""To which floats are rounded in the file."""


@dataclass(frozen=True)
class PromptVariant(Prompt):
    """One way to ask for the classes, and the UAR with it."""

    uar: float


@dataclass(frozen=True)
class PromptSensitivity:
    """The UAR of every wording in every template, the protocol's own first, and a summary of them."""

    variants: tuple[PromptVariant, ...]
    lowest: float
    highest: float
    mean: float
    deviation: float

    @property
    def by_template(self) -> dict[str, list[float]]:
        """Template to the UAR of each wording, the protocol's first."""
        ordered = sorted(self.variants, key=lambda variant: variant.words)
        templates = dict.fromkeys(variant.template for variant in ordered)
        return {each: [variant.uar for variant in ordered if variant.template == each] for each in templates}


@dataclass(frozen=True)
class ValueRecall:
    """The recall of the clips with one value of what the classes may be confused with; all are of one class."""

    of_class: str
    clips: int
    recall: float


@dataclass(frozen=True, kw_only=True)
class Standardised:
    """What one model reached in one task with the scores of each class standardised within each speaker."""

    metrics: dict[str, Metric]
    per_class_recall: dict[str, Metric]
    confusion: list[list[int]]
    shuffled: dict[str, Shuffled]
    by_value: dict[str, ValueRecall]


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """What one model reached in one task."""

    model: str
    zero_shot: ZeroShot
    metrics: Annotated[dict[str, Metric], Field(alias="figures")]
    per_class_recall: dict[str, Metric]
    confusion: list[list[int]]  # rows are true classes
    groups: dict[str, float] | None  # to their UAR, where metrics are means over groups
    chance: float
    interval: Interval
    calibration: Annotated[Calibration, Field(alias="reliability")]
    valence_arousal: ValenceArousal
    prompts: PromptSensitivity
    # The UAR with labels shuffled among "clips", within speakers, or among whole values of the confound.
    shuffled: Annotated[dict[str, Shuffled], Unset] = field(default_factory=dict)
    by_value: Annotated[dict[str, ValueRecall], Unset] = field(default_factory=dict)  # by value of the confound
    by_speaker: Annotated[Standardised | None, Unset] = None

    @property
    def uar(self) -> Metric:
        """The unweighted average recall."""
        return self.metrics["uar"]

    @property
    def place(self) -> AgainstChance:
        """Where the UAR lies."""
        return self.uar.against(self.chance)


@dataclass(frozen=True, kw_only=True)
class JudgedClips:
    """The clips of a task. Files of versions that did not look for problems have no `doubtful` clips."""

    clips: int
    per_class: dict[str, int]
    speakers: int | None
    left_out: dict[str, int]  # by reason
    doubtful: dict[str, int] | None = None  # by problem; they are judged
    doubtful_clips: Annotated[dict[str, str], Unset] = field(default_factory=dict)
    sha256: str  # over ids, labels, the bytes of the files and the places of segments


@dataclass(frozen=True)
class TaskResults:
    """A task: its protocol, the licence of its clips, the clips, and what each model reached."""

    protocol: Protocol
    licence: str
    data: JudgedClips
    results: tuple[ModelResult, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """A model, as its checkpoint describes it; None is what it does not record."""

    name: str
    revision: str | None
    weights_sha256: str | None
    class_name: Annotated[str, Field(alias="class")]
    training_corpora: list[str] | None
    sampling_rate: int
    long_clips: str


@dataclass(frozen=True, eq=False)
class Answers:
    """What one model answered in one task, clip by clip; embeddings have unit length."""

    ids: list[str]
    speakers: list[str | None]
    audio_embeds: np.ndarray  # (clips, width)
    class_embeds: np.ndarray  # (classes, width), of the protocol's texts
    true: np.ndarray  # (clips,)
    predicted: np.ndarray  # (clips,): the class with the largest cosine, among equals the first
    predicted_by_speaker: np.ndarray | None = field(default=None, kw_only=True)  # by standardised cosines
    probabilities: np.ndarray  # (clips, classes): softmax of the logit scale times the cosines


@dataclass(frozen=True, kw_only=True)
class EvaluationResults:
    """All results of an evaluation, with what they depend on; only `times` differ between equal runs."""

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    models: tuple[EvaluatedModel, ...]
    tasks: tuple[TaskResults, ...]
    settings: dict[str, int]  # `seed`, `bootstrap_samples` and `batch_size`
    versions: dict[str, str]
    times: dict[str, Any]
    # By task and model; they are not in the file.
    answers: Annotated[Any, Field(exclude=True)] = field(default_factory=dict, compare=False, repr=False)

    @property
    def judged(self) -> list[tuple[TaskResults, ModelResult]]:
        """All results, each with its task, in their order."""
        return [(task, result) for task in self.tasks for result in task.results]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The names of task and model of all results, in their order."""
        return [(task.protocol.name, result.model) for task, result in self.judged]

    @property
    def titles(self) -> dict[str, str]:
        """Task to a title of its own; tasks that share a title have their name behind it."""
        titles = {task.protocol.name: task.protocol.title for task in self.tasks}
        shared = Counter(titles.values())
        return {name: title if shared[title] == 1 else f"{title} {code(name)}" for name, title in titles.items()}

    def of_model(self, model: str) -> list[tuple[TaskResults, ModelResult]]:
        """Return what one model reached in each task; a `ValueError` if there is no such model."""
        if model not in (names := [each.name for each in self.models]):
            raise ValueError(f"There are no results of {model!r}; these are of {names}.")
        return [(task, next(each for each in task.results if each.model == model)) for task in self.tasks]

    def why(self, task: TaskResults, result: ModelResult) -> str:
        """Say why a result has its zero-shot status."""
        recorded = next(each.training_corpora for each in self.models if each.name == result.model)
        return zero_shot_reason(result.zero_shot, recorded, task.protocol.corpus)

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds: dictionaries and lists, with floats rounded to [`DECIMALS`]."""
        content = ready_for_json(_adapter().dump_python(self, by_alias=True))
        for task in content["tasks"]:
            if task["data"]["doubtful"] is None:
                del task["data"]["doubtful"]
        return {"format": FORMAT, **content}

    @classmethod
    def from_json(cls, content: Any) -> "EvaluationResults":
        """Read what [`~EvaluationResults.to_json`] returned; a `ValueError` if it is something else."""
        found = content.get("format") if isinstance(content, Mapping) else None
        if found != FORMAT:
            raise ValueError(f"These are not results of an evaluation: `format` is {found!r}, not {FORMAT}.")
        try:
            return _adapter().validate_python({key: value for key, value in content.items() if key != "format"})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"These are not results of an evaluation: `{where}`: {first['msg']}.") from error

    def rounded(self) -> "EvaluationResults":
        """Return the same as the file has it, with the answers."""
        return replace(self.from_json(self.to_json()), answers=self.answers)

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all. The answers are not in it."""
        write_json(path, self.to_json())

    @classmethod
    def load(cls, path: str | Path) -> "EvaluationResults":
        """Read a file that [`~EvaluationResults.save`] wrote; a `ValueError` if it is something else."""
        return cls.from_json(read_object(Path(path)))


@cache
def _adapter() -> TypeAdapter[EvaluationResults]:
    return TypeAdapter(EvaluationResults)


def file_hashes(paths: Iterable[str], num_workers: int = 2) -> dict[str, str]:
    """Return the SHA-256 of files, each read once, by path."""
    distinct = sorted(set(paths))
    return dict(zip(distinct, map_ahead(file_sha256, distinct, num_workers), strict=True))


def describe_clips(
    rows: pd.DataFrame, classes: Sequence[str], hashes: Mapping[str, str], doubtful: Mapping[Source, str]
) -> JudgedClips:
    """Describe the clips of a task; `hashes` are by path, and `doubtful` has the problem of a path or segment."""
    digest = hashlib.sha256()
    clips = clips_of(rows)
    for name, path, label, clip in zip(rows["id"], rows["path"], rows["label"], clips, strict=True):
        where = [clip.start, clip.end] if isinstance(clip, Segment) else []
        digest.update(json.dumps([name, label, hashes[path], *where]).encode())
    named = {name: doubtful[clip] for name, clip in zip(rows["id"], clips, strict=True) if clip in doubtful}
    problems = Counter(named.values())
    return JudgedClips(
        clips=len(rows),
        per_class={name: int((rows["label"] == name).sum()) for name in classes},
        speakers=int(rows["speaker"].nunique()) or None,
        left_out={reason: int(clips) for reason, clips in rows.attrs.get("left_out", {}).items()},
        doubtful={problem: problems[problem] for problem in PROBLEMS if problem in problems},
        doubtful_clips=named,
        sha256=digest.hexdigest(),
    )


def versions() -> dict[str, str]:
    """Return the versions of what results may depend on, by name."""
    packages = {name: version(name) for name in ("transformers", "torch", "numpy")}
    return {"smoothclap": __version__, **packages, "python": platform.python_version()}


def ready_for_json(value: Any) -> Any:
    """Return plain dictionaries and lists; floats are rounded to [`DECIMALS`], or None if they are not finite."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): ready_for_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [ready_for_json(each) for each in value]
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None  # adding 0.0 makes -0.0 zero
    return value
