"""The second and the third stage with one seed, for all methods: everything that hears no audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..files import file_sha256
from .acpt import ACPTSettings
from .classifier import ClassifierSettings
from .context_bank import CONTEXTS_FILE
from .methods import METHODS, NO_CONTEXTS, class_weights, context_bank
from .prompt_encoder import PromptEncoder
from .prompts import PromptTemplates
from .text_features import as_training_set, content_features, context_features, joint_features
from .text_measures import emotions_kept, prompt_similarity, texts_right


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
    >>> from smoothclap_trainer.clep_dg.prompt_encoder import PromptEncoder
    >>> from smoothclap_trainer.clep_dg.prompts import ENGLISH
    >>> from smoothclap_trainer.clep_dg.text_stages import text_stages
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
