"""The cards of the classifiers that CLEP-DG makes, with the results of their experiment."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.constants import REPOCARD_NAME

from modeling_smoothclap.checkpoint_smoothclap import parse_model

from ..evaluation.results import AgainstChance
from ..files import write_text
from ..hub.card import eval_result
from ..hub.facts import CardFacts
from ..hub.licences import (
    InputKind,
    LicensedInput,
    RollUp,
    corpora_inputs,
    known_licence,
    stated_licence,
    write_licences,
)
from ..hub.privacy import shareable
from ..hub.provenance import inputs_of_start
from ..templating import render, with_front_matter
from .classifier import RECORD_FILE, WEIGHTS_FILE
from .methods import CLEP_DG, CONTEXT_FREE, ZERO_SHOT
from .results import (
    METRICS,
    CorpusSummary,
    EncoderSummary,
    ExperimentResults,
    SeedResult,
    Tested,
)
from .settings import CLEAN


TASK: dict[str, Any] = {"task_type": "audio-classification", "task_name": "Audio classification"}
SIMPLER = (ZERO_SHOT.name, CONTEXT_FREE.name)
"""The methods whose results are shown next to those of the classifier."""


@dataclass(frozen=True)
class SavedClassifier:
    """The classifier that an experiment saves for an encoder: that of CLEP-DG with the first seed."""

    results: ExperimentResults
    encoder: EncoderSummary

    @property
    def title(self) -> str:
        """The name of its card."""
        return f"CLEP-DG classifier on {self.encoder.name}"

    @property
    def seed(self) -> int:
        """The seed of its contexts and its weights."""
        return int(self.results.settings["seeds"][0])

    @cached_property
    def corpora(self) -> dict[str, CorpusSummary]:
        """The corpora that it was tested on, by name."""
        return {each.name: each for each in self.results.corpora if each.name in self.encoder.corpora}

    @cached_property
    def tests(self) -> list[Tested]:
        """Its tests on all clips, or else on those of known speakers: one for each corpus and condition."""
        found = self.results.generalisation or self.results.supervised
        return [each for each in found if isinstance(each, Tested) and each.corpus in self.corpora]

    @property
    def clean_tests(self) -> list[Tested]:
        """Its tests on clips as recorded."""
        return [test for test in self.tests if test.condition == CLEAN]

    @property
    def synthetic(self) -> list[str]:
        """Titles of the corpora of synthetic speech."""
        return [each.title for each in self.corpora.values() if each.name in self.results.synthetic]

    @property
    def is_above_chance(self) -> bool:
        """Whether the method is, over all seeds, above chance on the clips of any corpus as recorded."""
        return any(self.place(test) is AgainstChance.ABOVE for test in self.clean_tests)

    def place(self, test: Tested, method: str = CLEP_DG.name) -> AgainstChance:
        """Return where the UAR of a method is over all seeds."""
        return test.of_method(method).uar.against(self.results.chance)

    @property
    def places(self) -> set[AgainstChance]:
        """Where the UARs of the table are."""
        return {self.place(test, method) for test in self.tests for method in (*SIMPLER, CLEP_DG.name)}

    def own(self, test: Tested, method: str = CLEP_DG.name) -> SeedResult:
        """Return a method's metrics with the seed of this classifier; those of CLEP-DG are its own."""
        return next(each for each in test.of_method(method).seeds if each.seed in (self.seed, None))

    def not_better_on(self, method: str) -> list[str]:
        """Return the titles of the corpora on which a simpler method is as good or better, on clips as recorded."""
        tests = [test for test in self.clean_tests if self.own(test, method).uar >= self.own(test).uar]
        return [self.corpora[test.corpus].title for test in tests]

    @cached_property
    def checkpoint(self) -> str:
        """Hub id or folder of the encoder."""
        asked = self.results.settings["encoder"]
        return parse_model(asked if isinstance(asked, str) else asked[self.encoder.corpora[0]]).checkpoint

    @property
    def is_at_hand(self) -> bool:
        """Whether the encoder is still where it was."""
        return self.encoder.revision is not None or Path(self.checkpoint).is_dir()

    @cached_property
    def licences(self) -> RollUp:
        """The licences of the encoder and of what that was made from."""
        name, revision = self.checkpoint, self.encoder.revision
        found = [LicensedInput(InputKind.MODEL, shareable(name), known_licence(name))]
        if self.is_at_hand:
            found = inputs_of_start(InputKind.MODEL, name, revision=revision)
        listed = {each.name for each in found}
        corpora = corpora_inputs({}, self.encoder.training_corpora)
        return RollUp([*found, *(each for each in corpora if each.name not in listed)])


def write_cards(results: ExperimentResults, folder: str | Path) -> list[Path]:
    """
    Write `README.md`, and `licences.json` of its encoder, for every classifier that an experiment saved.

    A `ValueError` if one is missing or damaged.
    """
    paths = [Path(folder) / "classifier" / results.subfolder(each) / REPOCARD_NAME for each in results.encoders]
    for encoder, path in zip(results.encoders, paths, strict=True):
        classifier = SavedClassifier(results, encoder)
        write_licences(path.parent, classifier.licences.inputs)
        write_text(path, _card(classifier, path.parent))
    return paths


def _card(classifier: SavedClassifier, folder: Path) -> str:
    """Return the card of the classifier in `folder`; its licence is that on the encoder's own card, if there is one."""
    encoder = classifier.encoder
    is_model = not (folder / RECORD_FILE).is_file()  # or else one vector for each class
    licence = _licence(classifier)
    body = render(
        "classifier_card.md.jinja",
        classifier=classifier,
        stated=licence.get("license"),
        results=classifier.results,
        facts=CardFacts(folder, encoder.name) if is_model else None,
        conditions={each.name: each.title for each in classifier.results.conditions},
        simpler=SIMPLER,
        weights_file=WEIGHTS_FILE,
        record_file=RECORD_FILE,
    )
    pipeline = {"library_name": "transformers", "pipeline_tag": TASK["task_type"]} if is_model else {}
    data = ModelCardData(
        **pipeline,
        **licence,
        base_model=classifier.checkpoint if encoder.revision else None,
        language=list(dict.fromkeys(corpus.language for corpus in classifier.corpora.values())),
        tags=["audio", "speech", "paralinguistics", "smoothclap", "clep-dg"],
        metrics=["recall", "accuracy"],
        model_name=classifier.title,
        eval_results=[*eval_results(classifier)] or None,
    )
    return with_front_matter(data, body)


def eval_results(classifier: SavedClassifier) -> Iterator[EvalResult]:
    """Yield the results for the Hub's `model-index`, each under its corpus and acoustic condition."""
    for test in classifier.tests:
        about = {"dataset_type": test.corpus, "dataset_name": classifier.corpora[test.corpus].title}
        for name in METRICS:
            value = getattr(classifier.own(test), name)
            yield eval_result(name, test.zero_shot.status, value, **TASK, **about, dataset_config=test.condition)


def _licence(classifier: SavedClassifier) -> dict[str, Any]:
    """What the encoder's own card says of its licence, if it can be read."""
    if not classifier.is_at_hand:
        return {}
    known = stated_licence(classifier.checkpoint, classifier.encoder.revision)
    if "://" not in known.get("license_link", "://"):
        del known["license_link"]  # a file next to the encoder's card, which is not next to this one
    return known
