"""What an experiment with CLEP-DG yields, as typed values; `results.json` keeps them in this order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from ..evaluation.corpus_names import ZeroShot
from ..evaluation.intervals import Interval
from ..evaluation.results import AgainstChance, EvaluatedModel, JudgedClips, ready_for_json
from ..templating import zero_shot_reason
from .settings import CLEAN


AUDIO_OF_SPEAKERS, AUDIO_OF_OTHERS = "audio-of-other-speakers", "audio-of-other-corpora"
"""The methods that are trained on labelled clips: in the supervised protocol, and where one corpus is left out."""
AUGMENTED = {AUDIO_OF_SPEAKERS: f"augmented-{AUDIO_OF_SPEAKERS}", AUDIO_OF_OTHERS: f"augmented-{AUDIO_OF_OTHERS}"}
"""The same, trained on the clips under every acoustic condition of the experiment."""
AUDIO_TITLES = {
    AUDIO_OF_SPEAKERS: "classifier on audio of other speakers",
    AUGMENTED[AUDIO_OF_SPEAKERS]: "classifier on audio of other speakers, in all conditions",
    AUDIO_OF_OTHERS: "classifier on audio of the other corpora",
    AUGMENTED[AUDIO_OF_OTHERS]: "classifier on audio of the other corpora, in all conditions",
}
METRICS = ("uar", "accuracy")
"""UAR is the mean of the classes' recalls; accuracy, which the field calls weighted (WA), the share of right clips."""


@dataclass(frozen=True)
class MetricOverSeeds:
    """A mean over seeds, its standard deviation (`None` for one seed), and the span of all seeds' 95% intervals."""

    value: float
    sd: float | None
    low: float | None
    high: float | None

    def against(self, chance: float) -> AgainstChance:
        """Compare the interval with chance."""
        return AgainstChance.of(self.low, self.high, chance)


@dataclass(frozen=True)
class SeedResult:
    """The metrics of one seed; `None` if nothing in the method is random."""

    seed: int | None
    uar: float
    accuracy: float


@dataclass(frozen=True)
class MethodResult:
    """
    What one method reaches: metrics and recalls as means over seeds, and the metrics of each seed.

    `differences` are paired: metrics minus those of zero-shot, with intervals from the same draws for both. Zero-shot
    itself has none, nor has a method in files of earlier versions.
    """

    method: str
    metrics: Annotated[dict[str, MetricOverSeeds], Field(alias="figures")]
    per_class_recall: dict[str, float]
    seeds: tuple[SeedResult, ...]
    differences: dict[str, MetricOverSeeds] = field(default_factory=dict)

    @property
    def uar(self) -> MetricOverSeeds:
        """The unweighted average recall."""
        return self.metrics["uar"]


class RefusalReason(StrEnum):
    """Why the known speakers of a corpus make no folds; [`Refusal`] has the classes that are meant."""

    NOBODY_SPEAKS = "classes without a clip of a known speaker"
    FEW_SPEAKERS = "too few known speakers"
    SPOKEN_IN_ONE_FOLD = "classes with all clips in one fold"


@dataclass(frozen=True)
class Refusal:
    """Why the supervised protocol could not be used on a corpus. Files of earlier versions have it in words."""

    corpus: str
    zero_shot: ZeroShot
    reason: Annotated[RefusalReason | str, Field(alias="refused", union_mode="left_to_right")]
    classes: tuple[str, ...] = ()


class Tested:
    """All methods on one corpus under one condition."""

    corpus: str
    zero_shot: ZeroShot
    condition: str
    methods: tuple[MethodResult, ...]

    def of_method(self, name: str) -> MethodResult:
        """Return the result of the method with this name."""
        return next(each for each in self.methods if each.method == name)


@dataclass(frozen=True)
class Generalisation(Tested):
    """Leave one corpus out. `speakers_in_others` counts its speakers that the other corpora have, too."""

    corpus: str
    zero_shot: ZeroShot
    condition: str
    sha256: str
    speakers_in_others: int
    clips: int
    interval: Interval
    methods: tuple[MethodResult, ...]


@dataclass(frozen=True)
class Supervised(Tested):
    """Speaker-disjoint folds inside a corpus. `left_out` counts the clips of unknown speakers."""

    corpus: str
    zero_shot: ZeroShot
    condition: str
    folds: int
    speakers: int
    left_out: int
    clips: int
    interval: Interval
    methods: tuple[MethodResult, ...]


@dataclass(frozen=True)
class MethodSummary:
    """A method of the comparison, in words."""

    name: str
    title: str
    meaning: str


@dataclass(frozen=True)
class ConditionSummary:
    """An acoustic condition; `effect` is `None` for clips as recorded."""

    name: str
    title: str
    effect: str | None
    parameters: dict[str, Any]


@dataclass(frozen=True)
class CorpusSummary:
    """A corpus of the experiment."""

    name: str
    title: str
    language: str
    licence: str
    source: str
    data: JudgedClips


@dataclass(frozen=True)
class TextMeasures:
    """What one method with one seed makes of texts; `None` is what contexts or fitted ones are needed for."""

    seed: int
    method: str
    similarity: float | None
    emotions_kept: float | None
    contexts_sha256: str | None
    texts_right: float


@dataclass(frozen=True, kw_only=True)
class EncoderSummary(EvaluatedModel):
    """A dual encoder, the corpora that it is tested on, and what the methods make of texts with it."""

    corpora: list[str]
    texts: tuple[TextMeasures, ...]


@dataclass(frozen=True)
class ExperimentResults:
    """The results with all that they depend on. Only `times` differs between equal runs."""

    format: int
    classes: dict[str, str]  # to the words in prompts
    chance: float  # the UAR of guessing
    methods: tuple[MethodSummary, ...]
    conditions: tuple[ConditionSummary, ...]
    corpora: tuple[CorpusSummary, ...]
    encoders: tuple[EncoderSummary, ...]
    generalisation: tuple[Generalisation, ...]  # one for each corpus and condition; empty if not asked for
    supervised: tuple[Supervised | Refusal, ...]
    settings: dict[str, Any]  # without the output folder
    versions: dict[str, str]
    times: dict[str, Any]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "ExperimentResults":
        """Read what a `results.json` holds; a missing field or one of another type is a `ValueError`."""
        return _adapter().validate_python(content)

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries and lists, with floats rounded to 6 decimals."""
        return dict(ready_for_json(_adapter().dump_python(self, by_alias=True)))

    @property
    def titles(self) -> dict[str, str]:
        """Title of each corpus, by name."""
        return {corpus.name: corpus.title for corpus in self.corpora}

    @property
    def method_titles(self) -> dict[str, str]:
        """Title of each method, by name."""
        return {method.name: method.title for method in self.methods} | AUDIO_TITLES

    @property
    def synthetic(self) -> list[str]:
        """Names of the corpora whose speech is synthetic."""
        return [corpus["name"] for corpus in self.settings["corpora"] if corpus.get("synthetic")]

    @property
    def refused(self) -> list[Refusal]:
        """Corpora on which the supervised protocol could not be used."""
        return [each for each in self.supervised if isinstance(each, Refusal)]

    @property
    def clean_generalisation(self) -> list[Generalisation]:
        """Leave-one-corpus-out results of clips as recorded."""
        return [each for each in self.generalisation if each.condition == CLEAN]

    @property
    def clean_supervised(self) -> list[Supervised]:
        """Supervised results of clips as recorded."""
        return [each for each in self.supervised if isinstance(each, Supervised) and each.condition == CLEAN]

    def why(self, tested: Tested) -> str:
        """Say why a result has its zero-shot status."""
        recorded = next(each.training_corpora for each in self.encoders if tested.corpus in each.corpora)
        return zero_shot_reason(tested.zero_shot, recorded, tested.corpus)

    def subfolder(self, encoder: EncoderSummary) -> str:
        """Return the name of an encoder's own folder in the output: `""` if one encoder serves all corpora."""
        return encoder.corpora[0] if isinstance(self.settings["encoder"], Mapping) else ""


@cache
def _adapter() -> TypeAdapter[ExperimentResults]:
    return TypeAdapter(ExperimentResults)
