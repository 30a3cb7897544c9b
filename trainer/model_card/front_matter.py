"""What machines read of a card: its front matter, with the figures as the Hub's `model-index`."""

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import CardData, EvalResult, ModelCard, ModelCardData

from .facts import Facts
from .figures import results_of


TASK: dict[str, Any] = {"task_type": "zero-shot-audio-classification", "task_name": "Zero-shot audio classification"}
TAGS = ["audio", "speech", "paralinguistics", "contrastive", "smoothclap"]
FIGURES: dict[str, tuple[str, str, dict[str, str] | None]] = {
    "uar": ("recall", "UAR", {"average": "macro"}),
    "accuracy": ("accuracy", "Accuracy", None),
    "macro_f1": ("f1", "Macro F1", {"average": "macro"}),
}
"""Our figure to the Hub's metric, its name, and how the metric is called to give it."""
STATUS = {"zero-shot": "", "not zero-shot": " (not zero-shot)", "unknown": " (unknown whether zero-shot)"}


def front_matter(facts: Facts, given: Mapping[str, Any] | None = None) -> ModelCardData:
    """
    Everything that is known, then what `notes.md` says, then what is given; the last takes precedence.

    Args:
        facts ([`Facts`]): Of the checkpoint.
        given (`Mapping`, *optional*): Entries of the front matter; `None` says nothing, and tags are added.
    """
    origin = facts.json("origin.json") or {}
    starts = [start["name"] for role, start in origin.items() if role != "datasets" and start["hub"]]
    entries: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": TASK["task_type"],
        "language": _languages(facts),
        "base_model": starts or None,
        "datasets": origin.get("datasets") or None,
        "tags": TAGS,
        "model_name": facts.title,
        "eval_results": [*_task_results(facts), *_attribute_results(facts)] or None,
    }
    for more in (facts.notes[0], given or {}):
        said = {name: value for name, value in more.items() if value is not None}
        tags = said.pop("tags", [])
        entries |= said
        entries["tags"] = list(dict.fromkeys([*entries["tags"], *([tags] if isinstance(tags, str) else tags)]))
    return ModelCardData(**entries)


def with_front_matter(data: CardData, body: str) -> str:
    """
    A whole card.

    Args:
        data (`CardData`): The front matter.
        body (`str`): Markdown.

    Returns:
        `str`: Markdown with front matter, which the Hub's own client has read back.
    """
    text = f"---\n{data.to_yaml().strip()}\n---\n\n{body}\n"
    ModelCard(text)  # raises where the Hub would not read it
    return text


def _languages(facts: Facts) -> list[str] | None:
    """Of the captions, where they were made here: of given ones nobody said."""
    if not facts.settings or facts.settings.get("captions") == "given":
        return None
    said = facts.settings.get("languages", ["en"])
    return [said] if isinstance(said, str) else list(said)


def _task_results(facts: Facts) -> Iterator[EvalResult]:
    for task, found in results_of(facts):
        protocol, status = task["protocol"], found["zero_shot"]["status"]
        for name, (metric, pretty, args) in FIGURES.items():
            yield EvalResult(
                **TASK,
                dataset_type=protocol["corpus"],
                dataset_name=protocol["title"],
                dataset_config=protocol["name"],  # tasks of one corpus stay apart
                dataset_split=protocol["split"],
                metric_type=metric,
                metric_name=f"{pretty}{STATUS[status]}",
                metric_value=found["figures"][name]["value"],
                metric_args=args,
            )


def _attribute_results(facts: Facts) -> Iterator[EvalResult]:
    """Of the test split only: others may have guided choices."""
    rows = facts.attributes
    if rows is None:
        return
    for row in rows[rows["split"] == "test"].to_dict("records"):
        yield EvalResult(
            **TASK,
            dataset_type=row["corpus"],
            dataset_name=row["corpus"],
            dataset_split="test",
            metric_type="roc_auc",
            metric_name=f'AUC of {row["attribute"]}: "{row["high"]}" / "{row["low"]}"',
            metric_value=row["auc"],
        )
