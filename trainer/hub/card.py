"""The model card: facts from the files next to the weights, written by one template."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.constants import REPOCARD_NAME

from ..evaluation.attributes import ATTRIBUTE_QUERIES
from ..evaluation.corpus_names import ZeroShotStatus
from ..evaluation.report import card_table
from ..files import write_text
from ..templating import render, with_front_matter
from .conversion import TAGS, conversion_front_matter
from .facts import CardFacts, Selection
from .records import unreadable


TASK: dict[str, Any] = {"task_type": "zero-shot-audio-classification", "task_name": "Zero-shot audio classification"}
HUB_METRICS: dict[str, tuple[str, str, dict[str, str] | None]] = {
    "uar": ("recall", "UAR", {"average": "macro"}),
    "accuracy": ("accuracy", "Accuracy", None),
    "macro_f1": ("f1", "Macro F1", {"average": "macro"}),
}
"""Our metric to the Hub's metric, its name, and the arguments with which the Hub's metric equals it."""
STATUS = {
    ZeroShotStatus.ZERO_SHOT: "",
    ZeroShotStatus.NOT_ZERO_SHOT: " (not zero-shot)",
    ZeroShotStatus.UNKNOWN: " (unknown whether zero-shot)",
}


def model_card(
    folder: str | Path,
    name: str | None = None,
    front_matter: Mapping[str, Any] | None = None,
    *,
    opening: str | None = None,
    folder_url: str = "",
) -> str:
    """
    Return the card of a checkpoint, from the files in its folder. What has no file is left out.

    Args:
        folder (`str` or `Path`): The checkpoint. `notes.md` there holds what only a person can say: front matter such
            as the licence, an introduction, and sections (`## ...`).
        name (`str`, *optional*): Hub id or name of the model. By default the folder's name.
        front_matter (`Mapping`, *optional*): Entries that replace those of the files; tags are added.
        opening (`str`, *optional*): The line of the example that sets `checkpoint`, if that is not the name.
        folder_url (`str`): Path from the card to the folder, with a final slash, if the card is somewhere else.

    Returns:
        `str`: Markdown with front matter, which huggingface_hub has read back.

    Raises:
        ValueError: There is no model in the folder, or a classifier; a file is damaged; results are of other weights;
            or the licence does not agree with those of the inputs.
    """
    facts = CardFacts(folder, name)
    if facts.is_classifier:
        raise ValueError(
            f"{str(folder)!r} holds a classifier, which ranks no descriptions: `smoothclap clep-dg` writes the cards "
            "of those that it makes; write that of another one yourself."
        )
    with unreadable(folder):
        evaluation = facts.evaluation
        front = _front_matter(facts, front_matter or {})
        truths = {each.attribute: each.shuffled_mean is not None for each in facts.attributes}
        body = render(
            "model_card.md.jinja",
            facts=facts,
            opening=opening or f'checkpoint = "{facts.name}"  # on the Hub, or a folder',
            folder_url=folder_url,
            titles=evaluation.titles if evaluation else {},
            card_table=card_table(evaluation, str(facts.evaluated_as)) if evaluation else "",
            columns={each.attribute: each.column for each in ATTRIBUTE_QUERIES},
            measured=[name for name, marked in truths.items() if not marked],
            marked=[name for name, marked in truths.items() if marked],
            option_help=_option_help() if facts.objective else {},
            Selection=Selection,
            stated=front.license,
        )
    facts.licences.check(front.license)
    return with_front_matter(front, body)


def write_model_card(
    folder: str | Path, name: str | None = None, front_matter: Mapping[str, Any] | None = None
) -> Path:
    """Write the card of a checkpoint to `README.md` in its folder and return its path; see [`model_card`]."""
    path = Path(folder) / REPOCARD_NAME
    write_text(path, model_card(folder, name, front_matter))
    return path


def eval_result(metric: str, status: ZeroShotStatus, value: float | None, **about: Any) -> EvalResult:
    """Return one of [`HUB_METRICS`] for the Hub's `model-index`; its name says if it is not zero-shot."""
    kind, title, arguments = HUB_METRICS[metric]
    name = f"{title}{STATUS[status]}"
    return EvalResult(metric_type=kind, metric_name=name, metric_value=value, metric_args=arguments, **about)


def _option_help() -> dict[str, str]:
    from ..arguments import SmoothCLAPTrainingArguments

    return {each.name: each.metadata.get("help", "") for each in fields(SmoothCLAPTrainingArguments)}


def _front_matter(facts: CardFacts, given: Mapping[str, Any]) -> ModelCardData:
    """What the files say, then what `notes.md` says, then what is given; the last takes precedence."""
    languages = facts.settings.get("languages", ["en"])  # of captions, where they were made here
    entries: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": TASK["task_type"],
        "language": languages if facts.settings and not facts.given_captions else None,
        "base_model": [start.name for start in facts.starts] or None,
        **(conversion_front_matter(facts.conversion, facts.licences) if facts.conversion else {}),
        "datasets": list(facts.datasets) or None,
        "tags": TAGS,
        "model_name": facts.title,
        "eval_results": [*_eval_results(facts)] or None,
    }
    for more in (facts.notes.front_matter, given):
        said = {name: value for name, value in more.items() if value is not None}
        tags = said.pop("tags", [])
        entries |= said
        entries["tags"] = list(dict.fromkeys([*entries["tags"], *([tags] if isinstance(tags, str) else tags)]))
    return ModelCardData(**entries)


def _eval_results(facts: CardFacts) -> Iterator[EvalResult]:
    for task, found in facts.task_results:
        about = {**TASK, "dataset_type": task.protocol.corpus, "dataset_name": task.protocol.title}
        # The name of the task keeps tasks of one corpus apart.
        about |= {"dataset_config": task.protocol.name, "dataset_split": task.protocol.split}
        for metric in HUB_METRICS:
            yield eval_result(metric, found.zero_shot.status, found.metrics[metric].value, **about)
    for each in facts.attributes:
        # Other splits may have guided choices, and the table below has the held-out words.
        if each.split == "test" and not each.held_out:
            about = {**TASK, "dataset_type": each.corpus, "dataset_name": each.corpus, "dataset_split": "test"}
            name = f'AUC of {each.attribute}: "{each.high}" / "{each.low}"'
            yield EvalResult(metric_type="roc_auc", metric_name=name, metric_value=each.auc, **about)
