"""A corpus of an experiment with CLEP-DG, as a YAML file says it."""

import math
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml

from ..config import did_you_mean, fitted, read_mapping
from ..data.acoustic_conditions import CONDITIONS
from ..evaluation.corpora import EMOTION_CORPORA
from ..evaluation.protocols import PROTOCOLS
from .acpt import ACPTSettings
from .classifier import ClassifierSettings
from .prompts import ENGLISH, GERMAN, PromptTemplates


@dataclass(frozen=True)
class CorpusSettings:
    """
    One corpus: a known one in its folder, or the clips of a manifest.

    Args:
        name (`str`): Of one of [`~smoothclap_trainer.evaluation.corpora.EMOTION_CORPORA`], or of your own. A
            checkpoint whose record names it was trained on it. Where a manifest has a column `corpus`, as it is there,
            with or without more after it. It names folders of results, too.
        data_root (`str`, *optional*): Folder of a known corpus, as it is distributed.
        protocol (`str`, *optional*): Of a known corpus that has several, the one whose classes are meant.
        manifest (`str`, *optional*): What [`~smoothclap_trainer.data.manifest.load_manifest`] reads.
        columns (`dict[str, str]`): As in training: our column to the manifest's. The fields below name ours.
        audio_root (`str`, *optional*): As in training: where relative paths in a manifest start.
        label_column (`str`, *optional*): Column of the labels; by default `emotion`.
        thirds_of (`str`, *optional*): Instead, a column of numbers. The clips in its top third, among those of this
            corpus, are labelled "high", those in its bottom third "low"; the others are left out.
        labels (`dict[str, str]`, *optional*): Label to class. Clips of other labels are left out. By default the
            labels are the classes.
        where (`dict`): Column to the value, or the list of values, that clips must have there.
        split (`str`, defaults to `"test"`): train, validation, test, or all.
        language (`str`, *optional*): BCP-47 tag of the speech; of a manifest it has to be told.
        licence (`str`, *optional*): Of the clips of a manifest, which has to be told, too.
        synthetic (`bool`, defaults to `False`): Nobody's speech; every table will say so.

    Raises:
        ValueError: if it is neither or both, fields of the one are given for the other, or the name cannot be that of
            a folder. All faults are told.
    """

    name: str
    data_root: str | None = None
    protocol: str | None = None
    manifest: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    audio_root: str | None = None
    label_column: str | None = None
    thirds_of: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    where: dict[str, str | list[str]] = field(default_factory=dict)
    split: str = "test"
    language: str | None = None
    licence: str | None = None
    synthetic: bool = False

    def __post_init__(self) -> None:
        faults = []
        if self.name.strip() in ("", ".", "..") or "/" in self.name or "\\" in self.name:
            faults.append(
                f"{self.name!r} is no corpus name: it names folders, so it is not blank, '.' or '..' and has no slash"
            )
        if (self.data_root is None) == (self.manifest is None):
            faults.append(f"{self.name!r} needs either `data_root`, for a known corpus, or `manifest`")
        elif self.data_root is not None:
            faults += self._faults_of_known()
        else:
            for name in ("language", "licence"):
                if getattr(self, name) is None:
                    faults.append(f"{self.name!r} is a manifest, so say its `{name}`")
            if self.protocol is not None:
                faults.append(f"{self.name!r} is a manifest, which has no `protocol`")
            if self.label_column is not None and self.thirds_of is not None:
                faults.append(f"{self.name!r} takes its labels from `label_column` or `thirds_of`, not from both")
            if self.thirds_of is not None and (strange := sorted(set(self.labels) - {"high", "low"})):
                faults.append(f"`thirds_of` gives the labels high and low, but `labels` of {self.name!r} has {strange}")
        if faults:
            raise ValueError("\n".join(faults))

    def _faults_of_known(self) -> list[str]:
        if self.name not in EMOTION_CORPORA:
            return [f"{self.name!r} is no known corpus; known are {list(EMOTION_CORPORA)}, others need a `manifest`"]
        faults = []
        own = [each.name for each in fields(self) if each.name not in ("name", "data_root", "protocol")]
        if said := [name for name in own if getattr(self, name) != getattr(CorpusSettings, name, {})]:
            faults.append(f"{said} are for manifests; those of {self.name!r} are known")
        names = [protocol.name for protocol in PROTOCOLS.values() if protocol.corpus == self.name]
        if self.protocol is None and len(names) > 1:
            faults.append(f"{self.name!r} has several sets of classes, so name its `protocol`, one of {names}")
        if self.protocol is not None and self.protocol not in names:
            faults.append(f"{self.protocol!r} is no protocol of {self.name!r}, which has {names}")
        return faults


GENERALISATION, SUPERVISED = "generalisation", "supervised"
EXPERIMENT_PROTOCOLS = (GENERALISATION, SUPERVISED)
CLEAN = "clean"
"""The condition that the others are compared with, and that classifiers of audio are trained in."""
TEMPLATES = {"en": ENGLISH, "de": GERMAN}

Part = TypeVar("Part")


@dataclass(frozen=True)
class ExperimentSettings:
    """
    An experiment.

    Args:
        encoder (`str` or `dict[str, str]`): Hub id or folder of a dual encoder; or name of each corpus to the one that
            judges it, where checkpoints were trained without the corpus.
        corpora (`list[CorpusSettings]`): Each is the target once.
        output (`str`): Folder of the results.
        words (`dict[str, str]`): Class to what templates call it; by default its name.
        templates ([`PromptTemplates`]): In YAML `en` or `de`, or a mapping of the three.
        acpt ([`ACPTSettings`]): Of the second stage. Its seed and which losses are on is the experiment's to say.
        classifier ([`ClassifierSettings`]): Of the third stage. Its seed is the experiment's to say.
        seeds (`list[int]`): Of contexts and classifiers; figures are means over them.
        protocols (`list[str]`): `generalisation`, `supervised` or both.
        conditions (`list[str]`): Of [`~smoothclap_trainer.data.acoustic_conditions.CONDITIONS`], `clean` among them.
        device (`str`): Where models run.

    Raises:
        ValueError: if parts do not fit each other. All faults are told.
    """

    encoder: str | dict[str, str]
    corpora: list[CorpusSettings]
    output: str
    words: dict[str, str] = field(default_factory=dict)
    templates: PromptTemplates = ENGLISH
    acpt: ACPTSettings = field(default_factory=ACPTSettings)
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    protocols: list[str] = field(default_factory=lambda: list(EXPERIMENT_PROTOCOLS))
    conditions: list[str] = field(default_factory=lambda: [CLEAN])
    device: str = "cpu"

    def __post_init__(self) -> None:
        names = [corpus.name for corpus in self.corpora]
        checkpoints = [self.encoder] if isinstance(self.encoder, str) else self.encoder.values()
        faults = [f"the corpus {name!r} comes more than once" for name in _repeated(names)]
        if not all(each.strip() for each in checkpoints):
            faults.append("`encoder` has an empty name; name a folder or what is on the Hub")
        if not self.output.strip():
            faults.append("`output` is empty; name a folder")
        elif Path(self.output).is_file():
            faults.append(f"`output` is a file, {self.output!r}; name a folder")
        if not names:
            faults.append("`corpora` is empty; name at least one")
        if isinstance(self.encoder, dict) and set(self.encoder) != set(names):
            faults.append(
                f"`encoder` names checkpoints for {sorted(self.encoder)}, but the corpora are {sorted(names)}"
            )
        if not self.seeds or _repeated(self.seeds) or min(self.seeds) < 0:
            faults.append(f"`seeds` are different numbers from 0, at least one, not {self.seeds}")
        faults += _alike(self.words)
        faults += _strange("protocols", self.protocols, EXPERIMENT_PROTOCOLS)
        faults += _strange("conditions", self.conditions, CONDITIONS)
        if CLEAN not in self.conditions:
            faults.append(f"`conditions` must have {CLEAN!r}, which the others are compared with")
        if faults:
            raise ValueError("\n".join(faults))

    def encoder_of(self, corpus: str) -> str:
        """The checkpoint that judges a corpus."""
        return self.encoder if isinstance(self.encoder, str) else self.encoder[corpus]

    def called(self, classes: Collection[str]) -> dict[str, str]:
        """
        What templates call the classes.

        Args:
            classes (`Collection[str]`): All that there are.

        Returns:
            `dict[str, str]`: Class to its word, or else its name, in the order of the classes.

        Raises:
            ValueError: if `words` has another class, or calls one like another, be it by that one's own name.
        """
        if strange := [name for name in self.words if name not in classes]:
            raise ValueError(f"`words` has {strange}, but the classes that all corpora have are {list(classes)}.")
        called = {name: self.words.get(name, name) for name in classes}
        if faults := _alike(called):
            raise ValueError("\n".join(faults))
        return called

    def describe(self) -> dict[str, Any]:
        """All that figures depend on, which the output folder is not, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if name != "output"}


_RAW = get_type_hints(ExperimentSettings) | {"templates": str | PromptTemplates}
"""What the file may hold."""
_NOT_TO_SAY = {"acpt": ("seed", "style_loss", "content_loss"), "classifier": ("seed",)}
"""What the experiment itself sets, by its seeds and its methods."""


def read_settings(path: str | Path) -> ExperimentSettings:
    """
    Reads an experiment.

    Args:
        path (`str` or `Path`): YAML with the fields of [`ExperimentSettings`]. Relative paths in it start at the
            current folder, as in training.

    Returns:
        [`ExperimentSettings`]

    Raises:
        ValueError: if something is wrong with the file. All that can be found at once is told: what parts are to each
            other is judged when each is right.
    """
    if not Path(path).is_file():
        raise ValueError(f"There is no file {str(path)!r}; examples/configs/clep_dg.yaml shows one.")
    faults: list[str] = []
    settings = None
    try:
        said = read_mapping(Path(path).read_text(encoding="utf-8"), _RAW)
    except yaml.YAMLError as error:
        faults.append(f"it is no YAML: {error}")
    else:
        if isinstance(said, dict):
            if type(said.get("seeds")) is int:
                faults.append(f"`seeds` takes a list, not {said['seeds']}: not how many but which, such as [0, 1, 2]")
            settings = _part(ExperimentSettings, "", _with_parts(_fitted(said, _RAW, "", faults), faults), faults, said)
        else:
            faults.append("it holds no keys and values; it needs `encoder`, `corpora` and `output`")
    if faults or settings is None:
        lines = "\n  ".join(dict.fromkeys(faults))
        raise ValueError(f"The experiment {str(path)!r} cannot be used:\n  {lines}")
    return settings


def _with_parts(said: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    """What the file says, with its parts made; those that cannot be are told and left out."""
    parts: dict[str, Any] = dict(said)
    for name, kind in (("acpt", ACPTSettings), ("classifier", ClassifierSettings)):
        if name in said:
            set_here = [each for each in _NOT_TO_SAY[name] if each in said[name]]
            faults += [f"`{name}.{each}` is not to be said: the experiment sets it" for each in set_here]
            parts[name] = None if set_here else _made(kind, f"{name}.", said[name], faults)
    if isinstance(said.get("templates"), dict):
        parts["templates"] = _made(PromptTemplates, "templates.", said["templates"], faults)
    elif "templates" in said:
        parts["templates"] = TEMPLATES.get(said["templates"])
        if parts["templates"] is None:
            faults.append(f"`templates` is one of {list(TEMPLATES)} or a mapping, not {said['templates']!r}")
    if "corpora" in said:
        made = [_made(CorpusSettings, f"corpora[{n}].", each, faults) for n, each in enumerate(said["corpora"])]
        parts["corpora"] = None if None in made else made
    return {name: part for name, part in parts.items() if part is not None}


def _made(kind: type[Part], where: str, said: dict[str, Any], faults: list[str]) -> Part | None:
    before = len(faults)
    known = _fitted(said, get_type_hints(kind), where, faults)
    return _part(kind, where, known, faults, said) if len(faults) == before else None


def _fitted(said: Mapping[str, Any], hints: Mapping[str, Any], where: str, faults: list[str]) -> dict[str, Any]:
    """The keys that there are and whose values fit; the others are told."""
    known: dict[str, Any] = {}
    for key, value in said.items():
        if key not in hints:
            cure = did_you_mean(str(key), hints) or f"keys: {[*hints]}"
            faults.append(f"unknown key {f'{where}{key}'!r}; {cure}")
        elif isinstance(value, float) and not math.isfinite(value):
            faults.append(f"`{where}{key}` must be finite, got {value}")
        else:
            try:
                known |= fitted({key: value}, hints)
            except ValueError as error:
                faults += _located(error, where)
    return known


def _located(error: ValueError, where: str) -> list[str]:
    """Faults that begin with a field of a part, with the name of the part."""
    return [f"`{where}{line[1:]}" if line.startswith("`") else line for line in str(error).splitlines()]


def _part(
    kind: type[Part], where: str, values: Mapping[str, Any], faults: list[str], said: Mapping[str, Any]
) -> Part | None:
    """A dataclass of values that fit its fields; `said` has more, if some did not."""
    needed = [each.name for each in fields(kind) if each.default is each.default_factory is MISSING]  # type: ignore[arg-type]
    if absent := [name for name in needed if name not in said]:
        faults.append(f"these keys are missing: {[f'{where}{name}' for name in absent]}")
    if not set(needed) <= set(values):
        return None
    try:
        return kind(**values)
    except ValueError as error:
        faults += _located(error, where)
    if not needed:  # it may tell its first fault only, so let each value be judged beside defaults
        for name, value in values.items():
            try:
                kind(**{name: value})
            except ValueError as error:
                faults += _located(error, where)
    return None


def _alike(called: Mapping[str, str]) -> list[str]:
    """Classes that have one word, which no prompt would tell apart."""
    return [
        f"`words` calls the classes {' and '.join(repr(name) for name in called if called[name] == word)} the same: "
        f"{word!r}"
        for word in _repeated(called.values())
    ]


def _repeated(values: Collection[Any]) -> list[Any]:
    return [value for value, times in Counter(values).items() if times > 1]


def _strange(name: str, said: list[str], known: Collection[str]) -> list[str]:
    """What is wrong with a choice of some of the known names."""
    faults = [f"`{name}` has {each!r} more than once" for each in _repeated(said)]
    for each in said:
        if each not in known:
            faults.append(f"`{name}` has {each!r}; {did_you_mean(each, known) or f'known are {[*known]}'}")
    return faults if said else [f"`{name}` is empty; name some of {[*known]}"]
