"""What training asks of a dual encoder, whichever it is: loading, scales, frozen towers, learning rates."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoProcessor

from modeling_smoothclap import SMOOTHCLAP_TINY

from .arguments import SmoothCLAPTrainingArguments


def load_checkpoint(name: str) -> tuple[Any, Any]:
    """
    Load a dual encoder and its processor.

    Args:
        name (`str`): Hub id or directory, or `"smoothclap-tiny"`.

    Raises:
        ValueError: The checkpoint cannot be loaded, or is not a dual encoder.
    """
    place = SMOOTHCLAP_TINY if name == Path(SMOOTHCLAP_TINY).name and not Path(name).exists() else name
    try:
        model: Any = AutoModel.from_pretrained(place)
        processor = AutoProcessor.from_pretrained(place)
    except Exception as error:  # of missing, truncated and foreign files: too many classes to name
        where = "" if Path(place).is_dir() else "there is no such folder, and as a Hub id: "
        raise ValueError(f"The checkpoint {name!r} cannot be loaded: {where}{error}") from error
    if not all(hasattr(model, part) for part in ("audio_model", "text_model", "get_text_features")):
        raise ValueError(f"{name!r} is a {type(model).__name__}, which is not an audio-text dual encoder.")
    return model, processor


def logit_scales(model: Any, outputs: Any) -> torch.Tensor:
    """Return the factors between cosine and logit, from audio to text and back, of shape (2,)."""
    if "logit_scale" in outputs:
        return outputs.logit_scale.reshape(1).expand(2)
    return torch.stack([model.logit_scale_a, model.logit_scale_t]).exp()  # ClapModel has one for each direction


def plain(model: Any) -> Any:
    """Return the model itself, or the one inside a PEFT model."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def freeze_towers(model: Any, args: SmoothCLAPTrainingArguments) -> None:
    """Freeze the towers that `args` freeze. A PEFT model stays as PEFT set it."""
    if hasattr(model, "peft_config"):
        return
    if args.freeze_audio_tower:
        model.audio_model.requires_grad_(False)
    if args.freeze_text_tower:
        model.text_model.requires_grad_(False)


def rest_frozen_towers(model: Any) -> None:
    """Set towers of which nothing is trained to evaluation mode, without dropout and with fixed statistics."""
    for tower in (model.audio_model, model.text_model):
        if not any(parameter.requires_grad for parameter in tower.parameters()):
            tower.eval()


def set_learning_rates(optimizer: torch.optim.Optimizer, model: Any, args: SmoothCLAPTrainingArguments) -> None:
    """Split the optimiser's groups, so that each tower and the heads have their own learning rate."""
    rates = {"audio_model.": args.audio_learning_rate, "text_model.": args.text_learning_rate}
    rate_of = {
        parameter: next((rate for tower, rate in rates.items() if tower in name), args.learning_rate)
        for name, parameter in model.named_parameters()
    }
    groups = []
    for group in optimizer.param_groups:
        # The largest first, usually the heads': Trainer logs the first group's.
        for rate in sorted({rate_of[parameter] for parameter in group["params"]}, reverse=True):
            members = [parameter for parameter in group["params"] if rate_of[parameter] == rate]
            groups.append({**group, "params": members, "lr": rate})
    optimizer.param_groups = groups
