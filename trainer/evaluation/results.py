"""What an evaluation yields, as typed values, and the JSON file that holds it."""

import hashlib
import json
import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modeling_smoothclap.audio_smoothclap import PROBLEMS
from modeling_smoothclap.batching_smoothclap import map_ahead

from ..files import file_sha256, write_json
from ..templating import code
from .intervals import AgainstChance, Interval, Metric
from .metrics import Calibration
from .protocols import Protocol
from .valence_arousal import ValenceArousal


FORMAT = 1
"""Of the file; to be raised when a reader of the old ones could not read the new."""
DECIMALS = 6
"""To which floats are rounded in the file."""


class ZeroShotStatus(StrEnum):
    """Whether a model may have been trained on the corpus that it is judged on."""

    ZERO_SHOT = "zero-shot"
    NOT_ZERO_SHOT = "not zero-shot"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ZeroShot:
    """
    Whether a result is zero-shot.

    Args:
        status ([`ZeroShotStatus`]): Whether it is.
        why (`str`): A sentence for people.
    """

    status: ZeroShotStatus
    why: str


@dataclass(frozen=True)
class PromptVariant:
    """
    One way to ask for the classes, and its result.

    Args:
        words (`int`): Which wording: 0 is the protocol's, 1 the first of its `other_words`, and so on.
        template (`str`): What the words are put into.
        texts (`tuple[str, ...]`): One for each class, in the order of the classes.
        uar (`float`): The UAR with these texts.
    """

    words: int
    template: str
    texts: tuple[str, ...]
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
        """`dict[str, list[float]]`: Template to the UAR of each wording, the protocol's first."""
        table: dict[str, list[float]] = {}
        for variant in sorted(self.variants, key=lambda variant: variant.words):
            table.setdefault(variant.template, []).append(variant.uar)
        return table


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """
    What one model reached in one task.

    Args:
        model (`str`): Its name.
        zero_shot ([`ZeroShot`]): Whether the model was trained on the corpus.
        metrics (`dict[str, Metric]`): `"uar"`, `"accuracy"` and `"macro_f1"`.
        per_class_recall (`dict[str, Metric]`): Class to recall.
        confusion (`list[list[int]]`): Clips; rows are true classes, columns predicted ones.
        groups (`dict[str, float]`, *optional*): Group to UAR, where metrics are means over groups.
        chance (`float`): The UAR of guessing.
        interval ([`Interval`]): How the intervals were made.
        calibration ([`Calibration`]): Of the scores.
        valence_arousal ([`ValenceArousal`]): Of the classes' similarities.
        prompts ([`PromptSensitivity`]): Of other wordings.
    """

    model: str
    zero_shot: ZeroShot
    metrics: Annotated[dict[str, Metric], Field(alias="figures")]
    per_class_recall: dict[str, Metric]
    confusion: list[list[int]]
    groups: dict[str, float] | None
    chance: float
    interval: Interval
    calibration: Annotated[Calibration, Field(alias="reliability")]
    valence_arousal: ValenceArousal
    prompts: PromptSensitivity

    @property
    def uar(self) -> Metric:
        """[`Metric`]: The unweighted average recall."""
        return self.metrics["uar"]

    @property
    def place(self) -> AgainstChance:
        """[`AgainstChance`]: Where the UAR lies."""
        return self.uar.against(self.chance)


@dataclass(frozen=True, kw_only=True)
class JudgedClips:
    """
    The clips of a task.

    Args:
        clips (`int`): How many.
        per_class (`dict[str, int]`): Class to number of clips.
        speakers (`int`, *optional*): How many; None if none is known.
        left_out (`dict[str, int]`): Reason to number of clips.
        doubtful (`dict[str, int]`, *optional*): Problem to number of clips that are judged in spite of it; None in
            files of versions that did not check.
        sha256 (`str`): Over ids, labels and the bytes of the files, in the order of the rows, wherever the files are.
    """

    clips: int
    per_class: dict[str, int]
    speakers: int | None
    left_out: dict[str, int]
    doubtful: dict[str, int] | None = None
    sha256: str


@dataclass(frozen=True)
class TaskResults:
    """A task: its protocol, the licence of its clips, the clips, and what each model reached."""

    protocol: Protocol
    licence: str
    data: JudgedClips
    results: tuple[ModelResult, ...]


@dataclass(frozen=True, kw_only=True)
class EvaluatedModel:
    """
    A model, as its checkpoint describes it.

    Args:
        name (`str`): What results call it.
        revision (`str`, *optional*): Its commit on the Hub.
        weights_sha256 (`str`, *optional*): Of its weights; None if they are not from a file.
        class_name (`str`): Its Python class.
        training_corpora (`list[str]`, *optional*): The corpora that it records; None if it records nothing.
        sampling_rate (`int`): In Hz.
        long_clips (`str`): What is done with long clips.
    """

    name: str
    revision: str | None
    weights_sha256: str | None
    class_name: Annotated[str, Field(alias="class")]
    training_corpora: list[str] | None
    sampling_rate: int
    long_clips: str


@dataclass(frozen=True, eq=False)
class Answers:
    """
    What one model answered in one task, clip by clip.

    Args:
        ids (`list[str]`): Of the clips.
        speakers (`list[str | None]`): Of the clips; None where unknown.
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of the clips, unit length.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Of the protocol's texts, unit length.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        predicted (`np.ndarray` of shape `(clips,)`): The class with the largest cosine; among equals the first.
        probabilities (`np.ndarray` of shape `(clips, classes)`): Softmax of the model's logit scale times the cosines.
    """

    ids: list[str]
    speakers: list[str | None]
    audio_embeds: np.ndarray
    class_embeds: np.ndarray
    true: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray


@dataclass(frozen=True, kw_only=True)
class EvaluationResults:
    """
    All results of an evaluation, with what they depend on.

    Args:
        models (`tuple[EvaluatedModel, ...]`): In the order asked for.
        tasks (`tuple[TaskResults, ...]`): Each with the results of all models, in their order.
        settings (`dict[str, int]`): `seed`, `bootstrap_samples` and `batch_size`.
        versions (`dict[str, str]`): Of the software, see [`versions`].
        times (`dict[str, Any]`): When it ended and the seconds that each model took. Only this differs between equal
            runs.
        answers (`Mapping[tuple[str, str], Answers]`): By the names of task and model. It is not in the file, so it is
            empty after [`~EvaluationResults.load`].
    """

    __pydantic_config__ = ConfigDict(arbitrary_types_allowed=True)

    models: tuple[EvaluatedModel, ...]
    tasks: tuple[TaskResults, ...]
    settings: dict[str, int]
    versions: dict[str, str]
    times: dict[str, Any]
    answers: Annotated[Any, Field(exclude=True)] = field(default_factory=dict, compare=False, repr=False)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """`list[tuple[str, str]]`: The names of task and model of all results, in their order."""
        return [(task.protocol.name, result.model) for task in self.tasks for result in task.results]

    @property
    def titles(self) -> dict[str, str]:
        """`dict[str, str]`: Task to a title of its own; tasks that share a title have their name behind it."""
        titles = {task.protocol.name: task.protocol.title for task in self.tasks}
        shared = Counter(titles.values())
        return {name: title if shared[title] == 1 else f"{title} {code(name)}" for name, title in titles.items()}

    def of_model(self, model: str) -> list[tuple[TaskResults, ModelResult]]:
        """
        Return what one model reached in each task.

        Args:
            model (`str`): Its name.

        Raises:
            ValueError: if there is no such model.
        """
        if model not in (names := [each.name for each in self.models]):
            raise ValueError(f"There are no results of {model!r}; these are of {names}.")
        return [(task, next(each for each in task.results if each.model == model)) for task in self.tasks]

    def to_json(self) -> dict[str, Any]:
        """Return what the file holds: dictionaries and lists, with floats rounded to [`DECIMALS`]."""
        content = ready_for_json(_adapter().dump_python(self, by_alias=True))
        for task in content["tasks"]:
            if task["data"]["doubtful"] is None:
                del task["data"]["doubtful"]
        return {"format": FORMAT, **content}

    @classmethod
    def from_json(cls, content: Any) -> "EvaluationResults":
        """
        Read what [`~EvaluationResults.to_json`] returned.

        Raises:
            ValueError: if it is something else, or of another format.
        """
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
        """Read a file that [`~EvaluationResults.save`] wrote; a `ValueError` says what is wrong with it."""
        return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))


@cache
def _adapter() -> TypeAdapter[EvaluationResults]:
    return TypeAdapter(EvaluationResults)


def file_hashes(paths: Iterable[str], num_workers: int = 2) -> dict[str, str]:
    """
    Hash files, each once.

    Args:
        paths (`Iterable[str]`): Files; one may come several times.
        num_workers (`int`, defaults to 2): Threads that read.

    Returns:
        `dict[str, str]`: Path to SHA-256 in hexadecimal.
    """
    distinct = sorted(set(paths))
    return dict(zip(distinct, map_ahead(file_sha256, distinct, num_workers), strict=True))


def describe_clips(
    rows: pd.DataFrame, classes: Sequence[str], hashes: Mapping[str, str], doubtful: Mapping[str, str]
) -> JudgedClips:
    """
    Describe the clips of a task.

    Args:
        rows (`pd.DataFrame`): With `id`, `path`, `label` and `speaker`, and `left_out` among its `attrs`.
        classes (`Sequence[str]`): All classes, in their order.
        hashes (`Mapping[str, str]`): From [`file_hashes`], of every `path`.
        doubtful (`Mapping[str, str]`): Path to problem, of those judged in spite of one.

    Returns:
        [`JudgedClips`]
    """
    digest = hashlib.sha256()
    for name, path, label in zip(rows["id"], rows["path"], rows["label"], strict=True):
        digest.update(json.dumps([name, label, hashes[path]]).encode())
    problems = Counter(doubtful.get(path) for path in rows["path"])
    return JudgedClips(
        clips=len(rows),
        per_class={name: int((rows["label"] == name).sum()) for name in classes},
        speakers=int(rows["speaker"].nunique()) or None,
        left_out={reason: int(clips) for reason, clips in rows.attrs.get("left_out", {}).items()},
        doubtful={problem: problems[problem] for problem in PROBLEMS if problem in problems},
        sha256=digest.hexdigest(),
    )


def versions() -> dict[str, str]:
    """Return the versions of what results may depend on, by name."""
    packages = {name: version(name) for name in ("smoothclap", "transformers", "torch", "numpy")}
    return packages | {"python": platform.python_version()}


def ready_for_json(value: Any) -> Any:
    """
    Round and convert to what JSON has.

    Args:
        value: Anything made of dataclasses, mappings, sequences, numbers of Python or numpy, strings and None.

    Returns:
        The same of plain dictionaries and lists; floats rounded to 6 decimals, and None for those that are not finite.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.results import ready_for_json
    >>> ready_for_json({"uar": 2 / 3, "low": float("nan"), "classes": ("sad", "happy")})
    {'uar': 0.666667, 'low': None, 'classes': ['sad', 'happy']}

    ```
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): ready_for_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [ready_for_json(each) for each in value]
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None  # adding 0.0 makes -0.0 zero
    return value
