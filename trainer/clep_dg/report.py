"""The report of an experiment with CLEP-DG, in Markdown."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..evaluation.results import AgainstChance
from ..files import write_text
from ..templating import code, footnotes, mark, number, render, table
from .judging import mean_and_sd
from .methods import METHODS
from .plots import BY_CONDITION, conditions_plot, contexts_plot, draw_conditions
from .results import (
    AUDIO_OF_OTHERS,
    AUDIO_OF_SPEAKERS,
    AUDIO_TITLES,
    EncoderSummary,
    ExperimentResults,
    Generalisation,
    Supervised,
)


Tested = Sequence[Generalisation] | Sequence[Supervised]


def write_report(results: ExperimentResults, folder: str | Path, plots: bool = True) -> Path:
    """
    Write `report.md` and the plots of the acoustic conditions. Equal results give equal files.

    Args:
        results ([`ExperimentResults`]): From [`~experiment.fit_clep_dg`], or read from its `results.json`.
        folder (`str` or `Path`): Where to write; it is created if need be.
        plots (`bool`, defaults to `True`): Draw the plots, too. Without, the text still links to them.

    Returns:
        `Path`: The report.

    Raises:
        ImportError: if plots are asked for and matplotlib is not installed.
    """
    conditions = _conditions(results)
    if plots:
        for each in conditions:
            draw_conditions(results, each["corpus"], Path(folder) / each["plot"])
    supervised = [AUDIO_OF_SPEAKERS, *(method.name for method in results.methods)]
    path = Path(folder) / "report.md"
    text = render(
        "clep_dg_report.md.jinja",
        results=results,
        synthetic=[results.titles[name] for name in results.synthetic],
        audio_of_others=AUDIO_TITLES[AUDIO_OF_OTHERS],
        audio_methods=[title for name, title in AUDIO_TITLES.items() if name in _compared(results)],
        generalisation=_tables(results, results.clean_generalisation, None),
        supervised=_tables(results, results.clean_supervised, supervised),
        conditions=conditions,
        condition_notes=_notes(results, results.generalisation, BY_CONDITION),
        texts=[_texts(results, encoder) for encoder in results.encoders],
        clips=_clips(results),
        stages={"Stage 2 (ACPT)": _stage(results, "acpt"), "Stage 3 (classifier)": _stage(results, "classifier")},
    )
    write_text(path, text)
    return path


def generalisation_table(results: ExperimentResults, metric: str = "uar") -> str:
    """Return a Markdown table of `"uar"` or `"accuracy"`: one row a method, one column a target corpus."""
    return _by_corpus(results, results.clean_generalisation, None, metric)


def _compared(results: ExperimentResults) -> set[str]:
    tested = (*results.clean_generalisation, *results.clean_supervised)
    return {each.method for entry in tested for each in entry.methods}


def _tables(results: ExperimentResults, tested: Tested, methods: Sequence[str] | None) -> dict[str, str]:
    if not tested:
        return {}
    tables = {metric: _by_corpus(results, tested, methods, metric) for metric in ("uar", "accuracy")}
    return tables | {"notes": _notes(results, tested)}


def _by_corpus(results: ExperimentResults, tested: Tested, methods: Sequence[str] | None, metric: str) -> str:
    names = [each.method for each in tested[0].methods] if methods is None else methods
    rows = [[results.method_titles[name], *(_cell(results, each, name, metric) for each in tested)] for name in names]
    return table(["method", *(results.titles[each.corpus] for each in tested)], rows)


def _cell(results: ExperimentResults, tested: Generalisation | Supervised, method: str, metric: str) -> str:
    """A metric with its spread, a word unless UAR is above chance, and the mark of the zero-shot status."""
    found = tested.of_method(method).metrics[metric]
    place = found.against(results.chance)
    word = f", {place}" if metric == "uar" and place != AgainstChance.ABOVE else ""
    return f"{_mean(found.value, found.sd)}{word}{mark(tested.zero_shot.status)}"


def _mean(mean: float | None, sd: float | None) -> str:
    return number(mean) if sd is None else f"{number(mean)} ± {number(sd)}"


def _notes(
    results: ExperimentResults, tested: Iterable[Generalisation | Supervised], methods: Sequence[str] = ()
) -> str:
    """What the marks and the words in a table of some methods, or of all, mean."""
    tested = list(tested)
    shown = [each for entry in tested for each in entry.methods if not methods or each.method in methods]
    noted = {results.titles[each.corpus]: each.zero_shot for each in tested}
    return footnotes(noted.items(), {each.uar.against(results.chance) for each in shown})


def _conditions(results: ExperimentResults) -> list[dict[str, str]]:
    """Of each corpus the table and the plot, if there is a condition besides the clean one."""
    if len(results.conditions) < 2 or not results.generalisation:
        return []
    head = ["condition", *(results.method_titles[name] for name in BY_CONDITION)]
    found = []
    for corpus, title in results.titles.items():
        tested = {each.condition: each for each in results.generalisation if each.corpus == corpus}
        rows = [
            [each.title, *(_cell(results, tested[each.name], name, "uar") for name in BY_CONDITION)]
            for each in results.conditions
        ]
        found.append({"corpus": corpus, "title": title, "table": table(head, rows), "plot": conditions_plot(corpus)})
    return found


def _texts(results: ExperimentResults, encoder: EncoderSummary) -> dict[str, str]:
    rows = []
    for method in METHODS:
        measured = [each for each in encoder.texts if each.method == method.name]
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


def _clips(results: ExperimentResults) -> str:
    rows = []
    for corpus in results.corpora:
        data = corpus.data
        speakers = "unknown" if data.speakers is None else f"{data.speakers:,}"
        per_class = [f"{data.per_class[name]:,}" for name in results.classes]
        about = [corpus.title, corpus.language, corpus.licence, f"{data.clips:,}", speakers]
        rows.append([*about, *per_class, code(data.sha256[:12])])
    return table(["corpus", "language", "licence", "clips", "speakers", *results.classes, "SHA-256"], rows, words=3)


def _stage(results: ExperimentResults, stage: str) -> dict[str, Any]:
    """Its settings, without those that the experiment sets itself."""
    set_here = ("seed", "style_loss", "content_loss")
    return {name: value for name, value in results.settings[stage].items() if name not in set_here}
