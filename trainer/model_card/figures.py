"""What was measured: zero-shot tasks, attributes, the validation split, and pictures of it."""

import re
from typing import Any, cast

import pandas as pd

from ..evaluation.attributes import ATTRIBUTE_QUERIES
from ..evaluation.plots import captions
from ..evaluation.report import card_table
from ..evaluation.report_cells import doubtful_clips, image, number, table, task_titles
from ..evaluation.results import EvaluationResults
from .facts import Facts
from .markdown import bullets, paragraph


def zero_shot_tasks(facts: Facts, at: str = "") -> list[str]:
    """
    Figures of zero-shot tasks with their intervals, the texts as they were asked, and pictures.

    Args:
        facts ([`Facts`]): Of the checkpoint.
        at (`str`): What the paths of pictures begin with.
    """
    results = facts.zero_shot
    if results is None:
        return []
    asked, titles = [], task_titles(results["tasks"])
    for task, found in results_of(facts):
        protocol, prompts = task["protocol"], found["prompts"]
        texts = ", ".join(f'"{text}"' for text in prompts["variants"][0]["texts"])
        doubtful = doubtful_clips(task["data"]) if task["data"].get("doubtful") else ""
        asked.append(
            f"{titles[protocol['name']]} ({protocol['split']}; speech: {protocol['language']}; texts: "
            f"{protocol['text_language']}): asked as {texts}. Over {len(prompts['variants'])} stated wordings and "
            f"templates UAR goes from {number(prompts['lowest'])} to {number(prompts['highest'])}. "
            f"{' '.join(filter(None, (found['zero_shot']['why'], found['interval']['note'], doubtful)))}"
        )
    settings, versions = results["settings"], results["versions"]
    made = (
        f"UAR is the mean of the classes' recalls. Intervals are from {settings['bootstrap_samples']:,} bootstrap "
        f"samples; seed {settings['seed']}, transformers {versions['transformers']}. "
        f"`zero_shot.json` holds the whole protocol."
    )
    return [
        card_table(EvaluationResults.from_json(results), str(facts.evaluated_as)),
        paragraph(made),
        bullets(asked),
        pictures(facts, at),
    ]


def results_of(facts: Facts) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each zero-shot task with the results of this model."""
    tasks = (facts.zero_shot or {"tasks": []})["tasks"]
    return [(task, found) for task in tasks for found in task["results"] if found["model"] == str(facts.evaluated_as)]


def pictures(facts: Facts, at: str = "") -> str:
    """
    Every picture there is, with what it shows as text for those who cannot see it.

    Of a picture that is not the evaluation's own, that is what its name says.
    """
    known = captions(EvaluationResults.from_json(facts.zero_shot)) if facts.zero_shot else {}
    names = [path.removeprefix("pictures/") for path in facts.pictures]
    words = [known.get(name, re.sub(r"[-_\s]+", " ", name.removesuffix(".png"))) for name in names]
    return "\n\n".join(image(text, f"{at}{path}") for text, path in zip(words, facts.pictures, strict=True))


def attribute_figures(facts: Facts) -> list[str]:
    """Zero-shot attributes against acoustic measurements."""
    rows = facts.attributes
    if rows is None:
        return []
    places = list(dict.fromkeys(zip(rows["corpus"], rows["split"], strict=True)))
    headings = [f"{corpus}, {_language(facts, corpus, split)}{split}" for corpus, split in places]
    cells: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for row in rows.to_dict("records"):
        asked = row["attribute"], row["high"], row["low"]
        cells.setdefault(asked, {})[row["corpus"], row["split"]] = _auc(row)
    lines = [
        [attribute, f'"{high}" / "{low}"', *(measured.get(place, "") for place in places)]
        for (attribute, high, low), measured in cells.items()
    ]
    note = f"Clips judged: {_judged(rows)}. `attributes.csv` holds these figures in full."
    return [paragraph(_how(facts, rows)), table(["attribute", "texts", *headings], lines, words=2), paragraph(note)]


def _how(facts: Facts, rows: pd.DataFrame) -> str:
    there = set(rows["attribute"])
    truth = dict.fromkeys(f"{each.attribute}: `{each.column}`" for each in ATTRIBUTE_QUERIES if each.attribute in there)
    how = (
        "Area under the ROC curve (0.5 is chance, below it is the wrong way round), with 95% bootstrap intervals over "
        "clips, which are narrow because clips of one speaker hang together. Truth is an eGeMAPS functional "
        f"({'; '.join(truth)}). Within each corpus the clips in the top third of it are set against those in the "
        "bottom third, an easy setting that leaves out those in between; a clip's score is its cosine with the first "
        "text minus its cosine with the second."
    )
    if facts.settings.get("captions") == "given":
        return how
    return (
        f"{how} For each attribute one pair of texts is worded as no caption in training was; the others are captions' "
        "own words."
    )


def _judged(rows: pd.DataFrame) -> str:
    told = []
    for place, members in rows.groupby(["corpus", "split"], sort=False):
        corpus, split = cast(tuple[str, str], place)
        told.append(f"{corpus} ({split}): {_span(members['positives'])} against {_span(members['negatives'])}")
    return "; ".join(told)


def _language(facts: Facts, corpus: str, split: str) -> str:
    language = facts.data.get(split, {}).get(corpus, {}).get("language")
    return f"{language}, " if isinstance(language, str) else ""


def _auc(row: Any) -> str:
    return f"{row['auc']:.2f} ({row['interval_low']:.2f}-{row['interval_high']:.2f})"


def _span(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def validation_figures(facts: Facts) -> list[str]:
    """The figures of the validation split, and whether the checkpoint was chosen by them."""
    metrics = {name: value for name, value in (facts.json("metrics.json") or {}).items() if "_per_second" not in name}
    metrics = {name.removeprefix("eval_"): value for name, value in metrics.items() if not name.endswith("runtime")}
    if not metrics:
        return []
    chosen_by = facts.settings.get("metric_for_best_model", "loss")
    if facts.settings.get("load_best_model_at_end"):
        caution = f"**Selected on**: of all checkpoints of the run this is the best on these clips by `{chosen_by}`."
    elif facts.settings.get("early_stopping_patience"):
        caution = f"**Selected on**: these clips said, by `{chosen_by}`, when training stopped."
    else:
        caution = "They may have guided choices before this run, and are no test."
    intro = f"On the validation clips, whole clips with fixed captions. {caution}"
    return [paragraph(intro), table(["figure", "value"], [[name, f"{value:.4f}"] for name, value in metrics.items()])]
