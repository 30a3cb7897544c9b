"""What an encoder needs to serve as a tower: how it is built, what it is fed, and how its output is pooled.

Nothing outside this file knows one encoder family from another.
"""

import inspect
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from reprlib import repr
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

INEXACT_SETTINGS = ("add_adapter", "conv_pos_batch_norm")
"""Their convolutions read padded frames as if they were audio."""

SIZES = re.compile(
    r"hidden_(size|dim)|d_model|dim|(num_hidden|encoder|n)_(layers|heads|attention_heads)|num_attention_heads|"
    r"intermediate_size|encoder_ffn_dim|conv_(dim|kernel|stride)|num_conv_pos_embedding(s|_groups)|num_mel_bins|"
    r"max_source_positions|vocab_size|max_position_embeddings"
)
"""What the families call the sizes of a tower."""


class MaskedWhisperEncoder(WhisperEncoder):
    """Whisper's encoder for clips of any length, with a mask, under Whisper's own parameter names.

    Padded frames are zero before each convolution and hidden from attention, so a padded clip gives what it gives
    alone. A clip longer than the position table is encoded in consecutive windows of that length.
    """

    main_input_name = "input_features"
    _keys_to_ignore_on_load_unexpected = [r"decoder\.", r"proj_out\."]  # a whole Whisper may be the source

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self, input_features: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> BaseModelOutput:
        """Encode `(batch, frames, mels)` to `last_hidden_state` of shape `(batch, ceil(frames / 2), hidden)`.

        Of clips longer than the position table, `hidden_states` and `attentions` have one row per window.
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
    """Return the name of the tower's input: `"input_values"` for waveforms, `"input_features"` for log-mel spectra."""
    if audio_config.model_type in WAVEFORM_TOWERS:
        return "input_values"
    if audio_config.model_type in LOG_MEL_TOWERS:
        return "input_features"
    raise ValueError(
        f"`{audio_config.model_type}` is not a supported audio tower; choose one of "
        f"{', '.join(WAVEFORM_TOWERS + LOG_MEL_TOWERS)}."
    )


def receptive_field(audio_config: PreTrainedConfig) -> int:
    """Return how many samples a waveform tower's convolutions need for one frame (400, or 25 ms, for wav2vec 2.0)."""
    samples = 1
    for kernel, stride in reversed(list(zip(audio_config.conv_kernel, audio_config.conv_stride, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples


def without_training_noise(audio_config: PreTrainedConfig) -> PreTrainedConfig:
    """Turn off LayerDrop and SpecAugment, which a configuration carries over from pretraining, and return it."""
    for name in ("layerdrop", "encoder_layerdrop"):
        if hasattr(audio_config, name):
            setattr(audio_config, name, 0.0)
    audio_config.apply_spec_augment = False  # without this entry, transformers takes it to be on
    return audio_config


def build_audio_tower(audio_config: PreTrainedConfig) -> PreTrainedModel:
    """Build an audio encoder with random weights that is exact under padding wherever its family allows.

    Like every tower here it has torch's default dtype, not the one that its configuration remembers of a checkpoint.
    """
    _check_audio_tower(audio_config)
    with _building(audio_config):
        if audio_input_name(audio_config) == "input_features":
            return MaskedWhisperEncoder._from_config(audio_config, dtype=torch.get_default_dtype())
        return _prepare(AutoModel.from_config(audio_config, dtype=torch.get_default_dtype()))


def load_audio_tower(name_or_path: str, audio_config: PreTrainedConfig) -> PreTrainedModel:
    """Load a pretrained audio encoder, from the Hub or a directory; of a whole Whisper model, its encoder."""
    _check_audio_tower(audio_config)
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


def freeze_feature_encoder(tower: Any) -> None:
    """Freeze the convolutions through which an audio tower reads its input."""
    if tower.config.model_type in LOG_MEL_TOWERS:
        tower.conv1.requires_grad_(False)
        tower.conv2.requires_grad_(False)
    else:
        tower.feature_extractor._freeze_parameters()


def build_text_tower(text_config: PreTrainedConfig) -> PreTrainedModel:
    """Build a text encoder with random weights, without the pooler that nothing here would use or train."""
    _check_text_tower(text_config)
    with _building(text_config):
        return AutoModel.from_config(text_config, dtype=torch.get_default_dtype(), **_without_pooler(text_config))


def load_text_tower(name_or_path: str, text_config: PreTrainedConfig) -> PreTrainedModel:
    """Load a pretrained text encoder, from the Hub or a directory, without its pooler."""
    _check_text_tower(text_config)
    return AutoModel.from_pretrained(
        name_or_path, config=text_config, dtype=torch.get_default_dtype(), **_without_pooler(text_config)
    )


def _without_pooler(text_config: PreTrainedConfig) -> dict[str, bool]:
    # An unused pooler breaks DistributedDataParallel; DistilBERT and others have none to leave out.
    tower_class: Any = MODEL_MAPPING[type(text_config)]
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(tower_class).parameters else {}


def _check_audio_tower(audio_config: PreTrainedConfig) -> None:
    audio_input_name(audio_config)
    _check_values(audio_config)
    for name in INEXACT_SETTINGS:
        if getattr(audio_config, name, False):
            raise ValueError(
                f"A {audio_config.model_type} tower with `{name}=True` gives a padded clip another embedding than the "
                f"same clip alone; set `{name}=False` or choose another tower."
            )
    if not hasattr(audio_config, "apply_spec_augment"):
        audio_config.apply_spec_augment = False  # transformers would take it to be on


def _check_text_tower(text_config: PreTrainedConfig) -> None:
    if text_config.model_type not in TEXT_TOWERS:
        raise ValueError(
            f"`{text_config.model_type}` is not a supported text tower; choose one of {', '.join(TEXT_TOWERS)}."
        )
    _check_values(text_config)
    if getattr(text_config, "is_decoder", False):
        raise ValueError(
            "A text tower with `is_decoder=True` sees only what comes before each token, and a text's embedding is "
            "read at its first; set `is_decoder=False`."
        )
    with _building(text_config):
        if longest_text(text_config) < 1:
            raise ValueError(
                f"`max_position_embeddings={text_config.max_position_embeddings}` leaves a {text_config.model_type} "
                "tower no position for a token; raise it."
            )


def _check_values(config: PreTrainedConfig) -> None:
    """Refuse sizes that are not positive, probabilities outside [0, 1], and numbers that are not finite."""
    for name, value in config.to_dict().items():
        if SIZES.fullmatch(name):
            sizes = value if isinstance(value, (list, tuple)) else [value]
            most = 1_000 if "layers" in name else 1_000_000  # a slip beyond it would fill the memory
            wrong = not all(type(size) is int and 0 < size <= most for size in sizes)
            wanted = f"between 1 and {most}"
        elif name.endswith(("dropout", "dropout_prob", "layerdrop")):
            number = isinstance(value, int | float)
            wrong = value is not None and not (number and 0 <= value <= 1)
            wanted = "a probability between 0 and 1"
        else:
            wrong, wanted = isinstance(value, float) and not math.isfinite(value), "a finite number"
        if wrong:
            raise ValueError(f"`{name}` of a {config.model_type} tower is {repr(value)}; it must be {wanted}.")


@contextmanager
def _building(config: PreTrainedConfig) -> Iterator[None]:
    """Report the many errors of a configuration whose values do not fit together as one kind."""
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"A {config.model_type} tower cannot be built from its configuration ({type(error).__name__}: {error}). "
            "Compare it with the one of a published checkpoint."
        ) from error


def longest_text(text_config: PreTrainedConfig) -> int:
    """Return how many tokens a text tower has positions for."""
    limit: int = text_config.max_position_embeddings
    if text_config.model_type in ("roberta", "xlm-roberta", "clap_text_model"):
        return limit - text_config.pad_token_id - 1  # their positions start after the padding token's
    # MPNet is the same, with the padding token taken to be 1 whatever the configuration says.
    return limit - 2 if text_config.model_type == "mpnet" else limit


def check_text_length(text_config: PreTrainedConfig, length: int) -> None:
    """Raise a ValueError where a text has more tokens than the tower has positions."""
    if length > (limit := longest_text(text_config)):
        raise ValueError(
            f"A text has {length} tokens, but this {text_config.model_type} tower takes at most {limit}. "
            "Shorten it, or have the tokenizer cut it: `truncation=True, max_length=...`."
        )


def check_text_input(
    text_config: PreTrainedConfig, input_ids: Any, inputs_embeds: Any, attention_mask: Any, optional: dict[str, Any]
) -> None:
    """Raise a ValueError where the input of a text tower has another form than the tower takes."""
    if (input_ids is None) == (inputs_embeds is None):
        raise ValueError("Pass the texts either as `input_ids`, as the tokenizer makes them, or as `inputs_embeds`.")
    if inputs_embeds is None:
        _check_ids("input_ids", input_ids, text_config.vocab_size)
    else:
        check_form("inputs_embeds", inputs_embeds, ("batch", "tokens", text_config.hidden_size))
    tokens = input_ids if inputs_embeds is None else inputs_embeds
    check_text_length(text_config, tokens.shape[1])
    _check_mask("attention_mask", attention_mask, tokens)
    limits = {"token_type_ids": "type_vocab_size", "position_ids": "max_position_embeddings"}
    for name, value in optional.items():
        _check_ids(name, value, getattr(text_config, limits[name], math.inf))
        if value.shape[1] != tokens.shape[1] or value.shape[0] not in (1, tokens.shape[0]):
            raise ValueError(f"`{name}` has shape {tuple(value.shape)}, the texts {tuple(tokens.shape[:2])}.")


def check_audio_input(audio_config: PreTrainedConfig, audio: Any, mask: Any) -> None:
    """Raise a ValueError where the input of an audio tower has another form than the tower takes."""
    name = audio_input_name(audio_config)
    if name == "input_features":
        check_form(name, audio, ("batch", "frames", audio_config.num_mel_bins))
    else:
        check_form(name, audio, ("batch", "samples"))
        if audio.shape[1] < (least := receptive_field(audio_config)):
            raise ValueError(f"`{name}` has {audio.shape[1]} samples, but this tower needs {least}; pad the clips.")
    _check_mask("audio_attention_mask", mask, audio)


def check_form(name: str, value: Any, axes: tuple[str | int, ...], integers: bool = False) -> None:
    """Raise a ValueError unless `value` is a tensor of floats, or integers, with these axes; a number is a size."""
    if not isinstance(value, torch.Tensor):
        raise ValueError(
            f"`{name}` is of type {type(value).__name__}, but the model takes tensors; the processor makes them with "
            '`return_tensors="pt"`.'
        )
    kind_fits = value.is_floating_point() != integers and not value.is_complex()
    sizes_fit = len(axes) == value.ndim and all(
        size == axis or (isinstance(axis, str) and size > 0) for size, axis in zip(value.shape, axes, strict=True)
    )
    if not kind_fits or not sizes_fit:
        raise ValueError(
            f"`{name}` holds {value.dtype} of shape {tuple(value.shape)}, but the model takes "
            f"{'integers' if integers else 'floats'} of shape ({', '.join(map(str, axes))}). Use the processor that "
            "was saved with this model."
        )


def _check_ids(name: str, ids: Any, limit: float) -> None:
    check_form(name, ids, ("batch", "tokens"), integers=True)
    # On other devices the check would wait for the device.
    if ids.device.type == "cpu" and not torch.compiler.is_compiling() and not (ids.min() >= 0 and ids.max() < limit):
        raise ValueError(f"`{name}` holds {ids.min()} to {ids.max()}, but this tower takes 0 to {limit - 1}.")


def _check_mask(name: str, mask: Any, masked: torch.Tensor) -> None:
    if mask is None:
        return
    if not isinstance(mask, torch.Tensor) or mask.shape != masked.shape[:2]:
        got = f"shape {tuple(mask.shape)}" if isinstance(mask, torch.Tensor) else f"type {type(mask).__name__}"
        raise ValueError(f"`{name}` has {got}, but it masks a tensor of shape {tuple(masked.shape[:2])}.")
    if mask.device.type == "cpu" and not torch.compiler.is_compiling() and not mask.any(dim=1).all():
        empty = (~mask.any(dim=1)).nonzero().flatten().tolist()
        raise ValueError(f"`{name}` masks the whole of the rows {empty}; leave them out.")


def run_audio_tower(
    tower: Any, audio: torch.Tensor, mask: torch.Tensor | None = None, **kwargs
) -> tuple[BaseModelOutput, torch.Tensor]:
    """Return an audio tower's output, and its mean `(batch, hidden)` over the frames that are not padding.

    `audio` is `(batch, samples)` or `(batch, frames, mels)`; `mask` is 1 for samples or frames of audio, else 0.
    """
    output = tower(audio, attention_mask=mask, **kwargs | {"return_dict": True})
    hidden = output.last_hidden_state  # (batch, tower frames, hidden)
    if mask is None:
        return output, _masked_mean(hidden, None)
    if tower.main_input_name == "input_features":
        return output, _masked_mean(hidden, mask[:, ::2])
    _warn_if_padding_leaks(tower, mask)
    return output, _masked_mean(hidden, tower._get_feature_vector_attention_mask(hidden.shape[1], mask))


def pool_text(hidden: torch.Tensor, mask: torch.Tensor | None, pooling: str) -> torch.Tensor:
    """Return one vector per text, `(batch, hidden)`, of a tower's output `(batch, tokens, hidden)`.

    `pooling` is `"cls"`, the first token, or `"mean"`, over the tokens that `mask` `(batch, tokens)` marks with 1.
    """
    return _masked_mean(hidden, mask) if pooling == "mean" else hidden[:, 0]


def _masked_mean(hidden: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    if mask is None:
        return hidden.float().mean(dim=1).to(hidden.dtype)
    weights = mask.float().unsqueeze(-1)  # (batch, steps, 1); bfloat16 cannot count the steps
    return ((hidden.float() * weights).sum(dim=1) / weights.sum(dim=1)).to(hidden.dtype)


def matching(tensor: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
    """Return `tensor` in the float type of the module's weights."""
    return tensor.to(next((weight.dtype for weight in module.parameters() if weight.is_floating_point()), tensor.dtype))


def _warn_if_padding_leaks(tower: PreTrainedModel, mask: torch.Tensor) -> None:
    # Group norm averages over all samples of a row, padding included. data2vec-audio has layer norm only.
    if getattr(tower.config, "feat_extract_norm", "layer") == "group" and not bool(mask.all()):
        logger.warning_once(
            f"This {tower.config.model_type} tower normalises over time (feat_extract_norm='group'), so a padded clip "
            "gets a slightly different embedding from the same clip alone. Run clips of one length per batch, or one "
            "at a time, or choose a tower with feat_extract_norm='layer'."
        )
