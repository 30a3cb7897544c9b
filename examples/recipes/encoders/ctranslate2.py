"""Read the weights in a CTranslate2 `model.bin`."""

import math

import numpy as np
from numpy.typing import NDArray

from .binary_reader import BinaryReader


BINARY_VERSION = 6
ELEMENT_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_text(reader: BinaryReader) -> str:
    """A zero-ended text, which its length in bytes (u16, the zero counted) precedes."""
    return reader.raw(reader.integer("H")).rstrip(b"\0").decode()


def read_variable(reader: BinaryReader) -> NDArray:
    """One array: rank (u8), extents (u32 each), element type (u8), size in bytes (u32), elements."""
    shape = reader.integers(f"{reader.integer('B')}I")
    type_id, size = reader.integers("BI")
    if type_id not in ELEMENT_TYPES:
        raise ValueError(f"{reader.source}: unknown element type {type_id}, known are {sorted(ELEMENT_TYPES)}.")
    dtype = np.dtype(ELEMENT_TYPES[type_id])
    if math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"{reader.source}: {size} bytes do not hold an array of shape {shape} and type {dtype}.")
    return reader.array(dtype, math.prod(shape)).reshape(shape)


def read_ctranslate2(data: bytes, source: str = "model.bin") -> dict[str, NDArray]:
    """
    Read all weights of a CTranslate2 model.

    The file holds the format's version (u32), the architecture's name, its revision (u32), the number of variables
    (u32), name and array of each, then the number of aliases (u32) and, for each, the alias and the variable's name.

    Args:
        data (`bytes`): The file's content.
        source (`str`, *optional*): What it is, for error messages.

    Returns:
        `dict[str, NDArray]`: Arrays by name, those with a second name under both.

    Raises:
        ValueError: The content is not in this format, or cut off.
    """
    reader = BinaryReader(data, source)
    version = reader.integer("I")
    if version != BINARY_VERSION:
        raise ValueError(f"{source} has CTranslate2's binary version {version}; this reads version {BINARY_VERSION}.")
    read_text(reader)  # the architecture's name: the weights' names say as much
    reader.integer("I")  # its revision
    variables: dict[str, NDArray] = {}
    for _ in range(reader.integer("I")):
        name = read_text(reader)
        variables[name] = read_variable(reader)
    for _ in range(reader.integer("I")):
        alias, name = read_text(reader), read_text(reader)
        variables[alias] = variables[name]
    if not reader.exhausted:
        raise ValueError(f"{source}: {len(data) - reader.position} bytes are left over after the last alias.")
    return variables
