"""Embeddings of many audio files, batched by length."""

from collections.abc import Sequence

import numpy as np
import soundfile as sf
import torch
from datasets.utils import tqdm
from transformers.audio_utils import load_audio

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel


@torch.inference_mode()
def embed_files(
    model: SmoothCLAPModel, extractor: SmoothCLAPFeatureExtractor, paths: Sequence[str], batch_size: int = 16
) -> np.ndarray:
    """
    Embed whole audio files.

    Args:
        model ([`SmoothCLAPModel`]): In evaluation mode.
        extractor ([`SmoothCLAPFeatureExtractor`]): The model's.
        paths (`Sequence[str]`): Files that soundfile reads; they are resampled and mixed to mono as needed.
        batch_size (`int`, defaults to 16): Files per batch. Files of like length share a batch, to spare padding.

    Returns:
        `np.ndarray`: Unit-length embeddings, float32 of shape `(files, projection_dim)`, in the order of `paths`.
    """
    order = np.argsort([sf.info(path).duration for path in paths])
    embeds = np.empty((len(paths), model.config.projection_dim), dtype=np.float32)
    rate = extractor.sampling_rate
    for start in tqdm(range(0, len(paths), batch_size), desc="Embedding clips", unit="batch"):
        chosen = order[start : start + batch_size]
        clips = [load_audio(paths[index], sampling_rate=rate) for index in chosen]
        batch = extractor(clips, sampling_rate=rate, return_tensors="pt").to(model.device, model.dtype)
        embeds[chosen] = model.get_audio_features(**batch).pooler_output.float().cpu().numpy()
    return embeds
