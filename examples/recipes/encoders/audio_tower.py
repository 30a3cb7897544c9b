"""Cut the first layers out of a Whisper encoder."""

from pathlib import Path

import torch
from transformers import WhisperConfig, WhisperForConditionalGeneration
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from .strict_loading import fill_strictly, load_strictly


def load_speech_encoder(source: str | Path) -> WhisperEncoder:
    """
    Load a Whisper model, all of its weights checked, and keep its encoder.

    Args:
        source (`str` or `Path`): A directory or a model id of the hub.

    Raises:
        ValueError: The source holds no Whisper, or not all of its weights.
    """
    return load_strictly(WhisperForConditionalGeneration, source).model.encoder


def cut_encoder(encoder: WhisperEncoder, layers: int, max_source_positions: int) -> WhisperEncoder:
    """
    Keep an encoder's convolutions, first layers, first positions and its final layer norm.

    Args:
        encoder (`WhisperEncoder`): The encoder to cut; it stays as it is.
        layers (`int`): Layers to keep.
        max_source_positions (`int`): Positions to keep, of 20 ms each.

    Returns:
        `WhisperEncoder`: The cut encoder. Before the final layer norm, its output is the original's after `layers`
        layers. Its configuration declares no decoder layer.

    Raises:
        ValueError: The encoder has fewer layers or positions than asked for.
    """
    for name, wanted in (("encoder_layers", layers), ("max_source_positions", max_source_positions)):
        if not 1 <= wanted <= getattr(encoder.config, name):
            raise ValueError(f"{name}={wanted} must be between 1 and {getattr(encoder.config, name)}, the encoder's.")
    settings = encoder.config.to_dict() | {
        "encoder_layers": layers,
        "num_hidden_layers": layers,
        "max_source_positions": max_source_positions,
        "decoder_layers": 0,
    }
    cut = WhisperEncoder(WhisperConfig.from_dict(settings))
    weights = {}
    for name in cut.state_dict():
        weight = encoder.state_dict()[name]
        weights[name] = weight[:max_source_positions] if name == "embed_positions.weight" else weight
    return fill_strictly(cut, weights)


def write_audio_tower(source: str | Path, output: Path, layers: int, max_source_positions: int) -> int:
    """
    Cut the encoder of a Whisper model and save it as a directory that `WhisperEncoder.from_pretrained` loads.

    Args:
        source (`str` or `Path`): A directory or a model id of the hub.
        output (`Path`): The directory to write.
        layers (`int`): Layers to keep.
        max_source_positions (`int`): Positions to keep, of 20 ms each.

    Returns:
        `int`: The number of parameters kept.

    Raises:
        ValueError: The source is no Whisper, has too few layers or positions, or the saved tower does not load back.
    """
    tower = cut_encoder(load_speech_encoder(source), layers, max_source_positions)
    tower.save_pretrained(output)
    restored = load_strictly(WhisperEncoder, output).state_dict()
    if any(not torch.equal(weight, restored[name]) for name, weight in tower.state_dict().items()):
        raise ValueError(f"The tower read back from {output} differs from the one that was saved.")
    return tower.num_parameters()
