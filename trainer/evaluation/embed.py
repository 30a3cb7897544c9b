"""Embeddings of many clips or texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPModel

from ..data.cache import FrozenSpeechEncoder, cached_features


@torch.no_grad()
def embed_clips(
    model: SmoothCLAPModel, extractor: SmoothCLAPFeatureExtractor, rows: Dataset, cache_dir: str | Path
) -> np.ndarray:
    """
    Embed whole clips.

    What the audio tower says of them is kept, see [`~smoothclap_trainer.data.cache.cached_features`]: for models
    that share a frozen tower it runs once.

    Args:
        model ([`SmoothCLAPModel`]): In evaluation mode.
        extractor ([`SmoothCLAPFeatureExtractor`]): The model's.
        rows (`Dataset`): With `id`, and `path` or `audio`.
        cache_dir (`str` or `Path`): Folder of the cache.

    Returns:
        `np.ndarray`: Unit-length embeddings, float32 of shape `(clips, projection_dim)`, in the order of `rows`.
    """
    features = cached_features(rows, FrozenSpeechEncoder.from_model(model, extractor), None, cache_dir)
    pooled = torch.from_numpy(np.asarray(features["features"])[:, 0]).to(model.device, model.dtype)  # (clips, hidden)
    return model.get_audio_features(pooled_audio=pooled).pooler_output.float().cpu().numpy()


@torch.no_grad()  # not inference mode: sharded weights that are gathered in it could not be trained on afterwards
def embed_texts(model: Any, processor: Any, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
    """
    Embed texts.

    Args:
        model: A dual encoder with `get_text_features`, in evaluation mode.
        processor: The model's.
        texts (`Sequence[str]`): At least one.
        batch_size (`int`, defaults to 64): Texts per batch, in the order given.

    Returns:
        `np.ndarray`: The model's embeddings, float32 of shape `(texts, projection_dim)`.
    """
    embeds = []
    for start in range(0, len(texts), batch_size):
        tokens = processor(text=list(texts[start : start + batch_size]), padding=True, return_tensors="pt")
        embeds.append(model.get_text_features(**tokens.to(model.device)).pooler_output.float().cpu().numpy())
    return np.concatenate(embeds)


def unit_rows(embeds: np.ndarray, name: str) -> np.ndarray:
    """
    Scale embeddings to unit length, so that dot products are cosines.

    Args:
        embeds (`np.ndarray` of shape `(n, width)`): Embeddings; one of length zero stays as it is.
        name (`str`): What to call them in an error.

    Returns:
        `np.ndarray` of shape `(n, width)`: At least float32.

    Raises:
        ValueError: if an embedding is not finite; comparisons with it would count in its favour.
    """
    embeds = np.asarray(embeds)
    embeds = embeds.astype(np.result_type(embeds, np.float32), copy=False)  # half precision ranks too coarsely
    if bad := int((~np.isfinite(embeds).all(axis=1)).sum()):
        raise ValueError(f"{bad} of {len(embeds)} rows of {name} are not finite; has the training diverged?")
    lengths = np.linalg.norm(embeds, axis=1, keepdims=True)
    return embeds / np.where(lengths > 0, lengths, 1)
