"""Embedding audio files: each once, clips of like length together, decoded ahead of the model."""

from collections.abc import Iterator, MutableMapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from transformers.utils import logging

from modeling_smoothclap.audio_smoothclap import ClipError, read_and_check

from ..data.workers import ordered_map
from .dual_encoders import DualEncoder


SHOWN = 20
"""At most this many bad clips are listed in an error."""


class _Clip(NamedTuple):
    samples: np.ndarray
    doubt: str | None


def embed_files(
    encoder: DualEncoder,
    paths: Sequence[str | Path],
    batch_size: int = 16,
    num_workers: int = 2,
    doubtful: MutableMapping[str, str] | None = None,
) -> np.ndarray:
    """
    Embed audio files, with a progress bar. Only the clips of a few batches are in memory.

    Args:
        encoder ([`DualEncoder`]): From [`load_dual_encoder`].
        paths (`Sequence[str | Path]`): Audio files; one that comes several times is embedded once.
        batch_size (`int`, defaults to 16): Clips per batch, longest first: what does not fit is known soon.
        num_workers (`int`, defaults to 2): Threads that decode ahead; with 1, each clip is decoded when it is needed.
        doubtful (`MutableMapping[str, str]`, *optional*): Gets path and problem, `"silent"` or `"too short"`, of clips
            that are embedded all the same. The file is judged at its own rate, see [`clip_problem`].

    Returns:
        `np.ndarray` of shape `(paths, width)`: Unit length, float32, in the order of `paths`.

    Raises:
        ValueError: if there is no path, `batch_size` or `num_workers` is below 1, or clips cannot be read; these are
            all found before the error is raised.
    """
    if not len(paths):
        raise ValueError("There are no clips to embed: give at least one path.")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
    names = [str(path) for path in paths]
    order = sorted(dict.fromkeys(names), key=_seconds, reverse=True)  # stable: equal lengths always come in one order
    embeds: list[np.ndarray] = []
    bad: list[str] = []
    with logging.tqdm(total=len(order), unit="clip", desc=f"embedding with {Path(encoder.name).name}") as progress:
        clips = zip(order, _read(order, encoder.sampling_rate, num_workers), strict=True)
        while together := list(islice(clips, batch_size)):
            bad += [str(clip) for _, clip in together if isinstance(clip, ClipError)]
            if not bad:  # else there will be no result, and only the other bad clips are still to be found
                embeds.append(encoder.embed_clips([clip.samples for _, clip in together if isinstance(clip, _Clip)]))
            if doubtful is not None:
                found = {path: clip.doubt for path, clip in together if isinstance(clip, _Clip) and clip.doubt}
                doubtful.update(found)
            progress.update(len(together))
    if bad:
        more = f"\n  and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
        listed = "\n  ".join(sorted(bad)[:SHOWN])
        raise ValueError(f"{len(bad)} of {len(order)} clips cannot be read; mend or remove them:\n  {listed}{more}")
    places = {name: place for place, name in enumerate(order)}
    return np.concatenate(embeds)[[places[name] for name in names]]


def _seconds(path: str) -> float:
    """By the file's header; one that cannot be read comes first, so that its fault is found at once."""
    try:
        return soundfile.info(path).duration
    except (soundfile.LibsndfileError, OSError):
        return np.inf


def _read(paths: Sequence[str], sampling_rate: int, num_workers: int) -> Iterator[_Clip | ClipError]:
    def read(path: str) -> _Clip | ClipError:
        try:
            return _Clip(*read_and_check(path, sampling_rate))
        except ClipError as error:
            return error

    return ordered_map(read, paths, num_workers, threads=True)
