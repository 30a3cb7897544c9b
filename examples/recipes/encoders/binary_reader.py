"""Read little-endian fields one after the other from bytes."""

import struct

import numpy as np
from numpy.typing import DTypeLike, NDArray


class BinaryReader:
    """
    A position in a bytes object that moves on with each read.

    Args:
        data (`bytes`): The content.
        source (`str`): What it is, for error messages.
    """

    def __init__(self, data: bytes, source: str) -> None:
        self.data = data
        self.source = source
        self.position = 0

    @property
    def exhausted(self) -> bool:
        return self.position >= len(self.data)

    def raw(self, length: int) -> bytes:
        """The next `length` bytes. Raises `ValueError` where the content ends before."""
        end = self.position + length
        if end > len(self.data):
            raise ValueError(
                f"{self.source} ends at byte {len(self.data)} but a field reaches to byte {end}: "
                "the file is cut off or in another format; delete it and download it again."
            )
        start, self.position = self.position, end
        return self.data[start:end]

    def fields(self, layout: str) -> tuple[int | float, ...]:
        """Several numbers, in the letters of `struct`, packed without gaps."""
        return struct.unpack(f"<{layout}", self.raw(struct.calcsize(f"<{layout}")))

    def integers(self, layout: str) -> tuple[int, ...]:
        """Like `fields`, for integers only."""
        return tuple(int(value) for value in self.fields(layout))

    def integer(self, letter: str) -> int:
        """One integer, in a letter of `struct`."""
        return self.integers(letter)[0]

    def array(self, dtype: DTypeLike, length: int) -> NDArray:
        """The next `length` numbers of a type."""
        kind = np.dtype(dtype).newbyteorder("<")
        return np.frombuffer(self.raw(length * kind.itemsize), kind)
