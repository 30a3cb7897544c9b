"""YAML read for settings whose types are known: text stays as written, and what does not fit is told at once."""

import re
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml


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
