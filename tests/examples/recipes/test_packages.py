"""Fetching packages, with stand-ins for apt-get and dpkg-deb that write down what they are asked."""

import hashlib
import os

import pytest
from speech import packages
from speech.packages import fetch_package


APT = """#!/bin/sh
echo "apt-get $*" >> "$CALLS"
[ "$2" = unknown ] && { echo "E: Unable to locate package unknown" >&2; exit 100; }
[ "$2" = nothing ] && exit 0
echo deb > "$2_1.0-2_all.deb"
"""
DPKG = """#!/bin/sh
echo "dpkg-deb $1" >> "$CALLS"
case "$1" in
  --field) echo 1:1.0-2 ;;
  --extract) [ "$(cat "$2")" = deb ] || { echo "not a Debian archive" >&2; exit 2; }
             mkdir -p "$3/usr"; echo speech > "$3/usr/file" ;;
esac
"""


@pytest.fixture(autouse=True)
def _pinned(monkeypatch):
    toy = {"1:1.0-2": hashlib.sha256(b"deb\n").hexdigest(), "2.0": hashlib.sha256(b"deb").hexdigest()}
    monkeypatch.setitem(packages.PINNED, "toy", toy)


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A PATH on which our stand-ins come first; returns the folder and the file of calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in (("apt-get", APT), ("dpkg-deb", DPKG)):
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", str(calls))
    return folder, calls


def test_a_package_is_fetched_once_and_changes_in_its_tree_do_not_stay(tmp_path, tools):
    cache = tmp_path / "cache"
    package = fetch_package("toy", cache)
    assert (package.root / "usr/file").read_text() == "speech\n"
    assert package.provenance() == {
        "name": "toy",
        "version": "1:1.0-2",
        "sha256": hashlib.sha256(b"deb\n").hexdigest(),
    }
    (package.root / "usr/file").write_text("something else")
    (package.root / "usr/more").write_text("something else")
    assert fetch_package("toy", cache) == package
    assert [(path.name, path.read_text()) for path in (package.root / "usr").iterdir()] == [("file", "speech\n")]
    assert tools[1].read_text().splitlines().count("apt-get download toy") == 1


def test_a_file_that_lies_there_is_not_fetched(tmp_path, tools):
    (tmp_path / "toy_2.0_all.deb").write_text("deb")
    assert fetch_package("toy", tmp_path).root == tmp_path / "toy_2.0_all"
    assert "apt-get" not in tools[1].read_text()


def test_an_unknown_package_says_what_apt_said(tmp_path, tools):
    with pytest.raises(ValueError, match="unknown"):
        fetch_package("unknown", tmp_path)
    with pytest.raises(ValueError, match="nothing_"):
        fetch_package("nothing", tmp_path)


def test_a_file_that_is_not_pinned_is_not_unpacked(tmp_path, tools):
    (tmp_path / "toy_1_all.deb").write_text("something else")
    (tmp_path / "other_1_all.deb").write_text("deb")
    for name in ("toy", "other"):
        with pytest.raises(ValueError, match=f"{name}_1_all.deb has the SHA-256"):
            fetch_package(name, tmp_path)
    assert "dpkg-deb" not in tools[1].read_text() and not (tmp_path / "toy_1_all").exists()


def test_a_damaged_package_is_not_left_half_unpacked(tmp_path, tools, monkeypatch):
    monkeypatch.setitem(packages.PINNED, "toy", {"1": hashlib.sha256(b"half").hexdigest()})
    (tmp_path / "toy_1_all.deb").write_text("half")
    with pytest.raises(ValueError, match=r"toy_1_all\.deb"):
        fetch_package("toy", tmp_path)
    assert not (tmp_path / "toy_1_all").exists()


def test_without_apt_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"'apt-get'.*toy_VERSION_all\.deb"):
        fetch_package("toy", tmp_path / "cache")
