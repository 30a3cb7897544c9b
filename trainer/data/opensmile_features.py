"""eGeMAPSv02 functionals of audio clips by openSMILE, computed once per clip and kept in a parquet cache."""

import hashlib
import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from transformers.utils import logging

from .audio import SILENCE_DBFS, level_dbfs


logger = logging.get_logger(__name__)

FEATURE_SET = "eGeMAPSv02"
NUM_FUNCTIONALS = 88
CHUNK_CLIPS = 128
"""Clips per cache file: at most this many are lost when a run is interrupted."""


@lru_cache(maxsize=1)
def _smile() -> Any:
    if importlib.util.find_spec("opensmile") is None:
        raise ImportError("eGeMAPS functionals need openSMILE: pip install smoothclap[opensmile]")
    import opensmile

    return opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )


def feature_version() -> str:
    """
    Names what computed the features; part of the cache's key.

    Returns:
        `str`: For instance `"eGeMAPSv02-functionals-opensmile-2.6.0"`.

    Raises:
        ImportError: openSMILE is not installed.
    """
    _smile()
    import opensmile

    return f"{FEATURE_SET}-functionals-opensmile-{opensmile.__version__}"


def functional_names() -> list[str]:
    """
    Lists the 88 functionals by openSMILE's own names.

    Returns:
        `list[str]`: The names, in openSMILE's order.

    Raises:
        ImportError: openSMILE is not installed.
    """
    return list(_smile().feature_names)


def content_key(samples: np.ndarray, sampling_rate: int) -> str:
    """
    Names a clip by what is heard: its decoded samples and their rate, not its path, container or metadata.

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            float32 mono waveform.
        sampling_rate (`int`):
            Its rate in Hz.

    Returns:
        `str`: SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256(f"{sampling_rate}:".encode())
    digest.update(np.ascontiguousarray(samples, dtype="<f4").tobytes())
    return digest.hexdigest()


def read_mono(path: str | Path) -> tuple[np.ndarray, int]:
    """
    Decodes an audio file to mono.

    Args:
        path (`str` or `Path`):
            Any file that libsndfile reads.

    Returns:
        `tuple[np.ndarray, int]`: float32 samples of shape `(samples,)` and their rate in Hz.

    Raises:
        ValueError: The file is missing or no audio.
    """
    try:
        samples, rate = soundfile.read(str(path), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{str(path)!r} cannot be read as audio: {error}") from error
    return (samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)), rate


def _functionals(samples: np.ndarray, sampling_rate: int) -> tuple[np.ndarray, str | None]:
    """Returns the 88 values, NaN where there is a problem, and the problem's name or `None`."""
    undefined = np.full(NUM_FUNCTIONALS, np.nan, dtype=np.float32)
    smile = _smile()
    if len(samples) == 0:
        return undefined, "empty"
    if not np.isfinite(samples).all():
        return undefined, "not finite"
    if len(samples) < 0.06 * sampling_rate:  # openSMILE's longest window: shorter clips give NaN throughout
        return undefined, "too short"
    if level_dbfs(samples, sampling_rate) < SILENCE_DBFS:
        return undefined, "silent"
    values = smile.process_signal(samples, sampling_rate).to_numpy(dtype=np.float32)[0]
    return (values, None) if np.isfinite(values).all() else (undefined, "undefined functionals")


def extract_functionals(samples: np.ndarray, sampling_rate: int) -> pd.Series:
    """
    Computes the eGeMAPSv02 functionals of one clip (Eyben et al., 2016).

    Args:
        samples (`np.ndarray` of shape `(samples,)`):
            Mono waveform, full scale 1.
        sampling_rate (`int`):
            Its rate in Hz.

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


def _keyed(path: str) -> str:
    return content_key(*read_mono(path))


def _extract_file(item: tuple[str, str]) -> dict[str, Any]:
    key, path = item
    values, problem = _functionals(*read_mono(path))
    return {"key": key, "problem": problem, **dict(zip(functional_names(), values, strict=True))}


def _keys(paths: Sequence[str], num_workers: int) -> Iterator[str]:
    with ThreadPoolExecutor(max(1, num_workers)) as pool:  # decoding and hashing leave the interpreter free
        yield from pool.map(_keyed, paths)


def _features(items: Sequence[tuple[str, str]], num_workers: int) -> Iterator[dict[str, Any]]:
    if num_workers <= 1:
        yield from map(_extract_file, items)
        return
    # Never fork this process: torch or arrow may have threads in it, and the copies would hang.
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([__name__])  # import once, not once per worker
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        yield from pool.map(_extract_file, items, chunksize=8)


class FunctionalsCache:
    """
    A folder of parquet files, one row per distinct clip, keyed by content; one subfolder per feature set and version.

    Every file is written whole or not at all, so an interrupted run keeps what it finished, and several runs may
    share a folder.

    Args:
        folder (`str` or `Path`):
            Where the caches of all versions lie.
        version (`str`, *optional*):
            Feature set and version, defaults to [`feature_version`]; another version never sees these rows.
    """

    def __init__(self, folder: str | Path, version: str | None = None):
        self.folder = Path(folder) / (version or feature_version())

    def load(self) -> pd.DataFrame:
        """
        Reads all rows.

        Returns:
            `pd.DataFrame`: Indexed by key, with the columns `problem` and the 88 functionals.

        Raises:
            ValueError: A file is damaged.
        """
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
        """
        Stores rows in a file of their own.

        Args:
            rows (`list[dict]`):
                One dictionary per clip with `key`, `problem` and the functionals.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256("".join(row["key"] for row in rows).encode()).hexdigest()[:16]
        partial = self.folder / f"{name}.part"
        pd.DataFrame(rows).astype({"problem": "str"}).to_parquet(partial, index=False)
        partial.replace(self.folder / f"{name}.parquet")


def extract_table(
    paths: Iterable[str | Path], cache_dir: str | Path, num_workers: int = 1, chunk_clips: int = CHUNK_CLIPS
) -> pd.DataFrame:
    """
    Computes the functionals of many files, or takes them from the cache.

    Args:
        paths (`Iterable[str | Path]`):
            Audio files; the same clip may come twice.
        cache_dir (`str` or `Path`):
            Folder of the [`FunctionalsCache`].
        num_workers (`int`, defaults to 1):
            Processes. With more than one, a script needs the usual `if __name__ == "__main__"`.
        chunk_clips (`int`, defaults to 128):
            Clips per cache file.

    Returns:
        `pd.DataFrame`: One row per path, in the given order: `path`, `problem` (`None`, or why the functionals are
        NaN: `"empty"`, `"not finite"`, `"too short"`, `"silent"`, `"undefined functionals"`) and 88 float32 columns.

    Raises:
        ValueError: A file is missing or no audio, or a cache file is damaged.
        ImportError: openSMILE is not installed.
    """
    names = [str(path) for path in paths]
    cache = FunctionalsCache(cache_dir)
    known = cache.load()
    keys = list(logging.tqdm(_keys(names, num_workers), total=len(names), desc="reading", unit="clip"))
    missing = {key: name for key, name in zip(keys, names, strict=True) if key not in known.index}
    logger.info(f"functionals: {len(set(keys)) - len(missing)} clips in the cache, {len(missing)} to compute")
    if missing:
        rows: list[dict[str, Any]] = []
        computed = _features(list(missing.items()), num_workers)
        for row in logging.tqdm(computed, total=len(missing), desc="eGeMAPS", unit="clip"):
            rows.append(row)
            if len(rows) == chunk_clips:
                cache.add(rows)
                rows = []
        if rows:
            cache.add(rows)
        known = cache.load()
    table = known.loc[keys].reset_index(drop=True)
    table.insert(0, "path", names)
    table["problem"] = table["problem"].astype(object).where(table["problem"].notna(), None)
    return table
