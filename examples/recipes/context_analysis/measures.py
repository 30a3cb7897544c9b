"""What is measured of contexts and of clips under acoustic conditions, from embeddings and results alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from modeling_smoothclap.loss_smoothclap import cosines
from smoothclap_trainer.clep_dg.classifier import ClassifierSettings, train_classifier
from smoothclap_trainer.clep_dg.corpora import LabelledCorpus
from smoothclap_trainer.clep_dg.judging import supervised
from smoothclap_trainer.clep_dg.methods import (
    CLEP_DG,
    RANDOM_CONTEXTS,
    WITHOUT_CONTENT,
    WITHOUT_STYLE,
    ZERO_SHOT,
    as_training_set,
)
from smoothclap_trainer.clep_dg.results import AUDIO_OF_SPEAKERS, ExperimentResults, Refusal
from smoothclap_trainer.clep_dg.settings import CLEAN
from smoothclap_trainer.evaluation.corpus_names import ZeroShot
from smoothclap_trainer.evaluation.metrics import unweighted_average_recall, zero_shot_predictions


LOSSES = {RANDOM_CONTEXTS: "none", WITHOUT_STYLE: "content", WITHOUT_CONTENT: "style", CLEP_DG: "both"}
"""The methods of an experiment that differ in the losses of their contexts only."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """Of some contexts the nearest hand-written one each: its number and the cosine with it; both (K,)."""

    numbers: np.ndarray
    cosines: np.ndarray

    @property
    def cosine(self) -> float:
        """The mean cosine."""
        return float(self.cosines.mean())

    @property
    def distinct(self) -> int:
        """How many different ones are the nearest of any."""
        return len(set(self.numbers.tolist()))


@dataclass(frozen=True, eq=False)
class Places:
    """One seed's contexts without a class, fitted and random, (K, width), and what they are nearest to."""

    seed: int
    fitted: torch.Tensor
    random: torch.Tensor
    nearest_to_fitted: Nearest
    nearest_to_random: Nearest

    @classmethod
    def of(cls, seed: int, fitted: torch.Tensor, random: torch.Tensor, written: torch.Tensor) -> "Places":
        """Compare with the hand-written contexts, (40, width)."""
        return cls(seed, fitted, random, nearest(fitted, written), nearest(random, written))

    @property
    def closer(self) -> float:
        """How much nearer fitted contexts are to hand-written ones than random contexts, in cosine."""
        return self.nearest_to_fitted.cosine - self.nearest_to_random.cosine


def nearest(contexts: torch.Tensor, written: torch.Tensor, others_only: bool = False) -> Nearest:
    """Find the nearest of (n, width) for each of (K, width), at unit length; `others_only` leaves out itself."""
    similarity = cosines(contexts, written)  # (K, n)
    if others_only:
        similarity = similarity.masked_fill(torch.eye(len(written), dtype=torch.bool), -torch.inf)
    found = similarity.max(dim=1)
    return Nearest(found.indices.numpy(), found.values.double().numpy())


def counted(found: Sequence[Nearest], names: Sequence[str]) -> dict[str, int]:
    """Count the names of the nearest hand-written contexts over all seeds, the most frequent first."""
    numbers = [number for each in found for number in each.numbers.tolist()]
    return dict(Counter(names[number] for number in sorted(numbers)).most_common())


@dataclass(frozen=True)
class Loss:
    """What contexts are like that were fitted by some losses: means over seeds, and the UAR by corpus and condition."""

    name: str
    similarity: float
    emotions_kept: float
    uar: Mapping[tuple[str, str], float]


def change_by_style(losses: Sequence[Loss], corpus: str) -> tuple[float, float | None]:
    """Return what the style loss adds to the UAR with the content loss: as recorded, and in degraded conditions."""
    one, both = (next(each.uar for each in losses if each.name == name) for name in ("content", "both"))
    changes = {condition: both[name, condition] - one[name, condition] for name, condition in one if name == corpus}
    clean = changes.pop(CLEAN)
    return clean, float(np.mean([*changes.values()])) if changes else None


def what_losses_cost(results: ExperimentResults) -> list[Loss]:
    """Read what an experiment found for each set of losses."""
    found = []
    for method, name in LOSSES.items():
        texts = [each for each in results.encoders[0].texts if each.method == method.name]
        means = [float(np.mean([getattr(each, part) for each in texts])) for part in ("similarity", "emotions_kept")]
        uar = {(each.corpus, each.condition): each.of_method(method.name).uar.value for each in results.generalisation}
        found.append(Loss(name, *means, uar))
    return found


@dataclass(frozen=True)
class Curve:
    """The UAR on a corpus by condition and number of contexts, of each seed, and that of zero-shot by condition."""

    corpus: str
    uar: Mapping[str, Mapping[int, Sequence[float]]]
    zero_shot: Mapping[str, float]

    @property
    def numbers(self) -> list[int]:
        """The numbers of contexts."""
        return list(self.uar[CLEAN])

    def differences(self, number: int) -> dict[str, float]:
        """Return the mean over seeds minus zero-shot's, by condition."""
        return {name: float(np.mean(uar[number])) - self.zero_shot[name] for name, uar in self.uar.items()}

    @property
    def above(self) -> int:
        """In how many degraded conditions all contexts are at or above zero-shot."""
        found = self.differences(self.numbers[-1])
        return sum(each >= 0 for name, each in found.items() if name != CLEAN)

    @property
    def best(self) -> int:
        """The number with the highest mean over all conditions and seeds; of equals the smallest."""
        return max(self.numbers, key=lambda number: sum(self.differences(number).values()))


def uar_by_number(
    joint: Mapping[int, torch.Tensor],
    contexts: Sequence[int],
    settings: ClassifierSettings,
    usual: int,
    clips: Mapping[str, np.ndarray],
    true: np.ndarray,
) -> dict[str, dict[int, list[float]]]:
    """
    Train on the first k contexts for each k in `contexts`; return each seed's UAR by condition and k.

    `joint` has the embeddings of each seed, (K, N, width), `clips` those of clips in each condition, whose class ids
    are `true`. The batch grows with k, from that of `settings` at `usual` contexts, so that steps are as many.
    """
    found: dict[str, dict[int, list[float]]] = {name: {number: [] for number in contexts} for name in clips}
    for seed, features in joint.items():
        for number in contexts:
            batch = max(1, round(settings.batch_size * number / usual))
            chosen = settings.changed(seed=seed, batch_size=batch)
            weights = train_classifier(*as_training_set(features[:number]), chosen).numpy()
            for name, embeds in clips.items():
                found[name][number].append(unweighted_average_recall(zero_shot_predictions(embeds, weights), true))
    return found


def class_ids(corpus: LabelledCorpus) -> np.ndarray:
    """Return the true class id of each clip, (clips,)."""
    return corpus.rows["label"].map(corpus.classes.index).to_numpy()


@dataclass(frozen=True)
class Heard:
    """What an acoustic condition does to the clips of a corpus; see [`heard_under`]."""

    corpus: str
    condition: str
    cosine: float
    shift: float
    zero_shot: float
    moved_back: float
    trained: float | None


def heard_under(
    corpus: LabelledCorpus,
    condition: str,
    embeds: np.ndarray,
    clean: np.ndarray,
    prototypes: np.ndarray,
    zero_shot: ZeroShot,
    seeds: Sequence[int],
    settings: ClassifierSettings,
) -> Heard:
    """
    Measure what a condition does to clips, from their embeddings in it and as recorded, (clips, width).

    `cosine` is the mean of a clip's with its own as recorded. `shift` is how far the mean embedding moves, by the
    root-mean-square distance of clips as recorded from theirs. `zero_shot` is the UAR of the prototypes, (N, width);
    `moved_back` the same after each clip has moved by the difference of the means. `trained` is the UAR of classifiers
    of audio in this condition, over folds of other speakers, mean over seeds; `None` where the speakers make no folds.
    """
    true = class_ids(corpus)
    moved = clean.mean(axis=0) - embeds.mean(axis=0)
    spread = np.sqrt(np.square(clean - clean.mean(axis=0)).sum(axis=1).mean())
    # `supervised` trains in what it is given as the clean condition.
    one = {ZERO_SHOT.name: {None: prototypes}}
    (found,) = supervised(corpus, zero_shot, {CLEAN: embeds}, one, seeds, settings)
    return Heard(
        corpus=corpus.name,
        condition=condition,
        cosine=float((embeds * clean).sum(axis=1).mean()),
        shift=float(np.linalg.norm(moved) / spread),
        zero_shot=unweighted_average_recall(zero_shot_predictions(embeds, prototypes), true),
        moved_back=unweighted_average_recall(zero_shot_predictions(embeds + moved, prototypes), true),
        trained=None if isinstance(found, Refusal) else found.of_method(AUDIO_OF_SPEAKERS).uar.value,
    )


@dataclass(frozen=True)
class Hardest:
    """The condition with the lowest UAR of zero-shot on a corpus, the clips as recorded, and the other conditions."""

    condition: Heard
    clean: Heard
    others: Sequence[Heard]

    @classmethod
    def of(cls, heard: Sequence[Heard]) -> "Hardest":
        """Choose among the conditions of one corpus, of which one is clean."""
        degraded = sorted((each for each in heard if each.condition != CLEAN), key=lambda each: each.zero_shot)
        return cls(degraded[0], next(each for each in heard if each.condition == CLEAN), degraded[1:])

    @property
    def hardest_moved_back(self) -> Heard:
        """The degraded condition that is hardest once the means of all are moved back."""
        return min([self.condition, *self.others], key=lambda each: each.moved_back)

    @property
    def lost(self) -> float:
        """The UAR that zero-shot loses in the condition."""
        return self.clean.zero_shot - self.condition.zero_shot

    @property
    def regained(self) -> float:
        """The part of it that comes back with the mean."""
        return self.condition.moved_back - self.condition.zero_shot

    @property
    def lost_to_labels(self) -> float | None:
        """The UAR that a classifier of audio loses that is trained in the condition it is tested in."""
        if self.clean.trained is None or self.condition.trained is None:
            return None
        return self.clean.trained - self.condition.trained
