"""What the trainer asks of a dual encoder, whichever it is: its scales, and its towers' freezing."""

from typing import Any

import torch


def logit_scales(model: Any, outputs: Any) -> torch.Tensor:
    """Factors between cosine and logit, from audio to text and back, of shape (2,)."""
    if "logit_scale" in outputs:
        return outputs.logit_scale.reshape(1).expand(2)
    return torch.stack([model.logit_scale_a, model.logit_scale_t]).exp()  # ClapModel has one for each direction


def freeze_towers(model: Any, audio: bool, text: bool) -> None:
    """Freeze whole towers; a PEFT model stays as PEFT set it."""
    if hasattr(model, "peft_config"):
        return
    if audio:
        model.audio_model.requires_grad_(False)
    if text:
        model.text_model.requires_grad_(False)


def rest_frozen_towers(model: Any) -> None:
    """Keep towers of which nothing is trained in evaluation mode, without dropout and with fixed statistics."""
    for tower in (model.audio_model, model.text_model):
        if not any(parameter.requires_grad for parameter in tower.parameters()):
            tower.eval()
