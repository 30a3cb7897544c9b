"""The page of the analysis, and its two plots. Equal values give equal files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from smoothclap_trainer.clep_dg.methods import ZERO_SHOT
from smoothclap_trainer.clep_dg.report import principal_plane
from smoothclap_trainer.clep_dg.results import ExperimentResults
from smoothclap_trainer.clep_dg.settings import CLEAN
from smoothclap_trainer.files import Record, write_text
from smoothclap_trainer.plotting import COLOURS, MARKERS, canvas
from smoothclap_trainer.templating import code, footnotes, mark, number, table

from .measures import (
    Curve,
    Hardest,
    Heard,
    Loss,
    Nearest,
    Places,
    change_by_style,
    counted,
    nearest,
    what_losses_cost,
)


WHERE, HOW_MANY = f"{Record.PLOTS}/where.png", f"{Record.PLOTS}/how-many.png"
NAMED = 5
"""So many hand-written contexts are named."""
COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Analysis:
    """All that the page says: the experiment, and what was measured after it."""

    results: ExperimentResults
    written: Sequence[str]
    kinds: Sequence[str]  # of each hand-written context
    written_features: torch.Tensor  # (40, width)
    places: Sequence[Places]  # of each seed
    curves: Sequence[Curve]  # of each corpus
    heard: Sequence[Heard]


def write_page(analysis: Analysis, folder: Path) -> None:
    """Write `report.md` and both plots into a folder."""
    (folder / Record.PLOTS).mkdir(parents=True, exist_ok=True)
    draw_where(analysis, folder / WHERE)
    draw_how_many(analysis, folder / HOW_MANY)
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, code=code, signed="{:+.3f}".format)
    results, losses = analysis.results, what_losses_cost(analysis.results)
    fitted, random = (
        [getattr(each, f"nearest_to_{kind}") for each in analysis.places] for kind in ("fitted", "random")
    )
    tested = results.clean_generalisation
    text = environment.get_template("report.md.jinja").render(
        results=results,
        analysis=analysis,
        synthetic=[results.titles[name] for name in results.synthetic],
        most=analysis.curves[0].numbers[-1],
        degraded=len(results.conditions) - 1,
        titles={each.name: each.title for each in results.conditions},
        images={"where": WHERE, "how_many": HOW_MANY},
        places=_places(analysis.places),
        nearer=sum(each.closer > 0 for each in analysis.places),
        among_written=_among(analysis.written_features).cosine,
        kinds=_kinds(analysis.kinds, fitted, random),
        named=list(counted(fitted, analysis.written).items())[:NAMED],
        losses=_losses(losses, len(results.classes)),
        corpora=[_of_corpus(analysis, losses, curve) for curve in analysis.curves],
        notes=footnotes([(results.titles[each.corpus], each.zero_shot.status, results.why(each)) for each in tested]),
    )
    write_text(folder / Record.REPORT, text)


def _of_corpus(analysis: Analysis, losses: Sequence[Loss], curve: Curve) -> dict[str, Any]:
    """The tables of one corpus, and what sentences are made from."""
    results, name = analysis.results, curve.corpus
    heard = [each for each in analysis.heard if each.corpus == name]
    status = next(each.zero_shot.status for each in results.clean_generalisation if each.corpus == name)
    return {
        "title": results.titles[name] + mark(status),
        "losses": _uar_by_loss(results, losses, curve),
        "style": change_by_style(losses, name),
        "how_many": _how_many(results, curve),
        "curve": curve,
        "difference": curve.differences(curve.numbers[-1])[CLEAN],
        "heard": _heard(results, heard),
        "hardest": Hardest.of(heard) if len(heard) > 1 else None,
    }


def _among(written: torch.Tensor) -> Nearest:
    return nearest(written, written, others_only=True)


def _places(places: Sequence[Places]) -> str:
    head = ["seed", "nearest ones, fitted", "random", "mean cosine, fitted", "random", "difference"]
    rows = []
    for each in places:
        one, other = each.nearest_to_fitted, each.nearest_to_random
        numbers = (number(one.cosine), number(other.cosine), f"{each.closer:+.3f}")
        rows.append([str(each.seed), str(one.distinct), str(other.distinct), *numbers])
    return table(head, rows)


def _kinds(kinds: Sequence[str], fitted: Sequence[Nearest], random: Sequence[Nearest]) -> str:
    found = [counted(each, kinds) for each in (fitted, random)]
    rows = [
        [kind, str(kinds.count(kind)), *(str(each.get(kind, 0)) for each in found)] for kind in dict.fromkeys(kinds)
    ]
    return table(["kind", "hand-written", "nearest to fitted", "nearest to random"], rows)


def _losses(losses: Sequence[Loss], classes: int) -> str:
    prompts = {"none": 0, "style": 1, "content": classes, "both": 1 + classes}
    rows = [
        [each.name, number(each.similarity), number(each.emotions_kept), str(prompts[each.name])] for each in losses
    ]
    return table(["losses", "similarity", "classes kept", "prompts"], rows)


def _uar_by_loss(results: ExperimentResults, losses: Sequence[Loss], curve: Curve) -> str:
    names = [each.name for each in results.conditions]
    rows = [[each.name, *(number(each.uar[curve.corpus, name]) for name in names)] for each in losses]
    rows.append([ZERO_SHOT.title, *(number(curve.zero_shot[name]) for name in names)])
    return table(["losses", *(each.title for each in results.conditions)], rows)


def _how_many(results: ExperimentResults, curve: Curve) -> str:
    names, rows = [each.name for each in results.conditions], []
    for k in curve.numbers:
        rows.append([str(k), *(_span(curve.uar[name][k]) for name in names)])
    rows.append([ZERO_SHOT.title, *(number(curve.zero_shot[name]) for name in names)])
    return table(["contexts", *(each.title for each in results.conditions)], rows)


def _span(seeds: Sequence[float]) -> str:
    """Mean, lowest and highest; one value alone."""
    mean = number(float(np.mean(seeds)))
    return f"{mean} ({number(min(seeds))} to {number(max(seeds))})" if len(seeds) > 1 else mean


def _heard(results: ExperimentResults, heard: Sequence[Heard]) -> str:
    titles = {each.name: each.title for each in results.conditions}
    rows = []
    for each in heard:
        values = (each.cosine, each.shift, each.zero_shot, each.moved_back, each.trained)
        rows.append([titles[each.condition], *map(number, values)])
    return table(["condition", "cosine", "shift", "zero-shot", "mean moved back", "trained in it"], rows)


def draw_where(analysis: Analysis, path: Path) -> None:
    """Draw fitted, random and hand-written contexts in the plane of their first two principal axes."""
    written, kinds = analysis.written_features.double(), list(dict.fromkeys(analysis.kinds))
    look = {kind: {"color": COLOURS[place], "marker": MARKERS[place]} for place, kind in enumerate(kinds)}
    fitted, random = (
        torch.cat([getattr(each, name) for each in analysis.places]).double() for name in ("fitted", "random")
    )
    centre, axes, shares = principal_plane(torch.cat([written, fitted, random]))
    near = np.concatenate([each.nearest_to_fitted.numbers for each in analysis.places])
    title = "Contexts without an emotion; a fitted one looks like the kind of its nearest hand-written one"
    with canvas(10.5, 5.2, title, path) as figure:
        plane, strip = figure.subplots(1, 2, width_ratios=(2.2, 1))
        plane.scatter(*((random - centre) @ axes.T).T.numpy(), s=60, c="0.5", marker="x", label="random", zorder=2)
        for kind in kinds:
            its, close = (
                np.array([analysis.kinds[each] == kind for each in numbers]) for numbers in (range(len(written)), near)
            )
            plane.scatter(*((fitted - centre) @ axes.T).numpy()[close].T, s=30, alpha=0.6, linewidths=0, **look[kind])
            where = ((written - centre) @ axes.T).numpy()[its]
            plane.scatter(
                *where.T,
                s=75,
                edgecolors="black",
                linewidths=0.8,
                zorder=3,
                label=f"hand-written: {kind}",
                **look[kind],
            )
        plane.scatter([], [], s=30, c="0.3", alpha=0.6, linewidths=0, label="fitted (small, no edge)")
        plane.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
        plane.set_ylabel(f"second axis, {shares[1]:.0%} of the variance")
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=9)
        _draw_nearest(analysis, strip)


def _draw_nearest(analysis: Analysis, axes: Any) -> None:
    """How near contexts are to the nearest hand-written one, as boxes of quartiles."""
    groups = {
        "fitted": [each.nearest_to_fitted for each in analysis.places],
        "random": [each.nearest_to_random for each in analysis.places],
        "hand-written,\nto others": [_among(analysis.written_features)],
    }
    values = [np.concatenate([each.cosines for each in found]) for found in groups.values()]
    axes.boxplot(
        values, orientation="horizontal", widths=0.5, tick_labels=list(groups), medianprops={"color": COLOURS[0]}
    )
    axes.invert_yaxis()
    axes.grid(axis="x", color="0.9")
    axes.set_xlabel("cosine with the nearest one")


def draw_how_many(analysis: Analysis, path: Path) -> None:
    """Draw the UAR against the number of contexts: mean and range over seeds, and zero-shot as a dashed line."""
    results = analysis.results
    rows = -(-len(results.conditions) // COLUMNS)
    title = "CLEP-DG by the number of contexts: mean over seeds, from the lowest to the highest; dashed: zero-shot"
    with canvas(12, 1.2 + 2.9 * rows, title, path) as figure:
        panels = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).flatten()
        for axes, condition in zip(panels, results.conditions, strict=False):
            _draw_curves(analysis, condition.name, axes)
            axes.set_title(condition.title, fontsize=10)
            axes.set_xlabel("contexts")
        for axes in panels[len(results.conditions) :]:
            axes.set_axis_off()
        panels[0].set_ylabel("UAR (dotted: guessing)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=9)


def _draw_curves(analysis: Analysis, condition: str, axes: Any) -> None:
    """All corpora under one condition."""
    for place, curve in enumerate(analysis.curves):
        colour, title = COLOURS[place % len(COLOURS)], analysis.results.titles[curve.corpus]
        seeds = np.array([curve.uar[condition][k] for k in curve.numbers])  # (numbers, seeds)
        axes.fill_between(curve.numbers, seeds.min(axis=1), seeds.max(axis=1), alpha=0.2, linewidth=0, color=colour)
        axes.plot(curve.numbers, seeds.mean(axis=1), color=colour, marker=MARKERS[place % len(MARKERS)], label=title)
        axes.axhline(curve.zero_shot[condition], color=colour, linestyle="--", linewidth=1.2)
        axes.set_xscale("log")
        axes.set_xticks(curve.numbers, map(str, curve.numbers))
    axes.axhline(analysis.results.chance, color="0.4", linestyle=":", linewidth=1)
    axes.minorticks_off()
    axes.grid(color="0.9")
