"""The rules of the house that a machine can check: which room may import which, and how large a file may grow."""

import ast
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
ROOMS = ("modeling_smoothclap", "trainer", "examples", "tests", "benchmarks")
FILES = sorted(
    path
    for room in ROOMS
    for path in (ROOT / room).rglob("*.py")
    if not {"__pycache__", "checkpoints"} & set(path.relative_to(ROOT).parts)
)
MODEL_FILES = [path for path in FILES if path.is_relative_to(ROOT / "modeling_smoothclap")]
TRAINER_FILES = [path for path in FILES if path.is_relative_to(ROOT / "trainer")]
# `evaluate` runs a copy of a metric's script in a folder of its own, from where no relative import leads back.
METRIC_SCRIPTS = [path for path in TRAINER_FILES if path.match("trainer/evaluation/modules/*/*.py")]
CHECKPOINTS = sorted(path for path in (ROOT / "modeling_smoothclap" / "checkpoints").glob("*") if path.is_dir())

TRAVELS_WITH_THE_MODEL = {"torch", "numpy", "transformers", "huggingface_hub", *sys.stdlib_module_names}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(tree: ast.AST) -> set[tuple[int, str]]:
    """Every import as its number of leading dots and its module: (0, "torch.nn") or (1, "loss_smoothclap")."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.level, node.module or ""))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            literal = isinstance(node.args[0], ast.Constant)
            found.add((0, node.args[0].value if literal else "an import that only running it could tell"))
    return found


def tops(path: Path) -> set[str]:
    """Top-level names that a file imports absolutely."""
    return {module.split(".")[0] for level, module in imports(ast.parse(path.read_text())) if level == 0}


def test_the_search_for_imports_finds_every_form():
    source = "import a.b, c\nfrom d.e import f\nfrom .g import h\nfrom .. import i\ndef j():\n    import k\n"
    source += "__import__('l')\nimportlib.import_module('m.n')\n"
    assert imports(ast.parse(source)) == {
        (0, "a.b"), (0, "c"), (0, "d.e"), (1, "g"), (2, ""), (0, "k"), (0, "l"), (0, "m.n"),
    }  # fmt: skip


def test_both_packages_are_searched():
    assert {"configuration_smoothclap.py", "modeling_smoothclap.py"} <= {path.name for path in MODEL_FILES}
    assert len(TRAINER_FILES) > 5


@pytest.mark.parametrize("path", MODEL_FILES, ids=name_of)
def test_what_travels_to_the_hub_imports_little(path):
    assert tops(path) <= TRAVELS_WITH_THE_MODEL


@pytest.mark.parametrize("path", MODEL_FILES, ids=name_of)
def test_what_travels_to_the_hub_imports_its_siblings_by_from_dot_x(path):
    # Transformers copies a checkpoint's code by following exactly these.
    relative = {(level, module) for level, module in imports(ast.parse(path.read_text())) if level}
    siblings = {sibling.stem for sibling in MODEL_FILES}
    assert {level for level, _ in relative} <= {1}
    assert {module for _, module in relative} <= siblings - {"__init__"}


@pytest.mark.parametrize("path", TRAINER_FILES, ids=name_of)
def test_the_trainer_imports_its_own_rooms_relatively(path):
    excepted = {"smoothclap_trainer"} if path in METRIC_SCRIPTS else set()
    assert not tops(path) & {"trainer", "smoothclap_trainer", "tests", "examples", "benchmarks"} - excepted


@pytest.mark.parametrize("path", METRIC_SCRIPTS, ids=name_of)
def test_a_metrics_script_imports_by_name_only(path):
    assert {level for level, _ in imports(ast.parse(path.read_text()))} == {0}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nobody_imports_the_trainer_by_its_folders_name(path):
    assert "trainer" not in tops(path)


@pytest.mark.parametrize("path", MODEL_FILES + TRAINER_FILES, ids=name_of)
def test_the_packages_do_not_print(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert [node.lineno for node in calls if ast.unparse(node.func) in ("print", "pprint", "builtins.print")] == []


@pytest.mark.parametrize("path", MODEL_FILES, ids=name_of)
def test_annotations_of_the_model_are_not_postponed(path):
    # Transformers reads a model's `config` annotation when the class is made.
    assert (0, "__future__") not in imports(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", MODEL_FILES + TRAINER_FILES, ids=name_of)
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) < 400


@pytest.mark.parametrize("path", CHECKPOINTS, ids=name_of)
def test_a_checkpoints_code_is_the_packages(path):
    copies = sorted(path.glob("*.py"))
    assert {"configuration_smoothclap.py", "modeling_smoothclap.py"} <= {copy.name for copy in copies}
    for copy in copies:
        assert copy.read_text() == (ROOT / "modeling_smoothclap" / copy.name).read_text(), (
            f"{name_of(copy)} differs from the package's; save the checkpoint again"
        )
