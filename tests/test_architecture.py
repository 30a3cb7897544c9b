"""The rules of the house that a machine can check: which room may import which, how large a file may grow."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
LONGEST_FILE = 400  # lines
TRAVELS_WITH_THE_MODEL = {"torch", "numpy", "transformers", "huggingface_hub", "safetensors", *sys.stdlib_module_names}
ONLY_IN_TRY = {"soundfile", "soxr"}
LIGHT = TRAVELS_WITH_THE_MODEL | {"modeling_smoothclap", "typer", "rich"}
CHECKPOINTS = [path for path in (ROOT / "modeling_smoothclap" / "checkpoints").glob("*") if path.is_dir()]
# `evaluate` runs a copy of a metric's script in a folder of its own, from where no relative import leads back.
METRIC_SCRIPTS = "trainer/evaluation/modules/"


class Source:
    """A Python file of this project, parsed once."""

    def __init__(self, path: Path):
        self.name = path.relative_to(ROOT).as_posix()
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.tree = ast.parse("\n".join(self.lines))
        self.in_model = self.name.startswith("modeling_smoothclap/")
        self.in_trainer = self.name.startswith("trainer/")
        self.is_metric = self.name.startswith(METRIC_SCRIPTS) and self.name.count("/") > 3
        guarded = [node for node in ast.walk(self.tree) if isinstance(node, ast.Try)]
        self.guarded = {id(inner) for each in guarded for inner in ast.walk(each)}

    def imports(self, nodes: Iterator[ast.AST] | None = None) -> Iterator[tuple[ast.AST, int, str]]:
        """Yield every import with its number of leading dots and its module: (1, "loss_smoothclap")."""
        for node in nodes or ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node, 0, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield node, node.level, node.module or ""

    def at_import(self) -> Iterator[ast.AST]:
        """Yield the nodes that run when the module is imported: neither functions' bodies nor `TYPE_CHECKING`."""
        waiting: list[ast.AST] = list(self.tree.body)
        while waiting:
            node = waiting.pop()
            yield node
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            waiting += ast.iter_child_nodes(node)

    def faults(self, siblings: set[str]) -> Iterator[str]:
        """Yield what breaks a rule."""
        for node, level, module in self.imports():
            top = module.split(".")[0]
            if level == 0 and top == "trainer":
                yield f"line {node.lineno} imports the trainer by its folder's name"
            guarded = top in ONLY_IN_TRY and id(node) in self.guarded
            if self.in_model and level == 0 and top not in TRAVELS_WITH_THE_MODEL and not guarded:
                yield f"line {node.lineno} imports {top}, which may be missing where a checkpoint is loaded"
            if self.in_model and level and (level > 1 or module not in siblings):
                yield f"line {node.lineno}: transformers copies only what `from .sibling import name` names"
            if self.in_trainer and not self.is_metric and level == 0 and top in ("smoothclap_trainer", "tests"):
                yield f"line {node.lineno} imports its own package by name"
            if self.is_metric and level:
                yield f"line {node.lineno}: a copy of this script has no neighbours"
        if self.in_model and (0, "__future__") in {(level, module) for _, level, module in self.imports()}:
            yield "postponed annotations hide a model's configuration class from transformers"
        if (self.in_model or self.in_trainer) and len(self.lines) > LONGEST_FILE:
            yield f"{len(self.lines)} lines; at most {LONGEST_FILE}"
        if (self.in_model or self.in_trainer) and self.name != "trainer/cli.py":
            calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
            for call in calls:
                if ast.unparse(call.func) in ("print", "pprint"):
                    yield f"line {call.lineno} prints"


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    rooms = ("modeling_smoothclap", "trainer", "examples", "tests", "benchmarks")
    paths = (path for room in rooms for path in sorted((ROOT / room).rglob("*.py")))
    return [Source(path) for path in paths if "checkpoints" not in path.parts]


def test_the_rules_are_kept(sources):
    siblings = {Path(source.name).stem for source in sources if source.in_model}
    assert len(siblings) > 8 and sum(source.in_trainer for source in sources) > 40
    assert [f"{source.name}: {fault}" for source in sources for fault in source.faults(siblings)] == []


def test_the_rules_are_noticed_when_broken(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "modeling_smoothclap" / "new.py"
    path.parent.mkdir()
    path.write_text("import pandas\nimport soxr\nfrom .other import x\nfrom trainer import y\nprint(1)\n" + "\n" * 400)
    assert len(list(Source(path).faults({"new"}))) == 7


def test_listening_needs_no_training_libraries(sources):
    light = [source for source in sources if source.name in ("trainer/__init__.py", "trainer/cli.py")]
    needed = {(source.name, module.split(".")[0]) for source in light
              for _, level, module in source.imports(source.at_import()) if level == 0}  # fmt: skip
    assert [name for name in needed if name[1] not in LIGHT] == []


def test_converting_needs_no_data_libraries(sources):
    arrows, waiting = imports_of_each(sources), ["trainer/hub/conversion"]
    needed: set[str] = set()
    by_name = {source.name.removesuffix(".py").removesuffix("/__init__"): source for source in sources}
    while waiting:
        name = waiting.pop()
        source = by_name[name]
        needed |= {module.split(".")[0] for _, level, module in source.imports(source.at_import()) if not level}
        waiting += sorted(arrows.pop(name, set()) & arrows.keys())
    assert "transformers" in needed and not needed & {"accelerate", "datasets", "pandas", "pyarrow", "pydantic"}


def imports_of_each(sources) -> dict[str, set[str]]:
    """Each module of the packages to those of them that it imports when it is imported."""
    names = {source.name.removesuffix(".py").removesuffix("/__init__"): source for source in sources}
    arrows: dict[str, set[str]] = {}
    for name, source in names.items():
        if not (source.in_model or source.in_trainer):
            continue
        folder = source.name.split("/")[:-1]
        found = set()
        for node, level, module in source.imports(source.at_import()):
            if not level:
                continue
            base = "/".join([*folder[: len(folder) - level + 1], *module.split(".")]).rstrip("/")
            inner = {f"{base}/{alias.name}" for alias in node.names} & names.keys()
            found |= inner or ({base} & names.keys())
        arrows[name] = found - {name}
    return arrows


def test_imports_run_in_no_circle(sources):
    arrows = imports_of_each(sources)
    while leaves := {name for name, targets in arrows.items() if not targets & arrows.keys()}:
        arrows = {name: targets for name, targets in arrows.items() if name not in leaves}
    assert arrows == {}


@pytest.mark.parametrize("folder", CHECKPOINTS, ids=lambda path: path.name)
def test_a_checkpoints_code_is_the_packages(folder):
    copies = sorted(folder.glob("*.py"))
    assert {"configuration_smoothclap.py", "modeling_smoothclap.py"} <= {copy.name for copy in copies}
    package = ROOT / "modeling_smoothclap"
    assert [copy.name for copy in copies if copy.read_text() != (package / copy.name).read_text()] == []


def test_every_fault_that_users_met_has_tests():
    rows = (ROOT / "tests" / "faults.md").read_text(encoding="utf-8").splitlines()[7:]
    assert [row.split("|")[1].strip() for row in rows] == [str(number) for number in range(1, 39)]
    for row in rows:
        for file, name in (test.split("::") for test in re.findall(r"`([^`]+\.py::[^`]+)`", row)):
            assert f"def {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), row
