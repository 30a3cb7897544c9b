"""A frozen encoder's features of many clips, computed once and kept on disk as Arrow files."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from datasets import Array2D, Dataset, Features, concatenate_datasets
from datasets.arrow_writer import ArrowWriter
from transformers.utils import logging

from .clips import clip_columns, read_clip
from .crops import Crops
from .frozen_encoder import FrozenSpeechEncoder


logger = logging.get_logger(__name__)

SHARD_CLIPS = 512
"""Clips per cache file: at most this many are computed again after an interruption."""
WINDOW_CLIPS = 64
"""Clips in memory at a time; those of like length share a batch."""
FORMAT = 1
"""Part of the key: to be raised when the files' layout or the way clips are cut changes."""


def cached_features(
    rows: Dataset,
    encoder: FrozenSpeechEncoder,
    crops: Crops | None,
    cache_dir: str | Path,
    process_index: int = 0,
    num_processes: int = 1,
    wait: Callable[[], None] | None = None,
) -> Dataset:
    """
    Computes what a frozen encoder says of each row's clip, or takes it from the cache.

    A cache file holds the features of up to 512 consecutive rows. Its name is made from the encoder's weights and
    settings, the crops, and the ids and audio bytes of those rows, so that nothing outdated is ever read and several
    runs may share a folder. It is written whole or not at all: a run that was killed goes on where it was.

    Args:
        rows (`Dataset`): With `id`, and `path` or `audio` as [`~smoothclap_trainer.data.clips.read_clip`] reads them.
        encoder ([`FrozenSpeechEncoder`]): What is asked.
        crops ([`Crops`], *optional*): Each clip's `per_clip` crops are encoded; `None` encodes clips whole.
        cache_dir (`str` or `Path`): Folder of the cache; it is created if need be.
        process_index (`int`, defaults to 0): Which of several processes this is; each computes its share of the files.
        num_processes (`int`, defaults to 1): How many there are. All see the same rows and the same folder.
        wait (`Callable[[], None]`, *optional*): Returns when all processes have called it, for instance
            `accelerator.wait_for_everyone`. Needed with more than one process.

    Returns:
        `Dataset`: One row per row, in order, memory-mapped and in numpy format, with the column `features`: float32 of
        shape `(per_clip, width)`, entry n belonging to crop number n; `(1, width)` of whole clips.

    Raises:
        ValueError: if there are no rows, a new crop is to be cut every epoch, an audio file cannot be read, features
            are not finite, or another process did not finish its share.
    """
    _check(rows, crops, process_index, num_processes, wait)
    crops = Crops(seconds=None) if crops is None or crops.seconds is None else crops
    folder = Path(cache_dir)
    folder.mkdir(parents=True, exist_ok=True)
    clips = clip_columns(rows.with_format(None))
    blocks = [range(start, min(start + SHARD_CLIPS, len(clips))) for start in range(0, len(clips), SHARD_CLIPS)]
    keys = _keys(clips, blocks, encoder.fingerprint, crops)

    own = range(process_index, len(blocks), num_processes)
    shards = {number: _intact(folder, keys[number]) for number in own}
    missing = [number for number in own if shards[number] is None]
    count = sum(len(blocks[number]) for number in missing)
    with logging.tqdm(total=count, desc="Frozen encoder", unit="clip", disable=not missing) as progress:
        for number in missing:
            features = _encoded(clips.select(blocks[number]), encoder, crops, progress.update)
            shards[number] = _write(folder, keys[number], features)
    if wait is not None:
        wait()
    shards |= {number: _intact(folder, key) for number, key in enumerate(keys) if number not in own}
    return _joined(folder, [shards[number] for number in range(len(blocks))])


def add_features(rows: Dataset, features: Dataset, column: str) -> Dataset:
    """
    Puts cached features beside their rows.

    Args:
        rows (`Dataset`): The rows.
        features (`Dataset`): Of [`cached_features`], for the same rows.
        column (`str`): The new column's name.

    Returns:
        `Dataset`: `rows` with the column `column`, which is still memory-mapped and read as numpy arrays of shape
        `(per_clip, width)`; other columns are read as before.
    """
    arrays = rows.format["columns"] if rows.format["type"] == "numpy" else []
    joined = concatenate_datasets(
        [rows.with_format(None), features.with_format(None).rename_column("features", column)], axis=1
    )
    return joined.with_format("numpy", columns=[*arrays, column], output_all_columns=True)


def _check(
    rows: Dataset, crops: Crops | None, process_index: int, num_processes: int, wait: Callable[[], None] | None
) -> None:
    if crops is not None and crops.seconds is not None and crops.per_clip is None:
        raise ValueError(
            f"A new crop of {crops.seconds} s in every epoch leaves nothing to cache; set `per_clip`, e.g. per_clip=4."
        )
    if not 0 <= process_index < num_processes:
        raise ValueError(f"`process_index` is {process_index}, but {num_processes} process(es) count from 0.")
    if wait is None and num_processes > 1:
        raise ValueError(f"{num_processes} processes share the work; pass `wait`, which lets each wait for the others.")
    if "id" not in rows.column_names:
        raise ValueError(f"Rows lack `id`, the name of their clip; they have {rows.column_names}.")
    if len(rows) == 0:
        raise ValueError("There are no rows to encode; check how the data set was filtered.")


def _keys(clips: Dataset, blocks: Sequence[range], fingerprint: str, crops: Crops) -> list[str]:
    drawn = None if crops.seconds is None else [crops.seconds, crops.per_clip, crops.seed]
    with ThreadPoolExecutor() as pool:  # reading and hashing leave the interpreter free
        contents = list(pool.map(partial(_content, clips), range(len(clips))))
    named = [[FORMAT, fingerprint, drawn, contents[block.start : block.stop]] for block in blocks]
    return [hashlib.sha256(json.dumps(each).encode()).hexdigest() for each in named]


def _content(clips: Dataset, index: int) -> tuple[str, str]:
    """A clip's id and the SHA-256 of its encoded audio."""
    row = clips[index]
    return row["id"], hashlib.sha256(_encoded_audio(row)).hexdigest()


def _encoded_audio(row: Mapping[str, Any]) -> bytes:
    source = row.get("path") or row.get("audio")
    if isinstance(source, Mapping):  # as `datasets.Audio(decode=False)` gives it
        source = source.get("bytes") or source.get("path")
    if not source:
        raise ValueError(f"Clip {row['id']!r} has neither `path` nor `audio`; a row needs one of them.")
    try:
        return source if isinstance(source, bytes) else Path(source).read_bytes()
    except OSError as error:
        raise ValueError(f"The audio of clip {row['id']!r} cannot be read: {error}.") from error


def _encoded(
    clips: Dataset, encoder: FrozenSpeechEncoder, crops: Crops, done: Callable[[int], Any]
) -> Iterator[np.ndarray]:
    """Features of each clip, (crops, width)."""
    for start in range(0, len(clips), WINDOW_CLIPS):
        window = clips.select(range(start, min(start + WINDOW_CLIPS, len(clips))))
        ids, pieces = window["id"], [_pieces(row, encoder.sampling_rate, crops) for row in window]
        features = encoder([piece for of_clip in pieces for piece in of_clip])
        ends = np.cumsum([len(of_clip) for of_clip in pieces])
        for row_id, of_clip in zip(ids, np.split(features, ends[:-1]), strict=True):
            if not np.isfinite(of_clip).all():
                raise ValueError(
                    f"The encoder's features of clip {row_id!r} are not finite; check the encoder's weights and type."
                )
            yield np.broadcast_to(of_clip, (crops.per_clip or 1, of_clip.shape[1]))
        done(len(window))


def _pieces(row: Mapping[str, Any], rate: int, crops: Crops) -> list[np.ndarray]:
    """The crops of a clip, in the order of their numbers; one stands for all where the clip is taken whole."""
    clip = read_clip(row, rate)
    first = crops.cut(clip, rate, row["id"], 0)
    if len(first) == len(clip):
        return [clip]
    return [first, *(crops.cut(clip, rate, row["id"], number) for number in range(1, crops.per_clip or 1))]


def _write(folder: Path, key: str, features: Iterator[np.ndarray]) -> Path:
    """Write a file, whole or not at all. Its name ends with the CRC-32 of its bytes."""
    table = np.stack(list(features))  # (clips, crops, width)
    columns = Features(features=Array2D(table.shape[1:], "float32"))
    with tempfile.TemporaryDirectory(dir=folder, prefix="unfinished-") as scratch:
        unfinished = Path(scratch) / "shard"
        with ArrowWriter(path=str(unfinished), features=columns) as writer:
            writer.write_batch({"features": table})
            writer.finalize()
        return unfinished.replace(folder / f"{key}-{crc32(unfinished.read_bytes()):08x}.arrow")


def _intact(folder: Path, key: str) -> Path | None:
    """The file with this key, if there is one and its bytes are those that were written."""
    for shard in sorted(folder.glob(f"{key}-*.arrow")):
        if f"{crc32(shard.read_bytes()):08x}" == shard.stem.rpartition("-")[2]:
            return shard
        logger.warning(f"The cache file {str(shard)!r} is damaged; what it held is computed again.")
        shard.unlink(missing_ok=True)
    return None


def _joined(folder: Path, shards: Sequence[Path | None]) -> Dataset:
    parts = []
    for number, shard in enumerate(shards):
        if shard is None:
            raise ValueError(
                f"Part {number + 1} of {len(shards)} is not in {str(folder)!r}, although every process has finished. "
                "Check that all processes see the same folder and the same rows, and run again."
            )
        parts.append(Dataset.from_file(str(shard)))
    return concatenate_datasets(parts).with_format("numpy")
