"""Embeddings of emotions in words, with acoustic contexts and without: what a classifier is trained on."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from .context_bank import AcousticContextBank
from .prompt_encoder import PromptEncoder
from .prompts import PromptTemplates


def joint_features(encoder: PromptEncoder, bank: AcousticContextBank, class_names: Sequence[str]) -> torch.Tensor:
    """
    Every class in every context. The classes need not be those that the contexts were fitted with.

    Args:
        encoder ([`PromptEncoder`]): The one that the contexts belong to.
        bank ([`AcousticContextBank`]): K contexts.
        class_names (`Sequence[str]`): N classes, in words that fit the bank's templates.

    Returns:
        `torch.Tensor` of shape `(K, N, width)`: Unit-length embeddings, float32.

    Raises:
        ValueError: if the contexts belong to another encoder, or a class name does not do.
    """
    prompts = bank.templates.joint_prompts(class_names)
    bank.check(encoder)
    with encoder.frozen(), torch.no_grad():
        tokens = encoder.tokenize(prompts, bank.contexts.shape[1])
        return torch.stack([encoder.embed(tokens, each.expand(len(prompts), -1, -1)) for each in bank.contexts])


def content_features(encoder: PromptEncoder, templates: PromptTemplates, class_names: Sequence[str]) -> torch.Tensor:
    """
    Every class without a context: zero-shot prototypes, and the classifier's training set of the baseline without.

    Args:
        encoder ([`PromptEncoder`]): Any.
        templates ([`PromptTemplates`]): The wordings.
        class_names (`Sequence[str]`): N classes.

    Returns:
        `torch.Tensor` of shape `(N, width)`: Unit-length embeddings, float32.

    Raises:
        ValueError: if a class name does not do.
    """
    prompts = templates.content_prompts(class_names)
    with encoder.frozen(), torch.no_grad():
        return encoder.embed(encoder.tokenize(prompts))


def context_features(encoder: PromptEncoder, bank: AcousticContextBank) -> torch.Tensor:
    """
    The contexts' own prompts, which name no class.

    Args:
        encoder ([`PromptEncoder`]): The one that the contexts belong to.
        bank ([`AcousticContextBank`]): K contexts.

    Returns:
        `torch.Tensor` of shape `(K, width)`: Unit-length embeddings, float32.

    Raises:
        ValueError: if the contexts belong to another encoder.
    """
    bank.check(encoder)
    with encoder.frozen(), torch.no_grad():
        tokens = encoder.tokenize([bank.templates.context], bank.contexts.shape[1])
        return torch.cat([encoder.embed(tokens, each[None]) for each in bank.contexts])


def ensemble_prototypes(joint: torch.Tensor) -> torch.Tensor:
    """
    The prompt ensemble: one prototype per class, the mean of its embeddings over the contexts.

    Args:
        joint (`torch.Tensor` of shape `(K, N, width)`): From [`joint_features`].

    Returns:
        `torch.Tensor` of shape `(N, width)`: Unit-length prototypes.
    """
    return F.normalize(joint.mean(dim=0), dim=-1)


def as_training_set(joint: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Joint features as the classifier wants them.

    Args:
        joint (`torch.Tensor` of shape `(K, N, width)`): From [`joint_features`].

    Returns:
        `tuple`: Features of shape `(K * N, width)`, and their class ids of shape `(K * N,)`.

    Example:

    ```python
    >>> import torch
    >>> from smoothclap_trainer.clep_dg.text_features import as_training_set
    >>> features, labels = as_training_set(torch.zeros(2, 3, 16))
    >>> features.shape, labels
    (torch.Size([6, 16]), tensor([0, 1, 2, 0, 1, 2]))

    ```
    """
    contexts, classes, _ = joint.shape
    return joint.flatten(0, 1), torch.arange(classes, device=joint.device).repeat(contexts)
