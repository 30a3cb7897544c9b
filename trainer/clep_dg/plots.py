"""Plots of an experiment with CLEP-DG, as PNG: where contexts put prompts, and UAR under acoustic conditions."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..plotting import COLOURS, MARKERS, NAME_WIDTH, canvas, wrapped
from .methods import CLEP_DG, CONTEXT_FREE, RANDOM_CONTEXTS, WITHOUT_STYLE, ZERO_SHOT, TextStages
from .results import ExperimentResults


FOLDER = "pictures"
MAPPED = {
    RANDOM_CONTEXTS: "untrained",
    WITHOUT_STYLE: "fitted by the content loss alone",
    CLEP_DG: "fitted by both losses",
}
"""The methods whose contexts are mapped, and what the plot calls them."""
BY_CONDITION = (ZERO_SHOT.name, CONTEXT_FREE.name, RANDOM_CONTEXTS.name, CLEP_DG.name)
"""The methods that are shown under each acoustic condition."""


def contexts_plot(subfolder: str = "") -> str:
    """Return where the map of contexts is in an experiment's folder; see [`~results.ExperimentResults.subfolder`]."""
    return f"{FOLDER}/contexts{'-' if subfolder else ''}{subfolder}.png"


def conditions_plot(corpus: str) -> str:
    """Return where the plot of a corpus under acoustic conditions is in an experiment's folder."""
    return f"{FOLDER}/conditions-{corpus}.png"


def draw_contexts(stages: TextStages, classes: Sequence[str], title: str, path: str | Path) -> None:
    """
    Draw prompts without contexts as large marks and joint prompts as small ones, for each kind of contexts, on the
    plane of the first two principal components of all of them.

    Args:
        stages ([`TextStages`]): Of one seed.
        classes (`Sequence[str]`): Names of the N classes.
        title (`str`): What the texts were embedded with.
        path (`str` or `Path`): The PNG to write; its folder is created if need be.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    joint = torch.stack([stages.joint[method.contexts] for method in MAPPED]).double()  # (kinds, K, N, width)
    content = stages.content.double()  # (N, width)
    everything = torch.cat([joint.flatten(0, 2), content])
    centre = everything.mean(dim=0)
    _, sizes, axes = torch.linalg.svd(everything - centre, full_matrices=False)
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()  # (2, width)
    shares = (sizes[:2].square() / sizes.square().sum()).tolist()
    small, large = (joint - centre) @ axes.T, (content - centre) @ axes.T  # (kinds, K, N, 2), (N, 2)
    head = (
        f"Text embeddings of {title}; large: prompts without a context, small: with each of {joint.shape[1]} contexts"
    )
    with canvas(13, 5.2, head, path) as figure:
        panels = figure.subplots(1, len(MAPPED), sharex=True, sharey=True)
        for axes_of, method, places in zip(panels, MAPPED, small.numpy(), strict=True):
            for label, name in enumerate(classes):
                look = {"color": COLOURS[label % len(COLOURS)], "marker": MARKERS[label % len(MARKERS)]}
                axes_of.scatter(*places[:, label].T, s=22, alpha=0.7, linewidths=0, **look)
                axes_of.scatter(*large[label].numpy(), s=150, edgecolors="black", linewidths=0.9, zorder=3, **look,
                                label=wrapped(name, NAME_WIDTH))  # fmt: skip
            found = stages.measures[method.name]
            similar = "" if found.similarity is None else f"mean |cosine| of contexts {found.similarity:.2f}, "
            axes_of.set_title(f"{MAPPED[method]}\n{similar}classes kept {found.emotions_kept:.0%}", fontsize=10)
            axes_of.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
        panels[0].set_ylabel(f"second axis, {shares[1]:.0%} of the variance")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), labelspacing=1.1, frameon=False)


def draw_conditions(results: ExperimentResults, corpus: str, path: str | Path) -> None:
    """
    Draw the UAR of some methods on one corpus under each acoustic condition: means, and standard deviations over
    seeds as bars.

    Args:
        results ([`ExperimentResults`]): From [`~experiment.fit_clep_dg`].
        corpus (`str`): Name of the corpus.
        path (`str` or `Path`): The PNG to write; its folder is created if need be.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    tested = {each.condition: each for each in results.generalisation if each.corpus == corpus}
    height = 1.6 + 0.55 * len(results.conditions)
    with canvas(9.5, height, f"Leave one corpus out, UAR on {results.titles[corpus]}", path) as figure:
        axes = figure.add_subplot()
        for place, name in enumerate(BY_CONDITION):
            uar = [tested[each.name].of_method(name).uar for each in results.conditions]
            axes.errorbar(
                [each.value for each in uar],
                [row + (place - (len(BY_CONDITION) - 1) / 2) * 0.17 for row in range(len(uar))],
                xerr=[each.sd or 0 for each in uar],
                fmt=MARKERS[place],
                color=COLOURS[place],
                capsize=2,
                label=results.method_titles[name],
            )
        axes.axvline(results.chance, color="0.4", linestyle="--", linewidth=1, label="guessing")
        axes.set_yticks(range(len(results.conditions)), [each.title for each in results.conditions])
        axes.invert_yaxis()
        axes.grid(axis="x", color="0.9")
        axes.set_axisbelow(True)
        axes.set_xlabel("UAR: mean over seeds, ± standard deviation")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
