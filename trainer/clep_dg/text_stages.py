"""The second and the third stage with one seed, for all methods: everything that hears no audio."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..data.packages import file_sha256
from .acpt import ACPTSettings
from .classifier import ClassifierSettings
from .context_bank import CONTEXTS_FILE
from .context_measures import emotions_kept, prompt_similarity
from .methods import METHODS, NO_CONTEXTS, class_weights, context_bank
from .prompt_encoder import PromptEncoder
from .prompts import PromptTemplates
from .text_features import content_features, context_features, joint_features


@dataclass(frozen=True, eq=False)
class TextStages:
    """
    What came of the two stages.

    Args:
        content (`torch.Tensor` of shape `(N, width)`): Embeddings of the classes without a context.
        joint (`dict[str, torch.Tensor]`): Kind of contexts, as methods name it, to embeddings of the classes in each of
            K contexts, `(K, N, width)`.
        weights (`dict[str, torch.Tensor]`): Method to one unit-length vector per class, `(N, width)`.
        contexts (`list[dict[str, Any]]`): Of each kind of contexts, for the results: `kind`; `similarity` and
            `emotions_kept`, see [`~clep_dg.context_measures`]; and `sha256` of the file that keeps them, `None` for
            random ones.
    """

    content: torch.Tensor
    joint: dict[str, torch.Tensor]
    weights: dict[str, torch.Tensor]
    contexts: list[dict[str, Any]]


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
    contexts = []
    for method in METHODS:
        if method.contexts in joint:
            continue
        bank = context_bank(method, encoder, templates, words, acpt, folder)
        joint[method.contexts] = joint_features(encoder, bank, words).cpu()
        file = Path(folder) / method.contexts / CONTEXTS_FILE
        measures = {
            "similarity": prompt_similarity(context_features(encoder, bank)),
            "emotions_kept": emotions_kept(joint[method.contexts], content),
        }
        contexts.append(
            {"kind": method.contexts, **measures, "sha256": file_sha256(file) if bank.fitted_with else None}
        )
    weights = {method.name: class_weights(method, joint[method.contexts], classifier) for method in METHODS}
    return TextStages(content, joint, weights, contexts)
