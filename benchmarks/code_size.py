"""
How large the packages are, and how readable by numbers: files, lines, documentation, types, longest function.

    python benchmarks/code_size.py                      # both packages of this project, with their tests
    python benchmarks/code_size.py FOLDER [FOLDER ...]  # any other Python packages, for comparison

Prints one table. Lines are all lines of a file; documented and typed are shares of public functions, methods and
classes with a docstring, and of all functions whose arguments and result are annotated. Public names are the functions
and classes that a module defines at its top level.
"""

import ast
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path


ROOT = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(folders: Iterable[Path]) -> list[Path]:
    """Return the Python files of folders, without those of checkpoints, tests and caches."""
    skipped = {"checkpoints", "tests", "test", "__pycache__"}
    return sorted(
        path for folder in folders for path in folder.rglob("*.py") if not skipped & set(path.relative_to(folder).parts)
    )


def functions(tree: ast.AST) -> Iterator[Function]:
    """Yield every function and method, nested ones among them."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Yield public functions and classes, and the public methods of these classes."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (each for each in public(node.body) if isinstance(each, Function))


def is_typed(function: Function) -> bool:
    """Whether all arguments but `self` and `cls`, and the result, are annotated. `__init__` needs no result."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    named = [each for each in arguments if each.arg not in ("self", "cls")]
    result = function.returns is not None or function.name == "__init__"
    return result and all(each.annotation is not None for each in named)


def share(flags: list[bool]) -> str:
    """Return the share of true values in percent."""
    return f"{100 * sum(flags) / len(flags):.0f} %" if flags else "-"


def measure(folders: list[Path], tests: Path | None = None) -> dict[str, str]:
    """Return the row of the table for the packages in `folders`."""
    files = python_files(folders)
    texts = [path.read_text(encoding="utf-8") for path in files]
    trees = [ast.parse(text) for text in texts]
    lines = [len(text.splitlines()) for text in texts]
    found = [node for tree in trees for node in public(tree.body)]
    every = [function for tree in trees for function in functions(tree)]
    names = [node for tree in trees for node in tree.body if isinstance(node, Function | ast.ClassDef)]
    longest = max((function.end_lineno or 0) - function.lineno + 1 for function in every)
    row = {
        "files": str(len(files)),
        "lines": str(sum(lines)),
        "median / max file": f"{statistics.median(lines):.0f} / {max(lines)}",
        "documented": share([ast.get_docstring(node) is not None for node in found]),
        "typed": share([is_typed(function) for function in every]),
        "longest function": str(longest),
        "public names": str(sum(not node.name.startswith("_") for node in names)),
    }
    if tests is not None:
        test_lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in tests.rglob("*.py"))
        row["test lines per line"] = f"{test_lines / sum(lines):.2f}"
    return row


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        rows = {Path(name).name: measure([Path(name)]) for name in sys.argv[1:]}
    else:
        rows = {"smoothclap": measure([ROOT / "modeling_smoothclap", ROOT / "trainer"], ROOT / "tests")}
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print("| |", " | ".join(columns), "|")
    print("|---|" + "---|" * len(columns))
    for name, row in rows.items():
        print(f"| {name} |", " | ".join(row.get(column, "-") for column in columns), "|")


if __name__ == "__main__":
    main()
