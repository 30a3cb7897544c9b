"""Settings from YAML: the one way to read and check them."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator
from pydantic.fields import FieldInfo


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Ask whether a name that begins so was meant, or else the nearest of `known`; `None` if none is near."""
    known, plain = list(known), name.lower()
    near = [each for each in known if plain and each.startswith(plain)] or get_close_matches(plain, known, n=1)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else None


class SettingsError(ValueError):
    """Settings that cannot be used: pairs of a path, such as `acpt.steps`, or `""`, and what is wrong there."""

    def __init__(self, faults: Iterable[tuple[str, str]]):
        self.faults = list(faults)
        super().__init__("\n".join(f"`{path}` {what}" if path else what for path, what in self.faults))


class Settings(BaseModel):
    """The base of all settings: types are strict, unknown names refused, and a `ValueError` names all faults."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, str_min_length=1)

    def __init__(self, **values: Any):
        try:
            self.__pydantic_validator__.validate_python(values, self_instance=self)
        except ValidationError as error:
            raise SettingsError(_faults(error, type(self), values)) from None

    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]  # pydantic itself makes nested settings

    @classmethod
    def yaml_fields(cls) -> dict[str, FieldInfo]:
        """Return the keys of a YAML file with these settings."""
        return dict(cls.model_fields)

    @classmethod
    def from_mapping(cls, said: Mapping[str, Any]) -> Self:
        """Make settings of what a YAML file holds, or raise one [`SettingsError`] with all faults."""
        try:
            return cls.model_validate(dict(said))
        except ValidationError as error:
            raise SettingsError(_faults(error, cls, said)) from None

    def changed(self, **changes: Any) -> Self:
        """Return a copy with other values, which are checked as well; what was left at its default still is."""
        return type(self)(**{name: value for name, value in self if name in self.model_fields_set} | changes)


Kind = TypeVar("Kind", bound=Settings)
Item = TypeVar("Item")


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value if value is None else [value]


def _as_given(value: Any, check: Any) -> Any:
    """Keep a whole number where a number is wanted: records of runs say 10, not 10.0."""
    checked = check(value)
    return value if value == checked else checked


def _not_blank(value: str) -> str:
    if not value.strip():
        raise ValueError(f"must be a name, not {value!r}")
    return value


def _file_name(value: str) -> str:
    if value.strip() in ("", ".", "..") or "/" in value or "\\" in value or not value.isprintable():
        raise ValueError(f"names files or folders, so it has no slash and is not blank, '.' or '..', unlike {value!r}")
    return value


def _unique(values: list[Any]) -> list[Any]:
    if repeated := [value for value, times in Counter(values).items() if times > 1]:
        raise ValueError(f"names {', '.join(map(repr, repeated))} more than once")
    return values


def one_of(known: Iterable[str]) -> AfterValidator:
    """Return what makes a text one of the known names: `Annotated[str, one_of(["a", "b"])]`."""
    names = list(known)

    def check(value: str) -> str:
        if value not in names:
            cure = did_you_mean(value, names)
            raise ValueError(f"must be one of {names}, not {value!r}" + (f"; {cure}" if cure else ""))
        return value

    return AfterValidator(check)


Several = Annotated[list[Item], BeforeValidator(_as_list)]
"""A list; one value becomes a list of one."""
UNIQUE = AfterValidator(_unique)
Text = Annotated[str, AfterValidator(_not_blank)]
FileName = Annotated[str, AfterValidator(_file_name)]
LanguageTag = Annotated[str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")]
Number = Annotated[float, WrapValidator(_as_given)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Split = Annotated[str, one_of(("train", "validation", "test", "all"))]


_WANTED = {
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_pattern_mismatch": "a BCP-47 tag such as en or pt-BR",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "list_type": "a list",
    "too_short": "a list of at least {min_length}",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
}
"""What a value must be, by the type of pydantic's error."""
LONGEST_VALUE = 200
MOST_NAMES = 20


def _faults(error: ValidationError, schema: type[Settings], said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Translate pydantic's errors into paths and what is wrong there."""
    wanted: dict[tuple[str, str], list[str]] = {}  # a union has an error for each member: its path comes once
    for each in error.errors(include_url=False):
        kind, place, context = each["type"], each["loc"], each.get("ctx", {})
        path = _path(place, said)
        inner = context.get("error")
        if kind in ("extra_forbidden", "invalid_key"):
            fields = _model_at(schema, place[:-1]).yaml_fields()
            wanted[path, unknown_key(str(place[-1]), fields)] = []
        elif kind == "missing":
            path = f"{path}.{place[-1]}".lstrip(".")
            help_text = _model_at(schema, place[:-1]).yaml_fields()[str(place[-1])].description
            wanted[path, f"is missing: {help_text}"] = []
        elif isinstance(inner, SettingsError):
            wanted |= {(f"{path}.{name}".strip("."), what): [] for name, what in inner.faults}
        elif inner is not None:
            wanted[path, str(inner)] = []
        else:
            must_be = _WANTED[kind].format(**context) if kind in _WANTED else each["msg"]
            wanted.setdefault((path, shown(each["input"])), []).append(must_be)
    paths = [path for path, _ in wanted]
    deeper = {path for path in paths for other in paths if other.startswith((f"{path}.", f"{path}["))}
    return [
        (path, f"must be {' or '.join(dict.fromkeys(must_be))}, not {what}" if must_be else what)
        for (path, what), must_be in wanted.items()
        if not (must_be and path in deeper)  # another member of the union got further
    ]


def shown(value: Any) -> str:
    """Return a value as messages show it."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def unknown_key(key: str, fields: Iterable[str]) -> str:
    """Say that there is no such key, and which was meant or which there are."""
    known = list(fields)
    all_of_them = (
        f"there are {known}" if len(known) <= MOST_NAMES else "`smoothclap train --settings` lists those of training"
    )
    return f"is an unknown key; {did_you_mean(key, known) or all_of_them}"


def _path(place: Sequence[str | int], said: Any) -> str:
    """Write a location as `corpora[1].root`, without pydantic's names of the members of unions."""
    path = ""
    for step in place:
        if isinstance(said, Mapping) and step in said:
            path, said = f"{path}.{step}", said[step]
        elif isinstance(said, (list, tuple)) and isinstance(step, int):
            path, said = f"{path}[{step}]", said[step]
    return path.lstrip(".")


def _model_at(schema: type[Settings], place: Sequence[str | int]) -> type[Settings]:
    for step in place:
        if step in (fields := schema.yaml_fields()):
            schema = next(iter(_models(fields[str(step)].annotation)), schema)
    return schema


def _models(hint: Any) -> list[type[Settings]]:
    if isinstance(hint, type) and issubclass(hint, Settings):
        return [hint]
    return [model for part in get_args(hint) for model in _models(part)]


_TEXT = "tag:yaml.org,2002:str"
_TAKERS: dict[str, set[type]] = {
    "tag:yaml.org,2002:bool": {bool},
    "tag:yaml.org,2002:int": {int, float},
    "tag:yaml.org,2002:float": {float},
    "tag:yaml.org,2002:timestamp": set(),
}
"""What a plain word may look like, and the types that take it for that. Where only text is wanted, it is text."""


class _Loader(yaml.SafeLoader):
    """YAML in which 1e-5 is a number, which PyYAML takes for text, and in which no key comes twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if repeated := [key for key, times in keys.items() if times > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated[0]!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def parse_yaml(text: str, hint: Any) -> Any:
    """Parse YAML, where a plain word is text if `hint`, a type, wants it: `run_name: 007`, `save_strategy: no`."""
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _keep_text(node, hint)
            return None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except RecursionError:
        raise ValueError("It is nested too deeply.") from None
    except Exception as error:  # of an odd value or tag PyYAML raises KeyError, AttributeError and others
        raise ValueError(f"It is not YAML: {error}") from error


def _keep_text(node: yaml.Node, hint: Any) -> None:
    """Mark plain words as text where the hint takes text and not what they look like."""
    kinds = _kinds(hint)
    if isinstance(node, yaml.ScalarNode) and str in kinds:
        if node.tag in _TAKERS and not _TAKERS[node.tag] & set(kinds):
            node.tag = _TEXT
        return
    for kind in kinds:
        if get_origin(kind) is list:  # one value may stand for a list of one
            for child in node.value if isinstance(node, yaml.SequenceNode) else [node]:
                _keep_text(child, get_args(kind)[0])
        elif isinstance(node, yaml.MappingNode) and get_origin(kind) is dict:
            for pair in node.value:
                for child, part in zip(pair, get_args(kind), strict=True):
                    _keep_text(child, part)
        elif isinstance(node, yaml.MappingNode) and isinstance(kind, type) and issubclass(kind, Settings):
            fields = kind.yaml_fields()
            for key, value in node.value:
                if isinstance(key.value, str) and key.value in fields:
                    _keep_text(value, fields[key.value].annotation)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union, the types of literals, or the one hint."""
    if get_origin(hint) is Annotated:
        return _kinds(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for member in get_args(hint) for kind in _kinds(member))
    if get_origin(hint) is Literal:
        return tuple(type(value) for value in get_args(hint))
    return (hint,)


def read_yaml(path: str | Path, schema: type[Kind], overrides: Sequence[str] = ()) -> Kind:
    """
    Read settings from a YAML file and from what a command line changes of it: `["--targets", "[labels]"]`, in YAML.

    Null says nothing where a setting does not take null. A `ValueError` names all faults, each with its path.
    """
    if not Path(path).is_file():
        raise ValueError(f"There is no file {str(path)!r}.")
    try:
        said = parse_yaml(Path(path).read_text(encoding="utf-8"), schema)
        if not isinstance(said, dict):
            raise ValueError("It does not hold settings of the form `name: value`.")
        fields = schema.yaml_fields()
        said |= read_overrides(overrides, fields)
        unsaid = [
            key
            for key, value in said.items()
            if value is None and key in fields and NoneType not in _kinds(fields[key].annotation)
        ]
        return schema.from_mapping({key: value for key, value in said.items() if key not in unsaid})
    except UnicodeDecodeError as error:
        raise ValueError(f"{str(path)!r} cannot be used:\n  It is not text in UTF-8: {error}") from error
    except (ValueError, OSError) as error:
        lines = "\n  ".join(str(error).splitlines())
        raise ValueError(f"{str(path)!r} cannot be used:\n  {lines}") from error


def read_overrides(overrides: Sequence[str], fields: Mapping[str, FieldInfo]) -> dict[str, Any]:
    """Read what a command line says of settings, `["--seed", "3"]`; values are YAML."""
    names, values = list(overrides[::2]), list(overrides[1::2])
    if len(names) != len(values) or not all(name.startswith("--") for name in names):
        raise ValueError(f"Settings on the command line come in pairs, `--seed 3`; got {' '.join(overrides)!r}.")
    said, faults = {}, []
    for name, value in zip((name.removeprefix("--") for name in names), values, strict=True):
        try:
            said[name] = parse_yaml(value, fields[name].annotation if name in fields else Any)
        except ValueError as error:
            faults.append((name, f"cannot be {value!r}: {error}"))
    if faults:
        raise SettingsError(faults)
    return said
