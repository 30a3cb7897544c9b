"""The settings of an experiment with CLEP-DG, as its YAML file has them."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from ..config import UNIQUE, FileName, Seed, Settings, SettingsError, Several, Text, did_you_mean, one_of
from ..data.acoustic_conditions import CONDITIONS
from ..evaluation.corpora import EMOTION_CORPORA
from ..evaluation.labelled_clips import ManifestClips
from ..evaluation.protocols import PROTOCOLS
from .acpt import ACPTSettings
from .classifier import ClassifierSettings
from .prompts import ENGLISH, GERMAN, LANGUAGES, PromptTemplates


GENERALISATION, SUPERVISED = "generalisation", "supervised"
EXPERIMENT_PROTOCOLS = (GENERALISATION, SUPERVISED)
CLEAN = "clean"
"""The condition that the others are compared with, and that classifiers of audio are trained in."""
TEMPLATES = {"en": ENGLISH, "de": GERMAN}


class CorpusSettings(ManifestClips):
    """One corpus: a known one in its folder, or the clips of a manifest."""

    name: FileName = Field(
        description="Of one of `EMOTION_CORPORA`, or your own; it names folders of results. A checkpoint whose record "
        "names it was trained on it. Where a manifest has a column `corpus`, as it is there, with or without more "
        "after it."
    )
    data_root: Text | None = Field(
        default=None,
        description="Of a known corpus: its folder, as it is distributed, USER/NAME@COMMIT on the Hub, or a YAML file.",
    )
    protocol: Text | None = Field(
        default=None, description="Of a known corpus with several, the one whose classes are meant."
    )
    thirds_of: Text | None = Field(
        default=None,
        description="Instead of `label_column`, a column of numbers. The clips in its top third, among those of this "
        "corpus, are labelled high, those in its bottom third low; the others are left out.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="Label to class. Clips of other labels are left out. Default: the labels are the classes.",
    )
    note: Text | None = Field(
        default=None, description="What a reader must know of the labels or the clips; the report and the card say it."
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.data_root is None and self.manifest is None:
            raise SettingsError([("manifest", f"is missing: {self.name!r} needs it, or `data_root` of a known corpus")])
        if self.data_root is not None and self.manifest is not None:
            raise SettingsError([("manifest", f"is {self.manifest!r} next to `data_root`: leave out one of the two")])
        if faults := list(self._faults_of_manifest() if self.data_root is None else self._faults_of_known()):
            raise SettingsError(faults)
        return self

    def _faults_of_manifest(self) -> Iterator[tuple[str, str]]:
        for name in ("language", "licence"):
            if getattr(self, name) is None:
                yield name, f"is missing: {self.name!r} is a manifest, so name it here"
        if self.protocol is not None:
            yield "protocol", f"is {self.protocol!r}, but a manifest has none: leave it out"
        if self.label_column is not None and self.thirds_of is not None:
            yield "thirds_of", f"is {self.thirds_of!r} next to `label_column`: leave out one of the two"
        if self.thirds_of is not None and (strange := sorted(set(self.labels) - {"high", "low"})):
            yield "labels", f"has {strange}, but `thirds_of` gives the labels high and low"

    def _faults_of_known(self) -> Iterator[tuple[str, str]]:
        if self.name not in EMOTION_CORPORA:
            cure = did_you_mean(self.name, EMOTION_CORPORA) or f"known are {list(EMOTION_CORPORA)}"
            yield "name", f"is {self.name!r}, which is not a known corpus; {cure}; others need a `manifest`"
            return
        for name, field in type(self).model_fields.items():
            is_default = getattr(self, name) == field.get_default(call_default_factory=True)
            if name not in ("name", "data_root", "protocol") and not is_default:
                yield name, f"is for manifests; that of {self.name!r} is known: leave it out"
        names = [protocol.name for protocol in PROTOCOLS.values() if protocol.corpus == self.name]
        if self.protocol is None and len(names) > 1:
            yield "protocol", f"is missing: {self.name!r} has several sets of classes; name one of {names}"
        if self.protocol is not None and self.protocol not in names:
            yield "protocol", f"must be one of {names} for {self.name!r}, not {self.protocol!r}"


def _templates(value: Any) -> Any:
    if isinstance(value, str) and value not in TEMPLATES:
        raise ValueError(f"must be one of {list(TEMPLATES)} or a mapping, not {value!r}")
    return TEMPLATES[value] if isinstance(value, str) else value


def _seeds(value: Any) -> Any:
    if isinstance(value, int):
        raise ValueError(f"must be a list, not {value}: not how many but which, such as [0, 1, 2]")
    return value


class ExperimentSettings(Settings):
    """An experiment."""

    encoder: Text | dict[str, Text] = Field(
        description="Hub id or folder of a dual encoder; or name of each corpus to the one that judges it, where "
        "checkpoints were trained without the corpus."
    )
    corpora: Annotated[Several[CorpusSettings], Field(min_length=1)] = Field(
        description="Known corpora or manifests. Each is the target once."
    )
    output: Text = Field(description="Folder of the results.")
    words: dict[str, str] = Field(
        default_factory=dict, description="Class to what templates call it; default: its name."
    )
    templates: Annotated[PromptTemplates, BeforeValidator(_templates)] = Field(
        default=ENGLISH, description="Wordings of prompts: en, de, or a mapping of context, joint and content."
    )
    written_contexts: Annotated[str, one_of(LANGUAGES)] | None = Field(
        default=None,
        description="Language of the hand-written contexts, a baseline; default: de for `templates: de`, otherwise en.",
    )
    acpt: ACPTSettings = Field(default=ACPTSettings(), description="How contexts are fitted (stage 2).")
    classifier: ClassifierSettings = Field(
        default=ClassifierSettings(), description="How classifiers are trained (stage 3)."
    )
    seeds: Annotated[list[Seed], Field(min_length=1), BeforeValidator(_seeds), UNIQUE] = Field(
        default_factory=lambda: [0, 1, 2], description="Of contexts and classifiers; results are means over them."
    )
    protocols: Annotated[Several[Annotated[str, one_of(EXPERIMENT_PROTOCOLS)]], Field(min_length=1), UNIQUE] = Field(
        default_factory=lambda: list(EXPERIMENT_PROTOCOLS), description="generalisation, supervised or both."
    )
    conditions: Annotated[Several[Annotated[str, one_of(CONDITIONS)]], Field(min_length=1), UNIQUE] = Field(
        default_factory=lambda: [CLEAN],
        description=f"Acoustic conditions of the clips, of: {', '.join(CONDITIONS)}; clean must be among them.",
    )
    device: Text = Field(default="cpu", description="Where models run.")

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if faults := list(self._faults()):
            raise SettingsError(faults)
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        names = [corpus.name for corpus in self.corpora]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield f"corpora[{number}].name", f"is {name!r}, which comes more than once"
        if Path(self.output).is_file():
            yield "output", f"is a file, {self.output!r}; name a folder"
        if isinstance(self.encoder, dict) and set(self.encoder) != set(names):
            yield "encoder", f"has checkpoints for {sorted(self.encoder)}, but the corpora are {sorted(names)}"
        for part, fixed in (("acpt", ("seed", "style_loss", "content_loss")), ("classifier", ("seed",))):
            for name in fixed:
                if name in getattr(self, part).model_fields_set:
                    yield f"{part}.{name}", "is set by the experiment, from `seeds` and its methods: leave it out"
        for fault in _alike(self.words):
            yield "words", fault
        if CLEAN not in self.conditions:
            yield "conditions", f"must have {CLEAN!r}, which the others are compared with, not only {self.conditions}"

    @property
    def language_of_written(self) -> str:
        """The language of the hand-written contexts."""
        return self.written_contexts or ("de" if self.templates == GERMAN else "en")

    def called(self, classes: Collection[str]) -> dict[str, str]:
        """Return what templates call each class, by `words` or its name; a `ValueError` if `words` is not of them."""
        if strange := [name for name in self.words if name not in classes]:
            raise ValueError(f"`words` has {strange}, but the classes that all corpora have are {list(classes)}.")
        called = {name: self.words.get(name, name) for name in classes}
        if faults := _alike(called):
            raise SettingsError([("words", fault) for fault in faults])
        return called


def _alike(called: Mapping[str, str]) -> list[str]:
    """List classes that have one word, which no prompt would tell apart."""
    return [
        f"calls the classes {' and '.join(repr(name) for name in called if called[name] == word)} the same: {word!r}"
        for word, times in Counter(called.values()).items()
        if times > 1
    ]
