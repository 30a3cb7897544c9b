"""The wheel, installed away from this checkout: it is complete, and a light install of it listens."""

import importlib.metadata
import json
import shutil
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.clean_process import FORGET_THE_PACKAGES, run_python


ROOT = Path(__file__).parents[1]
QUIET = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
OF_TRAIN = ("accelerate", "datasets", "evaluate", "jinja2", "pandas", "peft", "pyarrow")

COMMANDS = [
    ["rank", "--labels", "a low voice", "a high voice"],
    ["embed", str(ROOT / "modeling_smoothclap" / "clips")],
    ["doctor"],
    ["train", "config.yaml"],
    ["train", "--init", "clips.csv"],
    ["evaluate", "--list"],
    ["clep-dg", "config.yaml"],
    ["card", "folder"],
    ["convert", "KeiKinn/paraclap", "OUT"],
]
LIGHT = f"""
{FORGET_THE_PACKAGES}
sys.path.insert(0, sys.argv[1])
for name in {OF_TRAIN}:
    sys.modules[name] = None
from importlib.metadata import distribution
from typer.testing import CliRunner
found = distribution("smoothclap")
assert found.locate_file("").samefile(sys.argv[1]), "another installation"
(command,) = found.entry_points
assert command.name == "smoothclap"
ran = [CliRunner().invoke(command.load(), words) for words in {COMMANDS}]
print(json.dumps([[each.exit_code, each.stdout, each.stderr] for each in ran]))
"""
"""Runs the console command of the wheel as a light install has it."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built in a copy, so that no earlier build of this checkout gets into it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in ("modeling_smoothclap", "trainer"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run_python(["-m", "pip", "wheel", *QUIET, "--no-build-isolation", "--wheel-dir", str(target), str(source)], source)
    (built,) = target.glob("smoothclap-*.whl")
    return built


@pytest.fixture(scope="module")
def light(wheel, tmp_path_factory) -> tuple[Path, list[tuple[int, str, str]]]:
    """A folder, and the status and output of each of the commands there, without the libraries of the extra `train`."""
    folder, installed = tmp_path_factory.mktemp("light"), tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(installed)  # which is all that pip would do
    printed = run_python(["-I", "-c", LIGHT, str(installed)], folder)
    return folder, [tuple(each) for each in json.loads(printed.splitlines()[-1])]


def files_of(folder: Path, *patterns: str) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for pattern in patterns
        for path in folder.glob(pattern)
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_both_packages_and_nothing_else(wheel):
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    inside = ("*.py", "py.typed", "checkpoints/*/*", "checkpoints/*/*/*", "clips/*")
    wanted = {f"modeling_smoothclap/{name}" for name in files_of(ROOT / "modeling_smoothclap", *inside)}
    rooms = files_of(ROOT / "trainer", "**/*.py", "py.typed", "templates/*.jinja", "*/*.toml", "data/captions/*.toml")
    assert packed == wanted | {f"smoothclap_trainer/{name}" for name in rooms}
    assert {f"modeling_smoothclap/clips/{name}" for name in ("LICENSE", "low_voice.flac", "high_voice.flac")} <= packed


def test_what_the_wheel_says_of_itself(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = Parser().parsestr(archive.read(name).decode())
    assert "Apache-2.0" in said["License-Expression"] and said.get_all("Project-URL")
    assert any(each.endswith("smoothclap-tiny/NOTICE") for each in said.get_all("License-File"))
    required = [each for each in said.get_all("Requires-Dist") if "extra ==" not in each]
    assert not {each for each in required if each.startswith(OF_TRAIN)}
    extras = set(said.get_all("Provides-Extra"))
    assert {"train", "opensmile", "plots", "logging", "acoustics", "dev", "bench"} <= extras


def test_a_light_install_ranks_embeds_and_is_examined(light):
    folder, (ranked, embedded, examined, *_) = light
    lines = [line.split()[:3] for line in ranked[1].splitlines() if line.startswith("  ")]
    assert lines == [["a", kind, "voice"] for kind in ("low", "high", "high", "low")], ranked
    assert embedded[0] == 0 and (folder / "embeddings.npz").is_file(), embedded
    assert examined[0] == 0 and importlib.metadata.version("torch") in examined[1], examined


def test_what_a_light_install_lacks_is_named_in_one_line(light):
    for words, (status, stdout, stderr) in list(zip(COMMANDS, light[1], strict=True))[3:]:
        assert (status, stdout) == (1, ""), words
        assert stderr.count("\n") == 1 and 'pip install "smoothclap[train]"' in stderr, words
