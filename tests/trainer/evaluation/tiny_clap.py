"""A tiny random CLAP of transformers, which hears 1 s at 8 kHz."""

from pathlib import Path

import torch
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor

from tests import tiny


SAMPLING_RATE = 8000


def clap(folder: Path, fusion: bool = False) -> Path:
    """The model and its processor, saved to `folder`; with fusion it attends to parts of long clips."""
    text = {"vocab_size": len(tiny.tokenizer()), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "max_position_embeddings": 70, "pad_token_id": 0}
    audio = {"spec_size": 32, "num_mel_bins": 16, "window_size": 2, "hidden_size": 8, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 4, "patch_size": 2, "patch_stride": [2, 2]}
    audio |= {"enable_fusion": fusion}
    torch.manual_seed(0)
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(folder)
    extractor = ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=SAMPLING_RATE,
        hop_length=200,
        fft_window_size=256,
        max_length_s=1,
        frequency_max=4000,
        truncation="fusion" if fusion else "rand_trunc",
        padding="repeatpad",
    )
    ClapProcessor(extractor, tiny.tokenizer()).save_pretrained(folder)
    return folder
