"""Tiny random encoders, tokenizers and checkpoints, so that every test is fast and offline."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPFeatureExtractor, SmoothCLAPModel, SmoothCLAPProcessor
from modeling_smoothclap.towers_smoothclap import without_training_noise


SAMPLING_RATE = 16000
WAVEFORM_FAMILIES = ["wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech-sat"]
AUDIO_FAMILIES = [*WAVEFORM_FAMILIES, "whisper"]
TEXT_FAMILIES = ["bert", "roberta", "xlm-roberta", "mpnet", "distilbert"]


def audio_config(family: str = "wav2vec2", **changes) -> PreTrainedConfig:
    """A two-layer audio tower, 32 wide; waveform towers give one frame per 8 samples.

    All but its sizes and `changes` are its class's defaults, with the noise turned off as for users.
    """
    if family == "whisper":
        fields = {
            "d_model": 32,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 37,
            "num_mel_bins": 20,
            "max_source_positions": 30,
            "decoder_layers": 1,
            "decoder_attention_heads": 2,
            "decoder_ffn_dim": 8,
            "vocab_size": 50,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "decoder_start_token_id": 1,
        }
    else:
        fields = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 37,
            "conv_dim": [16, 16],
            "conv_stride": [4, 2],
            "conv_kernel": [8, 4],
            "num_conv_pos_embeddings": 8,
            "num_conv_pos_embedding_groups": 2,
        }
    if family == "data2vec-audio":
        fields |= {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5}
    elif family != "whisper":
        fields["feat_extract_norm"] = "layer"
    config = without_training_noise(AutoConfig.for_model(family, **fields | changes))
    for name, value in changes.items():
        setattr(config, name, value)
    return config


def text_config(family: str = "bert", **changes) -> PreTrainedConfig:
    """A one-layer text tower, 24 wide, for the vocabulary of [`tokenizer`]."""
    if family == "distilbert":
        fields = {"dim": 24, "n_layers": 1, "n_heads": 2, "hidden_dim": 30}
    else:
        fields = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 30}
    fields |= {"vocab_size": len(tokenizer()), "max_position_embeddings": 66, "pad_token_id": 0}
    return AutoConfig.for_model(family, **fields | changes)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer: no text of any script is unknown to it."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend = Tokenizer(models.BPE(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        ["a low voice", "a high voice", "eine leise, traurige Stimme"],
        trainers.BpeTrainer(vocab_size=300, special_tokens=specials, initial_alphabet=alphabet, show_progress=False),
    )
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, mask_token="[MASK]", model_max_length=254, **names)


def config(audio: str = "wav2vec2", text: str = "bert", **changes) -> SmoothCLAPConfig:
    """A tiny SmoothCLAP, 16 wide in the shared space."""
    fields = {"audio_config": audio_config(audio), "text_config": text_config(text), "projection_dim": 16}
    return SmoothCLAPConfig(**fields | changes)


def model(audio: str = "wav2vec2", text: str = "bert", seed: int = 0, **changes) -> SmoothCLAPModel:
    """A tiny random model in evaluation mode."""
    torch.manual_seed(seed)
    return SmoothCLAPModel(config(audio, text, **changes)).eval()


def processor(audio: str = "wav2vec2") -> SmoothCLAPProcessor:
    """The processor that fits [`model`]."""
    return SmoothCLAPProcessor(SmoothCLAPFeatureExtractor.from_audio_config(audio_config(audio)), tokenizer())


def checkpoint(folder: Path, audio: str = "wav2vec2", text: str = "bert") -> Path:
    """A tiny model and its processor, saved to `folder`."""
    model(audio, text).save_pretrained(folder)
    processor(audio).save_pretrained(folder)
    return folder


def clips(*seconds: float, seed: int = 0) -> list[np.ndarray]:
    """Noise clips of the given lengths, at 16 kHz."""
    rng = np.random.default_rng(seed)
    return [(0.1 * rng.standard_normal(round(s * SAMPLING_RATE))).astype(np.float32) for s in seconds]
