"""A map of clips and classes: both kinds of embeddings on one plane."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from .embed import unit_rows
from .report_cells import number, with_interval
from .valence_arousal import ENOUGH_PAIRS, Pair, class_centres, class_pairs, pair_correlation


def project(audio_embeds: np.ndarray, class_embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """
    Projects clips and classes' texts onto the plane in which they vary most.

    The two kinds of embeddings of a contrastive model lie in separate narrow cones (the modality gap, Liang et al.,
    2022), so that a common projection would show the gap and little else. Each kind is therefore centred by its own
    mean; then comes one principal component analysis of both. What a map shows is thus relative: which class a clip is
    nearest to cannot be read off it.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips, of any length.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.

    Returns:
        `tuple`: Places of the clips, of shape `(clips, 2)`, those of the classes, of shape `(classes, 2)`, and the
        shares of the variance that the two axes have, each between 0 and 1. The same embeddings give the same map: of
        each axis, the entry that is largest in size is positive.

    Raises:
        ValueError: if there is no clip or no class, widths differ or are below 2, or an embedding is not finite.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.plots import project
    >>> clips, texts, shares = project(np.eye(3), np.eye(3)[:2])
    >>> clips.shape, texts.shape, round(sum(shares), 2)
    ((3, 2), (2, 2), 1.0)

    ```
    """
    widths = {np.shape(audio_embeds)[1:], np.shape(class_embeds)[1:]}
    if len(widths) != 1 or len(only := widths.pop()) != 1 or only[0] < 2:
        raise ValueError(
            f"Clips have the shape {np.shape(audio_embeds)} and classes {np.shape(class_embeds)}; a map needs two "
            "dimensions of one width, 2 or more."
        )
    if not len(audio_embeds) or not len(class_embeds):
        raise ValueError(
            f"There are {len(audio_embeds)} clips and {len(class_embeds)} classes; a map needs some of both."
        )
    clips = _centred(audio_embeds, "audio_embeds")
    texts = _centred(class_embeds, "class_embeds")
    scatter = clips.T @ clips + texts.T @ texts  # (width, width): smaller than all clips, and has the same axes
    variances, axes = np.linalg.eigh(scatter)  # ascending
    axes = axes[:, [-1, -2]]  # (width, 2)
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]  # (2,)
    axes = axes * np.where(largest < 0, -1, 1)
    total = float(variances.clip(min=0).sum())
    shares = (float(variances[-1]) / total, max(0.0, float(variances[-2])) / total) if total else (0.0, 0.0)
    return clips @ axes, texts @ axes, shares


def _centred(embeds: np.ndarray, name: str) -> np.ndarray:
    units = unit_rows(embeds, name).astype(np.float64)
    return units - units.mean(axis=0)


COLOURS = ("#332288", "#C09A00", "#117733", "#CC6677", "#88CCEE", "#882255", "#44AA99", "#999933", "#AA4499")
"""Paul Tol's muted scheme, which colour-blind people can tell apart; its sand is darker here, to be seen in dots."""
MARKERS = "osD^vPX*"
DOTS_PER_INCH = 150
MAX_POINTS = 5_000
"""Of more clips than these, a map shows so many, drawn at random with a fixed seed."""
LAYER = 250
"""A map is drawn in layers of so many clips, so that no class covers another."""
TEXT_SIZES = 330, 120
"""Areas of a map's large marks, from the first class to the last."""
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
    names = [wrapped(name, NAME_WIDTH) for name in classes]
    with canvas(max(6.2, size + 0.9), size, title, path) as figure:
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
        part (`dict`): From [`~smoothclap_trainer.evaluation.metrics.reliability`].
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
    with canvas(5.8, 6.2, title, path) as figure:
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
    with canvas(8.2, 6.2, title, path) as figure:
        axes = figure.add_subplot()
        sizes = np.linspace(*TEXT_SIZES, len(classes))
        for label, name in enumerate(classes):
            colour, marker = COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]
            # Where texts fall together, each looks out from below the next, and its outline lies above them all.
            text = {"s": sizes[label], "marker": marker, "edgecolors": "black", "linewidths": 0.9}
            axes.scatter(*texts[label], facecolors=f"{colour}D0", zorder=3, label=wrapped(name, NAME_WIDTH), **text)
            axes.scatter(*texts[label], facecolors="none", zorder=4, **text)
            for start in range(0, len(shown), LAYER):
                layer = shown[start : start + LAYER]
                places = clips[layer[true[layer] == label]]
                order = 1 + start / MAX_POINTS
                axes.scatter(*places.T, s=14, alpha=0.65, linewidths=0, zorder=order, color=colour, marker=marker)
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
    with canvas(12, height, title, path) as figure:
        series = (("texts", texts, COLOURS[0], "o"), ("centres of clips", clips, COLOURS[5], "D"))
        for axes, (name, pairs, colour, marker) in zip(figure.subplots(1, 2), series, strict=True):
            rho = pair_correlation(pairs)
            axes.scatter(
                [pair.distance for pair in pairs], [pair.cosine for pair in pairs], c=colour, marker=marker, zorder=3
            )
            said = f"Spearman's ρ = {'undefined' if rho is None else f'{rho:.2f}'}, {len(pairs)} pairs"
            few = f"too few pairs to mean anything ({len(pairs)})"
            axes.set_title(f"{name}: {said if len(pairs) >= ENOUGH_PAIRS else few}", fontsize=10)
            axes.set(xlabel="distance in valence and arousal (Russell, 1980)", ylabel="cosine", xlim=(-0.05, 2.05))
            _name_pairs(axes, pairs)


@contextmanager
def canvas(width: float, height: float, title: str, path: str | Path) -> Iterator[Any]:
    """
    A figure of so many inches, in matplotlib's own style, that is saved under its title in the end.

    Args:
        width, height (`float`): In inches.
        title (`str`): Stands above it; long lines are broken.
        path (`str` or `Path`): The PNG to write.

    Raises:
        ImportError: matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib import style
    from matplotlib.figure import Figure

    # Names may have dollar signs in them, which would else begin a formula.
    with style.context(["default", {"text.parse_math": False}]):
        figure = Figure(figsize=(width, height), layout="constrained", dpi=DOTS_PER_INCH)
        lines = (wrapped(line, int(TITLE_WIDTH * width / 8)) for line in title.splitlines())
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


def wrapped(text: str, width: int) -> str:
    r"""
    Breaks a line at spaces, and names behind `/`, `\`, `_`, `@` and `-`.

    Args:
        text (`str`): One line.
        width (`int`): Of the lines that come of it, in characters; what has no such place and is longer is cut.

    Returns:
        `str`: The lines.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.plots import wrapped
    >>> wrapped("organisation/large_name", 17).splitlines()
    ['organisation/', 'large_name']

    ```
    """
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
    Moves labels apart: to the middle of where one pass up and one pass down would push them.

    Args:
        wanted (`np.ndarray` of shape `(n,)`): Where labels would stand, ascending.
        gap (`float`): The least distance between neighbours; `(n - 1) * gap` is at most 1.

    Returns:
        `np.ndarray` of shape `(n,)`: Where they stand, between 0 and 1, ascending.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.plots import spread
    >>> spread(np.array([0.5, 0.5, 1.0, 1.0]), gap=0.25).tolist()
    [0.25, 0.5, 0.75, 1.0]

    ```
    """
    steps = gap * np.arange(len(wanted))
    slack = wanted - steps  # labels keep apart where this does not fall
    up, down = np.maximum.accumulate(slack), np.minimum.accumulate(slack[::-1])[::-1]
    return ((up + down) / 2).clip(0, 1 - steps[-1]) + steps


CAPTIONS = {
    "confusion": "Confusion matrix of {} in {}: rows are true classes, columns predicted",
    "reliability": "Reliability of the scores of {} in {}: accuracy against confidence",
    "map": "Emotion map of {} in {}: clips and text queries on one plane",
    "valence-arousal": (
        "Similarity of emotions of {} in {}: cosine of two classes against their distance in valence and arousal"
    ),
}
"""What pictures show, of a model in a task, by how their names end."""
STEM_LENGTH = 120
"""File systems take names of 255 bytes."""


class Answers(Protocol):
    """
    What pictures need beside the results, of one model in one task.

    Attributes:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of the clips.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.
        true (`np.ndarray` of shape `(clips,)`): Index of each clip's class.
    """

    @property
    def audio_embeds(self) -> np.ndarray: ...
    @property
    def class_embeds(self) -> np.ndarray: ...
    @property
    def true(self) -> np.ndarray: ...


class Picture(NamedTuple):
    """
    One picture.

    Args:
        path (`Path`): Its PNG.
        alt (`str`): What one would be told who does not see it.
    """

    path: Path
    alt: str


def pairs_of(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The names of task and model of all results, in their order."""
    return [(task["protocol"]["name"], result["model"]) for task in results["tasks"] for result in task["results"]]


def captions(results: Mapping[str, Any]) -> dict[str, str]:
    """
    Says what the pictures of an evaluation show.

    Args:
        results (`Mapping[str, Any]`): Of the evaluation; see `docs/evaluation.md`.

    Returns:
        `dict[str, str]`: By the names of all files that [`draw_pictures`] may write.
    """
    titles = {task["protocol"]["name"]: task["protocol"]["title"] for task in results["tasks"]}
    return {
        f"{stem}-{kind}.png": caption.format(model, titles[task])
        for (task, model), stem in file_stems(pairs_of(results)).items()
        for kind, caption in CAPTIONS.items()
    }


def file_stems(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """
    Names files after tasks and models.

    Args:
        pairs (`Iterable[tuple[str, str]]`): Names of task and model, of any characters.

    Returns:
        `dict[tuple[str, str], str]`: A name for each pair that any file system takes, and that no two have in common,
        also where capitals do not count.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.plots import file_stems
    >>> list(file_stems([("tess-7", "user/name"), ("tess-7", "/user/Name")]).values())
    ['tess-7-user-name', 'tess-7-user-Name-2']

    ```
    """
    stems: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for task, model in pairs:
        plain = (re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") for name in (task, model))
        stem = wanted = "-".join(part for part in plain if part)[:STEM_LENGTH] or "task"
        count = 1
        while stem.lower() in taken:
            count += 1
            stem = f"{wanted}-{count}"
        taken.add(stem.lower())
        stems[task, model] = stem
    return stems


def draw_pictures(
    task: Mapping[str, Any], result: Mapping[str, Any], answers: Answers, folder: Path, stem: str
) -> list[Picture]:
    """
    Draws the pictures of one model in one task.

    Args:
        task (`Mapping[str, Any]`): An entry of `tasks` of the results.
        result (`Mapping[str, Any]`): The model's entry in it.
        answers ([`Answers`]): Of the same.
        folder (`Path`): Where the PNGs go.
        stem (`str`): What their names begin with.

    Returns:
        `list[Picture]`: Confusion matrix, reliability and emotion map; and similarity against distance, where three
        classes or more have a published place.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: if the embeddings do not fit the results.
    """
    classes = list(task["protocol"]["words"])
    counts = np.bincount(answers.true, minlength=len(classes)).tolist()
    if counts != (expected := [sum(row) for row in result["confusion"]]):
        raise ValueError(
            f"The embeddings of {result['model']!r} in {task['protocol']['name']!r} are of {counts} clips a class, but "
            f"its results of {expected}; give those of the same evaluation."
        )
    title = task["protocol"]["title"]
    kinds = [kind for kind in CAPTIONS if kind != "valence-arousal" or result["valence_arousal"]["texts"] is not None]
    pictures = {
        kind: Picture(folder / f"{stem}-{kind}.png", CAPTIONS[kind].format(result["model"], title)) for kind in kinds
    }

    def head(kind: str) -> str:
        uar = with_interval(result["figures"]["uar"])
        return f"{kind}: {title}\n{result['model']}\nUAR {uar}, chance {number(result['chance'])}"

    confusion_picture(result["confusion"], classes, head("Confusion matrix"), pictures["confusion"].path)
    reliability_picture(result["reliability"], head("Reliability of scores"), pictures["reliability"].path)
    projected = project(answers.audio_embeds, answers.class_embeds)
    emotion_map_picture(*projected, answers.true, classes, head("Emotion map"), pictures["map"].path)
    if "valence-arousal" in pictures:
        centres = class_centres(answers.audio_embeds, answers.true, len(classes))
        pairs = class_pairs(answers.class_embeds, classes), class_pairs(centres, classes)
        circumplex_picture(*pairs, head("Similarity of emotions"), pictures["valence-arousal"].path)
    return list(pictures.values())
