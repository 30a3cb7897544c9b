"""The report of an evaluation, in Markdown, and its tables for the command line and for model cards."""

from collections.abc import Sequence
from pathlib import Path

from ..files import Record, write_text
from ..templating import footnotes, render
from .plots import captions, draw_plots, file_stems
from .protocols import SYSTEMS
from .results import EvaluationResults, Metric, ModelResult, TaskResults
from .valence_arousal import ENOUGH_PAIRS


def summary_table(results: EvaluationResults) -> str:
    """Write the UAR of all models and tasks next to the published ones, as a table with notes."""
    return _summary(results, [result.uar for _, result in results.judged])


def _summary(results: EvaluationResults, shown: Sequence[Metric]) -> str:
    published = dict.fromkeys(system for task in results.tasks for system in task.protocol.published)
    systems = sorted(published, key=lambda name: SYSTEMS.index(name) if name in SYSTEMS else len(SYSTEMS))
    titles = results.titles
    named = [(f"`{result.model}` in {titles[task.protocol.name]}", task, result) for task, result in results.judged]
    notes = _notes(results, named, shown)
    return render("evaluation_summary.md.jinja", results=results, systems=systems, notes=notes)


def card_table(results: EvaluationResults, model: str) -> str:
    """Write the results of one model, for its card, as a table with notes; without such a model a `ValueError`."""
    tasks, titles = results.of_model(model), results.titles
    named = [(titles[task.protocol.name], task, result) for task, result in tasks]
    notes = _notes(results, named, [result.uar for _, result in tasks])
    return render("evaluation_card.md.jinja", tasks=tasks, titles=titles, notes=notes)


def _notes(
    results: EvaluationResults, named: Sequence[tuple[str, TaskResults, ModelResult]], shown: Sequence[Metric]
) -> str:
    """Explain the marks and words of results, each with what the result is called."""
    marked = [(name, result.zero_shot.status, results.why(task, result)) for name, task, result in named]
    return footnotes(marked, {result.place for *_, result in named}, shown)


def write_report(results: EvaluationResults, folder: str | Path, plots: bool = True) -> list[Path]:
    """Write `report.md` and its plots, which need the answers, to a folder that is made; return their paths."""
    folder, alts = Path(folder), captions(results)
    drawn = _draw(results, folder / Record.PLOTS) if plots else {}
    shown = {
        pair: [{"alt": alts[plot.name], "path": plot.relative_to(folder).as_posix()} for plot in its]
        for pair, its in drawn.items()
    }
    metrics = [
        metric
        for _, result in results.judged
        for metric in (*result.metrics.values(), *result.per_class_recall.values())
    ]
    text = render(
        "evaluation_report.md.jinja",
        results=results,
        summary=_summary(results, metrics),
        plots=shown,
        ENOUGH_PAIRS=ENOUGH_PAIRS,
    )
    write_text(folder / Record.REPORT, text)
    return [folder / Record.REPORT, *(plot for its in drawn.values() for plot in its)]


def _draw(results: EvaluationResults, folder: Path) -> dict[tuple[str, str], list[Path]]:
    """Draw the plots of all tasks and models, by their names."""
    if absent := [pair for pair in results.pairs if pair not in results.answers]:
        raise ValueError(f"There are no answers of {absent}; plots need those of every task and model.")
    folder.mkdir(parents=True, exist_ok=True)
    stems = file_stems(results.pairs)
    return {
        pair: draw_plots(*of, results.answers[pair], folder, stems[pair])
        for pair, of in zip(results.pairs, results.judged, strict=True)
    }
