"""
Every Python snippet of the pages runs as a reader would run it: alone, in a new process and an empty folder.

It runs without network and without anything a model hub left on this machine. A snippet that cannot, say as it trains
for hours, carries `<!-- not run: reason -->` on the line before.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import PAGES, ROOT, Snippet, snippets


PYTHON = ("python", "py", "python3")
NOWHERE = "http://127.0.0.1:9"  # the discard port: whatever asks this proxy is refused at once
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    **{f"{scheme}_proxy": NOWHERE for scheme in ("http", "https", "all")},
    **{f"{scheme}_PROXY": NOWHERE for scheme in ("HTTP", "HTTPS", "ALL")},
    "no_proxy": "",
    "NO_PROXY": "",
}
SNIPPETS = {
    f"{page.relative_to(ROOT)}:{snippet.line}": snippet
    for page in PAGES
    for snippet in snippets(page.read_text(encoding="utf-8"))
    if snippet.language in PYTHON
}


def run(snippet: Snippet, folder: Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs the snippet in a new folder `folder/empty`; line numbers of its traceback are those of the page."""
    (folder / "empty").mkdir()
    script = folder / "script" / "snippet.py"
    script.parent.mkdir()
    script.write_text("\n" * (snippet.line - 1) + snippet.code + "\n", encoding="utf-8")
    environment = os.environ | OFFLINE | {"HF_HOME": str(folder / "hub"), "MPLBACKEND": "Agg"}
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder / "empty",
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


@pytest.mark.parametrize("name", [name for name, snippet in SNIPPETS.items() if not snippet.not_run])
def test_snippet_runs(name: str, tmp_path: Path) -> None:
    result = run(SNIPPETS[name], tmp_path)
    assert result.returncode == 0, f"{name}\n{result.stdout}\n{result.stderr}"


def test_first_python_of_the_readme_is_run() -> None:
    names = [name for name in SNIPPETS if name.startswith("README.md:")]
    assert names, "README.md shows no Python"
    assert SNIPPETS[names[0]].not_run is None


def test_snippets_finds_language_line_code_and_marker() -> None:
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
        ]
    )
    assert list(snippets(text)) == [
        Snippet("python", 2, "one = 1"),
        Snippet("py", 6, "```", "trains for hours"),
        Snippet("", 10, "two\n  three"),
        Snippet("python", 15, ""),  # a marker without a reason marks nothing
    ]


def test_snippets_rejects_a_block_without_end() -> None:
    with pytest.raises(ValueError, match="line 2 is never closed"):
        list(snippets("text\n```python\nx = 1\n"))


def test_run_starts_in_an_empty_folder_without_network(tmp_path: Path) -> None:
    code = (
        "import os, urllib.request\nassert os.listdir() == []\nurllib.request.urlopen('http://example.org', timeout=9)"
    )
    result = run(Snippet("python", 40, code), tmp_path)
    assert result.returncode == 1
    assert 'snippet.py", line 42' in result.stderr
    assert "Connection refused" in result.stderr
