"""
Every Python block and every block of `smoothclap` commands runs as a reader would run it: alone, in a new process.

It runs in an empty folder, without network and without anything that a model hub left on this machine. A marker on the
line before a block changes that: `<!-- given: speech -->` puts files into the folder, see `given.py`, and
`<!-- not run: reason -->` leaves the block out.
"""

import shlex
from pathlib import Path

import pytest

from tests import processes

from .given import GIVEN
from .pages import PAGES, ROOT, Snippet, snippets


PYTHON = ("python", "py", "python3")
SHELL = ("bash", "sh")
NOWHERE = "http://127.0.0.1:9"  # the discard port: whatever asks this proxy is refused at once
OFFLINE = {
    "MPLBACKEND": "Agg",
    **{f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")},
    **{f"{scheme}_PROXY": NOWHERE for scheme in ("HTTP", "HTTPS", "ALL")},
    "no_proxy": "",
    "NO_PROXY": "",
}


def commands(snippet: Snippet) -> list[list[str]]:
    """The words of each command of a block; comments are left out."""
    lines = "\n".join(snippet.code_lines).replace("\\\n", "").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def can_run(snippet: Snippet) -> bool:
    """Whether a block is Python, or commands of this package only."""
    if snippet.language in PYTHON:
        return True
    return snippet.language in SHELL and all(words[0] == "smoothclap" for words in commands(snippet))


SNIPPETS = {
    f"{page.relative_to(ROOT)}:{snippet.line}": snippet
    for page in PAGES
    for snippet in snippets(page.read_text(encoding="utf-8"))
    if can_run(snippet)
}


def run(snippet: Snippet, folder: Path) -> tuple[int, str]:
    """Run a block in a new folder `folder/work`, as far as the first command that fails. Return status and output.

    Line numbers of errors are those of the page.
    """
    work, file = folder / "work", folder / "snippet.py"
    work.mkdir()
    if snippet.given:
        GIVEN[snippet.given](work)
    file.write_text("\n" * (snippet.line - 1) + snippet.code + "\n", encoding="utf-8")
    calls: list[tuple[Path | str, list[str]]] = [(file, [])]
    if snippet.language in SHELL:
        calls = [("smoothclap_trainer.cli", words[1:]) for words in commands(snippet)]
    printed = ""
    for number, (program, arguments) in enumerate(calls):
        with processes.script(program, arguments, folder / str(number), work=work, **OFFLINE) as process:
            (status,) = process.end(seconds=300)
        printed += process.printed()
        if status:
            break
    return status, printed


@pytest.mark.parametrize("name", [name for name, snippet in SNIPPETS.items() if not snippet.not_run])
def test_snippet_runs(name: str, tmp_path: Path) -> None:
    status, printed = run(SNIPPETS[name], tmp_path)
    assert status == 0, f"{name}\n{printed}"


def test_first_python_of_the_readme_is_run() -> None:
    names = [name for name, snippet in SNIPPETS.items() if name.startswith("README.md:") and snippet.language in PYTHON]
    assert names, "README.md shows no Python"
    assert SNIPPETS[names[0]].not_run is None


def test_snippets_finds_language_line_code_and_markers() -> None:
    text = "\n".join(
        [
            "```python",
            "one = 1",
            "```",
            "<!-- not run: trains for hours -->",
            "````py",
            "```",
            "````",
            "- in a list",
            "  ~~~",
            "  two",
            "    three",
            "  ~~~",
            "<!-- not run: -->",
            "```python",
            "```",
            "<!-- given: speech -->",
            "<!-- not run: trains for hours -->",
            "```sh",
            "```",
            "<!-- given: speech -->",
            "",
            "```",
            "```",
        ]
    )
    assert list(snippets(text)) == [
        Snippet("python", 2, "one = 1"),
        Snippet("py", 6, "```", "trains for hours"),
        Snippet("", 10, "two\n  three"),
        Snippet("python", 15, ""),  # a marker without a reason marks nothing
        Snippet("sh", 19, "", "trains for hours", "speech"),
        Snippet("", 23, ""),  # nor does one that is further away
    ]


def test_snippets_rejects_a_block_without_end() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(snippets("text\n```python\nx = 1\n"))


def test_only_commands_of_this_package_are_run() -> None:
    assert can_run(Snippet("bash", 1, "# first\nsmoothclap train \\\n  a.yaml  # here\n\nsmoothclap doctor"))
    assert not can_run(Snippet("bash", 1, "smoothclap doctor\nmake test"))
    assert not can_run(Snippet("yaml", 1, "smoothclap: 1"))


def test_run_starts_in_an_empty_folder_without_network(tmp_path: Path) -> None:
    code = (
        "import os, urllib.request\nassert os.listdir() == []\nurllib.request.urlopen('http://example.org', timeout=9)"
    )
    status, printed = run(Snippet("python", 40, code), tmp_path)
    assert status == 1
    assert 'snippet.py", line 42' in printed
    assert "Connection refused" in printed


def test_run_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    status, printed = run(Snippet("bash", 1, "smoothclap nonsense\nsmoothclap doctor", given="speech"), tmp_path)
    assert status == 2
    assert "nonsense" in printed and "torch" not in printed
    assert len(list((tmp_path / "work" / "clips").glob("*.wav"))) == 12
