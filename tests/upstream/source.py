"""Transformers' own common test suites, taken from the source distribution of the installed version.

The wheel of transformers leaves its tests out, so the source distribution is fetched once, into a cache that git
ignores, and its `tests/*.py` are unpacked as a package of their own, `transformers_tests`. None is copied here.
"""

import importlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType

import transformers
from filelock import FileLock


CACHE = Path(__file__).parents[2] / ".cache" / "upstream"
PACKAGE = "transformers_tests"
STUBS = {  # what the suites import and the distribution leaves out
    f"{PACKAGE}/__init__.py": "",
    f"{PACKAGE}/exporters/test_export.py": "class ExportTesterMixin: pass",
    f"{PACKAGE}/generation/test_utils.py": "class GenerationTesterMixin: pass",
    # Read for configurations without sub-configurations only, which ours is not.
    f"{PACKAGE}/utils/test_configuration_utils.py": "config_common_kwargs = {}",
    "utils/fetch_hub_objects_for_ci.py": "def url_to_local_path(url): return url",
}


def load(name: str) -> ModuleType:
    """Import one of Transformers' test modules, e.g. `"test_modeling_common"`, fetching them if need be."""
    root = CACHE / transformers.__version__
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / "lock"):  # the test processes of one run all come here
        if not root.is_dir():
            _unpack(_distribution(), root)
    if str(root) not in sys.path:
        sys.path.append(str(root))
    return importlib.import_module(f"{PACKAGE}.{name}")


def _distribution() -> Path:
    version = transformers.__version__
    archive = CACHE / f"transformers-{version}.tar.gz"
    if not archive.is_file():
        # Without build isolation, because pip wants to know no more than the package's name and version.
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        command += ["--retries", "1", "--no-binary", "transformers", "--dest", str(CACHE), f"transformers=={version}"]
        outcome = subprocess.run(command, capture_output=True, text=True)
        if outcome.returncode or not archive.is_file():
            raise RuntimeError(
                f"The common test suites of transformers {version} could not be fetched. Run the tests once where pip "
                f"reaches a package index, or put {archive.name} into {CACHE}. pip said:\n{outcome.stderr}"
            )
    return archive


def _unpack(archive: Path, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as folder, tarfile.open(archive) as tar:
        unfinished = Path(folder) / "root"
        files = STUBS | {
            f"{PACKAGE}/{member.name.split('/')[-1]}": tar.extractfile(member).read().decode()
            for member in tar
            if re.fullmatch(r"[^/]+/tests/\w+\.py", member.name)
        }
        for path, text in files.items():
            (unfinished / path).parent.mkdir(parents=True, exist_ok=True)
            (unfinished / path).write_text(text, encoding="utf-8")
        unfinished.rename(root)  # all of it or nothing
