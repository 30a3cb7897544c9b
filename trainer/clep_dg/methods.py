"""The methods that are compared: ways from an encoder and the names of the classes to one vector for each class.

All get the same words and hear nothing. What is compared with a clip's embedding, by cosine, is the vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..files import file_sha256
from .acpt import ACPTSettings, fit_contexts, untrained_bank
from .classifier import ClassifierSettings, train_classifier
from .context_bank import CONTEXTS_FILE, AcousticContextBank
from .prompts import PromptEncoder, PromptTemplates
from .text_features import (
    as_training_set,
    content_features,
    context_features,
    emotions_kept,
    ensemble_prototypes,
    joint_features,
    prompt_similarity,
    texts_right,
)


NO_CONTEXTS, UNTRAINED = "none", "untrained"


@dataclass(frozen=True)
class Method:
    """
    One way to a vector for each class.

    Args:
        name (`str`): In results and folders.
        title (`str`): In tables.
        meaning (`str`): What it is, in a sentence.
        contexts (`str`): [`NO_CONTEXTS`], [`UNTRAINED`], or what fitted ones are called, which names their folder.
        trained (`bool`): Whether a classifier is trained on the embeddings; else they are the prototypes, averaged
            over the contexts.
        losses (`dict[str, bool]`): Fields of [`ACPTSettings`] that fitting changes.
    """

    name: str
    title: str
    meaning: str
    contexts: str
    trained: bool
    losses: dict[str, bool] = field(default_factory=dict, hash=False)

    @property
    def is_random(self) -> bool:
        """Whether seeds make a difference."""
        return self.trained or self.contexts != NO_CONTEXTS

    @property
    def is_fitted(self) -> bool:
        """Whether its contexts are fitted."""
        return self.contexts not in (NO_CONTEXTS, UNTRAINED)


ZERO_SHOT = Method(
    "zero-shot",
    "zero-shot text prototypes",
    "The embeddings of the content prompts themselves.",
    contexts=NO_CONTEXTS,
    trained=False,
)
ENSEMBLE = Method(
    "prompt-ensemble",
    "prompt ensemble over the contexts",
    "Of each class, the mean embedding of its joint prompts over the contexts of CLEP-DG.",
    contexts="both-losses",
    trained=False,
)
CONTEXT_FREE = Method(
    "context-free",
    "classifier on context-free prompts",
    "CLEP-DG without ACPT, its second stage: trained on the content prompts, each as many times as there would be "
    "contexts, so that the steps are as many.",
    contexts=NO_CONTEXTS,
    trained=True,
)
RANDOM_CONTEXTS = Method(
    "untrained-contexts",
    "classifier on untrained contexts",
    "Trained on the joint prompts with the random contexts that fitting starts from.",
    contexts=UNTRAINED,
    trained=True,
)
WITHOUT_STYLE = Method(
    "without-style-loss",
    "CLEP-DG without style loss",
    "Trained on the joint prompts with contexts that were fitted by the content loss alone.",
    contexts="content-loss-only",
    trained=True,
    losses={"style_loss": False},
)
WITHOUT_CONTENT = Method(
    "without-content-loss",
    "CLEP-DG without content loss",
    "Trained on the joint prompts with contexts that were fitted by the style loss alone.",
    contexts="style-loss-only",
    trained=True,
    losses={"content_loss": False},
)
CLEP_DG = Method(
    "clep-dg",
    "CLEP-DG",
    "Trained on the joint prompts with contexts that were fitted by both losses.",
    contexts="both-losses",
    trained=True,
)
METHODS = (ZERO_SHOT, ENSEMBLE, CONTEXT_FREE, RANDOM_CONTEXTS, WITHOUT_STYLE, WITHOUT_CONTENT, CLEP_DG)
"""The method with all the baselines and ablations that it is reported beside."""


def context_bank(
    method: Method,
    encoder: PromptEncoder,
    templates: PromptTemplates,
    words: Sequence[str],
    acpt: ACPTSettings,
    folder: str | Path,
) -> AcousticContextBank:
    """
    The contexts of a method that has some.

    Args:
        method ([`Method`]): Which.
        encoder ([`PromptEncoder`]): The dual encoder's text half.
        templates ([`PromptTemplates`]): The wordings.
        words (`Sequence[str]`): What templates call each of the classes, two or more.
        acpt ([`ACPTSettings`]): How contexts are fitted, or drawn.
        folder (`str` or `Path`): Fitted contexts are kept there, in a folder for each kind. What is there is not fitted
            again; a fit that was interrupted goes on.

    Returns:
        [`AcousticContextBank`]

    Raises:
        ValueError: if the method has no contexts, or as [`~acpt.fit_contexts`].
    """
    if method.contexts == NO_CONTEXTS:
        raise ValueError(f"The method {method.name!r} has no contexts.")
    if method.contexts == UNTRAINED:
        return untrained_bank(encoder, templates, acpt)
    return fit_contexts(encoder, templates, words, acpt.changed(**method.losses), Path(folder) / method.contexts)


def class_weights(method: Method, joint: torch.Tensor, classifier: ClassifierSettings) -> torch.Tensor:
    """
    From embeddings of texts to what judges audio.

    Args:
        method ([`Method`]): Which.
        joint (`torch.Tensor` of shape `(K, N, width)`): Embeddings of the N classes in each of the method's contexts;
            of a method that has none, the same ones K times.
        classifier ([`ClassifierSettings`]): How the classifier is trained, if there is one.

    Returns:
        `torch.Tensor` of shape `(N, width)`: Unit-length vectors, float32.
    """
    if not method.trained:
        return ensemble_prototypes(joint)
    return train_classifier(*as_training_set(joint), classifier)


@dataclass(frozen=True, eq=False)
class TextStages:
    """
    What came of the two stages.

    Args:
        content (`torch.Tensor` of shape `(N, width)`): Embeddings of the classes without a context.
        joint (`dict[str, torch.Tensor]`): Kind of contexts, as methods name it, to embeddings of the classes in each of
            K contexts, `(K, N, width)`.
        weights (`dict[str, torch.Tensor]`): Method to one unit-length vector per class, `(N, width)`.
        measures (`dict[str, dict[str, Any]]`): Method to `similarity`, `emotions_kept` and `texts_right`, see
            [`~clep_dg.text_measures`], and `contexts_sha256`, of the file that keeps them. The first two are `None`
            without contexts, the last one without fitted ones.
    """

    content: torch.Tensor
    joint: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]
    measures: dict[str, dict[str, Any]]


def text_stages(
    encoder: PromptEncoder,
    templates: PromptTemplates,
    words: Sequence[str],
    acpt: ACPTSettings,
    classifier: ClassifierSettings,
    folder: str | Path,
) -> TextStages:
    """
    Goes every method's way. All of them get the same words.

    Args:
        encoder ([`PromptEncoder`]): The dual encoder's text half.
        templates ([`PromptTemplates`]): The wordings.
        words (`Sequence[str]`): What templates call each of the N classes, two or more.
        acpt ([`ACPTSettings`]), classifier ([`ClassifierSettings`]): How contexts are fitted and classifiers are
            trained, each with its seed.
        folder (`str` or `Path`): Fitted contexts are kept there, in a folder for each kind. What is there is not fitted
            again; a fit that was interrupted goes on.

    Returns:
        [`TextStages`]: With all tensors on the CPU, in float32.

    Raises:
        ValueError: as [`~acpt.fit_contexts`].

    Example:

    ```python
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel, SmoothCLAPProcessor
    >>> from smoothclap_trainer.clep_dg.acpt import ACPTSettings
    >>> from smoothclap_trainer.clep_dg.classifier import ClassifierSettings
    >>> from smoothclap_trainer.clep_dg.prompts import PromptEncoder
    >>> from smoothclap_trainer.clep_dg.prompts import ENGLISH
    >>> from smoothclap_trainer.clep_dg.methods import text_stages
    >>> tokenizer = SmoothCLAPProcessor.from_pretrained(SMOOTHCLAP_TINY).tokenizer
    >>> encoder = PromptEncoder(SmoothCLAPModel.from_pretrained(SMOOTHCLAP_TINY), tokenizer)
    >>> settings = ACPTSettings(num_contexts=2, steps=2), ClassifierSettings()
    >>> stages = text_stages(encoder, ENGLISH, ["happy", "sad"], *settings, "contexts")
    >>> stages.weights["clep-dg"].shape, stages.joint["untrained"].shape
    (torch.Size([2, 256]), torch.Size([2, 2, 256]))

    ```
    """
    content = content_features(encoder, templates, words).cpu()
    joint = {NO_CONTEXTS: content.expand(acpt.num_contexts, -1, -1)}
    of_contexts = {NO_CONTEXTS: dict.fromkeys(("similarity", "emotions_kept", "contexts_sha256"))}
    for method in METHODS:
        if method.contexts in joint:
            continue
        bank = context_bank(method, encoder, templates, words, acpt, folder)
        joint[method.contexts] = joint_features(encoder, bank, words).cpu()
        file = Path(folder) / method.contexts / CONTEXTS_FILE
        of_contexts[method.contexts] = {
            "similarity": prompt_similarity(context_features(encoder, bank)),
            "emotions_kept": emotions_kept(joint[method.contexts], content),
            "contexts_sha256": file_sha256(file) if bank.fitted_with else None,
        }
    weights = {method.name: class_weights(method, joint[method.contexts], classifier) for method in METHODS}
    measures = {
        method.name: of_contexts[method.contexts]
        | {"texts_right": texts_right(*as_training_set(joint[method.contexts]), weights[method.name])}
        for method in METHODS
    }
    return TextStages(content, joint, weights, measures)
