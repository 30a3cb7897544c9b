"""The section of a report on one task: what was asked, of which clips, and how each model answered."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from operator import eq
from pathlib import Path
from typing import Any

from .plots import Answers, Picture, draw_pictures, file_stems, pairs_of
from .report_cells import (
    MARKS,
    against_chance,
    code,
    counts,
    doubtful_clips,
    drawn_units,
    footnotes,
    image,
    judged,
    no_width,
    number,
    table,
    task_titles,
    with_interval,
)
from .valence_arousal import ENOUGH_PAIRS


FIGURES = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro F1"}
STATUS = {
    "zero-shot": "Zero-shot",
    "not zero-shot": "Not zero-shot (†)",
    "unknown": "Unknown whether this is zero-shot (‡)",
}


def task_section(task: Mapping[str, Any], title: str, pictures: Mapping[str, Sequence[Picture]], folder: Path) -> str:
    """
    Writes the section.

    Args:
        task (`Mapping[str, Any]`): An entry of `tasks` of the results.
        title (`str`): What it is called; see [`task_titles`].
        pictures (`Mapping[str, Sequence[Picture]]`): Of each model.
        folder (`Path`): Where the report lies; links begin there.

    Returns:
        `str`: Markdown, from a heading of the second degree on.
    """
    parts = [_protocol(task, title), _wordings(task)]
    for result in task["results"]:
        parts += [
            f"### {code(result['model'])} in {title}\n",
            _figures(result),
            _groups(task["protocol"], result),
            _recalls(task, result),
            _prompts(task["protocol"], result["prompts"]),
            _calibration(result["reliability"]),
            _valence_arousal(task["protocol"], result["valence_arousal"]),
            *[f"{image(each.alt, each.path.relative_to(folder).as_posix())}\n" for each in pictures[result["model"]]],
        ]
    return "\n".join(part for part in parts if part)


def _protocol(task: Mapping[str, Any], title: str) -> str:
    protocol, data = task["protocol"], task["data"]
    texts = task["results"][0]["prompts"]["variants"][0]["texts"]  # the first variant is the protocol's own
    rows = [
        [name, code(text), f"{data['per_class'][name]:,}"] for name, text in zip(protocol["words"], texts, strict=True)
    ]
    speakers = "unknown" if data["speakers"] is None else f"{data['speakers']:,}"
    clips = f"Clips: {data['clips']:,}. Speakers: {speakers}. Clips left out: {counts(data['left_out'])}."
    facts = [
        f"Corpus: {protocol['corpus']}. Licence: {task['licence']}.",
        f"Languages: speech {protocol['language']}, text queries {protocol['text_language']}.",
        f"Split: {protocol['split']}.",
        f"Labels of the corpus: {_labels(protocol['labels'])}.",
        f"{clips} {doubtful_clips(data)}".rstrip(),
        f"SHA-256 over ids, labels and audio: {code(data['sha256'])}.",
        f"Source: {protocol['source']}",
    ]
    bullets = "".join(f"- {fact}\n" for fact in facts)
    asked = table(["class", "text query, exactly as asked", "clips"], rows, words=2)
    template = f"The queries come from the template {code(protocol['template'])}; the answer is the nearest one."
    return f"## {title}\n\n{asked}\n{template}\n\n{bullets}"


def _labels(labels: Mapping[str, str]) -> str:
    """What the corpus calls the classes, where it is another name."""
    told = ", ".join(f"{code(label)} is {name}" for label, name in labels.items() if label != name)
    if not told:
        return "they are the classes' names"
    return f"{told}; others are the classes' names" if any(map(eq, labels, labels.values())) else told


def _wordings(task: Mapping[str, Any]) -> str:
    """The word sets of prompt sensitivity, which all models share."""
    protocol = task["protocol"]
    lines = [
        f"- words {index}: {', '.join(words.values())}{'' if index else ' (the protocol)'}\n"
        for index, words in enumerate([protocol["words"], *protocol["other_words"]])
    ]
    return f"Wordings for prompt sensitivity, in the order of the classes:\n\n{''.join(lines)}"


def _figures(result: Mapping[str, Any]) -> str:
    interval, chance = result["interval"], result["chance"]
    place = against_chance(result["figures"]["uar"], chance)
    reading = {
        "above chance": f"The UAR is above chance, {number(chance)}: so is its whole interval.",
        "at chance": f"**At chance**: the interval of the UAR holds chance, {number(chance)}. This does not "
        "show that the model tells these classes apart.",
        "below chance": f"**Below chance**, {number(chance)}, with its whole interval: the model takes classes for "
        "each other.",
        "no interval": f"There is no interval, so whether the UAR differs from chance, {number(chance)}, is open.",
    }
    zero_shot = result["zero_shot"]
    rows = [[title, with_interval(result["figures"][name])] for name, title in FIGURES.items()]
    figures = table(["figure", f"value [{interval['level']:.0%} interval]"], rows)
    if spread := no_width(result["figures"].values()):
        figures += f"\n{spread}\n"
    drawn = (
        f"Intervals: {interval['level']:.0%}, by {interval['samples']:,} bootstrap samples of {drawn_units(interval)}. "
        f"{interval['note'] or ''}"
    ).rstrip()
    return f"{STATUS[zero_shot['status']]}: {zero_shot['why']}\n\n{figures}\n{reading[place]}\n\n{drawn}\n"


def _groups(protocol: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    if not result["groups"]:
        return ""
    rows = [[name, number(value)] for name, value in result["groups"].items()]
    return f"The figures are plain means over groups:\n\n{table([protocol['grouped_by'], 'UAR'], rows)}"


def _recalls(task: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{task['data']['per_class'][name]:,}", with_interval(figure)]
        for name, figure in result["per_class_recall"].items()
    ]
    spread = no_width(result["per_class_recall"].values())
    return table(["class", "clips", "recall"], rows) + (f"\n{spread}\n" if spread else "")


def _prompts(protocol: Mapping[str, Any], prompts: Mapping[str, Any]) -> str:
    uars = {(each["words"], each["template"]): each["uar"] for each in prompts["variants"]}
    wordings = sorted({words for words, _ in uars})
    templates = list(dict.fromkeys(template for _, template in uars))
    rows = [
        [
            code(template) + (" (the protocol)" if template == protocol["template"] else ""),
            *[number(uars.get((words, template))) for words in wordings],
        ]
        for template in templates
    ]
    head = ["template", *[f"words {index}" + ("" if index else " (the protocol)") for index in wordings]]
    return (
        f"Prompt sensitivity: over {len(uars)} ways to ask, the UAR lies between {number(prompts['lowest'])} and "
        f"{number(prompts['highest'])}, mean {number(prompts['mean'])}, standard deviation "
        f"{number(prompts['deviation'])}. The highest was found on the test clips; it is no figure to report.\n\n"
        f"{table(head, rows)}"
    )


def _calibration(part: Mapping[str, Any]) -> str:
    bins = [each for each in part["bins"] if each["clips"]]
    clips = sum(each["clips"] for each in bins)
    confidence, accuracy = (
        sum(each["clips"] * each[name] for each in bins) / clips for name in ("confidence", "accuracy")
    )
    lean = "more" if confidence > accuracy else "less"
    return (
        f"Calibration: the mean confidence is {number(confidence)} at an accuracy of {number(accuracy)} over all "
        f"clips: scores claim {lean} than they keep. The expected calibration error is "
        f"{number(part['expected_calibration_error'])} in {len(part['bins'])} bins.\n"
    )


def _valence_arousal(protocol: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    placed = part["classes"]
    absent = [name for name in protocol["words"] if name not in placed]
    left_out = f" Without a published place, so left out: {', '.join(absent)}." if absent else ""
    if part["texts"] is None or part["clips"] is None:
        return f"Valence and arousal: fewer than three classes have a published place, or these are alike.{left_out}\n"
    pairs = len(list(combinations(placed, 2)))
    if pairs < ENOUGH_PAIRS:
        return (
            f"Valence and arousal: {len(placed)} classes have a published place. That is too few pairs to mean "
            f"anything ({pairs}), so no correlation stands here.{left_out}\n"
        )
    return (
        "Valence and arousal: Spearman's correlation of the cosine of two classes with minus their distance on "
        f"Russell's circumplex (1980; neutral at its centre is this project's choice), over {pairs} pairs, "
        f"which share classes: texts {part['texts']:.2f}, centres of clips {part['clips']:.2f}. "
        f"1 would be the published order.{left_out}\n"
    )


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
