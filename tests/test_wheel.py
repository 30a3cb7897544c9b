"""The wheel, installed away from this checkout, holds all that a first classification needs."""

import json
import shutil
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.clean_process import run_python


ROOT = Path(__file__).parents[1]

CLASSIFY = """
import json
import numpy as np
import modeling_smoothclap
import smoothclap_trainer
from transformers import AutoModel, pipeline

seconds = np.arange(16000) / 16000
clip = (0.3 * np.sin(2 * np.pi * 150 * seconds * (1 + seconds))).astype(np.float32)  # a tone that rises
pipe = pipeline("zero-shot-audio-classification", model=modeling_smoothclap.SMOOTHCLAP_TINY)
found = pipe(clip, candidate_labels=["a low voice", "a high voice"], hypothesis_template="{}")
print(json.dumps({
    "scores": {each["label"]: each["score"] for each in found},
    "files": [modeling_smoothclap.__file__, smoothclap_trainer.__file__],
    "checkpoint": modeling_smoothclap.SMOOTHCLAP_TINY,
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel, built in a copy, so that no earlier build of this checkout gets into it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for package in ("modeling_smoothclap", "trainer"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    run_python(["-m", "pip", "wheel", *offline, "--wheel-dir", str(target), str(source)], source)
    (built,) = target.glob("smoothclap-*.whl")
    return built


@pytest.fixture(scope="module")
def clean_python(wheel, tmp_path_factory) -> Path:
    """The interpreter of a new environment that holds the wheel, and borrows what the wheel depends on."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    quiet = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    run_python(["-m", "pip", "--python", str(python), "install", *quiet, str(wheel)], folder)
    # A path in a .pth file is only a path: the .pth files there, an editable install's among them, are not read.
    inside = run_python(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder, str(python)).strip()
    Path(inside, "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return python


def test_the_wheel_holds_every_module_and_the_checkpoint(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"modeling_smoothclap/{path.name}" for path in (ROOT / "modeling_smoothclap").glob("*.py")}
    wanted |= {
        f"smoothclap_trainer/{path.relative_to(ROOT / 'trainer').as_posix()}"
        for path in (ROOT / "trainer").rglob("*.py")
    }
    checkpoint = ROOT / "modeling_smoothclap" / "checkpoints" / "smoothclap-tiny"
    files = {path.relative_to(ROOT).as_posix() for path in checkpoint.rglob("*") if path.is_file()}
    assert {
        f"modeling_smoothclap/checkpoints/smoothclap-tiny/{name}" for name in ("config.json", "model.safetensors")
    } <= files
    assert sorted((wanted | files) - packed) == []


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"modeling_smoothclap", "smoothclap_trainer"}


def test_the_installed_wheel_classifies_a_clip(clean_python, tmp_path):
    printed = run_python(["-I", "-c", CLASSIFY], tmp_path, str(clean_python))
    result = json.loads(printed.splitlines()[-1])
    sys.stdout.write(f"{result}\n")
    environment = clean_python.parents[1].resolve()
    for file in [*result["files"], result["checkpoint"]]:
        assert Path(file).resolve().is_relative_to(environment), file
    assert set(result["scores"]) == {"a low voice", "a high voice"}
    assert sum(result["scores"].values()) == pytest.approx(1, abs=1e-5)
