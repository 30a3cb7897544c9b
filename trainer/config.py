"""Names that are almost right."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

import yaml
from transformers import HfArgumentParser

from modeling_smoothclap.audio_smoothclap import MIN_SECONDS

from .arguments import SmoothCLAPTrainingArguments
from .data.acoustic_conditions import CONDITIONS, Augmentation
from .data.captions import language_data, select_levels
from .data.clips import Crops
from .data.collator import CAPTION_KINDS
from .lora import LoraSettings


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """
    Ask whether another name was meant.

    Args:
        name (`str`): What was written. Case does not matter.
        known (`Iterable[str]`): The names there are, in lower case.

    Returns:
        `str` or `None`: A question that has all names that begin so, or else the nearest; `None` if none is near.

    Example:

    ```python
    >>> from smoothclap_trainer.config import did_you_mean
    >>> did_you_mean("fau-aibo", ["alc-2", "fau-aibo-2", "fau-aibo-5"])
    "did you mean 'fau-aibo-2' or 'fau-aibo-5'?"

    ```
    """
    known, plain = list(known), name.lower()
    near = [each for each in known if plain and each.startswith(plain)] or get_close_matches(plain, known, n=1)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else None


_TEXT = "tag:yaml.org,2002:str"
_TAKERS: dict[str, set[type]] = {
    "tag:yaml.org,2002:bool": {bool},
    "tag:yaml.org,2002:int": {int, float},
    "tag:yaml.org,2002:float": {float},
    "tag:yaml.org,2002:timestamp": set(),
}
"""What a plain word may look like, and the types that take it for that. Where only text is wanted, it is text."""

_WORDS = {
    str: ("text", "texts"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "values true or false"),
    NoneType: ("null", "nulls"),
    dict: ("a mapping", "mappings"),
    list: ("a list", "lists"),
}
"""How messages call one value of a type, and several."""


class _Loader(yaml.SafeLoader):
    """PyYAML reads 1e-5 as text, as YAML 1.1 has it, which wants 1.0e-5; here it is the number that it looks like."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_mapping(text: str, hints: Mapping[str, Any]) -> Any:
    """
    Reads YAML that should be a mapping.

    A plain word that looks like a number or a truth value is text where the type says so: `run_name: 007`,
    `save_strategy: no`.

    Args:
        text (`str`): The YAML.
        hints (`Mapping[str, Any]`): Type hints of the keys that are known. A dataclass stands for a mapping, whose
            keys are its fields.

    Returns:
        What it says; it need not be a mapping.

    Raises:
        yaml.YAMLError: It is no YAML.
    """

    def mark(node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            _keep_fields(node, hints)

    return _read(text, mark)


def read_value(text: str, hint: Any) -> Any:
    """
    Reads one value in YAML, as [`read_mapping`] reads each of its own.

    Args:
        text (`str`): The YAML, for instance `"3"` or `"[labels, tags]"`.
        hint: Type hint of the value.

    Returns:
        What it says.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    return _read(text, lambda node: _keep_text(node, hint))


def fitted(said: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """
    Checks values against type hints; one value where a list is wanted becomes a list of one.

    Args:
        said (`Mapping[str, Any]`): Names to values.
        hints (`Mapping[str, Any]`): Type hints of all the names. Whole numbers are numbers, true and false are not.
            Of a dataclass only that it is a mapping is judged. What is neither text, a number, a truth value, null, a
            list nor a mapping is not judged.

    Returns:
        `dict[str, Any]`: Names to values that fit.

    Raises:
        ValueError: Values do not fit; all are named.
    """
    values = dict(said)
    problems = []
    for name, value in said.items():
        if _fits(value, hints[name]):
            continue
        if _fits([value], hints[name]):
            values[name] = [value]
        else:
            problems.append(f"`{name}` takes {_described(hints[name])}, not {value!r}.")
    if problems:
        raise ValueError("\n".join(problems))
    return values


def _read(text: str, mark: Callable[[yaml.Node], None]) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        mark(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _keep_text(node: yaml.Node, hint: Any) -> None:
    """Marks plain words as text where the hint takes text and not what they look like."""
    kinds = _kinds(hint)
    elements = [get_args(kind)[0] for kind in kinds if get_origin(kind) is list]
    if isinstance(node, yaml.ScalarNode) and str in kinds:
        if node.tag in _TAKERS and not _TAKERS[node.tag] & set(kinds):
            node.tag = _TEXT
        return
    if isinstance(node, yaml.MappingNode):
        for kind in kinds:
            if is_dataclass(kind):
                _keep_fields(node, get_type_hints(kind))
            elif get_origin(kind) is dict:
                key_hint, value_hint = get_args(kind)
                for key, value in node.value:
                    _keep_text(key, key_hint)
                    _keep_text(value, value_hint)
    for child in node.value if isinstance(node, yaml.SequenceNode) else [node]:  # one may stand for a list of one
        for element in elements:
            _keep_text(child, element)


def _keep_fields(node: yaml.MappingNode, hints: Mapping[str, Any]) -> None:
    for key, value in node.value:
        _keep_text(value, hints.get(key.value, Any))


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The members of a union, the types of literals, or the one hint."""
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for member in get_args(hint) for kind in _kinds(member))
    if get_origin(hint) is Literal:
        return tuple(type(value) for value in get_args(hint))
    return (hint,)


def _fits(value: Any, hint: Any) -> bool:
    return any(_is(value, kind) for kind in _kinds(hint))


def _is(value: Any, kind: Any) -> bool:
    plain, inner = _plain(kind), get_args(kind)
    if plain not in _WORDS:
        return True
    if isinstance(value, bool):
        return plain is bool
    if not isinstance(value, (int, float) if plain is float else plain):
        return False
    if isinstance(value, list) and inner:
        return all(_fits(each, inner[0]) for each in value)
    if isinstance(value, dict) and inner:
        return all(_fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items())
    return True


def _plain(kind: Any) -> Any:
    return dict if is_dataclass(kind) else get_origin(kind) or kind


def _described(hint: Any, several: bool = False) -> str:
    described = []
    for kind in _kinds(hint):
        words = _WORDS.get(_plain(kind), ("anything", "anything"))[several]
        if is_dataclass(kind):
            words += f" with the keys {', '.join(get_type_hints(kind))}"
        elif _plain(kind) in (list, dict) and get_args(kind):
            words += " of " + " to ".join(_described(each, several=True) for each in get_args(kind))
        described.append(words)
    return " or ".join(dict.fromkeys(described))


ColumnNames = dict[str, str] | list[dict[str, str]]


@dataclass
class DataSettings:
    """What it is trained on."""

    dataset: list[str] = field(
        metadata={
            "help": "Manifests: .csv, .tsv, .jsonl or .parquet files, folders that `datasets` or the builders in "
            "examples/ wrote, or Hub data sets. Several are joined; one may be given as plain text."
        }
    )
    columns: Any = field(  # of the type `ColumnNames`, a union that HfArgumentParser does not take
        default_factory=dict,
        metadata={
            "help": "Our column names to the manifests', where they differ: one mapping for all, or a list of one for "
            "each of `dataset`."
        },
    )
    audio_root: str | None = field(
        default=None, metadata={"help": "Folder that relative audio paths start at; default: the manifest's."}
    )
    bad_clips: str = field(
        default="raise",
        metadata={
            "help": "What to do about clips that cannot be used: 'raise' lists them and stops, 'skip' leaves them out "
            "and reports them, 'trust' does not look, for data that were checked when they were built.",
            "choices": ["raise", "skip", "trust"],
        },
    )
    captions: str = field(
        default="sampled",
        metadata={
            "help": "'sampled': some of a clip's phrases, anew in every epoch; 'full': all of them; 'given': the rows' "
            "own.",
            "choices": list(CAPTION_KINDS),
        },
    )
    caption_groups: list[str] = field(
        default_factory=list, metadata={"help": "What captions may speak of; default: everything that is known."}
    )
    languages: list[str] = field(default_factory=lambda: ["en"], metadata={"help": "Languages of the captions."})
    label_wordings: dict[str, str] = field(
        default_factory=dict,
        metadata={"help": "Text of each label in zero-shot evaluation; default: 'a happy voice' for happy, and so on."},
    )
    crop_seconds: float | None = field(
        default=5.0, metadata={"help": "Length of training crops in seconds (5 in ParaCLAP); null takes clips whole."}
    )
    crops_per_clip: int | None = field(
        default=None,
        metadata={"help": "Different crops per clip; default: a new one every epoch, which cannot be cached."},
    )
    acoustic_conditions: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Acoustic conditions that training clips are heard under, one of them drawn in every epoch, of: "
            f"{', '.join(CONDITIONS)}; default: as recorded."
        },
    )
    local_feature_encoder: str | None = field(
        default=None,
        metadata={"help": "Frozen encoder of the audio half of soft targets; default: the audio tower as it starts."},
    )
    cache_audio_tower: bool = field(
        default=False, metadata={"help": "Run the frozen audio tower once per crop or whole clip, not in every epoch."}
    )
    cache_dir: str = field(
        default="~/.cache/smoothclap", metadata={"help": "Folder for computed features, shared by all runs."}
    )
    max_train_clips: int | None = field(default=None, metadata={"help": "Take only this many clips, for trials."})
    preparation_workers: int = field(
        default=os.cpu_count() or 1, metadata={"help": "Processes that check clips and compute functionals."}
    )
    report_attributes: bool = field(
        default=True,
        metadata={"help": "Measure zero-shot attributes on the validation and test clips when training is done."},
    )

    def __post_init__(self) -> None:
        for name in ("dataset", "caption_groups", "languages", "acoustic_conditions"):
            if isinstance(getattr(self, name), str):
                setattr(self, name, [getattr(self, name)])
        if self.bad_clips not in ("raise", "skip", "trust"):
            raise ValueError(f"`bad_clips` is raise, skip or trust, not {self.bad_clips!r}.")
        if self.captions not in CAPTION_KINDS:
            raise ValueError(f"`captions` is one of {CAPTION_KINDS}, not {self.captions!r}.")
        self._check_conditions()
        if self.cache_audio_tower and self.crop_seconds is not None and self.crops_per_clip is None:
            raise ValueError(
                "`cache_audio_tower` needs to know the crops beforehand: set `crops_per_clip`, for instance to 4, or "
                "crop_seconds: null to take clips whole."
            )
        try:
            Crops(self.crop_seconds, self.crops_per_clip)
        except ValueError as error:
            raise ValueError(f"`crop_seconds` or `crops_per_clip` is wrong: {error}") from error
        self._check_captions()
        self._check_columns()

    def _check_conditions(self) -> None:
        if not self.acoustic_conditions:
            return
        faults = []
        for name in self.acoustic_conditions:
            if name not in CONDITIONS:
                cure = did_you_mean(str(name), CONDITIONS) or f"there are {list(CONDITIONS)}."
                faults.append(f"`acoustic_conditions` has {name!r}; {cure}")
        if not faults:
            try:
                Augmentation(tuple(self.acoustic_conditions))
            except ValueError as error:
                faults.append(f"`acoustic_conditions` is wrong: {error}")
        if self.cache_audio_tower:
            faults.append(
                "`acoustic_conditions` change in every epoch, and `cache_audio_tower` keeps one output: leave out one."
            )
        if self.crop_seconds is not None and self.crop_seconds < MIN_SECONDS:
            faults.append(
                f"`acoustic_conditions` need `crop_seconds` of at least {MIN_SECONDS}, not {self.crop_seconds}."
            )
        if faults:
            raise ValueError("\n".join(faults))

    def _check_captions(self) -> None:
        if not self.languages and self.captions != "given":
            raise ValueError("`languages` is empty, but captions are in some language: name one, such as en.")
        for language in self.languages:
            language_data(language)  # raises where there are no captions in it
        select_levels({}, self.caption_groups)  # raises for a group that there is not

    def _check_columns(self) -> None:
        maps = self.columns if isinstance(self.columns, list) else [self.columns]
        if wrong := [each for each in maps if not isinstance(each, Mapping)]:
            raise ValueError(
                f"`columns` is a mapping of our column names to the manifests', or a list of such, but {wrong[0]!r} is "
                "no mapping."
            )
        if isinstance(self.columns, list) and len(maps) != len(self.dataset):
            raise ValueError(
                f"`columns` lists {len(maps)} mappings for {len(self.dataset)} manifests in `dataset`: give each one, "
                "{} where the names are ours."
            )

    @property
    def column_maps(self) -> list[dict[str, str]]:
        """For each manifest in `dataset`, our column names to its own."""
        maps = self.columns if isinstance(self.columns, list) else [self.columns] * len(self.dataset)
        return [dict(each) for each in maps]


@dataclass
class ModelSettings:
    """What is trained: two encoders joined by new heads, or a checkpoint that goes on."""

    model: str | None = field(
        default=None,
        metadata={"help": "Hub id or directory of a SmoothCLAP or transformers CLAP checkpoint to go on from."},
    )
    audio_encoder: str | None = field(
        default=None, metadata={"help": "Hub id or directory of the audio tower's start, for a new model."}
    )
    text_encoder: str | None = field(
        default=None, metadata={"help": "Hub id or directory of the text tower's start, for a new model."}
    )
    projection_dim: int = field(default=768, metadata={"help": "Width of the shared space, for a new model."})
    projection_dropout: float = field(
        default=0.5, metadata={"help": "Dropout in the projection heads, for a new model (0.5 in ParaCLAP)."}
    )
    max_frequency: int | None = field(
        default=None,
        metadata={"help": "For log-mel towers of a new model: silence mel bands above this frequency, in Hz."},
    )
    storage_dtype: str = field(
        default="float32",
        metadata={
            "help": "Type of the saved weights; they are loaded as float32 all the same.",
            "choices": ["float32", "float16", "bfloat16"],
        },
    )

    def __post_init__(self) -> None:
        if self.storage_dtype not in ("float32", "float16", "bfloat16"):
            raise ValueError(f"`storage_dtype` is float32, float16 or bfloat16, not {self.storage_dtype!r}.")
        encoders = {"audio_encoder": self.audio_encoder, "text_encoder": self.text_encoder}
        given = any(encoders.values())
        if given if self.model is not None else not all(encoders.values()):
            raise ValueError(
                "Name either `model`, a checkpoint to go on from, or both `audio_encoder` and `text_encoder`, the "
                f"start of a new one; got model={self.model!r} and {encoders}."
            )


Settings = tuple[ModelSettings, DataSettings, LoraSettings, SmoothCLAPTrainingArguments]
CLASSES = (ModelSettings, DataSettings, LoraSettings, SmoothCLAPTrainingArguments)


def _hints() -> dict[str, Any]:
    """Types of all settings. Two of Transformers' take true and false, which their hints do not say."""
    known = [(kind, get_type_hints(kind)) for kind in CLASSES]
    hints = {each.name: types[each.name] for kind, types in known for each in fields(kind) if each.init}
    return hints | {"columns": ColumnNames} | dict.fromkeys(("resume_from_checkpoint", "fsdp"), bool | str | None)


def read_settings(config: str | Path, overrides: Sequence[str] = ()) -> tuple[Settings, dict[str, Any]]:
    """
    Read a YAML file and what a command line changes of it.

    Args:
        config (`str` or `Path`): The file.
        overrides (`Sequence[str]`): For instance `["--seed", "3", "--targets", "[labels]"]`; values are YAML.

    Returns:
        `tuple`: the settings, and all that was said, as one dictionary.

    Raises:
        ValueError: The file is missing or no YAML mapping, an override is malformed, or a setting is unknown, of the
            wrong type or wrong otherwise.
    """
    if not Path(config).is_file():
        raise ValueError(f"There is no file {str(config)!r}; examples/configs/ holds some.")
    hints = _hints()
    try:
        said = read_mapping(Path(config).read_text(encoding="utf-8"), hints)
    except yaml.YAMLError as error:
        raise ValueError(f"{str(config)!r} is no YAML: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{str(config)!r} holds no settings of the form `name: value`.")
    said |= _read_overrides(overrides, hints)
    if unknown := sorted(map(str, said.keys() - hints.keys())):
        raise ValueError(f"Unknown settings {unknown} in {str(config)!r} or on the command line.")
    if "dataset" not in said:
        raise ValueError(f"{str(config)!r} does not say what to train on: set `dataset`.")
    parser = HfArgumentParser(CLASSES)  # type: ignore[arg-type]
    return cast(Settings, parser.parse_dict(fitted(said, hints))), said


def _read_overrides(overrides: Sequence[str], hints: Mapping[str, Any]) -> dict[str, Any]:
    names, values = list(overrides[::2]), list(overrides[1::2])
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise ValueError(f"Settings on the command line come in pairs, `--seed 3`; got {' '.join(overrides)!r}.")
    said = {}
    for name, value in zip((name.removeprefix("--") for name in names), values, strict=True):
        try:
            said[name] = read_value(value, hints.get(name, Any))
        except yaml.YAMLError as error:
            raise ValueError(f"The value {value!r} of `--{name}` is no YAML: {error}") from error
    return said


def ignored_settings(said: Mapping[str, Any], settings: Settings) -> list[str]:
    """
    What was said and has no effect, because another setting rules it out.

    Args:
        said (`Mapping[str, Any]`): What the user said; null and empty lists say nothing.
        settings (`Settings`): What came of it, both from [`read_settings`].

    Returns:
        `list[str]`: A sentence for each such setting.
    """
    model, data, lora, arguments = settings
    temperatures = ("audio_temperature", "tag_temperature", "functionals_temperature")
    hard, weighted = arguments.beta == 0, arguments.target_weights is not None
    adapters = [name for name in get_type_hints(LoraSettings) if name != "lora_towers"]
    rules: list[tuple[bool, Sequence[str], str]] = [
        (
            hard,
            ("targets", "target_weights", "gamma", *temperatures, "detach_targets"),
            "with beta: 0 targets have no soft part",
        ),
        (not hard and weighted, ("gamma",), "`target_weights` says the shares"),
        (
            not hard and not weighted and len(arguments.targets) == 1,
            ("gamma",),
            "there is one target, which has it all",
        ),
        (
            model.model is not None,
            ("projection_dim", "projection_dropout", "max_frequency"),
            "it is for new models, and `model` goes on from one that has its own",
        ),
        (data.captions == "given", ("caption_groups", "languages"), "with captions: given captions are the rows' own"),
        (not lora.lora_towers, adapters, "`lora_towers` names no tower that gets adapters"),
        (data.acoustic_conditions == ["clean"], ("acoustic_conditions",), "clean means as recorded"),
        (data.crop_seconds is None, ("crops_per_clip",), "with crop_seconds: null clips are taken whole"),
    ]
    told = {name for name, value in said.items() if value not in (None, [], {})}
    return [
        f"`{name}` has no effect: {why}." for applies, names, why in rules if applies for name in names if name in told
    ]
