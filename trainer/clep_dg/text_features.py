"""Embeddings of emotions in words, with acoustic contexts and without: what a classifier is trained on."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from modeling_smoothclap.loss_smoothclap import cosines

from .context_bank import AcousticContextBank
from .prompts import PromptEncoder, PromptTemplates


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


def prompt_similarity(features: torch.Tensor) -> float | None:
    """
    How much contexts resemble each other: the mean |cosine| of their prompts, over all pairs. It is what the style loss
    lowers.

    Args:
        features (`torch.Tensor` of shape `(K, width)`): From [`~text_features.context_features`].

    Returns:
        `float`: Between 0, for prompts at right angles, and 1; `None` for a single context.
    """
    if len(features) < 2:
        return None
    units = F.normalize(features, dim=-1)
    pairs = torch.triu_indices(len(units), len(units), offset=1, device=units.device)
    return float(cosines(units, units)[*pairs].abs().mean())


def emotions_kept(joint: torch.Tensor, content: torch.Tensor) -> float:
    """
    Whether emotions are recognised in the contexts: the share of joint prompts that are nearest to the content prompt
    of their own emotion. It is what the content loss raises.

    Args:
        joint (`torch.Tensor` of shape `(K, N, width)`): From [`~text_features.joint_features`].
        content (`torch.Tensor` of shape `(N, width)`): From [`~text_features.content_features`], in the same order.

    Returns:
        `float`: Between 0 and 1; by chance 1/N.
    """
    return texts_right(*as_training_set(joint), content)


def texts_right(features: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> float:
    """
    Whether a classifier learned its own training texts.

    Args:
        features (`torch.Tensor` of shape `(n, width)`), labels (`torch.Tensor` of shape `(n,)`): The texts, from
            [`~text_features.as_training_set`].
        weights (`torch.Tensor` of shape `(N, width)`): Of the classifier.

    Returns:
        `float`: The share of the texts whose largest cosine is that of their own class, between 0 and 1.
    """
    similarity = cosines(F.normalize(features, dim=-1), F.normalize(weights, dim=-1))  # (n, N)
    return float((similarity.argmax(dim=1) == labels).float().mean())
