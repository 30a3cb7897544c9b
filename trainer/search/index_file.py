"""The file of a speech index: embeddings and what belongs to them, written whole or not at all, and checked."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file


INDEX_FILE = "speech_index.safetensors"
FORMAT = "1"
"""To be raised when the file's layout changes."""
RECORD = "record"


def write_index_file(folder: str | Path, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Path:
    """
    Write an index's file. The one that it replaces is there until the new one is whole.

    Args:
        folder (`str` or `Path`): Where [`INDEX_FILE`] goes; it is created if need be.
        record (`Mapping[str, Any]`): Anything that JSON can hold.
        arrays (`Mapping[str, np.ndarray]`): Arrays of any shape.

    Returns:
        `Path`: The file.
    """
    # One file in place of a table beside an array: a single replacement makes it whole, and nothing can be mixed up.
    # Safetensors, for it is read without running anything, and by any language. The record is an array of bytes,
    # because the format's own place for text is too small for a million paths.
    text = np.frombuffer(json.dumps(record).encode("ascii"), dtype=np.uint8)
    content = {RECORD: text} | {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{INDEX_FILE}.{os.getpid()}.part"
    try:
        save_file(content, partial, metadata={"format": FORMAT, "checksum": _checksum(content)})
        return partial.replace(folder / INDEX_FILE)
    finally:
        partial.unlink(missing_ok=True)


def read_index_file(folder: str | Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """
    Read what [`write_index_file`] wrote.

    Args:
        folder (`str` or `Path`): Where [`INDEX_FILE`] is.

    Returns:
        `tuple[dict[str, Any], dict[str, np.ndarray]]`: The record and the arrays.

    Raises:
        ValueError: There is none, it is of another format, or it is damaged.
    """
    path = Path(folder) / INDEX_FILE
    if not path.is_file():
        raise ValueError(f"There is no speech index in {str(folder)!r}: it has no {INDEX_FILE}. Build one first.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            content = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    except SafetensorError as error:
        raise _damaged(path) from error
    if metadata.get("format", FORMAT) != FORMAT:
        raise ValueError(
            f"{str(path)!r} is of format {metadata['format']}, and this version reads format {FORMAT}. Remove it and "
            "build the index again."
        )
    if metadata.get("checksum") != _checksum(content):
        raise _damaged(path)
    return json.loads(content.pop(RECORD).tobytes()), content


def _checksum(content: Mapping[str, np.ndarray]) -> str:
    """CRC-32 of names, kinds, shapes and values."""
    value = 0
    for name in sorted(content):
        array = content[name]
        value = crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = crc32(array.data if array.size else b"", value)
    return f"{value:08x}"


def _damaged(path: Path) -> ValueError:
    return ValueError(
        f"{str(path)!r} is damaged: its content is not what was written. Remove it and build the index again."
    )
