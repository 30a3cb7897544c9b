"""What results say of one saved classifier: its own figures, not those of its method over all seeds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from huggingface_hub import EvalResult

from ...evaluation.report_cells import MARKS, against_chance, code, number, table
from ...model_card.front_matter import FIGURES, STATUS
from ...model_card.markdown import bullets, paragraph
from ..methods import CLEP_DG, CONTEXT_FREE, ZERO_SHOT
from ..results import METRICS as JUDGED_BY
from ..settings import CLEAN, GENERALISATION, SUPERVISED


TASK: dict[str, Any] = {"task_type": "audio-classification", "task_name": "Audio classification"}
SIMPLER = {
    ZERO_SHOT.name: "The zero-shot prototypes, which need no training, do",
    CONTEXT_FREE.name: "The classifier without contexts does",
}
"""What stands beside it, and how a sentence begins that compares it."""
NEVER_ABOVE_CHANCE = "**It is not shown to do better than guessing, on any of the corpora below.**"


def of_method(entry: Mapping[str, Any], method: str) -> Mapping[str, Any]:
    """What an entry of the results says of a method, by its name."""
    return next(each for each in entry["methods"] if each["method"] == method)


@dataclass(frozen=True)
class SavedClassifier:
    """
    The classifier that an experiment saves for an encoder: CLEP-DG's with the first seed.

    Args:
        results (`Mapping[str, Any]`): From [`~experiment.fit_clep_dg`].
        encoder (`Mapping[str, Any]`): One of their `encoders`.
    """

    results: Mapping[str, Any]
    encoder: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """What its contexts and its weights were drawn with."""
        return int(self.results["settings"]["seeds"][0])

    @cached_property
    def corpora(self) -> dict[str, Mapping[str, Any]]:
        """Name to corpus, of those that it was judged on."""
        return {each["name"]: each for each in self.results["corpora"] if each["name"] in self.encoder["corpora"]}

    @cached_property
    def entries(self) -> list[Mapping[str, Any]]:
        """What it was judged by, a corpus and a condition each: all clips, or else those of known speakers."""
        found = self.results[GENERALISATION] or self.results[SUPERVISED]
        return [each for each in found if each["corpus"] in self.corpora and "refused" not in each]

    @property
    def synthetic(self) -> list[str]:
        """Titles of the corpora that nobody spoke."""
        return [each["title"] for each in self.corpora.values() if "SYNTHETIC" in each["title"]]

    @property
    def is_above_chance(self) -> bool:
        """Whether its method is, with every seed, on the clips of any corpus as they were recorded."""
        clean = [of_method(entry, CLEP_DG.name) for entry in self.entries if entry["condition"] == CLEAN]
        return any(against_chance(each["figures"]["uar"], self.results["chance"]) == "above chance" for each in clean)

    def own(self, entry: Mapping[str, Any], method: str = CLEP_DG.name) -> Mapping[str, Any]:
        """`uar` and `accuracy` of a method with the seed of this classifier, which CLEP-DG's are of itself."""
        seeds = of_method(entry, method)["seeds"]
        return next(each for each in seeds if each["seed"] in (self.seed, None))


def figures(classifier: SavedClassifier) -> list[str]:
    """
    The table of a classifier's figures beside those of two simpler methods, and what keeps it from being misread.

    Args:
        classifier ([`SavedClassifier`]): Which.
    """
    results, entries = classifier.results, classifier.entries
    if not entries:
        refused = [each for each in results[SUPERVISED] if each["corpus"] in classifier.corpora]
        return [
            f"No figure was measured. {classifier.corpora[each['corpus']]['title']}: {each['refused']}."
            for each in refused
        ]
    conditions = {each["name"]: each["title"] for each in results["conditions"]}
    rows = [
        [
            classifier.corpora[entry["corpus"]]["title"],
            conditions[entry["condition"]],
            *(_uar(classifier, entry, method) for method in (*SIMPLER, CLEP_DG.name)),
            number(classifier.own(entry)["accuracy"]),
        ]
        for entry in entries
    ]
    head = ["corpus", "heard", "UAR, zero-shot", "UAR, no contexts", "UAR, **this one**", "WA, this one"]
    intro = (
        "UAR is unweighted average recall, the mean of the classes' recalls; WA is weighted accuracy, the share of "
        f"right clips. Guessing gives a UAR of {number(results['chance'])}. The figures are those of this very "
        f"classifier, with seed {classifier.seed}. Beside it stand zero-shot prototypes, which are the embeddings of "
        "the prompts themselves, and a classifier that was trained in the same way and with the same seed on prompts "
        "without acoustic contexts."
    )
    return [paragraph(intro), table(head, rows, words=2), bullets(_cautions(classifier))]


def _cautions(classifier: SavedClassifier) -> Iterator[str]:
    results, entries = classifier.results, classifier.entries
    clean = [entry for entry in entries if entry["condition"] == CLEAN]
    titles = {entry["corpus"]: classifier.corpora[entry["corpus"]]["title"] for entry in clean}
    for place in ("at chance", "below chance"):
        if any(f", {place}" in _uar(classifier, entry, name) for entry in entries for name in (*SIMPLER, CLEP_DG.name)):
            yield (
                f"{place.capitalize()}: the 95% interval that spans those of all seeds "
                f"{'holds' if place == 'at chance' else 'lies below'} what guessing gives."
            )
    if not results[GENERALISATION]:
        yield "The clips are those of known speakers, as the supervised protocol has them."
    for entry in clean:
        status, why = entry["zero_shot"]["status"], entry["zero_shot"]["why"]
        said = "unknown whether zero-shot" if status == "unknown" else status
        yield f"{titles[entry['corpus']]}{MARKS[status]}: {said}. {why}"
    seeds = results["settings"]["seeds"]
    if len(seeds) > 1:
        spans = (f"{_span(entry)} on {titles[entry['corpus']]}" for entry in clean)
        yield (
            f"As recorded, UAR of classifiers that were made like this one with the seeds {', '.join(map(str, seeds))} "
            f"goes {'; '.join(spans)}. The seed of this one was not chosen by them: it is the first."
        )
    for method, said in SIMPLER.items():
        as_good = [
            titles[entry["corpus"]]
            for entry in clean
            if classifier.own(entry, method)["uar"] >= classifier.own(entry)["uar"]
        ]
        if as_good:
            yield f"{said} as well as this one, or better, as recorded, on {', '.join(as_good)}."


def _span(entry: Mapping[str, Any]) -> str:
    values = [each["uar"] for each in of_method(entry, CLEP_DG.name)["seeds"]]
    return f"from {number(min(values))} to {number(max(values))}"


def _uar(classifier: SavedClassifier, entry: Mapping[str, Any], method: str) -> str:
    """A figure, a word unless its method is above chance with every seed, and the mark of what the encoder heard."""
    place = against_chance(of_method(entry, method)["figures"]["uar"], classifier.results["chance"])
    said = "" if place == "above chance" else f", {place}"
    return f"{number(classifier.own(entry, method)['uar'])}{said}{MARKS[entry['zero_shot']['status']]}"


def judged_on(classifier: SavedClassifier) -> list[str]:
    """
    The clips behind the figures.

    Args:
        classifier ([`SavedClassifier`]): Which.
    """
    rows = []
    for each in classifier.corpora.values():
        data = each["data"]
        speakers = "unknown" if data["speakers"] is None else f"{data['speakers']:,}"
        hashed = code(data["sha256"][:12])
        rows.append([each["title"], each["language"], each["licence"], f"{data['clips']:,}", speakers, hashed])
    sources = (f"{each['title']}: {each['source']}" for each in classifier.corpora.values())
    return [table(["corpus", "language", "licence", "clips", "speakers", "SHA-256"], rows, words=3), bullets(sources)]


def eval_results(classifier: SavedClassifier) -> Iterator[EvalResult]:
    """
    The figures as the Hub's `model-index`, each under its corpus and acoustic condition.

    Args:
        classifier ([`SavedClassifier`]): Which.
    """
    for entry in classifier.entries:
        for name in JUDGED_BY:
            metric, pretty, args = FIGURES[name]
            yield EvalResult(
                **TASK,
                dataset_type=entry["corpus"],
                dataset_name=classifier.corpora[entry["corpus"]]["title"],
                dataset_config=entry["condition"],
                metric_type=metric,
                metric_name=f"{pretty}{STATUS[entry['zero_shot']['status']]}",
                metric_value=classifier.own(entry)[name],
                metric_args=args,
            )
