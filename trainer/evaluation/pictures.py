"""Pictures of an evaluation, as PNG: confusions, reliability of scores, a map of emotions, similarity against distance.

They need matplotlib, which the extra `plots` installs. They leave its global state alone, ignore a user's own settings
of it, and come out the same, byte for byte, each time that the same version draws the same figures.
"""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .valence_arousal import Pair, pair_correlation


COLOURS = ("#332288", "#DDCC77", "#117733", "#CC6677", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
"""Paul Tol's muted scheme, which colour-blind people can tell apart."""
MARKERS = "osD^vPX*"
DOTS_PER_INCH = 150
MAX_POINTS = 5_000
"""Of more clips than these, a map shows so many, drawn at random with a fixed seed."""
LAYER = 250
"""A map is drawn in layers of so many clips, so that no class covers another."""
NAME_WIDTH = 16
TITLE_WIDTH = 72
PAIRS_PER_INCH = 6.0


def check_matplotlib() -> None:
    """
    Finds out early whether pictures can be drawn.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError("Pictures need matplotlib: pip install 'smoothclap[plots]'.") from error


def confusion_picture(
    confusion: Sequence[Sequence[int]] | np.ndarray, classes: Sequence[str], title: str, path: str | Path
) -> None:
    """
    Draws a confusion matrix: in each cell the clips, and their share of the true class; the shade is that share.

    Args:
        confusion (array of shape `(classes, classes)`): Clips; rows are true classes, columns predicted ones.
        classes (`Sequence[str]`): Their names.
        title (`str`): Stands above it.
        path (`str` or `Path`): The PNG to write.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: if the numbers differ.
    """
    counts = np.asarray(confusion)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError(f"The confusion matrix has the shape {counts.shape}, but there are {len(classes)} classes.")
    sums = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(sums > 0, sums, 1)  # (classes, classes)
    size = 2.6 + 0.85 * len(classes)
    names = [textwrap.fill(name, NAME_WIDTH) for name in classes]
    with _canvas(max(6.2, size + 0.9), size, title, path) as figure:
        axes = figure.add_subplot()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        places = range(len(classes))
        # Short names stand level; long ones would run into each other.
        slant = {} if max(map(len, classes)) <= 8 else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, names, **slant)
        axes.set_yticks(places, names)
        axes.set(xlabel="predicted", ylabel="true")
        for row in places:
            for column in places:
                share = f"{shares[row, column]:.0%}" if sums[row, 0] else "no clips"
                colour = "white" if shares[row, column] > 0.5 else "black"
                words = f"{counts[row, column]:,}\n{share}"
                axes.text(column, row, words, ha="center", va="center", color=colour, fontsize=9)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")


def reliability_picture(part: dict[str, Any], title: str, path: str | Path) -> None:
    """
    Draws accuracy against confidence, and how many clips each bin has.

    Args:
        part (`dict`): From [`~smoothclap_trainer.evaluation.reliability.reliability`].
        title (`str`): Stands above it.
        path (`str` or `Path`): The PNG to write.

    Raises:
        ImportError: matplotlib is not installed.
    """
    bins = [each for each in part["bins"] if each["clips"]]
    lows = [each["low"] for each in bins]
    widths = [each["high"] - each["low"] for each in bins]
    counts = [each["clips"] for each in bins]
    confidence, accuracy = ([each[name] for each in bins] for name in ("confidence", "accuracy"))
    with _canvas(5.8, 6.2, title, path) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.bar(lows, accuracy, widths, align="edge", color="#88CCEE", edgecolor="white", label="accuracy of the bin")
        upper.plot((0, 1), (0, 1), color="0.4", linestyle="--", linewidth=1, label="confidence = accuracy")
        upper.vlines(confidence, confidence, accuracy, color="#882255", linewidth=2, label="gap")
        upper.scatter(
            confidence, accuracy, color="#882255", s=24, zorder=3, clip_on=False, label="mean confidence and accuracy"
        )
        error = f"expected calibration error {part['expected_calibration_error']:.3f}"
        upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        upper.set_title(error, fontsize=10)
        upper.legend(loc="upper left", fontsize=8)
        lower.bar(lows, counts, widths, align="edge", color="0.75", edgecolor="white")
        for each in bins:
            middle = (each["low"] + each["high"]) / 2
            lower.text(middle, each["clips"], f"{each['clips']:,}", ha="center", va="bottom", fontsize=8)
        lower.set(xlabel="confidence: the largest probability", ylabel="clips", ylim=(0, 1.25 * max(counts)))


def emotion_map_picture(
    clips: np.ndarray,
    texts: np.ndarray,
    shares: tuple[float, float],
    true: np.ndarray,
    classes: Sequence[str],
    title: str,
    path: str | Path,
) -> None:
    """
    Draws clips as small marks and classes' texts as large ones, in the plane of [`~.emotion_map.project`].

    Args:
        clips (`np.ndarray` of shape `(clips, 2)`): Places of the clips. More than [`MAX_POINTS`] are drawn from.
        texts (`np.ndarray` of shape `(classes, 2)`): Places of the texts.
        shares (`tuple[float, float]`): Of the variance, of each axis.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
        classes (`Sequence[str]`): Names of the classes.
        title (`str`): Stands above it.
        path (`str` or `Path`): The PNG to write.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: if the numbers differ.
    """
    true = np.asarray(true)
    if len(clips) != len(true) or len(texts) != len(classes):
        raise ValueError(
            f"There are {len(clips)} places for {len(true)} clips and {len(texts)} for {len(classes)} classes; give "
            "one for each."
        )
    shown = np.random.default_rng(0).permutation(len(clips))[:MAX_POINTS]
    number = f"{len(clips):,} clips" if len(shown) == len(clips) else f"{len(shown):,} of {len(clips):,} clips, drawn"
    with _canvas(8.2, 6.2, title, path) as figure:
        axes = figure.add_subplot()
        for label, name in enumerate(classes):
            words = textwrap.fill(name, NAME_WIDTH)
            axes.scatter(
                *texts[label], s=170, edgecolors="black", linewidths=1.4, zorder=3, label=words, **_style(label)
            )
            for start in range(0, len(shown), LAYER):
                layer = shown[start : start + LAYER]
                places = clips[layer[true[layer] == label]]
                axes.scatter(*places.T, s=14, alpha=0.55, linewidths=0, zorder=1 + start / MAX_POINTS, **_style(label))
        axes.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
        axes.set_ylabel(f"second axis, {shares[1]:.0%} of the variance")
        head = f"small: {number}; large: text queries\nclips and texts each centred by their own mean, then projected"
        axes.set_title(head, fontsize=9)
        axes.set_aspect("equal", adjustable="datalim")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), labelspacing=1.1, frameon=False)


def circumplex_picture(texts: Sequence[Pair], clips: Sequence[Pair], title: str, path: str | Path) -> None:
    """
    Draws the similarity of pairs of classes against their published distance: of texts, and of clips' centres.

    Args:
        texts (`Sequence[Pair]`): From [`~smoothclap_trainer.evaluation.valence_arousal.class_pairs`], of the texts.
        clips (`Sequence[Pair]`): The same of the clips' centres.
        title (`str`): Stands above it.
        path (`str` or `Path`): The PNG to write.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: if one of both has no pair.
    """
    if not texts or not clips:
        raise ValueError(
            f"There are {len(texts)} pairs of texts and {len(clips)} of clips; a picture needs some of both."
        )
    height = max(4.6, 1.4 + max(len(texts), len(clips)) / PAIRS_PER_INCH)
    with _canvas(12, height, title, path) as figure:
        series = (("texts", texts, COLOURS[0], "o"), ("centres of clips", clips, COLOURS[5], "D"))
        for axes, (name, pairs, colour, marker) in zip(figure.subplots(1, 2), series, strict=True):
            rho = pair_correlation(pairs)
            axes.scatter(
                [pair.distance for pair in pairs], [pair.cosine for pair in pairs], c=colour, marker=marker, zorder=3
            )
            said = "undefined" if rho is None else f"{rho:.2f}"
            axes.set_title(f"{name}: Spearman's ρ = {said}, {len(pairs)} pairs", fontsize=10)
            axes.set(xlabel="distance in valence and arousal (Russell, 1980)", ylabel="cosine", xlim=(-0.05, 2.05))
            _name_pairs(axes, pairs)


def _style(label: int) -> dict[str, str]:
    return {"color": COLOURS[label % len(COLOURS)], "marker": MARKERS[label % len(MARKERS)]}


@contextmanager
def _canvas(width: float, height: float, title: str, path: str | Path) -> Iterator[Any]:
    """A figure of so many inches, in matplotlib's own style, that is saved under its title in the end."""
    check_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure

    # Names may have dollar signs in them, which would else begin a formula.
    with style.context(["default", {"text.parse_math": False}]):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=DOTS_PER_INCH)
        lines = (textwrap.fill(line, int(TITLE_WIDTH * width / 8)) for line in title.splitlines())
        figure.suptitle("\n".join(lines), fontsize=11)
        yield figure
        # Without the name of the software, which has its version.
        figure.savefig(path, format="png", metadata={"Software": None})


def _name_pairs(axes: Any, pairs: Sequence[Pair]) -> None:
    """Names stand beside the axes, in the order of their points, so that they never cover each other."""
    low, high = axes.get_ylim()
    ordered = sorted(pairs, key=lambda pair: (pair.cosine, pair.distance))
    wanted = np.array([(pair.cosine - low) / (high - low) for pair in ordered])
    for pair, place in zip(ordered, spread(wanted, 1 / max(24, len(pairs))), strict=True):
        axes.annotate(
            f"{pair.first} – {pair.second}",
            xy=(pair.distance, pair.cosine),
            xytext=(1.03, place),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.6, "relpos": (0, 0.5)},
            fontsize=8,
            va="center",
        )


def spread(wanted: np.ndarray, gap: float) -> np.ndarray:
    """
    Moves labels apart: to the middle of where one pass up and one pass down would push them.

    Args:
        wanted (`np.ndarray` of shape `(n,)`): Where labels would stand, ascending.
        gap (`float`): The least distance between neighbours; `(n - 1) * gap` is at most 1.

    Returns:
        `np.ndarray` of shape `(n,)`: Where they stand, between 0 and 1, ascending.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.pictures import spread
    >>> spread(np.array([0.5, 0.5, 1.0, 1.0]), gap=0.25).tolist()
    [0.25, 0.5, 0.75, 1.0]

    ```
    """
    steps = gap * np.arange(len(wanted))
    slack = wanted - steps  # labels keep apart where this does not fall
    up, down = np.maximum.accumulate(slack), np.minimum.accumulate(slack[::-1])[::-1]
    return ((up + down) / 2).clip(0, 1 - steps[-1]) + steps
