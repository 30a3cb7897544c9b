"""eGeMAPSv02 functionals of clips by openSMILE, computed once per clip and kept in a parquet cache."""

import hashlib
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from datasets import Dataset, Features, Value, concatenate_datasets
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import ClipError, clip_problem, clip_source, examine, read_and_check, resample
from modeling_smoothclap.batching_smoothclap import map_ahead

from ..files import whole_file, write_json
from .clips import BadClip, apply_policy, as_table, clip_columns
from .workers import ordered_map


logger = logging.get_logger(__name__)

NUM_FUNCTIONALS = 88
LARGEST_SAMPLE = 32767 / 32768
"""openSMILE is given 16 bits: a sample of 1 or more would wrap to the opposite sign."""
FUNCTIONALS_RATE = 16000
"""
Rate in Hz at which functionals are computed unless another is asked for, as openSMILE's maintainers advise. They depend
on it: loudness adds up bands, and a higher rate has more of them.
"""
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


def _feature_version() -> str:
    """Return what computes the functionals, for instance `"eGeMAPSv02-functionals-opensmile-2.6.0"`."""
    _smile()
    import opensmile

    return f"eGeMAPSv02-functionals-opensmile-{opensmile.__version__}"


def functional_names() -> list[str]:
    """Return openSMILE's names of the 88 functionals, in its order; an `ImportError` if it is not installed."""
    return list(_smile().feature_names)


def _content_key(samples: np.ndarray, sampling_rate: int) -> str:
    """Return the SHA-256 of a clip's samples and their rate: of its sound, not of its path, container or metadata."""
    digest = hashlib.sha256(f"{sampling_rate}:".encode())
    digest.update(np.ascontiguousarray(samples, dtype="<f4").tobytes())
    return digest.hexdigest()


def _functionals(samples: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, str | None]:
    """Return the 88 values, NaN where there is a problem, and the problem or `None`."""
    undefined = np.full(NUM_FUNCTIONALS, np.nan, dtype=np.float32)
    smile = _smile()
    if problem := clip_problem(samples, sampling_rate):
        return undefined, problem
    within = np.clip(samples, -1.0, LARGEST_SAMPLE)
    values = smile.process_signal(within, sampling_rate).to_numpy(dtype=np.float32)[0]
    return (values, None) if np.isfinite(values).all() else (undefined, "undefined functionals")


class _Item(NamedTuple):
    row: Mapping[str, Any]
    sampling_rate: int


def extract_functionals(samples: np.ndarray, sampling_rate: int, rate: int = FUNCTIONALS_RATE) -> pd.Series:
    """
    Compute the 88 functionals of a mono waveform of floats of full scale 1, resampled to `rate`.

    A [`~modeling_smoothclap.audio_smoothclap.ClipError`] if it is not one, or too short or silent.
    """
    at_rate, fault = read_and_check((samples, sampling_rate), rate, "given")
    values, problem = _functionals(at_rate, rate)
    if fault or problem:
        raise fault or ClipError(str(problem), f"openSMILE gives no functionals: {problem}")
    return pd.Series(values, functional_names())


def _key(item: _Item) -> tuple[str, int] | ClipError:
    """Return the key of a clip's sound at the rate of the functionals, and the clip's own rate."""
    try:
        samples, rate, fault = examine(clip_source(item.row), item.row.get("id"))
    except ClipError as error:
        return error
    return fault or (_content_key(resample(samples, rate, item.sampling_rate), item.sampling_rate), rate)


def _compute(item: _Item) -> tuple[np.ndarray, str | None]:
    samples, _ = read_and_check(clip_source(item.row), item.sampling_rate, item.row.get("id"))
    return _functionals(samples, item.sampling_rate)


def _load_cache(folder: Path) -> pd.DataFrame:
    """Read the parquet files of a folder: distinct clips, indexed by their content, `problem` and the functionals."""
    parts = []
    for path in sorted(folder.glob("*.parquet")):
        try:
            parts.append(pd.read_parquet(path))
        except Exception as error:  # pyarrow raises a different class for every kind of damage
            raise ValueError(f"cache file {str(path)!r} is damaged ({error}); delete it and run again") from error
    if not parts:
        return pd.DataFrame(columns=["problem", *functional_names()], index=pd.Index([], name="key"))
    rows = pd.concat(parts, ignore_index=True)
    return rows.drop_duplicates("key").set_index("key")


def _add_to_cache(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows to a file of their own, whole or not at all, so that several runs may share a folder."""
    name = hashlib.sha256("".join(row["key"] for row in rows).encode()).hexdigest()[:16]
    with whole_file(folder / f"{name}.parquet") as unfinished:
        # Not "str", which pandas 2 fills with the text "None".
        pd.DataFrame(rows).astype({"problem": "string"}).to_parquet(unfinished, index=False)


def extract_table(
    paths: Iterable[str | Path], cache_dir: str | Path, num_workers: int = 1, sampling_rate: int = FUNCTIONALS_RATE
) -> pd.DataFrame:
    """
    Compute the functionals of many files at a rate in Hz, or take them from the cache, in `num_workers` processes.

    Returns one row per path, in the given order: `path`, `problem` (`None`, or why the functionals are NaN: one of
    [`~modeling_smoothclap.decoding_smoothclap.PROBLEMS`] or `"undefined functionals"`) and 88 float32 columns. A
    `ValueError` if a cache file is damaged.
    """
    names = [str(path) for path in paths]
    table = _table([{"path": name} for name in names], cache_dir, num_workers, sampling_rate)
    table.insert(0, "path", names)
    return table


def add_functionals(
    rows: Dataset, cache_dir: str | Path, num_workers: int = 1, sampling_rate: int = FUNCTIONALS_RATE
) -> Dataset:
    """
    Add `problem` and the 88 functionals, see [`extract_table`], to rows with `path` or `audio`, in order.

    They replace columns of the same names. A `ValueError` if there is neither `path` nor `audio`, or a cache file is
    damaged.
    """
    table = _table(clip_columns(rows), cache_dir, num_workers, sampling_rate)
    features = Features({name: Value("string" if name == "problem" else "float32") for name in table.columns})
    added = Dataset.from_pandas(table, features=features, preserve_index=False)
    kept = rows.remove_columns([name for name in table.columns if name in rows.column_names])
    return concatenate_datasets([kept, added], axis=1)


def usable_rows(rows: Dataset, policy: str, report: str | Path | None = None) -> Dataset:
    """
    Apply [`~smoothclap_trainer.data.clips.apply_policy`] to rows from [`add_functionals`] without functionals or voice.

    Returns the rows with usable functionals, in order.
    """
    found = zip(rows["id"], rows["problem"], rows[PITCH_COLUMN], strict=True)
    named = [(name, problem or ("no voiced sound" if pitch == 0 else None)) for name, problem, pitch in found]
    bad = [BadClip(name, problem, "it has no usable functionals") for name, problem in named if problem]
    apply_policy(bad, len(rows), policy, report)
    return rows.select([index for index, (_, problem) in enumerate(named) if not problem]) if bad else rows


def _table(
    rows: Sequence[Mapping[str, Any]] | Dataset, cache_dir: str | Path, num_workers: int, sampling_rate: int
) -> pd.DataFrame:
    """Return one row per clip: `problem` and the functionals."""
    folder = Path(cache_dir) / _feature_version()  # another version never sees these files
    known = _load_cache(folder)
    # Threads: decoding and hashing leave the interpreter free, and a full cache then starts no process.
    hashed = map_ahead(_key, (_Item(row, sampling_rate) for row in rows), num_workers)
    found = list(logging.tqdm(hashed, total=len(rows), desc="reading", unit="clip"))
    keys = [None if isinstance(each, ClipError) else each[0] for each in found]
    _warn(found, sampling_rate)
    missing = {key: index for index, key in enumerate(keys) if key is not None and key not in known.index}
    logger.info(f"functionals: {len(set(keys)) - len(missing)} clips in the cache, {len(missing)} to compute")
    if missing:
        items = (_Item(rows[index], sampling_rate) for index in missing.values())
        _fill(folder, list(missing), items, num_workers)
        known = _load_cache(folder)
    names = functional_names()
    table = known.reindex(keys).reset_index(drop=True).astype(dict.fromkeys(names, "float32"))
    problems = [
        each.problem if isinstance(each, ClipError) else (problem if isinstance(problem, str) else None)
        for each, problem in zip(found, table["problem"], strict=True)
    ]
    table["problem"] = pd.Series(problems, dtype=object)
    return table


def _warn(found: Sequence[tuple[str, int] | ClipError], sampling_rate: int) -> None:
    faults = [each for each in found if isinstance(each, ClipError)]
    if faults:
        logger.warning(f"{len(faults)} of {len(found)} clips get no functionals; the first: {faults[0]}")
    if low := [each[1] for each in found if not isinstance(each, ClipError) and each[1] < sampling_rate]:
        logger.warning(
            f"{len(low)} of {len(found)} clips are sampled below {sampling_rate} Hz, from {min(low)} Hz: above half "
            "their rate they hold no sound, which changes their functionals."
        )


def _fill(folder: Path, keys: Sequence[str], items: Iterable[_Item], num_workers: int) -> None:
    """Compute the functionals of clips, and add them to the cache in chunks."""
    names = functional_names()
    computed = ordered_map(_compute, items, num_workers)
    progress = logging.tqdm(computed, total=len(keys), desc="eGeMAPS", unit="clip")
    found = (
        {"key": key, "problem": problem, **dict(zip(names, values, strict=True))}
        for key, (values, problem) in zip(keys, progress, strict=True)
    )
    while chunk := list(islice(found, CHUNK_CLIPS)):
        _add_to_cache(folder, chunk)


@dataclass(frozen=True)
class Standardisation:
    """
    Mean and standard deviation of columns; called with a row, it returns float32 `(columns,)` in deviations from the
    mean.

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

        A `ValueError` if a column is missing or has gaps, or none varies.
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
