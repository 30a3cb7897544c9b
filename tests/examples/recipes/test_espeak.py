"""Finding espeak-ng, and speaking with it; with stand-ins for it, apt-get and dpkg-deb, and with itself where it is."""

import hashlib
import os
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from expressive.espeak import Espeak, check_voices, find_espeak, synthesize
from expressive.sentences import VOICES
from speech import packages

from .fake_espeak import calls, write_espeak


APT = """#!{python} -IS
import sys
if sys.argv[1] == "install":
    assert "--simulate" in sys.argv
    print("The following NEW packages will be installed:")
    for name in {packages!r}:
        print("Inst " + name + " (1.0 Debian:12 [amd64])")
        print("Conf " + name + " (1.0 Debian:12 [amd64])")
else:
    open(sys.argv[2] + "_1.0_amd64.deb", "w").write(sys.argv[2])
"""
DPKG = """#!{python} -IS
import os, shutil, sys
name, root = open(sys.argv[2]).read(), sys.argv[3]
library = root + "/usr/lib/machine"
os.makedirs(library + "/espeak-ng-data")
os.makedirs(root + "/usr/bin")
if name == "espeak-ng":
    shutil.copy({program!r}, root + "/usr/bin/espeak-ng")
if name == "espeak-ng-data":
    open(library + "/espeak-ng-data/phontab", "w").close()
if name == "libsonic0":
    open(library + "/libsonic.so.0", "w").close()
"""


@pytest.fixture(autouse=True)
def _pinned(monkeypatch):
    for name in ("libsonic0", "espeak-ng-data", "espeak-ng"):
        monkeypatch.setitem(packages.PINNED, name, {"1.0": hashlib.sha256(name.encode()).hexdigest()})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A `PATH` of one folder, with nothing in it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def espeak(folder):
    write_espeak(folder)
    return find_espeak("never looked into")


def write_tools(folder, packages, program="none"):
    for name, script in (("apt-get", APT), ("dpkg-deb", DPKG)):
        (folder / name).write_text(script.format(python=sys.executable, packages=packages, program=str(program)))
        (folder / name).chmod(0o755)


def test_an_installed_program_is_taken(folder, espeak):
    assert espeak == Espeak(str(folder / "espeak-ng"), "1.51")


def test_without_one_it_is_unpacked_with_what_it_lacks(tmp_path, folder, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    write_tools(folder, ["libsonic0", "espeak-ng-data", "espeak-ng"], write_espeak(tmp_path / "packed"))
    cache = tmp_path / "cache"
    espeak = find_espeak(cache)
    assert [package.name for package in espeak.packages] == ["libsonic0", "espeak-ng-data", "espeak-ng"]
    assert espeak.program == str(cache / "espeak-ng_1.0_amd64/usr/bin/espeak-ng")
    assert espeak.version == "1.51"
    assert espeak.environment == {
        "LD_LIBRARY_PATH": f"{cache / 'libsonic0_1.0_amd64/usr/lib/machine'}{os.pathsep}/opt/lib",
        "ESPEAK_DATA_PATH": str(cache / "espeak-ng-data_1.0_amd64/usr/lib/machine"),
    }


def test_the_environment_reaches_the_program(folder):
    program = folder / "tell"
    program.write_text(f"#!{sys.executable} -IS\nimport os\nprint(os.environ['ESPEAK_DATA_PATH'], end='')")
    program.chmod(0o755)
    assert Espeak(str(program), "1", {"ESPEAK_DATA_PATH": "/data"}).run([]) == b"/data"


def test_without_apt_the_cure_is_told(folder):
    with pytest.raises(ValueError, match="'espeak-ng'"):
        find_espeak(folder)


def test_packages_without_the_program_are_refused(tmp_path, folder):
    write_tools(folder, ["espeak-ng-data"])
    with pytest.raises(ValueError, match="'espeak-ng-data'"):
        find_espeak(tmp_path / "cache")


def test_another_program_of_the_name_is_refused(folder):
    write_espeak(folder, version="speak 3")
    with pytest.raises(ValueError, match="'speak 3'"):
        find_espeak(folder)


def test_unknown_voices_are_named(espeak):
    check_voices(espeak, VOICES)
    with pytest.raises(ValueError, match=r"\['f', 'tenor'\]"):
        check_voices(espeak, ["f1", "f", "tenor"])


def test_speaking_passes_settings_and_escapes_text(folder, espeak):
    samples, rate = synthesize(espeak, "5 < 6 & 7", "en+f1", pitch=42, pitch_range=66, rate=350, amplitude=50)
    assert (rate, samples.dtype, samples.shape) == (22050, np.float32, (8820,))  # 0.8 s at twice the usual rate
    assert calls(folder) == [
        "['-m', '-b', '1', '-z', '-v', 'en+f1', '-p', '42', '-s', '350', '-a', '50', '--stdin', '--stdout'] "
        '<prosody range="66%">5 &lt; 6 &amp; 7</prosody>'
    ]


def test_failures_say_what_was_asked(espeak):
    settings = {"pitch": 50, "pitch_range": 100, "rate": 175, "amplitude": 100}
    with pytest.raises(ValueError, match="cannot say that"):
        synthesize(espeak, "refuse", "en+f1", **settings)
    with pytest.raises(ValueError, match=r"'mute'.*'en\+f1'"):
        synthesize(espeak, "mute", "en+f1", **settings)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="there is no espeak-ng on the PATH")
def test_the_real_program_speaks_faster_and_has_the_voices(tmp_path):
    espeak = find_espeak(tmp_path)
    check_voices(espeak, VOICES)
    settings = {"pitch": 42, "pitch_range": 66, "amplitude": 35}
    slow, fast = (
        synthesize(espeak, "The grüne Bank is near.", "de+f1", rate=rate, **settings)[0] for rate in (150, 225)
    )
    assert len(slow) / len(fast) == pytest.approx(1.5, abs=0.15)
    assert 0.02 < np.abs(slow).max() < 0.5
    with pytest.raises(ValueError):
        synthesize(replace(espeak, environment={"ESPEAK_DATA_PATH": str(tmp_path)}), "a", "en+f1", rate=175, **settings)
