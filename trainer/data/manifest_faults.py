"""What is wrong with a manifest: every fault with its row and column, all told at once."""

from collections.abc import Sequence
from dataclasses import dataclass


SHOWN = 50
"""At most this many faults are in an error's message; `ManifestError.faults` holds all."""


@dataclass(frozen=True)
class Fault:
    """
    One fault of a manifest.

    Args:
        row (`int`, *optional*):
            The row as its file counts it, see [`ManifestError`]; `None` if the fault is none of one row.
        column (`str`, *optional*):
            The column; `None` if the fault is none of one column.
        problem (`str`):
            What is wrong, and with which value.
        part (`str`, *optional*):
            The split in which the row is counted, where the source has several.
    """

    row: int | None
    column: str | None
    problem: str
    part: str | None = None

    def __str__(self) -> str:
        row = "" if self.row is None else f"row {self.row}"
        part = "" if self.part is None else f"{'of ' if row else ''}split {self.part!r}"
        column = "" if self.column is None else f"column {self.column!r}"
        place = ", ".join(each for each in (" ".join(each for each in (row, part) if each), column) if each)
        return f"{place}: {self.problem}" if place else self.problem


class ManifestError(ValueError):
    """
    A manifest that cannot be used. Rows of CSV, TSV and JSON lines are lines of the file, counted from 1, a header
    included; rows of parquet and of `datasets` are indices, counted from 0.

    Args:
        source (`str`):
            The manifest.
        faults (`Sequence[Fault]`):
            All that is wrong with it.
        counting (`str`, *optional*):
            How its rows are counted, in words.
    """

    def __init__(self, source: str, faults: Sequence[Fault], counting: str = ""):
        self.source, self.counting = source, counting
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"... and {len(self.faults) - SHOWN} more, all in `.faults`")
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        super().__init__("\n  ".join([f"manifest {source!r} has {count}{counting and f' ({counting})'}:", *lines]))

    def __reduce__(self) -> tuple[type, tuple[str, tuple[Fault, ...], str]]:
        return type(self), (self.source, self.faults, self.counting)
