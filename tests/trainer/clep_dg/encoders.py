"""Tiny random text encoders of every supported kind, and short templates that they have positions for."""

import torch
from transformers import ClapConfig, ClapModel

from smoothclap_trainer.clep_dg.prompts import PromptEncoder, PromptTemplates
from tests import tiny


KINDS = [*tiny.TEXT_FAMILIES, "clap"]
SHORT = PromptTemplates(context="a <ctx> room", joint="{emotion} in a <ctx> room", content="{emotion}")
NAMES = ["sad", "glad", "mad"]


def model(kind: str = "bert"):
    """A SmoothCLAP with a text tower of this family, or transformers' CLAP; in evaluation mode."""
    return _clap() if kind == "clap" else _attentive(tiny.model(text=kind))


def encoder(kind: str = "bert") -> PromptEncoder:
    """The model's text half."""
    return PromptEncoder(model(kind), tiny.tokenizer())


def _attentive(dual_encoder):
    # With weights as they are drawn, attention is all but uniform, and no word changes an embedding by much.
    for name, parameter in dual_encoder.text_model.named_parameters():
        if parameter.ndim == 2 and "embeddings" not in name:
            parameter.data *= 15
    return dual_encoder


def _clap():
    text = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 30}
    text |= {"vocab_size": len(tiny.tokenizer()), "max_position_embeddings": 66, "pad_token_id": 0}
    audio = {"spec_size": 16, "num_mel_bins": 16, "window_size": 2, "hidden_size": 8, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 4, "patch_size": 2, "patch_stride": 2}
    torch.manual_seed(0)
    return ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=16)).eval()
