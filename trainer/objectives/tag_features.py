"""Embeddings of paralinguistic tag texts, the text half of soft targets."""

from typing import Any

import torch
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method


def tag_features(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """
    Embed tag texts: first token of the text tower, not projected, without dropout.

    That the same text encoder embeds them is the paper's; that it is the unprojected first token is inferred.

    Args:
        model: Any dual encoder with `get_text_features`.
        input_ids (`torch.Tensor` of shape `(batch, tokens)`): Tokenised tag texts.
        attention_mask (`torch.Tensor` of shape `(batch, tokens)`, *optional*): 1 for tokens, 0 for padding.

    Returns:
        `torch.Tensor` of shape `(batch, text width)`.
    """
    if isinstance(model, FSDPModule) and isinstance(model, torch.nn.Module):
        register_fsdp_forward_method(model, "get_text_features")  # gathers the sharded weights for it, too
    training = model.training
    model.eval()
    try:
        hidden = model.get_text_features(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    finally:
        model.train(training)
    return hidden[:, 0]
