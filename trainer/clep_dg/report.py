"""The report of an experiment with CLEP-DG: Markdown, and plots as PNG."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..evaluation.results import AgainstChance
from ..files import Record, write_text
from ..plotting import COLOURS, MARKERS, NAME_WIDTH, canvas, wrapped
from ..templating import footnotes, mark, number, render, table
from .judging import mean_and_sd
from .methods import (
    CLEP_DG,
    CONTEXT_FREE,
    METHODS,
    RANDOM_CONTEXTS,
    WITHOUT_STYLE,
    WRITTEN_CONTEXTS,
    ZERO_SHOT,
    TextStages,
)
from .results import (
    AUDIO_OF_OTHERS,
    AUDIO_OF_SPEAKERS,
    AUDIO_TITLES,
    AUGMENTED,
    METRICS,
    EncoderSummary,
    ExperimentResults,
    Tested,
)
from .settings import CLEAN


MAPPED = {
    RANDOM_CONTEXTS: "untrained",
    WITHOUT_STYLE: "fitted by the content loss alone",
    CLEP_DG: "fitted by both losses",
}
"""The methods whose contexts are mapped, and what the plot calls them."""
BY_CONDITION = (
    *(each.name for each in (ZERO_SHOT, CONTEXT_FREE, RANDOM_CONTEXTS, WRITTEN_CONTEXTS, CLEP_DG)),
    AUDIO_OF_OTHERS,
    AUGMENTED[AUDIO_OF_OTHERS],
)
"""The methods that are shown under each acoustic condition."""
DIFFERS = {AgainstChance.ABOVE: ", above", AgainstChance.BELOW: ", below", AgainstChance.AT: ""}
"""What follows a difference to zero-shot, by where its interval is against 0."""


def write_report(results: ExperimentResults, folder: str | Path, plots: bool = True) -> Path:
    """Write `report.md` and the plots of the acoustic conditions. Equal results give equal files."""
    conditions = _conditions(results)
    if plots:
        for each in conditions:
            draw_conditions(results, each["corpus"], Path(folder) / each["plot"])
    clean, folds = results.clean_generalisation, results.clean_supervised
    trained = [name for name in AUDIO_TITLES if name in _compared([*clean, *folds])]
    supervised = sorted(_compared(folds) or [AUDIO_OF_SPEAKERS], key=lambda name: name not in trained)  # these first
    path = Path(folder) / Record.REPORT
    text = render(
        "clep_dg_report.md.jinja",
        results=results,
        data={corpus.name: corpus.data for corpus in results.corpora},
        synthetic=[results.titles[name] for name in results.synthetic],
        audio_of_others=AUDIO_TITLES[AUDIO_OF_OTHERS],
        audio_methods=[AUDIO_TITLES[name] for name in trained if name not in AUGMENTED.values()],
        augmented_methods=[AUDIO_TITLES[name] for name in trained if name in AUGMENTED.values()],
        generalisation=_tables(results, clean, _compared(clean)) | {"differences": _differences(results, clean)},
        supervised=_tables(results, folds, supervised),
        conditions=conditions,
        condition_notes=_notes(results, results.generalisation, BY_CONDITION),
        texts=[_texts(results, encoder) for encoder in results.encoders],
    )
    write_text(path, text)
    return path


def generalisation_table(results: ExperimentResults) -> str:
    """Return a Markdown table of the UAR: one row a method, one column a target corpus."""
    return _by_corpus(results, results.clean_generalisation, _compared(results.clean_generalisation), "uar")


def _compared(tested: Sequence[Tested]) -> list[str]:
    return list(dict.fromkeys(each.method for entry in tested for each in entry.methods))


def _tables(results: ExperimentResults, tested: Sequence[Tested], methods: Sequence[str]) -> dict[str, str]:
    tables = {metric: _by_corpus(results, tested, methods, metric) for metric in METRICS} if tested else {}
    return tables | {"notes": _notes(results, tested)}


def _by_corpus(results: ExperimentResults, tested: Sequence[Tested], methods: Sequence[str], metric: str) -> str:
    rows = [
        [results.method_titles[name], *(_cell(results, each, name, metric=metric) for each in tested)]
        for name in methods
    ]
    return table(["method", *(results.titles[each.corpus] for each in tested)], rows)


def _cell(results: ExperimentResults, tested: Tested, method: str, *, metric: str) -> str:
    """A metric with its spread, a word unless UAR is above chance, and the mark of the zero-shot status."""
    found = tested.of_method(method).metrics[metric]
    place = found.against(results.chance)
    word = f", {place}" if metric == "uar" and place != AgainstChance.ABOVE else ""
    return f"{_mean(found.value, found.sd)}{word}{mark(tested.zero_shot.status)}"


def _differences(results: ExperimentResults, tested: Sequence[Tested]) -> str:
    """The table of UARs minus that of zero-shot; empty for results of versions that had none."""
    methods = [each.method for each in tested[0].methods if each.differences] if tested else []
    rows = [[results.method_titles[name], *(_difference(each, name) for each in tested)] for name in methods]
    return table(["method", *(results.titles[each.corpus] for each in tested)], rows) if rows else ""


def _difference(tested: Tested, method: str) -> str:
    """A difference with its interval, and a word if that does not contain 0."""
    found = tested.of_method(method).differences["uar"]
    value, low, high = (f"{each:+z.3f}" for each in (found.value, found.low, found.high))  # never -0.000
    return f"{value} [{low}, {high}]{DIFFERS[found.against(0)]}"


def _mean(mean: float | None, sd: float | None) -> str:
    return number(mean) if sd is None else f"{number(mean)} ± {number(sd)}"


def _notes(results: ExperimentResults, tested: Sequence[Tested], methods: Sequence[str] = ()) -> str:
    """What the marks and the words in a table of some methods, or of all, mean."""
    shown = [each for entry in tested for each in entry.methods if not methods or each.method in methods]
    noted = {results.titles[each.corpus]: (each.zero_shot.status, results.why(each)) for each in tested}
    places = {each.uar.against(results.chance) for each in shown}
    return footnotes([(name, *about) for name, about in noted.items()], places)


def _by_condition(results: ExperimentResults) -> list[str]:
    """The methods of [`BY_CONDITION`] that the results have; those of earlier versions lack some."""
    present = _compared(results.generalisation)
    return [name for name in BY_CONDITION if name in present]


def _conditions(results: ExperimentResults) -> list[dict[str, Any]]:
    """Of each corpus the tables and the plot, if there is a condition besides the clean one."""
    if len(results.conditions) < 2 or not results.generalisation:
        return []
    found = []
    for corpus, title in results.titles.items():
        tested = {each.condition: each for each in results.generalisation if each.corpus == corpus}
        methods = _by_condition(results)
        ours = {name: each.of_method(CLEP_DG.name).differences for name, each in tested.items()}
        differences = _table_by_condition(results, tested, methods[1:], _difference) if ours[CLEAN] else ""
        found.append(
            {
                "corpus": corpus,
                "title": title,
                "table": _table_by_condition(results, tested, methods, partial(_cell, results, metric="uar")),
                "differences": differences,
                "degraded": [each["uar"] for name, each in ours.items() if name != CLEAN and each],
                "plot": f"{Record.PLOTS}/conditions-{corpus}.png",
            }
        )
    return found


def _table_by_condition(
    results: ExperimentResults,
    tested: Mapping[str, Tested],
    methods: Sequence[str],
    written: Callable[[Tested, str], str],
) -> str:
    rows = [[each.title, *(written(tested[each.name], name) for name in methods)] for each in results.conditions]
    return table(["condition", *(results.method_titles[name] for name in methods)], rows)


def _texts(results: ExperimentResults, encoder: EncoderSummary) -> dict[str, str]:
    rows = []
    for method in METHODS:
        measured = [each for each in encoder.texts if each.method == method.name]
        if not measured:  # by a version that did not have it
            continue
        cells = []
        for name in ("similarity", "emotions_kept", "texts_right"):
            values = [getattr(each, name) for each in measured[: None if method.is_random else 1]]
            known = [value for value in values if value is not None]
            cells.append(_mean(*(mean_and_sd(known) if known else (None, None))))
        rows.append([method.title, *cells])
    own = results.subfolder(encoder)
    name = f"{encoder.name}, which is tested on {', '.join(encoder.corpora)}," if own else encoder.name
    written = table(["method", "similarity", "classes kept", "texts right"], rows)
    return {"name": name, "table": written, "plot": contexts_plot(own)}


def contexts_plot(subfolder: str) -> str:
    """Return where the map of contexts is in an experiment's folder; see [`~results.ExperimentResults.subfolder`]."""
    return f"{Record.PLOTS}/contexts{'-' if subfolder else ''}{subfolder}.png"


def draw_contexts(stages: TextStages, classes: Sequence[str], title: str, path: str | Path) -> None:
    """Draw prompts without contexts as large marks and joint ones as small, on their first two principal axes."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    joint = torch.stack([stages.joint[method.contexts] for method in MAPPED]).double()  # (kinds, K, N, width)
    content = stages.content.double()  # (N, width)
    centre, axes, shares = principal_plane(torch.cat([joint.flatten(0, 2), content]))
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
                look |= {"edgecolors": "black", "label": wrapped(name, NAME_WIDTH)}
                axes_of.scatter(*large[label].numpy(), s=150, linewidths=0.9, zorder=3, **look)
            found = stages.measures[method.name]
            similar = "" if found.similarity is None else f"mean |cosine| of contexts {found.similarity:.2f}, "
            axes_of.set_title(f"{MAPPED[method]}\n{similar}classes kept {found.emotions_kept:.0%}", fontsize=10)
            axes_of.set_xlabel(f"first axis, {shares[0]:.0%} of the variance")
        panels[0].set_ylabel(f"second axis, {shares[1]:.0%} of the variance")
        panels[-1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), labelspacing=1.1, frameon=False)


def principal_plane(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
    """Return the mean of points, (n, width), their first two axes, (2, width), and the variance's share on each."""
    centre = points.mean(dim=0)
    _, sizes, axes = torch.linalg.svd(points - centre, full_matrices=False)
    axes = axes[:2] * axes[:2].gather(1, axes[:2].abs().argmax(dim=1, keepdim=True)).sign()
    return centre, axes, (sizes[:2].square() / sizes.square().sum()).tolist()


def draw_conditions(results: ExperimentResults, corpus: str, path: str | Path) -> None:
    """Draw the UAR of some methods under each acoustic condition: means, and standard deviations over seeds as bars."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    tested = {each.condition: each for each in results.generalisation if each.corpus == corpus}
    height = 1.6 + 0.55 * len(results.conditions)
    with canvas(9.5, height, f"Leave one corpus out, UAR on {results.titles[corpus]}", path) as figure:
        axes = figure.add_subplot()
        methods = _by_condition(results)
        step = min(0.17, 0.8 / len(methods))
        for place, name in enumerate(methods):
            uar = [tested[each.name].of_method(name).uar for each in results.conditions]
            axes.errorbar(
                [each.value for each in uar],
                [row + (place - (len(methods) - 1) / 2) * step for row in range(len(uar))],
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
