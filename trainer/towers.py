"""What training asks of a dual encoder: loading, scales, frozen towers, learning rates, low-rank adapters."""

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.tuners_utils import check_target_module_exists
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel, TrainerCallback
from transformers.utils import ADAPTER_SAFE_WEIGHTS_NAME

from modeling_smoothclap.checkpoint_smoothclap import load_dual_encoder
from modeling_smoothclap.modeling_smoothclap import MAX_LOGIT_SCALE

from .arguments import SmoothCLAPTrainingArguments
from .config import SettingsError
from .files import whole_file
from .rules import TOWERS, refuse, resting_rules
from .settings import SAVE_KINDS, LoraSettings


HEADS = ("audio_projection", "text_projection", "logit_scale")
QUERY_AND_VALUE: tuple[str, ...] = ("q_proj", "v_proj", "query", "value", "q", "v", "q_lin", "v_lin")
"""Query and value projections, as the tower families call them; LoRA's usual place."""
FEED_FORWARD: dict[str, tuple[str, ...]] = {"wavlm": ("intermediate_dense", "output_dense")}
"""What is adapted by default in place of query and value, by family."""
NEVER_CALLED = {"wavlm": {"q_proj", "k_proj", "v_proj", "out_proj"}}
"""WavLM's attention reads these layers' weights without calling them, so that an adapter there would do nothing."""


def load_checkpoint(name: str) -> tuple[Any, Any]:
    """Load a whole dual encoder to train, and its processor, by Hub id, folder or `"smoothclap-tiny"`."""
    model, processor, *_ = load_dual_encoder(name, "auto", None, trust_remote_code=False)
    _encoders(model)
    return model, processor


def _encoders(model: Any) -> dict[str, Any]:
    if lacking := [tower for tower in TOWERS if not hasattr(plain(model), f"{tower}_model")]:
        names = " and ".join(f"{tower}_model" for tower in lacking)
        raise ValueError(
            f"The model is of type {type(model).__name__}, which lacks {names}: pass a dual encoder, or the name or "
            "folder of a checkpoint of one."
        )
    return {tower: getattr(plain(model), f"{tower}_model") for tower in TOWERS}


def logit_scales(model: Any, outputs: Any) -> torch.Tensor:
    """Return the factors between cosine and logit, from audio to text and back, of shape (2,)."""
    if "logit_scale" in outputs:
        return outputs.logit_scale.reshape(1).expand(2)
    return torch.stack([model.logit_scale_a, model.logit_scale_t]).exp()  # ClapModel has one for each direction


class ScaleCallback(TrainerCallback):
    """Keep every stored logit scale at or below ln 100 after each step.

    The model clamps the scale it uses; under FSDP2 that is a gathered copy, and the stored one would run on.
    """

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        for name, parameter in kwargs["model"].named_parameters():
            if "logit_scale" in name:
                parameter.data.clamp_(max=MAX_LOGIT_SCALE)


def plain(model: Any) -> Any:
    """Return the model itself, or the one inside a PEFT model."""
    return model.get_base_model() if hasattr(model, "peft_config") else model


def freeze_towers(model: Any, args: SmoothCLAPTrainingArguments) -> None:
    """Freeze what `args` freeze, except in PEFT's models, and refuse settings that do nothing then."""
    encoders = _encoders(model)
    if not hasattr(model, "peft_config"):
        for tower, encoder in encoders.items():
            if getattr(args, f"freeze_{tower}_tower"):
                encoder.requires_grad_(False)
    refuse(args.given(), resting_rules({tower: _rests(encoder) for tower, encoder in encoders.items()}))


def _rests(tower: nn.Module) -> bool:
    return not any(parameter.requires_grad for parameter in tower.parameters())


def rest_frozen_towers(model: Any) -> None:
    """
    Set what rests during training to evaluation mode: towers of which nothing is trained, and batch normalisation.

    Statistics of a batch (`ClapModel`'s audio tower) depend on how many processes and chunks share it; with the running
    ones all of them give the same loss. Its weights are trained like any other.
    """
    for tower in (model.audio_model, model.text_model):
        if _rests(tower):
            tower.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


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


def add_lora(
    model: PreTrainedModel, lora: LoraSettings | LoraConfig, freeze_audio: bool, freeze_text: bool
) -> PeftModel:
    """
    Put low-rank adapters (LoRA, arXiv 2106.09685, by PEFT; ours) into `model`, and freeze what is not to be trained.

    Trained, and saved with the adapters, are the projection heads and the logit scale, and a tower without adapters
    that is not to be frozen, as a whole. The scales of transformers' `ClapModel`, which are not modules, stay as they
    are.

    Args:
        model ([`SmoothCLAPModel`] or `ClapModel`): It is changed in place.
        lora ([`LoraSettings`] or `peft.LoraConfig`): Without `target_modules`, a configuration adapts both towers at
            their usual layers. Its `modules_to_save` replace the choice above.
        freeze_audio, freeze_text (`bool`): Whether to freeze the tower if it gets no adapters.

    Raises:
        ValueError: No tower is to get adapters, or a layer that is to get one does not exist or cannot use it.
    """
    if model is None:
        raise ValueError("`peft_config` adapts a `model`: pass one, or add the adapters in `model_init`.")
    if isinstance(lora, LoraConfig):
        config = copy.copy(lora)
        if config.target_modules is None or config.target_modules == "all-linear":
            config.target_modules = _target_modules(model, TOWERS, every_layer=config.target_modules is not None)
    else:
        config = LoraConfig(
            r=lora.lora_rank,
            lora_alpha=lora.lora_alpha,
            lora_dropout=lora.lora_dropout,
            target_modules=_target_modules(model, lora.lora_towers, lora.lora_target_modules),
        )
    adapted = {tower: _adapted_layers(model, tower, config) for tower in TOWERS}
    for tower, layers in adapted.items():
        _check_called(getattr(model, f"{tower}_model"), tower, layers)
        asked = freeze_text if tower == "text" else not freeze_audio  # other than by default
        if asked and layers and isinstance(lora, LoraConfig):
            why = f"the {tower} tower has adapters, and is frozen but for them; leave it out"
            raise SettingsError([(f"freeze_{tower}_tower", f"has no effect: {why}")])
    if config.modules_to_save is None:
        config.modules_to_save = [name for name in HEADS if isinstance(getattr(model, name, None), nn.Module)]
        frozen = {"audio": freeze_audio, "text": freeze_text}
        config.modules_to_save += [f"{tower}_model" for tower in TOWERS if not adapted[tower] and not frozen[tower]]
    return get_peft_model(model, config)


def _target_modules(
    model: PreTrainedModel, towers: Sequence[str], names: Sequence[str] = (), every_layer: bool = False
) -> str:
    """Return a regular expression for the layers that get adapters; `every_layer` is all linear ones they act on."""
    if not towers:
        raise ValueError("`lora_towers` is empty, so there is nothing to adapt; name 'audio', 'text' or both.")
    encoders = {tower: getattr(model, f"{tower}_model") for tower in towers}
    there = {tower: _linear_layers(encoder) for tower, encoder in encoders.items()}
    listed = "; ".join(f"{', '.join(sorted(layers))} ({tower})" for tower, layers in there.items())
    if unknown := set(names) - set().union(*there.values()):
        raise ValueError(f"No layer is named {', '.join(sorted(unknown))}; `lora_target_modules` can name {listed}.")
    patterns = []
    for tower, encoder in encoders.items():
        family = encoder.config.model_type
        wanted = names or FEED_FORWARD.get(family, QUERY_AND_VALUE)
        if every_layer:
            wanted = sorted(there[tower] - NEVER_CALLED.get(family, set()))
        chosen = sorted(there[tower] & set(wanted))
        if not chosen:
            raise ValueError(
                f"The {tower} tower ({family}) has no layer named {', '.join(wanted)}; "
                f"`lora_target_modules` can name {listed}."
            )
        patterns.append(rf"{tower}_model\.(?:.*\.)?(?:{'|'.join(map(re.escape, chosen))})")
    return "|".join(patterns)


def _linear_layers(tower: nn.Module) -> set[str]:
    """Return the last parts of the names of a tower's linear layers."""
    return {name.rpartition(".")[2] for name, module in tower.named_modules() if isinstance(module, nn.Linear)}


def _adapted_layers(model: PreTrainedModel, tower: str, config: LoraConfig) -> set[str]:
    """Return the last parts of the names of a tower's layers that get adapters."""
    names = [name for name, _ in model.named_modules() if name.startswith(f"{tower}_model.")]
    return {name.rpartition(".")[2] for name in names if check_target_module_exists(config, name)}


def _check_called(encoder: Any, tower: str, layers: set[str]) -> None:
    never = NEVER_CALLED.get(encoder.config.model_type, set())
    if useless := sorted(layers & never):
        raise ValueError(
            f"In the {tower} tower ({encoder.config.model_type}) an adapter on {', '.join(useless)} would do nothing, "
            f"because its attention never calls these layers; choose among {sorted(_linear_layers(encoder) - never)}."
        )


def merged(model: PeftModel) -> Any:
    """Return a copy of the plain model with the adapters added to the weights, in evaluation mode."""
    return copy.deepcopy(model).merge_and_unload().eval()


def save_lora(model: PeftModel, processor: Any, folder: str | Path, how: str) -> None:
    """
    Save an adapted model and its processor so that `AutoModel` and pipelines load them from `folder`.

    Args:
        model (`PeftModel`): From [`add_lora`].
        processor ([`SmoothCLAPProcessor`], *optional*): The model's.
        folder (`str` or `Path`): Where to write.
        how (`str`): `"merged"` writes a checkpoint like any other. `"adapter"` writes the weights as they were before
            adapters, and next to them the adapters, heads and scale in files of their own. Transformers joins them when
            it loads the folder, which may be moved; `PeftModel.from_pretrained(base, folder)` loads the adapters alone.

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
        plain_weights = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
        with whole_file(Path(folder) / ADAPTER_SAFE_WEIGHTS_NAME) as unfinished:
            save_file(plain_weights, unfinished, metadata={"format": "pt"})
    if processor is not None:
        processor.save_pretrained(folder)
