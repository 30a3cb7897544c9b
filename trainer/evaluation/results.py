"""The results of an evaluation as a JSON file: what is said of the data, of the software, and how it is written."""

import hashlib
import json
import math
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from modeling_smoothclap.audio_smoothclap import PROBLEMS

from ..data.workers import ordered_map
from ..files import file_sha256, write_json


FORMAT = 1
"""Of the results; to be raised when a reader of the old ones could not read the new."""
DECIMALS = 6
"""That floating-point figures are rounded to."""


def file_hashes(paths: Iterable[str], num_workers: int = 2) -> dict[str, str]:
    """
    Hash files, each once.

    Args:
        paths (`Iterable[str]`): Files; one may come several times.
        num_workers (`int`, defaults to 2): Threads that read.

    Returns:
        `dict[str, str]`: Path to SHA-256 in hexadecimal.
    """
    distinct = sorted(set(paths))
    return dict(zip(distinct, ordered_map(file_sha256, distinct, num_workers, threads=True), strict=True))


def describe_data(
    rows: pd.DataFrame, classes: Sequence[str], hashes: Mapping[str, str], doubtful: Mapping[str, str]
) -> dict[str, Any]:
    """
    Say what was judged.

    Args:
        rows (`pd.DataFrame`): With `id`, `path`, `label` and `speaker`, and `left_out` among its `attrs`.
        classes (`Sequence[str]`): All classes, in their order.
        hashes (`Mapping[str, str]`): From [`file_hashes`], of every `path`.
        doubtful (`Mapping[str, str]`): From [`embed_files`]: path to problem, of those judged in spite of one.

    Returns:
        `dict[str, Any]`: `clips`, `per_class`, `left_out` and `doubtful`, which are numbers of clips; `speakers`, None
        if none is known; `sha256` over ids, labels and the bytes of the files, in the order of the rows, wherever the
        files lie.
    """
    digest = hashlib.sha256()
    for name, path, label in zip(rows["id"], rows["path"], rows["label"], strict=True):
        digest.update(json.dumps([name, label, hashes[path]]).encode())
    problems = Counter(doubtful.get(path) for path in rows["path"])
    return {
        "clips": len(rows),
        "per_class": {name: int((rows["label"] == name).sum()) for name in classes},
        "speakers": int(rows["speaker"].nunique()) or None,
        "left_out": {reason: int(clips) for reason, clips in rows.attrs.get("left_out", {}).items()},
        "doubtful": {problem: problems[problem] for problem in PROBLEMS if problem in problems},
        "sha256": digest.hexdigest(),
    }


def versions() -> dict[str, str]:
    """The versions of what figures may depend on, by name."""
    packages = {name: version(name) for name in ("smoothclap", "transformers", "torch", "numpy")}
    return packages | {"python": platform.python_version()}


def ready_for_json(value: Any) -> Any:
    """
    Round and convert.

    Args:
        value: Anything made of mappings, sequences, numbers of Python or numpy, strings and None.

    Returns:
        The same of plain dictionaries and lists; floats rounded to 6 decimals, and None for those that are not finite.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.results import ready_for_json
    >>> ready_for_json({"uar": 2 / 3, "low": float("nan"), "classes": ("sad", "happy")})
    {'uar': 0.666667, 'low': None, 'classes': ['sad', 'happy']}

    ```
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): ready_for_json(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [ready_for_json(each) for each in value]
    if isinstance(value, float):
        return round(value, DECIMALS) + 0.0 if math.isfinite(value) else None  # adding 0.0 makes -0.0 zero
    return value


def write_results(results: Mapping[str, Any], path: str | Path) -> None:
    """
    Write results as a whole or not at all.

    Args:
        results (`Mapping[str, Any]`): Ready for JSON. The order of keys is kept.
        path (`str` or `Path`): The file; its folder is made.
    """
    write_json(path, results)
