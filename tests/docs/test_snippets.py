"""
Every Python block and every block of `smoothclap` commands runs as a reader would run it: alone, in a new process.

It runs in an empty folder, without network and without anything that a model hub left on this machine. A marker on the
line before a block changes that: `<!-- given: speech -->` puts files into the folder, see `given.py`, and
`<!-- not run: reason -->` leaves the block out.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from .given import GIVEN
from .pages import PAGES, ROOT, Snippet, snippets


PYTHON = ("python", "py", "python3")
SHELL = ("bash", "sh")
NOWHERE = "http://127.0.0.1:9"  # the discard port: whatever asks this proxy is refused at once
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    **{f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")},
    **{f"{scheme}_PROXY": NOWHERE for scheme in ("HTTP", "HTTPS", "ALL")},
    "no_proxy": "",
    "NO_PROXY": "",
}


def can_run(snippet: Snippet) -> bool:
    """Whether a block is Python, or commands of this package only."""
    if snippet.language in PYTHON:
        return True
    commands = "\n".join(snippet.code_lines).replace("\\\n", "").splitlines()
    return snippet.language in SHELL and all(shlex.split(each)[0] == "smoothclap" for each in commands)


SNIPPETS = {
    f"{page.relative_to(ROOT)}:{snippet.line}": snippet
    for page in PAGES
    for snippet in snippets(page.read_text(encoding="utf-8"))
    if can_run(snippet)
}


def run(snippet: Snippet, folder: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a block in a new folder `folder/work`; line numbers of errors are those of the page."""
    work, script = folder / "work", folder / "script" / "snippet.py"
    work.mkdir()
    if snippet.given:
        GIVEN[snippet.given](work)
    script.parent.mkdir()
    script.write_text("\n" * (snippet.line - 1) + snippet.code + "\n", encoding="utf-8")
    command = [sys.executable] if snippet.language in PYTHON else ["bash", "-eu"]
    environment = os.environ | OFFLINE | {"HF_HOME": str(folder / "hub"), "MPLBACKEND": "Agg"}
    environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environment["PATH"]])
    return subprocess.run(
        [*command, str(script)], cwd=work, env=environment, capture_output=True, text=True, timeout=timeout
    )


@pytest.mark.parametrize("name", [name for name, snippet in SNIPPETS.items() if not snippet.not_run])
def test_snippet_runs(name: str, tmp_path: Path) -> None:
    result = run(SNIPPETS[name], tmp_path)
    assert result.returncode == 0, f"{name}\n{result.stdout}\n{result.stderr}"


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
    with pytest.raises(ValueError, match="line 2 is never closed"):
        list(snippets("text\n```python\nx = 1\n"))


def test_only_commands_of_this_package_are_run() -> None:
    assert can_run(Snippet("bash", 1, "# first\nsmoothclap train \\\n  a.yaml  # here\n\nsmoothclap doctor"))
    assert not can_run(Snippet("bash", 1, "smoothclap doctor\nmake test"))
    assert not can_run(Snippet("yaml", 1, "smoothclap: 1"))


def test_run_starts_in_an_empty_folder_without_network(tmp_path: Path) -> None:
    code = (
        "import os, urllib.request\nassert os.listdir() == []\nurllib.request.urlopen('http://example.org', timeout=9)"
    )
    result = run(Snippet("python", 40, code), tmp_path)
    assert result.returncode == 1
    assert 'snippet.py", line 42' in result.stderr
    assert "Connection refused" in result.stderr


def test_run_stops_at_the_first_command_that_fails(tmp_path: Path) -> None:
    result = run(Snippet("bash", 1, "smoothclap nonsense\nsmoothclap doctor", given="speech"), tmp_path)
    assert result.returncode == 2
    assert "nonsense" in result.stderr
    assert len(list((tmp_path / "work" / "clips").glob("*.wav"))) == 12
