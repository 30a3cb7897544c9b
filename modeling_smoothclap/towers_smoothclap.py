"""What an encoder needs to serve as a tower: how it is built, what it is fed, and how its output is pooled.

Nothing outside this file knows one encoder family from another.
"""

import inspect
from typing import Any

import torch
from torch import nn
from transformers import MODEL_MAPPING, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.data2vec.modeling_data2vec_audio import Data2VecAudioPositionalConvEmbedding
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils import logging
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs


logger = logging.get_logger(__name__)

WAVEFORM_TOWERS = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech-sat")
LOG_MEL_TOWERS = ("whisper",)
TEXT_TOWERS = ("bert", "roberta", "xlm-roberta", "mpnet", "distilbert")


class MaskedWhisperEncoder(WhisperEncoder):
    """Whisper's encoder for clips of any length, with a mask, under Whisper's own parameter names.

    The stock encoder takes exactly 30 s and attends to the silence it is padded with. This one takes the frames there
    are: padded frames are zero before each convolution and hidden from attention, so a padded clip gives what it gives
    alone. A clip longer than the position table is encoded in consecutive windows of that length.
    """

    main_input_name = "input_features"
    _keys_to_ignore_on_load_unexpected = [r"decoder\.", r"proj_out\."]  # a whole Whisper may be the source

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> BaseModelOutput:
        """
        Args:
            input_features (`torch.Tensor` of shape `(batch, frames, mels)`): Log-mel spectrogram.
            attention_mask (`torch.Tensor` of shape `(batch, frames)`, *optional*): 1 for frames, 0 for padding.

        Returns:
            [`BaseModelOutput`] with `last_hidden_state` of shape `(batch, ceil(frames / 2), hidden)`. Of clips longer
            than the position table, `hidden_states` and `attentions` come per window, `batch * windows` rows.
        """
        batch, frames, _ = input_features.shape
        if attention_mask is None:
            attention_mask = input_features.new_ones(batch, frames)
        window = min(frames, 2 * self.max_source_positions)  # the second convolution halves the frame rate
        missing = -frames % window
        features = nn.functional.pad(input_features, (0, 0, 0, missing)).reshape(-1, window, input_features.shape[2])
        mask = nn.functional.pad(attention_mask, (0, missing)).reshape(-1, window)
        hidden = self._encode_windows(features, mask, **kwargs)  # (batch * windows, window / 2, hidden)
        hidden = hidden.reshape(batch, -1, hidden.shape[-1])[:, : (frames + 1) // 2]
        return BaseModelOutput(last_hidden_state=hidden)

    def _encode_windows(self, features: torch.Tensor, mask: torch.Tensor, **kwargs) -> torch.Tensor:
        keep = mask[:, None, :].to(features.dtype)  # (windows, 1, frames)
        hidden = nn.functional.gelu(self.conv1(features.transpose(1, 2) * keep))
        hidden = nn.functional.gelu(self.conv2(hidden * keep)).transpose(1, 2)  # (windows, frames / 2, hidden)
        hidden = hidden + self.embed_positions.weight[: hidden.shape[1]]
        hidden = nn.functional.dropout(hidden, p=self.dropout, training=self.training)
        seen = mask[:, ::2].bool()
        seen = seen | ~seen.any(dim=1, keepdim=True)  # a window of padding alone attends to itself, not to nothing
        attention_mask = create_bidirectional_mask(self.config, hidden, seen)
        for layer in self.layers:
            if self.training and self.layerdrop > 0 and torch.rand([]) < self.layerdrop:
                continue
            hidden = layer(hidden, attention_mask, **kwargs)
        return self.layer_norm(hidden)


class MaskedPositionalConvEmbedding(Data2VecAudioPositionalConvEmbedding):
    """data2vec-audio's stack of positional convolutions, with padding kept at zero between its layers.

    Upstream zeroes padded frames before the first layer only, so from the second layer on the frames at a clip's end
    see what the first one smeared into the padding, and a padded clip differs from the same clip alone.
    """

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Position embeddings of `hidden_states` (batch, frames, hidden), in which padded frames are zero."""
        # The encoder has just set padded frames, and no others, to zero.
        keep = (hidden_states != 0).any(dim=-1, keepdim=True).to(hidden_states.dtype).transpose(1, 2)
        hidden_states = hidden_states.transpose(1, 2)
        for layer in self.layers:
            hidden_states = layer(hidden_states * keep)
        return hidden_states.transpose(1, 2)


def audio_input_name(audio_config: PreTrainedConfig) -> str:
    """The name of the tower's input: `"input_values"` for a waveform, `"input_features"` for a log-mel spectrogram.

    Raises:
        ValueError: if `audio_config` is of no supported family.
    """
    if audio_config.model_type in WAVEFORM_TOWERS:
        return "input_values"
    if audio_config.model_type in LOG_MEL_TOWERS:
        return "input_features"
    raise ValueError(
        f"`{audio_config.model_type}` is not a supported audio tower; choose one of "
        f"{', '.join(WAVEFORM_TOWERS + LOG_MEL_TOWERS)}."
    )


def receptive_field(audio_config: PreTrainedConfig) -> int:
    """Samples that a waveform tower's convolutions need to give one frame (400, or 25 ms, for wav2vec 2.0)."""
    samples = 1
    for kernel, stride in reversed(list(zip(audio_config.conv_kernel, audio_config.conv_stride, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples


def without_training_noise(audio_config: PreTrainedConfig) -> PreTrainedConfig:
    """Turn off LayerDrop and SpecAugment, which a configuration carries over from pretraining, and return it."""
    for name, off in (("layerdrop", 0.0), ("encoder_layerdrop", 0.0), ("apply_spec_augment", False)):
        if hasattr(audio_config, name):
            setattr(audio_config, name, off)
    return audio_config


def build_audio_tower(audio_config: PreTrainedConfig) -> PreTrainedModel:
    """An audio encoder with random weights that is exact under padding wherever its family allows.

    Like every tower here it has torch's default dtype, as the projection heads have, not the one that its
    configuration remembers of some checkpoint.
    """
    if audio_input_name(audio_config) == "input_features":
        return MaskedWhisperEncoder._from_config(audio_config, dtype=torch.get_default_dtype())
    return _prepare(AutoModel.from_config(audio_config, dtype=torch.get_default_dtype()))


def load_audio_tower(name_or_path: str, audio_config: PreTrainedConfig) -> PreTrainedModel:
    """A pretrained audio encoder, from the Hub or a directory; of a whole Whisper model, its encoder."""
    if audio_input_name(audio_config) == "input_features":
        return MaskedWhisperEncoder.from_pretrained(
            name_or_path,
            config=audio_config,
            dtype=torch.get_default_dtype(),
            key_mapping={r"^(model\.)?encoder\.": ""},
        )
    return _prepare(AutoModel.from_pretrained(name_or_path, config=audio_config, dtype=torch.get_default_dtype()))


def _prepare(tower: Any) -> PreTrainedModel:
    if tower.config.model_type == "data2vec-audio":
        masked = MaskedPositionalConvEmbedding(tower.config)
        masked.layers = tower.encoder.pos_conv_embed.layers
        tower.encoder.pos_conv_embed = masked
    freeze_constants(tower)
    return tower


def freeze_constants(tower: Any) -> None:
    """Freeze what an audio tower never trains. To be repeated after loading, from which every weight comes thawed."""
    if tower.config.model_type in LOG_MEL_TOWERS:
        tower.embed_positions.requires_grad_(False)  # sinusoids
    elif hasattr(tower, "masked_spec_embed") and not tower.config.apply_spec_augment:
        tower.masked_spec_embed.requires_grad_(False)  # never used then, and DistributedDataParallel would wait for it


def build_text_tower(text_config: PreTrainedConfig) -> PreTrainedModel:
    """A text encoder with random weights, without the pooler that nothing here would use or train."""
    return AutoModel.from_config(text_config, dtype=torch.get_default_dtype(), **_without_pooler(text_config))


def load_text_tower(name_or_path: str, text_config: PreTrainedConfig) -> PreTrainedModel:
    """A pretrained text encoder, from the Hub or a directory, without its pooler."""
    return AutoModel.from_pretrained(
        name_or_path, config=text_config, dtype=torch.get_default_dtype(), **_without_pooler(text_config)
    )


def _without_pooler(text_config: PreTrainedConfig) -> dict[str, bool]:
    if text_config.model_type not in TEXT_TOWERS:
        raise ValueError(
            f"`{text_config.model_type}` is not a supported text tower; choose one of {', '.join(TEXT_TOWERS)}."
        )
    # An unused pooler breaks DistributedDataParallel; DistilBERT and others have none to leave out.
    tower_class: Any = MODEL_MAPPING[type(text_config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(tower_class).parameters else {}


def longest_text(text_config: PreTrainedConfig) -> int:
    """Return how many tokens a text tower has positions for."""
    limit: int = text_config.max_position_embeddings
    if text_config.model_type in ("roberta", "xlm-roberta", "clap_text_model"):
        return limit - text_config.pad_token_id - 1  # their positions start after the padding token's
    # MPNet is the same, with the padding token taken to be 1 whatever the configuration says.
    return limit - 2 if text_config.model_type == "mpnet" else limit


def check_text_length(text_config: PreTrainedConfig, tokens: torch.Tensor) -> None:
    """Raise a ValueError where a text has more tokens (batch, tokens, ...) than the tower has positions."""
    limit = longest_text(text_config)
    if tokens.shape[1] > limit:
        raise ValueError(
            f"A text has {tokens.shape[1]} tokens, but this {text_config.model_type} tower takes at most {limit}. "
            "Shorten it, or have the tokenizer cut it: `truncation=True, max_length=...`."
        )


def run_audio_tower(
    tower: Any, audio: torch.Tensor, mask: torch.Tensor | None = None, **kwargs
) -> tuple[BaseModelOutput, torch.Tensor]:
    """Run an audio tower and average its last hidden states over the frames that are not padding.

    Args:
        tower ([`PreTrainedModel`]): From [`build_audio_tower`] or [`load_audio_tower`].
        audio (`torch.Tensor` of shape `(batch, samples)` or `(batch, frames, mels)`): The tower's input.
        mask (`torch.Tensor` of shape `(batch, samples)` or `(batch, frames)`, *optional*): 1 for audio, 0 for padding.

    Returns:
        The tower's output, and its mean over time of shape `(batch, hidden)`.
    """
    output = tower(audio, attention_mask=mask, **kwargs)
    hidden = output.last_hidden_state  # (batch, tower frames, hidden)
    if mask is None:
        return output, hidden.float().mean(dim=1).to(hidden.dtype)
    if tower.main_input_name == "input_features":
        frame_mask = mask[:, ::2]
    else:
        _warn_if_padding_leaks(tower, mask)
        frame_mask = tower._get_feature_vector_attention_mask(hidden.shape[1], mask)
    weights = frame_mask.float().unsqueeze(-1)  # (batch, tower frames, 1); bfloat16 cannot count the frames
    pooled = (hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)
    return output, pooled.to(hidden.dtype)


def _warn_if_padding_leaks(tower: PreTrainedModel, mask: torch.Tensor) -> None:
    # Group norm averages over all samples of a row, padding included. data2vec-audio has layer norm only.
    if getattr(tower.config, "feat_extract_norm", "layer") == "group" and not bool(mask.all()):
        logger.warning_once(
            f"This {tower.config.model_type} tower normalises over time (feat_extract_norm='group'), so a padded clip "
            "gets a slightly different embedding from the same clip alone. Run clips of one length per batch, or one "
            "at a time, or choose a tower with feat_extract_norm='layer'."
        )
