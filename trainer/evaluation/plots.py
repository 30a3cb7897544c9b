"""Plots of an evaluation: confusion matrices, reliability, maps of clips and classes, and class similarity."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modeling_smoothclap.scores_smoothclap import unit_rows

from ..plotting import COLOURS, MARKERS, NAME_WIDTH, canvas, spread, wrapped
from ..templating import number, with_interval
from .metrics import Calibration
from .results import Answers, EvaluationResults, ModelResult, TaskResults
from .valence_arousal import ENOUGH_PAIRS, Pair, class_centres, class_pairs, pair_correlation


def project(audio_embeds: np.ndarray, class_embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Return places of clips and classes, (n, 2), in the plane in which they vary most, and its shares of variance."""
    # Each kind is centred by its own mean, or a common projection would show little but the gap between the narrow
    # cones of audio and text (Liang et al., 2022). The map therefore does not show which class a clip is nearest to.
    clips = _centred(audio_embeds, "audio_embeds")
    texts = _centred(class_embeds, "class_embeds")
    scatter = clips.T @ clips + texts.T @ texts  # (width, width): smaller than all clips, and has the same axes
    variances, axes = np.linalg.eigh(scatter)  # ascending
    axes = axes[:, [-1, -2]]  # (width, 2)
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]  # (2,)
    axes = axes * np.where(largest < 0, -1, 1)  # the same embeddings give the same map
    total = float(variances.clip(min=0).sum())
    shares = (float(variances[-1]) / total, max(0.0, float(variances[-2])) / total) if total else (0.0, 0.0)
    return clips @ axes, texts @ axes, shares


def _centred(embeds: np.ndarray, name: str) -> np.ndarray:
    units = unit_rows(embeds, name).astype(np.float64)
    return units - units.mean(axis=0)


MAX_POINTS = 5_000  # of a map; others are left out at random
LAYER = 250  # clips of a map are drawn in layers, so that no class covers another
TEXT_SIZE = 200  # area of the large marks of a map
PAIRS_PER_INCH = 6.0


def confusion_plot(
    confusion: Sequence[Sequence[int]] | np.ndarray, classes: Sequence[str], title: str, path: str | Path
) -> None:
    """Draw the clips of each cell and their share of the true class, by which it is shaded; grey without clips."""
    counts = np.asarray(confusion)
    sums = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, sums, out=np.full(counts.shape, np.nan), where=sums > 0)  # (classes, classes)
    size = 2.6 + 0.85 * len(classes)
    names = [wrapped(name, NAME_WIDTH) for name in classes]
    with canvas(max(6.2, size + 0.9), size, title, path) as figure:
        axes = figure.add_subplot(facecolor="0.88")
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        places = range(len(classes))
        # Long names would run into each other.
        slant = {} if max(map(len, classes)) <= 8 else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        axes.set_xticks(places, names, **slant)
        axes.set_yticks(
            places, [name if clips else f"{name}\n(no clips)" for name, clips in zip(names, sums, strict=True)]
        )
        axes.set(xlabel="predicted", ylabel="true")
        for (row, column), share in np.ndenumerate(shares):
            if not np.isnan(share):
                words, colour = f"{counts[row, column]:,}\n{share:.0%}", "white" if share > 0.5 else "black"
                axes.text(column, row, words, ha="center", va="center", color=colour, fontsize=9)
        figure.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")


def reliability_plot(calibration: Calibration, title: str, path: str | Path) -> None:
    """Draw accuracy against confidence, and how many clips each bin has."""
    bins = [each for each in calibration.bins if each.clips]
    lows = [each.low for each in bins]
    widths = [each.high - each.low for each in bins]
    counts = [each.clips for each in bins]
    confidence, accuracy = [each.confidence for each in bins], [each.accuracy for each in bins]
    with canvas(5.8, 6.2, title, path) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.bar(lows, accuracy, widths, align="edge", color="#88CCEE", edgecolor="white", label="accuracy of the bin")
        upper.plot((0, 1), (0, 1), color="0.4", linestyle="--", linewidth=1, label="confidence = accuracy")
        upper.vlines(confidence, confidence, accuracy, color="#882255", linewidth=2, label="gap")
        upper.scatter(confidence, accuracy, color="#882255", s=24, zorder=3, label="mean confidence and accuracy")
        upper.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="accuracy")  # room for dots at 0 and 1
        upper.set_title(f"expected calibration error {calibration.expected_calibration_error:.3f}", fontsize=10)
        upper.legend(loc="upper left", fontsize=8)
        lower.bar(lows, counts, widths, align="edge", color="0.75", edgecolor="white")
        for each in bins:
            lower.text((each.low + each.high) / 2, each.clips, f"{each.clips:,}", ha="center", va="bottom", fontsize=8)
        lower.set(xlabel="confidence: the largest probability", ylabel="clips", ylim=(0, 1.25 * max(counts)))


def emotion_map_plot(
    clips: np.ndarray,
    texts: np.ndarray,
    shares: tuple[float, float],
    true: np.ndarray,
    classes: Sequence[str],
    title: str,
    path: str | Path,
) -> None:
    """Draw clips as small marks and classes' texts as large ones, in the plane of [`project`]."""
    shown = np.random.default_rng(0).permutation(len(clips))[:MAX_POINTS]
    number = f"{len(clips):,} clips" if len(shown) == len(clips) else f"{len(shown):,} of {len(clips):,} clips"
    with canvas(8.2, 6.2, title, path) as figure:
        axes = figure.add_subplot()
        for label, name in enumerate(classes):
            colour, marker = COLOURS[label % len(COLOURS)], MARKERS[label % len(MARKERS)]
            text = {"s": TEXT_SIZE, "marker": marker, "edgecolors": "black", "linewidths": 0.9}
            axes.scatter(*texts[label], facecolors=f"{colour}D0", zorder=3, label=wrapped(name, NAME_WIDTH), **text)
            axes.scatter(*texts[label], facecolors="none", zorder=4, **text)  # outlines are seen where texts overlap
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


def circumplex_plot(texts: Sequence[Pair], clips: Sequence[Pair], title: str, path: str | Path) -> None:
    """Draw the similarity of pairs of classes against their published distance: of texts, and of clips' centres."""
    height = max(4.6, 1.4 + max(len(texts), len(clips)) / PAIRS_PER_INCH)
    with canvas(12, height, title, path) as figure:
        series = (("texts", texts, COLOURS[0], "o"), ("centres of clips", clips, COLOURS[5], "D"))
        for axes, (name, pairs, colour, marker) in zip(figure.subplots(1, 2), series, strict=True):
            rho = pair_correlation(pairs)
            axes.scatter(
                [pair.distance for pair in pairs], [pair.cosine for pair in pairs], c=colour, marker=marker, zorder=3
            )
            found = f"Spearman's ρ = {'undefined' if rho is None else f'{rho:.2f}'}, {len(pairs)} pairs"
            few = f"{len(pairs)} pairs are too few for a correlation"
            axes.set_title(f"{name}: {found if len(pairs) >= ENOUGH_PAIRS else few}", fontsize=10)
            axes.set(xlabel="distance in valence and arousal (Russell, 1980)", ylabel="cosine", xlim=(-0.05, 2.05))
            _name_pairs(axes, pairs)


def _name_pairs(axes: Any, pairs: Sequence[Pair]) -> None:
    """Write names beside the axes, in the order of their points, so that they never cover each other."""
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


CAPTIONS = {
    "confusion": "Confusion matrix of {} in {}: rows are true classes, columns predicted",
    "reliability": "Reliability of the scores of {} in {}: accuracy against confidence",
    "map": "Emotion map of {} in {}: clips and text queries on one plane",
    "valence-arousal": (
        "Similarity of emotions of {} in {}: cosine of two classes against their distance in valence and arousal"
    ),
}
"""What plots show, of a model in a task, by how their names end."""
STEM_LENGTH = 120
"""File systems take names of 255 bytes."""


def captions(results: EvaluationResults) -> dict[str, str]:
    """Return what every plot that [`draw_plots`] may write shows, by the name of its file."""
    titles = {task.protocol.name: task.protocol.title for task in results.tasks}
    return {
        f"{stem}-{kind}.png": caption.format(model, titles[task])
        for (task, model), stem in file_stems(results.pairs).items()
        for kind, caption in CAPTIONS.items()
    }


def file_stems(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Name files after tasks and models, safely on any file system, and no two alike, whatever their case."""
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


def draw_plots(task: TaskResults, result: ModelResult, answers: Answers, folder: Path, stem: str) -> list[Path]:
    """Draw the plots of one model in one task, as `{stem}-{kind}.png`, with the kinds of [`CAPTIONS`]."""
    title, classes = task.protocol.title, task.protocol.classes
    plots = {
        kind: folder / f"{stem}-{kind}.png"
        for kind in CAPTIONS
        if kind != "valence-arousal" or result.valence_arousal.texts is not None
    }

    def head(kind: str) -> str:
        return f"{kind}: {title}\n{result.model}\nUAR {with_interval(result.uar)}, chance {number(result.chance)}"

    confusion_plot(result.confusion, classes, head("Confusion matrix"), plots["confusion"])
    reliability_plot(result.calibration, head("Reliability of scores"), plots["reliability"])
    projected = project(answers.audio_embeds, answers.class_embeds)
    emotion_map_plot(*projected, answers.true, classes, head("Emotion map"), plots["map"])
    if "valence-arousal" in plots:
        centres = class_centres(answers.audio_embeds, answers.true, len(classes))
        pairs = class_pairs(answers.class_embeds, classes), class_pairs(centres, classes)
        circumplex_plot(*pairs, head("Similarity of emotions"), plots["valence-arousal"])
    return list(plots.values())
