"""Settings from YAML: what plain words become, what is wrong is named by its path, and any file gives settings or a
ValueError."""

import random
import string
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import Field

from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import (
    UNIQUE,
    Count,
    FileName,
    Fraction,
    LanguageTag,
    NotNegative,
    Number,
    Positive,
    Seed,
    Settings,
    SettingsError,
    Several,
    Share,
    Split,
    Text,
    did_you_mean,
    one_of,
    parse_yaml,
    read_yaml,
)
from smoothclap_trainer.evaluation.tasks import OwnTask
from smoothclap_trainer.settings import TrainingRun


class Part(Settings):
    name: Text = Field(description="Its name.")
    heard: bool = False
    words: dict[str, str | list[str]] | None = None


class Whole(Settings):
    kind: Annotated[str, one_of(("telephone", "codec"))] = "codec"
    parts: Several[Part] = Field(default_factory=list, description="Its parts.")
    rate: Positive | None = 1.0
    columns: dict[str, str] | list[dict[str, str]] = Field(default_factory=dict)
    count: Count = 3


def faults(schema, **said):
    with pytest.raises(SettingsError) as caught:
        schema.from_mapping(said)
    return caught.value.faults


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-5", 1e-5), ("1E3", 1e3), ("-2e-4", -2e-4), ("+1e5", 1e5), (".5e3", 500.0), ("1.5e3", 1.5e3), ("1.e2", 100.0)],
)
def test_floats(text, number):
    assert parse_yaml(text, float) == number
    assert parse_yaml(f"[{text}, '{text}']", Any) == [number, text]
    assert parse_yaml(text, str) == text


@pytest.mark.parametrize("text", ["e5", "1e", "1e5x", "x1e5", "1e5.0", "--1e5", "1-e5"])
def test_what_is_not_a_float_stays_text(text):
    assert parse_yaml(text, float) == text


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("007", str, "007"),
        ("no", str | None, "no"),
        ("null", str | None, None),
        ("null", str, None),
        ("2024-05-01", str, "2024-05-01"),
        ("no", bool | str, False),
        ("no", str | Literal[False] | None, False),
        ("3", float | str, 3),
        ("3.5", int | str, "3.5"),
        ("[en, no]", Several[str], ["en", "no"]),
        ("no", Several[Text] | None, "no"),
        ("no", str | list[str], "no"),
        ("[1, 2]", list[float], [1, 2]),
        ("{no: 1, b: x}", dict[str, Text], {"no": "1", "b": "x"}),
        ("{no: 1}", dict, {False: 1}),
        ("[{1: 2}, {}]", dict[str, str] | list[dict[str, str]], [{"1": "2"}, {}]),
        ("{no: on}", list[dict[str, str]], {"no": "on"}),
        (
            "{name: no, heard: no, words: {no: [on]}, other: no}",
            Part,
            {"name": "no", "heard": False, "words": {"no": ["on"]}, "other": False},
        ),
        ("[{name: 1}]", str | list[Part], [{"name": "1"}]),
        ("{parts: {name: 1}}", Whole, {"parts": {"name": "1"}}),
        ("yes", Any, True),
        ("", str, None),
        ("{a: 1, b: &x {c: 2}, d: {<<: *x, c: 3}}", Any, {"a": 1, "b": {"c": 2}, "d": {"c": 3}}),
    ],
)
def test_text_where_text_is_wanted(text, hint, value):
    read = parse_yaml(text, hint)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Text, ["a"], ["", " ", 3, None]),
        (FileName, ["my corpus.v1"], ["", " ", ".", "..", "../../escaped", "a/b", "a\\b", "a\nb"]),
        (LanguageTag, ["en", "pt-BR"], ["en_US", "", "a b"]),
        (Split, ["all", "test"], ["testing"]),
        (Number, [5, 0.5, -1], ["5", True, float("nan"), float("inf"), None]),
        (Positive, [5, 0.5], [0, -1, 0.0]),
        (NotNegative, [0, 0.5], [-1e-9]),
        (Share, [0, 1], [1.1, -0.1]),
        (Fraction, [0, 0.9], [1, 1.5]),
        (Count, [1], [0, -1, 1.0, True, "1"]),
        (Seed, [0, 2**32 - 1], [-1, 2**32]),
        (Annotated[Several[str], UNIQUE], ["a", ["a", "b"]], [["a", "a"], [1], {"a": "b"}]),
        (Annotated[str, one_of(("a", "b"))], ["a"], ["c", "A"]),
    ],
)
def test_kinds_of_values(kind, good, bad):
    schema = type("Schema", (Settings,), {"__annotations__": {"value": kind}})
    for value in good:
        made = schema(value=value).value
        assert made == value or made == [value]
        assert type(made) in (type(value), list)  # a whole number stays one
    for value in bad:
        ((path, what),) = faults(schema, value=value)
        assert path.startswith("value")
        assert repr(value[0] if isinstance(value, list) else value) in what


def test_faults_have_paths_values_and_cures():
    said = {"kind": "telphone", "parts": [{"name": "a"}, {"nme": "b", "heard": 1, "words": {"x": 3}}], "cuont": 1}
    told = dict(faults(Whole, **said, rate=0, columns=[{"a": 1}]))
    assert told.keys() == {
        "kind", "parts[1].name", "parts[1].nme", "parts[1].heard", "parts[1].words.x", "cuont", "rate", "columns[0].a"
    }  # fmt: skip
    for path, part in {
        "kind": "'telphone'; did you mean 'telephone'?",
        "parts[1].name": "Its name.",
        "parts[1].nme": "did you mean 'name'?",
        "parts[1].words.x": "text or a list, not 3",
        "cuont": "'count'",
        "rate": "more than 0, not 0",
    }.items():
        assert part in told[path], path
    assert faults(Whole, columns=3)[0] == ("columns", "must be a mapping or a list, not 3")
    assert dict(faults(Whole, parts={"heard": True})).keys() == {"parts.name"}
    assert len(faults(Whole, kind="x" * 10_000)[0][1]) < 11_000


def test_settings_made_in_python_are_checked_as_well():
    whole = Whole(parts=(Part(name="a"),))
    assert whole.changed(count=5) == Whole(parts=[{"name": "a"}], count=5)
    for make in (lambda: Whole(count=0), lambda: whole.changed(count=0), lambda: Whole(parts=[{"name": ""}])):
        with pytest.raises(SettingsError, match=r"`count`|`parts\[0\]\.name`"):
            make()
    with pytest.raises(ValueError, match="frozen"):
        whole.count = 4


def test_a_file_and_a_command_line(tmp_path):
    (tmp_path / "a.yaml").write_text("rate: 1e-3\ncount: null\nparts: {name: 007}\n", encoding="utf-8")
    whole = read_yaml(tmp_path / "a.yaml", Whole, ["--kind", "telephone", "--rate", "null"])
    assert whole == Whole(kind="telephone", rate=None, count=3, parts=[Part(name="007")])
    for overrides, value in ((["--kind"], "'--kind'"), (["kind", "codec"], "'kind codec'"), (["--rate", "["], "'['")):
        with pytest.raises(ValueError) as caught:
            read_yaml(tmp_path / "a.yaml", Whole, overrides)
        assert value in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"- a", b"text", b"a: [", b"count: 1\ncount: 2", b"parts: {name: a, name: b}", b"\xff\xfe\x00", b"a: \x00",
        b"[" * 1100, b"{a: " * 1100, b"!!bool x", b"!!timestamp x", b"a: 2024-13-45", b"? [a]\n: b", b"&a [*a]",
        b"a: &a {b: *a}", b"rate: 1" + b"0" * 5000, b"1: 2", b"null: 2", b"a: !!python/object:os.system x",
        b'kind: "\\ud800"', b"--- a\n--- b",
    ],
)  # fmt: skip
def test_files_that_are_not_settings(tmp_path, content):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_yaml(tmp_path / "a.yaml", Whole)
    assert str(tmp_path / "a.yaml") in str(caught.value)
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(ValueError, match=path.name):
            read_yaml(path, Whole)


def test_every_setting_is_explained():
    training = TrainingRun.yaml_fields()
    assert {"audio_encoder", "crops_per_clip", "lora_rank", "beta", "gradient_cache", "report_to"} <= training.keys()
    assert training["dataset"].is_required() and training["beta"].default == 0.1
    for schema in (TrainingRun, ExperimentSettings, OwnTask):
        assert all(each.description for name, each in schema.yaml_fields().items() if name != "local_rank"), schema


def test_almost_right_names():
    assert did_you_mean("Tess", ["tess", "emodb"]) == "did you mean 'tess'?"
    assert did_you_mean("", ["tess"]) is None


SCALARS = [
    None,
    True,
    0,
    -1,
    1,
    2**70,
    0.5,
    float("nan"),
    float("inf"),
    "",
    " ",
    "no",
    "en",
    "a/b",
    "{}",
    "clean",
    "\ud800",
]
NAMES = [*string.ascii_letters, "name", "manifest", "data_root", "steps", "context", "emotion", 1, None, True]


def made_up(draw, depth=0):
    kind = draw.random()
    if depth > 2 or kind < 0.6:
        return draw.choice(SCALARS)
    if kind < 0.8:
        return [made_up(draw, depth + 1) for _ in range(draw.randrange(4))]
    return {draw.choice(NAMES): made_up(draw, depth + 1) for _ in range(draw.randrange(4))}


LEAST = {
    TrainingRun: {"audio_encoder": "a", "text_encoder": "t", "dataset": "d", "output_dir": "o", "use_cpu": True},
    ExperimentSettings: {"encoder": "e", "output": "o", "corpora": [{"name": "tess", "data_root": "t"}]},
    OwnTask: dict.fromkeys(("name", "title", "corpus", "manifest", "licence"), "a") | {"language": "en", "words": {}},
}


@pytest.mark.parametrize("schema", LEAST, ids=lambda schema: schema.__name__)
def test_any_file_gives_settings_or_a_value_error(tmp_path, schema):
    draw = random.Random(0)
    fields, outcomes = [*schema.yaml_fields()], []
    for _ in range(200):
        said = LEAST[schema] | {draw.choice(fields): made_up(draw) for _ in range(draw.randrange(3))}
        content = bytearray(yaml.safe_dump(said), "utf-8", "surrogatepass")
        for _ in range(draw.choice((0, 0, 1, 5))):
            content[draw.randrange(len(content))] = draw.choice(b"[]{}:,&*!|>'\"%@`#- \n\t\x00\xff0aZ")
        (tmp_path / "a.yaml").write_bytes(content)
        try:
            outcomes.append(isinstance(read_yaml(tmp_path / "a.yaml", schema), schema))
        except ValueError as error:
            assert str(error)
            outcomes.append(False)
    assert any(outcomes) and not all(outcomes)
