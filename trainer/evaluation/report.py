"""The report of an evaluation, in Markdown, and its tables for the command line and for model cards."""

from collections.abc import Sequence
from pathlib import Path

from ..files import Record, write_text
from ..templating import NO_WIDTH, footnotes, render
from .plots import Plot, draw_plots, file_stems
from .protocols import SYSTEMS
from .results import EvaluationResults, ModelResult
from .valence_arousal import ENOUGH_PAIRS


def summary_table(results: EvaluationResults) -> str:
    """
    Write the UAR of all models and tasks next to the published ones, as a table, with notes on what may be misread.
    """
    published = {system: None for task in results.tasks for system in task.protocol.published}
    # In the order of the paper, and others after them.
    systems = [system for system in SYSTEMS if system in published]
    systems += [system for system in published if system not in SYSTEMS]
    noted = [
        (f"`{result.model}` in {results.titles[task.protocol.name]}", result)
        for task in results.tasks
        for result in task.results
    ]
    return render("evaluation_summary.md.jinja", results=results, systems=systems, notes=_notes(noted))


def card_table(results: EvaluationResults, model: str) -> str:
    """
    Write the results of one model, for its card, as a table, with notes; a `ValueError` says that there is no such
    model.
    """
    tasks, titles = results.of_model(model), results.titles
    notes = _notes([(titles[task.protocol.name], result) for task, result in tasks])
    return render("evaluation_card.md.jinja", tasks=tasks, titles=titles, notes=notes)


def _notes(noted: Sequence[tuple[str, ModelResult]]) -> str:
    """Explain the marks and words of results, each with what the result is called."""
    return footnotes(
        [(name, result.zero_shot) for name, result in noted],
        {result.place for _, result in noted},
        [result.uar for _, result in noted],
    )


def write_report(results: EvaluationResults, folder: str | Path, plots: bool = True) -> list[Path]:
    """
    Write `report.md` and the plots that it shows. Equal results give equal files.

    Args:
        results ([`EvaluationResults`]): Of an evaluation; for plots with the answers.
        folder (`str` or `Path`): Gets `report.md` and the folder `pictures`; it is made.
        plots (`bool`, defaults to `True`): Whether to draw. Without plots the report has text only.

    Returns:
        `list[Path]`: `report.md`, and the plots.

    Raises:
        ImportError: if matplotlib is not installed.
        ValueError: if plots are wanted and a task or model has no answers.
    """
    folder = Path(folder)
    drawn = _draw(results, folder / Record.PLOTS) if plots else {}
    shown = {
        pair: [{"alt": plot.alt, "path": plot.path.relative_to(folder).as_posix()} for plot in its]
        for pair, its in drawn.items()
    }
    text = render(
        "evaluation_report.md.jinja",
        results=results,
        summary=summary_table(results),
        plots=shown,
        NO_WIDTH=NO_WIDTH,
        ENOUGH_PAIRS=ENOUGH_PAIRS,
    )
    write_text(folder / Record.REPORT, text)
    return [folder / Record.REPORT, *(plot.path for its in drawn.values() for plot in its)]


def _draw(results: EvaluationResults, folder: Path) -> dict[tuple[str, str], list[Plot]]:
    """Draw the plots of all tasks and models, by their names."""
    if absent := [pair for pair in results.pairs if pair not in results.answers]:
        raise ValueError(f"There are no answers of {absent}; plots need those of every task and model.")
    folder.mkdir(parents=True, exist_ok=True)
    stems = file_stems(results.pairs)
    return {
        (task.protocol.name, result.model): draw_plots(
            task,
            result,
            results.answers[task.protocol.name, result.model],
            folder,
            stems[task.protocol.name, result.model],
        )
        for task in results.tasks
        for result in task.results
    }
