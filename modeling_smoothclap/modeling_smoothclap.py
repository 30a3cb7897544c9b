"""The SmoothCLAP dual encoder: a speech tower and a text tower that meet in one embedding space."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn
from transformers import AutoConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs, can_return_tuple, logging

from .configuration_smoothclap import SmoothCLAPConfig, pretrained_text_pooling
from .loss_smoothclap import contrastive_loss, cosines, soft_target_loss
from .towers_smoothclap import (
    audio_input_name,
    build_audio_tower,
    build_text_tower,
    check_audio_input,
    check_form,
    check_text_input,
    freeze_constants,
    load_audio_tower,
    load_text_tower,
    matching,
    pool_text,
    run_audio_tower,
    without_training_noise,
)


logger = logging.get_logger(__name__)

MAX_LOGIT_SCALE = math.log(100)


@dataclass
class SmoothCLAPOutput(ModelOutput):
    """
    Output of [`SmoothCLAPModel`].

    Args:
        loss (`torch.Tensor` of shape `()`, *optional*, returned when `return_loss=True`): Contrastive loss in nats.
        logits_per_audio (`torch.Tensor` of shape `(audio batch, text batch)`): Scaled cosines of clips with texts.
        logits_per_text (`torch.Tensor` of shape `(text batch, audio batch)`): The transpose.
        text_embeds (`torch.Tensor` of shape `(text batch, projection_dim)`): Unit-length text embeddings.
        audio_embeds (`torch.Tensor` of shape `(audio batch, projection_dim)`): Unit-length audio embeddings.
        logit_scale (`torch.Tensor` of shape `(1,)`): The factor between cosine and logit, at most 100.
        text_model_output ([`BaseModelOutputWithPooling`]): Text tower's output; `pooler_output` is `text_embeds`.
        audio_model_output ([`BaseModelOutputWithPooling`]): Audio tower's output; `pooler_output` is `audio_embeds`.
    """

    loss: torch.Tensor | None = None
    logits_per_audio: torch.Tensor | None = None
    logits_per_text: torch.Tensor | None = None
    text_embeds: torch.Tensor | None = None
    audio_embeds: torch.Tensor | None = None
    logit_scale: torch.Tensor | None = None
    text_model_output: BaseModelOutputWithPooling | None = None
    audio_model_output: BaseModelOutputWithPooling | None = None

    def to_tuple(self) -> tuple[Any, ...]:
        """The values in order, the towers' outputs as tuples, too."""
        return tuple(v.to_tuple() if isinstance(v, ModelOutput) else v for v in self.values())


class SmoothCLAPProjection(nn.Module):
    """ParaCLAP's projection head: a linear map, a residual GELU layer with dropout, and layer norm."""

    def __init__(self, input_dim: int, projection_dim: int, dropout: float):
        super().__init__()
        self.linear1 = nn.Linear(input_dim, projection_dim, bias=False)
        self.linear2 = nn.Linear(projection_dim, projection_dim, bias=False)
        self.layer_norm = nn.LayerNorm(projection_dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, pooled: torch.Tensor) -> torch.Tensor:
        """Map tower outputs (batch, input_dim) to (batch, projection_dim)."""
        first = self.linear1(pooled)
        second = self.dropout(self.linear2(F.gelu(first)))
        return self.layer_norm(first + second)


class SmoothCLAPLogitScale(nn.Module):
    """The learnable factor between cosines and logits, stored as its logarithm and held at or below ln 100.

    A module with a weight of shape (1,), because PEFT's `modules_to_save` knows modules only and FSDP2 cannot shard a
    parameter without dimensions.
    """

    def __init__(self, init_value: float):
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), float(init_value)))

    def forward(self) -> torch.Tensor:
        """The factor, of shape (1,)."""
        if self.training:
            # Clamping the value alone would stop the gradient, and a scale past the limit could never come back.
            # `.data`, because an earlier forward pass may still want to go backward through this weight.
            self.weight.data.clamp_(max=MAX_LOGIT_SCALE)
        return self.weight.clamp(max=MAX_LOGIT_SCALE).exp()


class SmoothCLAPPreTrainedModel(PreTrainedModel):
    """What all SmoothCLAP models share: how clips are embedded, how weights begin, and how frozen towers rest."""

    config: SmoothCLAPConfig
    config_class = SmoothCLAPConfig
    base_model_prefix = "smoothclap"
    supports_gradient_checkpointing = True
    # Whether an attention implementation is available is the towers' to say, and each is asked when it is built.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    # The loss is a mean over the batch already and must be divided by the number of accumulation steps.
    accepts_loss_kwargs = False

    audio_input_name: str
    audio_model: PreTrainedModel
    audio_projection: SmoothCLAPProjection

    def _init_weights(self, module: nn.Module):
        super()._init_weights(module)
        if isinstance(module, SmoothCLAPLogitScale):
            init.constant_(module.weight, self.config.logit_scale_init_value)

    def train(self, mode: bool = True) -> Self:
        """Set training mode. A tower whose parameters are all frozen stays in evaluation mode, without dropout."""
        super().train(mode)
        freeze_constants(self.audio_model)  # here, because `from_pretrained` thaws them and ends with `eval()`
        for tower in self.children():
            frozen = not any(parameter.requires_grad for parameter in tower.parameters())
            if frozen and isinstance(tower, PreTrainedModel):
                tower.eval()
        return self

    @can_return_tuple
    def get_audio_features(
        self,
        input_values: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        pooled_audio: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        r"""
        Embed clips.

        Args:
            input_values (`torch.Tensor` of shape `(batch, samples)`, *optional*): Waveforms, for waveform towers.
            input_features (`torch.Tensor` of shape `(batch, frames, mels)`, *optional*): Log-mel spectrograms, for
                Whisper towers.
            audio_attention_mask (`torch.Tensor` of shape `(batch, samples)` or `(batch, frames)`, *optional*): 1 for
                audio, 0 for padding.
            pooled_audio (`torch.Tensor` of shape `(batch, hidden)`, *optional*): The time-averaged output of a frozen
                tower, computed earlier, in place of the audio.

        Returns:
            [`BaseModelOutputWithPooling`]: `pooler_output` of shape `(batch, projection_dim)` holds the unit-length
            embeddings, `last_hidden_state` of shape `(batch, tower frames, hidden)` the tower's.

        Raises:
            ValueError: if the audio is not what the tower takes.
        """
        _check_kwargs(kwargs, {"attention_mask": "audio_attention_mask"})
        if pooled_audio is not None:
            check_form("pooled_audio", pooled_audio, ("batch", self.config.audio_config.hidden_size))
            projected = self.audio_projection(matching(pooled_audio, self.audio_projection))
            return _with_embedding(BaseModelOutputWithPooling(), projected)
        given = {"input_values": input_values, "input_features": input_features}
        audio = given.pop(self.audio_input_name)
        if audio is None or any(other is not None for other in given.values()):
            raise ValueError(
                f"A {self.config.audio_config.model_type} tower takes `{self.audio_input_name}` and no other audio "
                "input. Use the processor or feature extractor that was saved with this model."
            )
        check_audio_input(self.config.audio_config, audio, audio_attention_mask)
        audio = matching(audio, self.audio_model)
        output, pooled = run_audio_tower(self.audio_model, audio, audio_attention_mask, **kwargs)
        return _with_embedding(output, self.audio_projection(pooled))


class SmoothCLAPModel(SmoothCLAPPreTrainedModel):
    r"""
    A contrastive language-audio model: both towers are Hugging Face encoders, each followed by a projection head.

    An audio embedding is the projected mean over time of the audio tower's last hidden states; a text embedding is the
    projected first token of the text tower's, or the mean of its tokens if `config.text_pooling` says so. Both are
    scaled to unit length, so their dot product is a cosine.

    Args:
        config ([`SmoothCLAPConfig`]): Architecture. Weights are random; see [`~PreTrainedModel.from_pretrained`] and
            [`~SmoothCLAPModel.from_audio_text_pretrained`].
    """

    main_input_name = "input_ids"
    input_modalities = ["audio", "text"]

    def __init__(self, config: SmoothCLAPConfig):
        super().__init__(config)
        self.audio_input_name = audio_input_name(config.audio_config)
        self.audio_model = build_audio_tower(config.audio_config)
        self.text_model = build_text_tower(config.text_config)
        dim, dropout = config.projection_dim, config.projection_dropout
        self.audio_projection = SmoothCLAPProjection(config.audio_config.hidden_size, dim, dropout)
        self.text_projection = SmoothCLAPProjection(config.text_config.hidden_size, dim, dropout)
        self.logit_scale = SmoothCLAPLogitScale(config.logit_scale_init_value)
        self.post_init()

    @classmethod
    def from_audio_text_pretrained(cls, audio: str, text: str, **config) -> "SmoothCLAPModel":
        r"""
        Build a model from two pretrained encoders. The projection heads and the scale are new and must be trained.

        LayerDrop and SpecAugment of the audio tower, which its configuration may carry from pretraining, are turned
        off; set them on `audio_config` and rebuild if they are wanted.

        Args:
            audio (`str`): Hub id or directory of the audio encoder, e.g. `"microsoft/wavlm-base-plus"`.
            text (`str`): Hub id or directory of the text encoder, e.g. `"google-bert/bert-base-uncased"`.
            **config: Further fields of [`SmoothCLAPConfig`], e.g. `projection_dim=256`. Without `text_pooling` the text
                encoder's own files decide, see [`~configuration_smoothclap.pretrained_text_pooling`].

        Raises:
            ValueError: if an encoder belongs to no supported family, or the text encoder is pooled in another way.
        """
        audio_config, text_config = AutoConfig.from_pretrained(audio), AutoConfig.from_pretrained(text)
        audio_config = without_training_noise(audio_config)
        if config.get("text_pooling") is None:
            config["text_pooling"] = pretrained_text_pooling(text)
        model = cls(SmoothCLAPConfig(audio_config=audio_config, text_config=text_config, **config))
        model.audio_model = load_audio_tower(audio, model.config.audio_config)
        model.text_model = load_text_tower(text, model.config.text_config)
        # Loading copies a configuration; the model's is to be the towers' own, as in a model that was just built.
        model.config.audio_config, model.config.text_config = model.audio_model.config, model.text_model.config
        logger.warning(
            "The projection heads and the logit scale are new: ['audio_projection', 'text_projection', "
            "'logit_scale']. Train this model before its scores mean anything."
        )
        return model.eval()

    def get_input_embeddings(self) -> nn.Module:
        """The text tower's token embeddings."""
        return self.text_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the text tower's token embeddings."""
        self.text_model.set_input_embeddings(value)

    @can_return_tuple
    def get_text_features(  # type: ignore[misc]  # position_ids are the text tower's alone
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        r"""
        Embed texts.

        Args:
            input_ids (`torch.Tensor` of shape `(batch, tokens)`, *optional*): Token ids, padded on the right.
            attention_mask (`torch.Tensor` of shape `(batch, tokens)`, *optional*): 1 for tokens, 0 for padding.
            token_type_ids (`torch.Tensor` of shape `(batch, tokens)`, *optional*): For towers that have segments.
            position_ids (`torch.Tensor` of shape `(batch, tokens)`, *optional*): Positions, where not 0, 1, 2, ...
            inputs_embeds (`torch.Tensor` of shape `(batch, tokens, hidden)`, *optional*): Token embeddings, in place
                of `input_ids`.

        Returns:
            [`BaseModelOutputWithPooling`]: `pooler_output` of shape `(batch, projection_dim)` holds the unit-length
            embeddings, `last_hidden_state` of shape `(batch, tokens, hidden)` the tower's.

        Raises:
            ValueError: if there is no text, or one with more tokens than the tower has positions.
        """
        _check_kwargs(kwargs, {"audio_attention_mask": "attention_mask"})
        optional = {"token_type_ids": token_type_ids, "position_ids": position_ids}
        given = {name: value for name, value in optional.items() if value is not None}
        check_text_input(self.config.text_config, input_ids, inputs_embeds, attention_mask, given)
        if inputs_embeds is not None:
            inputs_embeds = matching(inputs_embeds, self.text_model)
        given |= kwargs | {"return_dict": True}
        output = self.text_model(
            input_ids=input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, **given
        )
        pooled = pool_text(output.last_hidden_state, attention_mask, self.config.text_pooling)
        return _with_embedding(output, self.text_projection(pooled))

    @can_return_tuple
    def forward(  # type: ignore[misc]  # as above
        self,
        input_ids: torch.Tensor | None = None,
        input_values: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        pooled_audio: torch.Tensor | None = None,
        soft_targets: torch.Tensor | None = None,
        return_loss: bool | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> SmoothCLAPOutput:
        r"""
        Score every clip of a batch against every text.

        Args:
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds: See
                [`~SmoothCLAPModel.get_text_features`].
            input_values, input_features, audio_attention_mask, pooled_audio: See
                [`~SmoothCLAPModel.get_audio_features`].
            soft_targets (`torch.Tensor` of shape `(batch, batch)`, *optional*): Target distribution of each pair over
                the batch, rows summing to one; see [`~loss_smoothclap.soft_targets`]. Without it the loss is symmetric
                InfoNCE.
            return_loss (`bool`, *optional*): Whether to return the loss; the i-th clip and text must belong together.

        Returns:
            [`SmoothCLAPOutput`]
        """
        if soft_targets is not None and not return_loss:
            raise ValueError("`soft_targets` have no effect without a loss: set `return_loss=True`, or leave them out.")
        kwargs["return_dict"] = True  # of the two calls; forward's own is left to its decorator
        audio_output = self.get_audio_features(
            input_values, input_features, audio_attention_mask, pooled_audio, **kwargs
        )
        text_output = self.get_text_features(
            input_ids, attention_mask, token_type_ids, position_ids, inputs_embeds, **kwargs
        )
        audio_embeds, text_embeds = audio_output.pooler_output, text_output.pooler_output
        scale = self.logit_scale()
        logits_per_audio = cosines(audio_embeds, text_embeds) * scale.to(
            audio_embeds.dtype
        )  # (audio batch, text batch)

        loss = None
        if return_loss:
            loss = (
                contrastive_loss(logits_per_audio)
                if soft_targets is None
                else soft_target_loss(logits_per_audio, soft_targets)
            )
        return SmoothCLAPOutput(
            loss=loss,
            logits_per_audio=logits_per_audio,
            logits_per_text=logits_per_audio.t(),
            text_embeds=text_embeds,
            audio_embeds=audio_embeds,
            logit_scale=scale,
            text_model_output=text_output,
            audio_model_output=audio_output,
        )


def _check_kwargs(kwargs: Mapping[str, Any], meant: dict[str, str]) -> None:
    """Refuse arguments that no tower takes, and name those that are `meant`."""
    for name in kwargs.keys() - TransformersKwargs.__annotations__.keys() - {"return_dict"}:
        cure = f"pass `{meant[name]}`" if name in meant else "leave it out"
        raise ValueError(f"`{name}` is not an input of this tower; {cure}.")
    for name in ("output_hidden_states", "output_attentions"):
        wanted = kwargs.get(name)
        numbers = isinstance(wanted, list | tuple) and all(isinstance(layer, int) for layer in wanted)
        if not isinstance(wanted, bool | None) and not numbers:
            raise ValueError(f"`{name}` is of type {type(wanted).__name__}; give True, False or numbers of layers.")


def _with_embedding(output: Any, projected: torch.Tensor) -> BaseModelOutputWithPooling:
    return BaseModelOutputWithPooling(
        last_hidden_state=output.last_hidden_state,
        pooler_output=F.normalize(projected, dim=-1),
        hidden_states=output.get("hidden_states"),
        attentions=output.get("attentions"),
    )


__all__ = ["SmoothCLAPModel", "SmoothCLAPOutput"]
