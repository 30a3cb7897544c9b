"""eGeMAPSv02 functionals of clips by openSMILE, computed once per clip and kept in a parquet cache."""

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset, Features, Value, concatenate_datasets
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import SILENCE_DBFS, ClipError, clip_problem
from modeling_smoothclap.batching_smoothclap import map_ahead

from ..files import whole_file, write_json
from .clips import BadClip, apply_policy, as_table, clip_columns, decode_clip_of
from .workers import ordered_map


logger = logging.get_logger(__name__)

FEATURE_SET = "eGeMAPSv02"
NUM_FUNCTIONALS = 88
LARGEST_SAMPLE = 32767 / 32768
"""openSMILE is given 16 bits: a sample of 1 or more would wrap to the opposite sign."""
CHUNK_CLIPS = 128
"""Clips per cache file: at most this many are lost when a run is interrupted."""

PITCH_COLUMN = "F0semitoneFrom27.5Hz_sma3nz_amean"
"""Zero where openSMILE found no voiced frame: such a clip's pitch, jitter and shimmer mean nothing."""


@lru_cache(maxsize=1)
def _smile() -> Any:
    if importlib.util.find_spec("opensmile") is None:
        raise ImportError("eGeMAPS functionals need openSMILE: pip install 'smoothclap[opensmile]'")
    import opensmile

    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )


def feature_version() -> str:
    """Return what computes the functionals, for instance `"eGeMAPSv02-functionals-opensmile-2.6.0"`."""
    _smile()
    import opensmile

    return f"{FEATURE_SET}-functionals-opensmile-{opensmile.__version__}"


def functional_names() -> list[str]:
    """Return openSMILE's names of the 88 functionals, in its order; an `ImportError` if it is not installed."""
    return list(_smile().feature_names)


def content_key(samples: np.ndarray, sampling_rate: int) -> str:
    """Return the SHA-256 of a clip's samples and their rate: of its sound, not of its path, container or metadata."""
    digest = hashlib.sha256(f"{sampling_rate}:".encode())
    digest.update(np.ascontiguousarray(samples, dtype="<f4").tobytes())
    return digest.hexdigest()


def _functionals(samples: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, str | None]:
    """The 88 values, NaN where there is a problem, and the problem or `None`."""
    undefined = np.full(NUM_FUNCTIONALS, np.nan, dtype=np.float32)
    smile = _smile()
    if problem := clip_problem(samples, sampling_rate):
        return undefined, problem
    within = np.clip(samples, -1.0, LARGEST_SAMPLE)
    values = smile.process_signal(within, sampling_rate).to_numpy(dtype=np.float32)[0]
    return (values, None) if np.isfinite(values).all() else (undefined, "undefined functionals")


def extract_functionals(samples: np.ndarray, sampling_rate: int) -> pd.Series:
    """
    Compute the eGeMAPSv02 functionals of one clip (Eyben et al., 2016).

    Args:
        samples (`np.ndarray` of shape `(samples,)`): Mono waveform, full scale 1.
        sampling_rate (`int`): Its rate in Hz.

    Returns:
        `pd.Series`: 88 float32 values under openSMILE's names.

    Raises:
        ValueError: The waveform is not one-dimensional, empty, not finite, under 60 ms, or silent.
        ImportError: openSMILE is not installed.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(f"expected a mono waveform of shape (samples,), got shape {samples.shape}; average channels")
    values, problem = _functionals(samples.astype(np.float32, copy=False), sampling_rate)
    if problem is not None:
        raise ValueError(
            f"no functionals for a clip of {len(samples)} samples at {sampling_rate} Hz: {problem}; give at least "
            f"60 ms of finite audio above {SILENCE_DBFS:g} dB relative to full scale"
        )
    return pd.Series(values, index=functional_names())


def _key(row: Mapping[str, Any]) -> str | ClipError:
    try:
        return content_key(*decode_clip_of(row))
    except ClipError as error:
        return error


def _compute(row: Mapping[str, Any]) -> tuple[np.ndarray, str | None]:
    return _functionals(*decode_clip_of(row))


class FunctionalsCache:
    """
    A folder of parquet files, one row per distinct clip, keyed by content; one subfolder per feature set and version.

    Every file is written whole or not at all, so an interrupted run keeps what it finished, and several runs may
    share a folder.

    Args:
        folder (`str` or `Path`): Where the caches of all versions are.
        version (`str`, *optional*): Feature set and version, defaults to [`feature_version`]; another version never
            sees these rows.
    """

    def __init__(self, folder: str | Path, version: str | None = None):
        self.folder = Path(folder) / (version or feature_version())

    def load(self) -> pd.DataFrame:
        """Read all rows, indexed by key, with `problem` and the 88 functionals; a `ValueError` if a file is damaged."""
        parts = []
        for path in sorted(self.folder.glob("*.parquet")):
            try:
                parts.append(pd.read_parquet(path))
            except Exception as error:  # pyarrow raises a different class for every kind of damage
                raise ValueError(f"cache file {str(path)!r} is damaged ({error}); delete it and run again") from error
        if not parts:
            return pd.DataFrame(columns=["problem", *functional_names()], index=pd.Index([], name="key"))
        rows = pd.concat(parts, ignore_index=True)
        return rows.drop_duplicates("key").set_index("key")

    def add(self, rows: list[dict[str, Any]]) -> None:
        """Store rows, each with `key`, `problem` and the functionals, in a file of their own."""
        name = hashlib.sha256("".join(row["key"] for row in rows).encode()).hexdigest()[:16]
        with whole_file(self.folder / f"{name}.parquet") as unfinished:
            # Not "str", which pandas 2 fills with the text "None".
            pd.DataFrame(rows).astype({"problem": "string"}).to_parquet(unfinished, index=False)


def extract_table(
    paths: Iterable[str | Path], cache_dir: str | Path, num_workers: int = 1, chunk_clips: int = CHUNK_CLIPS
) -> pd.DataFrame:
    """
    Compute the functionals of many files, or take them from the cache.

    Args:
        paths (`Iterable[str | Path]`): Audio files; a clip may be repeated.
        cache_dir (`str` or `Path`): Folder of the [`FunctionalsCache`].
        num_workers (`int`, defaults to 1): Processes. With more than one, a script needs the usual
            `if __name__ == "__main__"`.
        chunk_clips (`int`, defaults to 128): Clips per cache file.

    Returns:
        `pd.DataFrame`: One row per path, in the given order: `path`, `problem` (`None`, or why the functionals are
        NaN: one of [`~modeling_smoothclap.audio_smoothclap.PROBLEMS`] or `"undefined functionals"`) and 88 float32
        columns.

    Raises:
        ValueError: A cache file is damaged.
        ImportError: openSMILE is not installed.
    """
    names = [str(path) for path in paths]
    table = _table([{"path": name} for name in names], cache_dir, num_workers, chunk_clips)
    table.insert(0, "path", names)
    return table


def add_functionals(rows: Dataset, cache_dir: str | Path, num_workers: int = 1) -> Dataset:
    """
    Add the functionals to rows whose clips are files or bytes.

    Args:
        rows (`Dataset`): Manifest rows with `path` or `audio`, see [`~smoothclap_trainer.data.clips.decode_clip_of`].
        cache_dir (`str` or `Path`): Folder of the [`FunctionalsCache`].
        num_workers (`int`, defaults to 1): Processes. With more than one, a script needs the usual
            `if __name__ == "__main__"`.

    Returns:
        `Dataset`: The same rows in the same order, with `problem` (`None`, or why the functionals are NaN, see
        [`extract_table`]) and 88 float32 columns, which replace any of these names.

    Raises:
        ValueError: There is neither `path` nor `audio`, or a cache file is damaged.
        ImportError: openSMILE is not installed.
    """
    table = _table(clip_columns(rows), cache_dir, num_workers, CHUNK_CLIPS)
    features = Features({name: Value("string" if name == "problem" else "float32") for name in table.columns})
    added = Dataset.from_pandas(table, features=features, preserve_index=False)
    kept = rows.remove_columns([name for name in table.columns if name in rows.column_names])
    return concatenate_datasets([kept, added], axis=1)


def usable_rows(rows: Dataset, policy: str, report: str | Path | None = None) -> Dataset:
    """
    Apply the policy for bad clips to those without functionals or without any voiced sound.

    Args:
        rows (`Dataset`): Rows with `id` from [`add_functionals`].
        policy (`str`): See [`~smoothclap_trainer.data.clips.apply_policy`].
        report (`str` or `Path`, *optional*): Likewise.

    Returns:
        `Dataset`: The rows with usable functionals, in order.

    Raises:
        ValueError: There are bad clips, and the policy is not `"skip"` or no clip is good.
    """
    found = zip(rows["id"], rows["problem"], rows[PITCH_COLUMN], strict=True)
    named = [(name, problem or ("no voiced sound" if pitch == 0 else None)) for name, problem, pitch in found]
    bad = [BadClip(name, problem, "it has no usable functionals") for name, problem in named if problem]
    apply_policy(bad, len(rows), policy, report)
    return rows.select([index for index, (_, problem) in enumerate(named) if not problem]) if bad else rows


def _table(
    rows: Sequence[Mapping[str, Any]] | Dataset, cache_dir: str | Path, num_workers: int, chunk_clips: int
) -> pd.DataFrame:
    """One row per clip: `problem` and the functionals."""
    cache = FunctionalsCache(cache_dir)
    known = cache.load()
    # Threads: decoding and hashing leave the interpreter free, and a full cache then starts no process.
    hashed = map_ahead(_key, rows, num_workers)
    found = list(logging.tqdm(hashed, total=len(rows), desc="reading", unit="clip"))
    keys = [each if isinstance(each, str) else None for each in found]
    faults = [each for each in found if isinstance(each, ClipError)]
    missing = {key: index for index, key in enumerate(keys) if key is not None and key not in known.index}
    logger.info(f"functionals: {len(set(keys)) - len(missing)} clips in the cache, {len(missing)} to compute")
    if faults:
        logger.warning(f"{len(faults)} of {len(rows)} clips cannot be read and get no functionals, first {faults[0]}")
    if missing:
        _fill(cache, missing, rows, num_workers, chunk_clips)
        known = cache.load()
    names = functional_names()
    table = known.reindex(keys).reset_index(drop=True).astype(dict.fromkeys(names, "float32"))
    problems = [
        each.problem if isinstance(each, ClipError) else (problem if isinstance(problem, str) else None)
        for each, problem in zip(found, table["problem"], strict=True)
    ]
    table["problem"] = pd.Series(problems, dtype=object)
    return table


def _fill(
    cache: FunctionalsCache,
    missing: Mapping[str, int],
    rows: Sequence[Mapping[str, Any]] | Dataset,
    num_workers: int,
    chunk_clips: int,
) -> None:
    """Compute the functionals of clips, given by key and index, and add them to the cache in chunks."""
    names = functional_names()
    computed = ordered_map(_compute, (rows[index] for index in missing.values()), num_workers)
    progress = logging.tqdm(computed, total=len(missing), desc="eGeMAPS", unit="clip")
    chunk: list[dict[str, Any]] = []
    for key, (values, problem) in zip(missing, progress, strict=True):
        chunk.append({"key": key, "problem": problem, **dict(zip(names, values, strict=True))})
        if len(chunk) == chunk_clips:
            cache.add(chunk)
            chunk = []
    if chunk:
        cache.add(chunk)


@dataclass(frozen=True)
class Standardisation:
    """
    Mean and standard deviation of columns.

    Args:
        columns (`tuple[str, ...]`): Their names.
        mean (`tuple[float, ...]`): One per column.
        deviation (`tuple[float, ...]`): One per column, positive.

    Returns (when called with a row):
        `np.ndarray` of shape `(columns,)`: float32, the row's values in deviations from the mean.

    Example:

    ```python
    >>> import pandas as pd
    >>> from smoothclap_trainer.data.functionals import Standardisation
    >>> standardisation = Standardisation.fit(pd.DataFrame({"loudness": [1.0, 3.0]}), ["loudness"])
    >>> standardisation({"loudness": 3.0})
    array([1.], dtype=float32)

    ```
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def fit(cls, rows: Dataset | pd.DataFrame, columns: Sequence[str]) -> "Standardisation":
        """
        Fit on TRAINING rows. A column that never varies is left out: it cannot tell clips apart.

        Raises:
            ValueError: A column is missing or has gaps, or none varies.
        """
        table = as_table(rows, columns)
        if missing := [column for column in columns if column not in table.columns]:
            raise ValueError(f"Rows lack the functionals {missing[:5]}; compute them with add_functionals.")
        values = table[list(columns)].to_numpy(dtype=np.float64)
        if not np.isfinite(values).all():
            faulty = [column for column, good in zip(columns, np.isfinite(values).all(axis=0), strict=True) if not good]
            raise ValueError(f"Columns {faulty[:5]} have missing or infinite values; leave those rows out.")
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        varies = deviation > 1e-12 * np.maximum(1, np.abs(mean))
        if not varies.any():
            raise ValueError(f"None of {len(columns)} columns varies over {len(table)} rows.")
        kept = tuple(column for column, yes in zip(columns, varies, strict=True) if yes)
        return cls(kept, tuple(mean[varies].tolist()), tuple(deviation[varies].tolist()))

    def __call__(self, row: Mapping[str, Any]) -> np.ndarray:
        values = np.array([row[column] for column in self.columns], dtype=np.float64)
        return ((values - self.mean) / self.deviation).astype(np.float32)

    def save(self, path: str | Path) -> None:
        """Write a JSON file."""
        write_json(path, vars(self))

    @classmethod
    def load(cls, path: str | Path) -> "Standardisation":
        """Read what [`~Standardisation.save`] wrote."""
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        return cls(*(tuple(content[name]) for name in ("columns", "mean", "deviation")))
