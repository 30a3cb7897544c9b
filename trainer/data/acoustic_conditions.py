"""
Acoustic conditions: the same clips in noise, in a room, by telephone, so that results can be compared.

The result depends only on the clip, its id, the condition and the seed. It is equal to the last bit for the same
versions of the libraries on the same kind of processor.
"""

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import MIN_SECONDS, Segment, clip_source, decode_audio
from modeling_smoothclap.batching_smoothclap import first_lines, map_ahead

from ..files import whole_file
from .acoustic_effects import Clipping, Codec, Noise, Room, Telephone, acoustics_module
from .clips import SEGMENT, encoded_bytes


if TYPE_CHECKING:
    import pandas as pd

logger = logging.get_logger(__name__)

FORMAT = 2
"""Part of a degraded file's name: increase it when an effect computes something else from the same parameters."""
WAV_WRITER = "scipy.io.wavfile"
"""Not libsndfile, which writes the time of day into a WAV file of floats."""
LOWEST_RATE = 8000

Effect = Noise | Room | Telephone | Codec | Clipping


@dataclass(frozen=True)
class Condition:
    """An effect with its strength, under a name of letters, digits and `-`; `title` says it in words, with units."""

    name: str
    title: str
    effect: Effect | None

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").isalnum():
            raise ValueError(f"`name` is {self.name!r}; use letters, digits and '-'.")

    def describe(self) -> dict[str, Any]:
        """Return `name`, `title`, `effect` (`None` for clean clips) and `parameters`, whose names end with units."""
        kind = None if self.effect is None else type(self.effect).__name__.lower()
        parameters = {} if self.effect is None else asdict(self.effect)
        return {"name": self.name, "title": self.title, "effect": kind, "parameters": parameters}


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("clean", "as recorded", None),
        Condition("noise-20db", "pink noise, 20 dB SNR", Noise(snr_db=20)),
        Condition("noise-10db", "pink noise, 10 dB SNR", Noise(snr_db=10)),
        Condition("noise-0db", "pink noise, 0 dB SNR", Noise(snr_db=0)),
        Condition("room-small", "office, RT60 0.4 s, at 1 m", Room((4.0, 3.5, 2.6), rt60_s=0.4, distance_m=1.0)),
        Condition("room-large", "hall, RT60 1.2 s, at 4 m", Room((15.0, 12.0, 9.0), rt60_s=1.2, distance_m=4.0)),
        Condition("telephone", "telephone, 300-3400 Hz, mu-law", Telephone()),
        Condition("codec", "Opus, 6 kbit/s", Codec()),
        Condition("clipping", "clipped at 20 % of the peak", Clipping()),
    )
}
"""The conditions by name. That these, and how strong they are, is this project's choice."""


def apply_condition(
    condition: Condition, clip: np.ndarray, sampling_rate: int, clip_id: str, seed: int = 0
) -> np.ndarray:
    """
    Apply a condition, one of [`CONDITIONS`] or your own, to a clip, `(samples,)`: float32 mono; return a new one.

    The rate in Hz is at least 8000. Another id or seed gives other noise; at every SNR a clip gets the same noise, only
    louder. Samples beyond full scale are not clipped. It is a `ValueError` if the clip is shorter than 60 ms, not
    finite or silent (all samples equal), and an `ImportError` if the extra `acoustics` is needed and not installed.
    """
    _check(clip, sampling_rate, clip_id)
    if condition.effect is None:
        return clip.copy()
    digest = hashlib.sha256(f"{seed}/{type(condition.effect).__name__}/{clip_id}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:16], "little"))
    return condition.effect(clip, sampling_rate, generator).astype(np.float32)


def _cannot_be_degraded(clip: np.ndarray, sampling_rate: int) -> bool:
    """Return whether a clip is shorter than 60 ms or silent (all samples equal)."""
    return len(clip) < MIN_SECONDS * sampling_rate or bool(clip.min() == clip.max())


def degrade(
    rows: "pd.DataFrame", condition: Condition, folder: str | Path, seed: int = 0, num_workers: int = 2
) -> "pd.DataFrame":
    """
    Write the clips of rows with `id` and `path` as they are under a condition, and return the rows with the new paths.

    A segment, see [`~clips.SEGMENT`], becomes a file of its own. Files that are there are used again: a name is made
    from all that the samples depend on. Files are mono WAV at the clip's own rate, of 32-bit floats, because noise,
    rooms and codecs exceed full scale. Clips that are silent (all samples equal) or shorter than 60 ms, as some of
    published corpora are, keep their path, with a warning. So do all rows under a condition without an effect. A
    `ValueError` lists clips that cannot be degraded.
    """
    if absent := [name for name in ("id", "path") if name not in rows.columns]:
        raise ValueError(f"The rows lack the columns {absent}; they have {list(rows.columns)}.")
    if condition.effect is None:
        return rows.copy()
    what_computes = _what_computes(condition.effect)
    folder = Path(folder) / condition.name
    folder.mkdir(parents=True, exist_ok=True)
    write = partial(_degraded_file, condition, folder, seed, what_computes)
    kept = [name for name in ("id", "path", *SEGMENT) if name in rows.columns]
    clips: list[Any] = rows[kept].to_dict("records")
    found = map_ahead(write, clips, num_workers)
    results = list(logging.tqdm(found, total=len(rows), desc=condition.title, unit="clip"))
    if bad := [str(result) for result in results if isinstance(result, ValueError)]:
        raise ValueError(
            f"{len(bad)} of {len(rows)} clips cannot be degraded; fix them or leave them out:\n  {first_lines(bad)}"
        )
    is_same = np.array([new == clip["path"] for clip, new in zip(clips, results, strict=True)], dtype=bool)
    if same := [repr(clip["id"]) for clip, stays in zip(clips, is_same, strict=True) if stays]:
        logger.warning(
            f"{condition.title}: {len(same)} of {len(rows)} clips are silent or shorter than {MIN_SECONDS:g} s and "
            f"stay as recorded:\n  {first_lines(same)}"
        )
    return rows.assign(path=results, **{name: rows[name].where(is_same) for name in kept if name in SEGMENT})


def _check(clip: np.ndarray, sampling_rate: int, clip_id: str) -> None:
    fault = None
    if clip.ndim != 1 or clip.dtype != np.float32:
        fault = f"is {clip.dtype} of shape {clip.shape}; give float32 of shape (samples,), channels averaged"
    elif sampling_rate < LOWEST_RATE:
        fault = f"has a rate of {sampling_rate} Hz; the conditions need at least {LOWEST_RATE}"
    elif not np.isfinite(clip).all():
        fault = "holds samples that are not finite (NaN or infinite); fix it"
    elif len(clip) < MIN_SECONDS * sampling_rate:
        fault = f"has {len(clip)} samples at {sampling_rate} Hz; the conditions need {MIN_SECONDS:g} s"
    elif clip.min() == clip.max():
        fault = "is silent, all its samples are equal; leave it out"
    if fault:
        raise ValueError(f"The clip {clip_id!r} {fault}.")


def _what_computes(effect: Effect) -> str:
    """Return the effect's parameters and the libraries' versions, on which a result depends besides clip and seed."""
    acoustics_module(WAV_WRITER)  # before its version is read
    packages = ["numpy", "scipy", "soundfile", "soxr", *(["pyroomacoustics"] if isinstance(effect, Room) else [])]
    libraries = {name: version(name) for name in packages} | {"libsndfile": soundfile.__libsndfile_version__}
    return json.dumps([FORMAT, type(effect).__name__, asdict(effect), libraries])


def _degraded_file(
    condition: Condition, folder: Path, seed: int, what_computes: str, row: dict[str, Any]
) -> str | ValueError:
    """Write a clip's file unless it is there; return its path, the clip's own if nothing applies, or the fault."""
    clip_id = row["id"]
    try:
        data, source = encoded_bytes(row), clip_source(row)
        where: Any = [source.start, source.end] if isinstance(source, Segment) else []
        content = [what_computes, seed, clip_id, hashlib.sha256(data).hexdigest(), *where]
        file = folder / f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]}.wav"
        if not file.exists():
            samples, rate = decode_audio(Segment(data, *where) if where else data, clip_id)
            if len(samples) and np.isfinite(samples).all() and _cannot_be_degraded(samples, rate):
                return row["path"]
            degraded = apply_condition(condition, samples, rate, clip_id, seed)
            with whole_file(file) as unfinished:
                acoustics_module(WAV_WRITER).write(unfinished, rate, degraded)
    except ValueError as error:
        return error
    return str(file)


@dataclass(frozen=True)
class Augmentation:
    """Acoustic conditions for training clips (ours): in every epoch one by chance, by seed, clip and epoch alone."""

    conditions: tuple[str, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.conditions, str) or not self.conditions:
            raise ValueError(f"`conditions` is {self.conditions!r}; give a tuple with some of {list(CONDITIONS)}.")
        if unknown := [name for name in self.conditions if name not in CONDITIONS]:
            raise ValueError(f"Unknown acoustic conditions {unknown}; known are {list(CONDITIONS)}.")
        if repeated := [name for name, times in Counter(self.conditions).items() if times > 1]:
            raise ValueError(f"The acoustic conditions {repeated} are repeated; name each once.")

    def apply(self, crop: np.ndarray, sampling_rate: int, row_id: str, epoch: int) -> np.ndarray:
        """Apply the condition that a clip gets in an epoch to its crop; a silent or very short one stays as it is."""
        if _cannot_be_degraded(crop, sampling_rate):
            return crop
        name, noise_seed = self._draw(row_id, epoch)
        return apply_condition(CONDITIONS[name], crop, sampling_rate, row_id, noise_seed)

    def applied(self, crop: np.ndarray, sampling_rate: int, row_id: str, epoch: int) -> str:
        """Return the name of the condition that [`~Augmentation.apply`] applies: clean if the crop stays as it is."""
        return "clean" if _cannot_be_degraded(crop, sampling_rate) else self._draw(row_id, epoch)[0]

    def _draw(self, row_id: str, epoch: int) -> tuple[str, int]:
        """Draw a condition, and the seed of its noise."""
        digest = blake2b(f"{self.seed}/{epoch}/{row_id}".encode(), digest_size=16).digest()
        generator = np.random.default_rng(int.from_bytes(digest, "little"))
        name = self.conditions[int(generator.integers(len(self.conditions)))]
        return name, int(generator.integers(2**63))

    def try_out(self, sampling_rate: int) -> None:
        """Try all conditions at a rate in Hz, so that errors come before training and not from a worker after hours."""
        tone = np.sin(np.arange(round(2 * MIN_SECONDS * sampling_rate))).astype(np.float32)
        for name in self.conditions:
            apply_condition(CONDITIONS[name], tone, sampling_rate, "a tone")
