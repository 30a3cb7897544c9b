"""What the stages without audio come to, in numbers: do contexts differ, do emotions survive them, is it learned."""

import torch
import torch.nn.functional as F

from modeling_smoothclap.loss_smoothclap import cosines

from .text_features import as_training_set


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
