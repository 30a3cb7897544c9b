"""The section of a report on one task: what was asked, of which clips, and how each model answered."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from operator import eq
from pathlib import Path
from typing import Any

from .report_cells import (
    against_chance,
    code,
    counts,
    doubtful_clips,
    drawn_units,
    image,
    no_width,
    number,
    table,
    with_interval,
)
from .report_pictures import Picture
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
