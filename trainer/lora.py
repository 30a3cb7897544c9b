"""Low-rank adapters (LoRA, arXiv 2106.09685) in either tower, by PEFT: made, merged, saved. Not in the papers; ours."""

import copy
import re
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel, ProcessorMixin

from .settings import SAVE_KINDS, TOWERS, LoraSettings


HEADS = ("audio_projection", "text_projection", "logit_scale")

QUERY_AND_VALUE: tuple[str, ...] = ("q_proj", "v_proj", "query", "value", "q", "v", "q_lin", "v_lin")
"""Query and value projections, as the tower families call them; LoRA's usual place."""
FEED_FORWARD: dict[str, tuple[str, ...]] = {"wavlm": ("intermediate_dense", "output_dense")}
"""What is adapted by default in place of query and value, by family."""
NEVER_CALLED = {"wavlm": {"q_proj", "k_proj", "v_proj", "out_proj"}}
"""WavLM's attention reads these layers' weights without calling them, so that an adapter there would do nothing."""


def add_lora(model: PreTrainedModel, settings: LoraSettings, freeze_audio: bool, freeze_text: bool) -> PeftModel:
    """
    Put adapters into the towers of `model` and freeze what is not to be trained.

    Trained, and saved with the adapters, are the projection heads and the logit scale, and a tower without adapters
    that is not to be frozen, as a whole. The scales of transformers' `ClapModel`, which are no modules, stay as they
    are.

    Args:
        model ([`SmoothCLAPModel`] or `ClapModel`): It is changed in place.
        settings ([`LoraSettings`]): With at least one tower.
        freeze_audio (`bool`): Whether to freeze the audio tower if it gets no adapters.
        freeze_text (`bool`): The same for the text tower.

    Returns:
        `PeftModel`: To be trained by [`~smoothclap_trainer.SmoothCLAPTrainer`].

    Raises:
        ValueError: if no tower is to get adapters, or a layer that is to get one does not exist or cannot use it.
    """
    if not settings.lora_towers:
        raise ValueError("`lora_towers` is empty, so there is nothing to adapt; name 'audio', 'text' or both.")
    trained = [name for name in HEADS if isinstance(getattr(model, name, None), nn.Module)]
    for tower, frozen in zip(TOWERS, (freeze_audio, freeze_text), strict=True):
        if tower not in settings.lora_towers and not frozen:
            trained.append(f"{tower}_model")
    layers = {tower: _linear_layers(getattr(model, f"{tower}_model")) for tower in settings.lora_towers}
    if unknown := set(settings.lora_target_modules) - set().union(*layers.values()):
        there = "; ".join(f"{', '.join(sorted(names))} ({tower})" for tower, names in layers.items())
        raise ValueError(f"No layer is named {', '.join(sorted(unknown))}; `lora_target_modules` can name {there}.")
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules="|".join(_pattern(model, tower, settings) for tower in settings.lora_towers),
        modules_to_save=trained,
    )
    return get_peft_model(model, config)


def _linear_layers(tower: nn.Module) -> set[str]:
    """The last parts of the names of a tower's linear layers."""
    return {name.rpartition(".")[2] for name, module in tower.named_modules() if isinstance(module, nn.Linear)}


def _pattern(model: PreTrainedModel, tower: str, settings: LoraSettings) -> str:
    """A regular expression for the full names of a tower's layers that get adapters."""
    encoder = getattr(model, f"{tower}_model")
    family = encoder.config.model_type
    there = _linear_layers(encoder)
    usable = there - NEVER_CALLED.get(family, set())
    asked = settings.lora_target_modules or FEED_FORWARD.get(family, QUERY_AND_VALUE)
    if deaf := sorted(set(asked) & there - usable):
        raise ValueError(
            f"In a {family} tower an adapter on {', '.join(deaf)} would do nothing, because its attention never calls "
            f"these layers; choose among {', '.join(sorted(usable))}."
        )
    if not usable & set(asked):
        raise ValueError(
            f"The {tower} tower ({family}) has no layer named {', '.join(asked)}; `lora_target_modules` can name "
            f"{', '.join(sorted(usable))}."
        )
    names = "|".join(re.escape(name) for name in sorted(usable & set(asked)))
    return rf"{tower}_model\.(?:.*\.)?(?:{names})"


def merged(model: PeftModel) -> Any:
    """
    The plain model that `model` amounts to, with the adapters added to the weights. `model` itself is left alone.

    Args:
        model (`PeftModel`): From [`add_lora`].

    Returns:
        A model of the class that was adapted, in evaluation mode.
    """
    plain = copy.deepcopy(model).merge_and_unload()
    return plain.eval()


def save_lora(model: PeftModel, processor: ProcessorMixin, folder: str | Path, how: str) -> None:
    """
    Save an adapted model and its processor so that `AutoModel` and pipelines load them from `folder`.

    Args:
        model (`PeftModel`): From [`add_lora`].
        processor ([`SmoothCLAPProcessor`]): The model's.
        folder (`str` or `Path`): Where to write.
        how (`str`): `"merged"` writes a checkpoint like any other. `"adapter"` writes the weights as they were before
            adapters, and the adapters, heads and scale in files of their own beside them. Transformers puts them
            together when it loads the folder, which may be moved; `PeftModel.from_pretrained(base, folder)` takes the
            adapters alone.

    Raises:
        ValueError: if `how` is neither.
    """
    if how not in SAVE_KINDS:
        raise ValueError(f"`how` is 'merged' or 'adapter', not {how!r}.")
    if how == "merged":
        merged(model).save_pretrained(folder)
    else:
        # With the base model in the same folder, transformers does not follow the path in the adapter's configuration.
        copy.deepcopy(model).unload().save_pretrained(folder)
        config = copy.deepcopy(model.peft_config["default"])
        config.base_model_name_or_path = None
        config.inference_mode = True
        config.save_pretrained(str(folder))
        weights = get_peft_model_state_dict(model, save_embedding_layers=False)
        save_file(
            {name: weight.detach().cpu().contiguous() for name, weight in weights.items()},
            Path(folder) / "adapter_model.safetensors",
            metadata={"format": "pt"},
        )
    processor.save_pretrained(folder)
