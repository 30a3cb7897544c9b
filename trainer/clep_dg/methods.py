"""The methods that are compared: ways from an encoder and the names of the classes to one vector for each class.

All use the same words and no audio. A clip's class is that of the vector with the largest cosine to its embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from modeling_smoothclap.loss_smoothclap import cosines

from ..files import file_sha256
from .acpt import ACPTSettings, fit_contexts, untrained_bank
from .classifier import ClassifierSettings, train_classifier
from .context_bank import CONTEXTS_FILE, AcousticContextBank
from .prompts import PromptEncoder, PromptTemplates
from .results import TextMeasures


class Contexts(StrEnum):
    """The contexts of a method. Fitted ones are kept in a folder of this name."""

    NONE = "none"
    UNTRAINED = "untrained"
    WRITTEN = "hand-written"
    BOTH_LOSSES = "both-losses"
    CONTENT_LOSS_ONLY = "content-loss-only"
    STYLE_LOSS_ONLY = "style-loss-only"


FITTED: dict[Contexts, dict[str, bool | str]] = {
    Contexts.BOTH_LOSSES: {},
    Contexts.CONTENT_LOSS_ONLY: {"style_loss": False},
    Contexts.STYLE_LOSS_ONLY: {"content_loss": False, "content_temperature": "none"},
}
"""Which fields of [`ACPTSettings`] each kind of fitted contexts changes."""


@dataclass(frozen=True)
class Method:
    """A way to a vector for each class: a classifier that is trained on embeddings, or their mean over the contexts."""

    name: str
    title: str
    meaning: str
    contexts: Contexts = Contexts.BOTH_LOSSES  # of the prompts
    trained: bool = True

    @property
    def is_random(self) -> bool:
        """Whether the seed makes a difference."""
        return self.trained or self.contexts != Contexts.NONE


ZERO_SHOT = Method(
    "zero-shot",
    "zero-shot text prototypes",
    "The embeddings of the content prompts themselves.",
    contexts=Contexts.NONE,
    trained=False,
)
ENSEMBLE = Method(
    "prompt-ensemble",
    "prompt ensemble over the contexts",
    "Of each class, the mean embedding of its joint prompts over the contexts of CLEP-DG.",
    trained=False,
)
CONTEXT_FREE = Method(
    "context-free",
    "classifier on context-free prompts",
    "CLEP-DG without ACPT, its second stage: trained on the content prompts, each as many times as there would be "
    "contexts, so that the steps are as many.",
    contexts=Contexts.NONE,
)
RANDOM_CONTEXTS = Method(
    "untrained-contexts",
    "classifier on untrained contexts",
    "Trained on the joint prompts with the random contexts that fitting starts from.",
    contexts=Contexts.UNTRAINED,
)
WRITTEN_CONTEXTS = Method(
    "written-contexts",
    "classifier on hand-written contexts",
    'Trained on the content prompts in 40 contexts that people wrote, such as "recorded over the telephone in a noisy '
    'street", however many contexts are fitted: 40 texts of each class in as many epochs as the other classifiers, so '
    "not in as many steps.",
    contexts=Contexts.WRITTEN,
)
WITHOUT_STYLE = Method(
    "without-style-loss",
    "CLEP-DG without style loss",
    "Trained on the joint prompts with contexts that were fitted by the content loss alone.",
    contexts=Contexts.CONTENT_LOSS_ONLY,
)
WITHOUT_CONTENT = Method(
    "without-content-loss",
    "CLEP-DG without content loss",
    "Trained on the joint prompts with contexts that were fitted by the style loss alone.",
    contexts=Contexts.STYLE_LOSS_ONLY,
)
CLEP_DG = Method("clep-dg", "CLEP-DG", "Trained on the joint prompts with contexts that were fitted by both losses.")
METHODS = (
    ZERO_SHOT,
    ENSEMBLE,
    CONTEXT_FREE,
    RANDOM_CONTEXTS,
    WRITTEN_CONTEXTS,
    WITHOUT_STYLE,
    WITHOUT_CONTENT,
    CLEP_DG,
)
"""CLEP-DG with its baselines and ablations, in the order of tables."""


@dataclass(frozen=True, eq=False)
class TextStages:
    """What stages 2 and 3 yield with one seed."""

    content: torch.Tensor  # without a context, (N, width)
    joint: dict[Contexts, torch.Tensor]  # (K, N, width)
    weights: dict[str, torch.Tensor]  # unit length, (N, width)
    measures: dict[str, TextMeasures]


def text_stages(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    words: Sequence[str],
    acpt: ACPTSettings,
    classifier: ClassifierSettings,
    folder: str | Path,
    written: str = "en",
) -> TextStages:
    """
    Run stages 2 and 3 for every method: fit contexts, train on texts, measure; `folder` keeps fitted contexts.

    `written` is the language of the hand-written ones.
    """
    content = content_features(encoder, templates, words).cpu()
    joint = {
        Contexts.NONE: content.expand(acpt.num_contexts, -1, -1),
        Contexts.WRITTEN: written_features(encoder, templates, words, written).cpu(),
    }
    nothing = dict.fromkeys(("similarity", "emotions_kept", "contexts_sha256"))
    measured: dict[Contexts, dict[str, Any]] = {
        Contexts.NONE: nothing,
        Contexts.WRITTEN: nothing | {"emotions_kept": texts_right(joint[Contexts.WRITTEN], content)},
    }
    for kind in (Contexts.UNTRAINED, *FITTED):
        own = Path(folder) / kind
        if kind in FITTED:
            bank = fit_contexts(encoder, templates, words, acpt.changed(**FITTED[kind]), own)
        else:
            bank = untrained_bank(encoder, templates, acpt)
        joint[kind] = joint_features(encoder, bank, words).cpu()
        measured[kind] = {
            "similarity": prompt_similarity(context_features(encoder, bank)),
            "emotions_kept": texts_right(joint[kind], content),
            "contexts_sha256": file_sha256(own / CONTEXTS_FILE) if kind in FITTED else None,
        }
    weights, measures = {}, {}
    for method in METHODS:
        features = joint[method.contexts]
        weights[method.name] = (
            train_classifier(*as_training_set(features), classifier)
            if method.trained
            else F.normalize(features.mean(dim=0), dim=-1)
        )
        measures[method.name] = TextMeasures(
            seed=acpt.seed,
            method=method.name,
            **measured[method.contexts],
            texts_right=texts_right(features, weights[method.name]),
        )
    return TextStages(content, joint, weights, measures)


def joint_features(encoder: PromptEncoder, bank: AcousticContextBank, class_names: Sequence[str]) -> torch.Tensor:
    """Embed every class in every context, (K, N, width), unit length; contexts of another encoder: `ValueError`."""
    return _in_contexts(encoder, bank, bank.templates.joint_prompts(class_names))


def context_features(encoder: PromptEncoder, bank: AcousticContextBank) -> torch.Tensor:
    """Embed the prompt of each context without a class, (K, width), as [`joint_features`]."""
    return _in_contexts(encoder, bank, [bank.templates.context])[:, 0]


@torch.no_grad()
def _in_contexts(encoder: PromptEncoder, bank: AcousticContextBank, prompts: Sequence[str]) -> torch.Tensor:
    """Embed prompts with a slot in every context, (K, prompts, width)."""
    bank.check(encoder)
    with encoder.frozen():
        tokens = encoder.tokenize(prompts, bank.contexts.shape[1])
        return torch.stack([encoder.embed(tokens, each.expand(len(prompts), -1, -1)) for each in bank.contexts])


@torch.no_grad()
def content_features(encoder: PromptEncoder, templates: PromptTemplates, class_names: Sequence[str]) -> torch.Tensor:
    """Embed every class without a context, (N, width), at unit length: the zero-shot prototypes."""
    with encoder.frozen():
        return encoder.embed(encoder.tokenize(templates.content_prompts(class_names)))


@torch.no_grad()
def written_features(
    encoder: PromptEncoder, templates: PromptTemplates, class_names: Sequence[str], language: str
) -> torch.Tensor:
    """Embed every class in each hand-written context, (40, N, width), at unit length."""
    prompts = templates.written_prompts(class_names, language)
    with encoder.frozen():
        return torch.stack([encoder.embed(encoder.tokenize(each)) for each in prompts])


def as_training_set(joint: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Flatten [`joint_features`] to what a classifier is trained on: (K * N, width), and their class ids, (K * N,)."""
    contexts, classes, _ = joint.shape
    return joint.flatten(0, 1), torch.arange(classes, device=joint.device).repeat(contexts)


def prompt_similarity(features: torch.Tensor) -> float | None:
    """Return the mean |cosine| over all pairs of contexts' prompts, which the style loss lowers; `None` for one."""
    if len(features) < 2:
        return None
    units = F.normalize(features, dim=-1)
    pairs = torch.triu_indices(len(units), len(units), offset=1, device=units.device)
    return float(cosines(units, units)[*pairs].abs().mean())


def texts_right(joint: torch.Tensor, vectors: torch.Tensor) -> float:
    """Return the share of texts, (K, N, width), that are nearest to the vector of their own class, (N, width)."""
    features, labels = as_training_set(joint)
    similarity = cosines(F.normalize(features, dim=-1), F.normalize(vectors, dim=-1))  # (K * N, N)
    return float((similarity.argmax(dim=1) == labels).float().mean())
