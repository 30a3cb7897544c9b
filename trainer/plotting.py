"""What all plots share: a canvas in one style, colours, and labels that do not cover each other."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .files import whole_file


COLOURS = ("#332288", "#C09A00", "#117733", "#CC6677", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
"""Paul Tol's muted scheme for colour-blind people; its sand is darker here, so that dots are visible."""
MARKERS = "osD^vPX*"
DOTS_PER_INCH = 150
NAME_WIDTH = 16
TITLE_WIDTH = 72


def check_matplotlib() -> None:
    """Raise an ImportError early if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "smoothclap[plots]".') from error


@contextmanager
def canvas(width: float, height: float, title: str, path: str | Path) -> Iterator[Any]:
    """Give an empty matplotlib figure of that size in inches, and save it as a PNG when the block ends."""
    check_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure

    # A dollar sign in a name would begin a formula.
    with style.context(["default", {"text.parse_math": False}]):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=DOTS_PER_INCH)
        if title:
            lines = (wrapped(line, int(TITLE_WIDTH * width / 8)) for line in title.splitlines())
            figure.suptitle("\n".join(lines), fontsize=11)
        yield figure
        # Without the name of the software, which has its version.
        with whole_file(path) as unfinished:
            figure.savefig(unfinished, format="png", metadata={"Software": None})


def wrapped(text: str, width: int) -> str:
    """Break a line at spaces, and names behind slashes, `_`, `@` and `-`; a piece longer than `width` is cut."""
    lines = [""]
    for piece in re.findall(r"\s+|[^\s/\\_@-]*[/\\_@-]+|[^\s/\\_@-]+", text):
        while len(lines[-1]) + len(piece.rstrip()) > width:
            if not lines[-1]:
                lines[-1], piece = piece[:width], piece[width:]
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.strip() for line in lines if line.strip())


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """
    Move labels apart, to at least `gap`: to the middle of where one pass up and one pass down would push them.

    `wanted` is ascending; the result is between 0 and 1, and `(n - 1) * gap` must be at most 1.
    """
    steps = gap * np.arange(len(wanted))
    slack = wanted - steps  # labels keep apart where this does not fall
    up, down = np.maximum.accumulate(slack), np.minimum.accumulate(slack[::-1])[::-1]
    return ((up + down) / 2).clip(0, 1 - steps[-1]) + steps
