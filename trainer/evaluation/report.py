"""The report of a zero-shot evaluation: Markdown beside the published figures, and pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .report_cells import MARKS, code, drawn_units, footnotes, judged, number, table, task_titles
from .report_pictures import Answers, Picture, draw_pictures, file_stems, pairs_of
from .report_task import task_section


SYSTEMS = ("CLAP", "Pengi", "ParaCLAP", "SmoothCLAP")
"""In the order of the SmoothCLAP paper's table; others that a protocol names come after them."""
PUBLISHED = "UAR printed in the SmoothCLAP paper, without intervals, of weights that were not evaluated here."


def summary_table(results: Mapping[str, Any]) -> str:
    """
    Writes the figures of all models and tasks beside the published ones.

    Args:
        results (`Mapping[str, Any]`): Of an evaluation; see `docs/evaluation.md`.

    Returns:
        `str`: A Markdown table of one row a task, and notes on what a reader might misread.
    """
    tasks, models = results["tasks"], [model["name"] for model in results["models"]]
    named = {system for task in tasks for system in task["protocol"]["published"]}
    systems = [system for system in SYSTEMS if system in named] + sorted(named - set(SYSTEMS))
    rows, noted, titles = [], [], task_titles(tasks)
    for task in tasks:
        protocol, by_model = task["protocol"], {result["model"]: result for result in task["results"]}
        title = titles[protocol["name"]]
        noted += [(f"{code(name)} in {title}", by_model[name]) for name in models]
        rows.append(
            [
                f"{title} ({protocol['language']})",
                f"{task['data']['clips']:,}",
                number(1 / len(protocol["words"])),
                *[judged(by_model[name]) for name in models],
                *[number(protocol["published"].get(system)) for system in systems],
            ]
        )
    head = ["task", "clips", "chance", *map(code, models), *[f"{system}, published" for system in systems]]
    level = tasks[0]["results"][0]["interval"]["level"]
    notes = [f"- Figures are UAR with {level:.0%} intervals, by the protocol's own words and template.\n"]
    notes += [f"- Published: {PUBLISHED}\n"] if systems else []
    return f"{table(head, rows)}\n{''.join(notes)}{footnotes(noted)}"


def card_table(results: Mapping[str, Any], model: str) -> str:
    """
    Writes the figures of one model, for its card.

    Args:
        results (`Mapping[str, Any]`): Of an evaluation; see `docs/evaluation.md`.
        model (`str`): Name of the model in them.

    Returns:
        `str`: A Markdown table of one row a task, and notes on what a reader might misread.

    Raises:
        ValueError: if the results have no such model.
    """
    if model not in (names := [each["name"] for each in results["models"]]):
        raise ValueError(f"There are no results of {model!r}; these are of {names}.")
    rows, noted, titles = [], [], task_titles(results["tasks"])
    for task in results["tasks"]:
        result = next(result for result in task["results"] if result["model"] == model)
        protocol, prompts = task["protocol"], result["prompts"]
        title = titles[protocol["name"]]
        noted.append((title, result))
        rows.append(
            [
                f"{title} ({protocol['language']})",
                f"{result['zero_shot']['status']}{MARKS[result['zero_shot']['status']]}",
                f"{task['data']['clips']:,}",
                judged(result),
                drawn_units(result["interval"]),
                number(result["chance"]),
                f"{number(prompts['lowest'])} to {number(prompts['highest'])} in {len(prompts['variants'])}",
            ]
        )
    level = f"{noted[0][1]['interval']['level']:.0%}"
    head = ["task", "zero-shot?", "clips", f"UAR [{level} interval]", "interval over", "chance", "UAR by prompt"]
    return f"{table(head, rows, words=2)}\n{footnotes(noted)}".rstrip("\n") + "\n"


def write_report(
    results: Mapping[str, Any], arrays: Mapping[tuple[str, str], Answers], folder: str | Path
) -> list[Path]:
    """
    Writes `report.md` and the pictures that it shows.

    Nothing in it says when it was written: equal results give equal files.

    Args:
        results (`Mapping[str, Any]`): Of an evaluation; see `docs/evaluation.md`.
        arrays (`Mapping[tuple[str, str], Answers]`): By the names of task and model.
        folder (`str` or `Path`): Gets `report.md` and `pictures/`; it is made.

    Returns:
        `list[Path]`: `report.md`, and the pictures.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: if a task or model has no arrays, or they do not fit the results.
    """
    pairs = pairs_of(results)
    if absent := [pair for pair in pairs if pair not in arrays]:
        raise ValueError(f"There are no embeddings of {absent}; pictures need those of every task and model.")
    folder = Path(folder)
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    stems, titles = file_stems(pairs), task_titles(results["tasks"])
    sections, drawn = [], []
    for task in results["tasks"]:
        name = task["protocol"]["name"]
        pictures: dict[str, list[Picture]] = {}
        for result in task["results"]:
            pair = name, result["model"]
            pictures[result["model"]] = draw_pictures(task, result, arrays[pair], folder / "pictures", stems[pair])
            drawn += [picture.path for picture in pictures[result["model"]]]
        sections.append(task_section(task, titles[name], pictures, folder))
    path = folder / "report.md"
    path.write_text("\n".join([_head(results), *sections, _foot(results)]), encoding="utf-8")
    return [path, *drawn]


def _head(results: Mapping[str, Any]) -> str:
    return f"""# Zero-shot evaluation

Each clip gets the class whose text query lies nearest. UAR is unweighted average recall, the mean of the classes'
recalls; guessing gives chance, one over the number of classes. A figure belongs to its protocol: to these clips, these
words and this template. It is zero-shot only where that is said: whether a model was trained on the corpus is taken
from what the model records.

{summary_table(results)}
## Models

{_models(results)}"""


def _models(results: Mapping[str, Any]) -> str:
    rows = [
        [
            code(model["name"]),
            model["class"],
            model["revision"] or "–",
            code(model["weights_sha256"][:12]),
            "not recorded" if model["training_corpora"] is None else ", ".join(model["training_corpora"]),
            f"{model['sampling_rate']:,} Hz",
            model["long_clips"],
        ]
        for model in results["models"]
    ]
    head = ["model", "class", "revision", "SHA-256 of weights", "corpora trained on", "hears", "long clips"]
    return table(head, rows, words=len(head))


def _foot(results: Mapping[str, Any]) -> str:
    settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in results["settings"].items())
    versions = ", ".join(f"{name} {value}" for name, value in results["versions"].items())
    return f"## How it was run\n\n- Settings: {settings}.\n- Versions: {versions}.\n"
