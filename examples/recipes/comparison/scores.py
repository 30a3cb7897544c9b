"""The figures of one trained model that objectives are compared by."""

from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.data.cache import cached_embeddings
from smoothclap_trainer.data.captions import full_caption, phrases, row_levels
from smoothclap_trainer.data.captions.thresholds import AnyThresholds, Thresholds, load_thresholds
from smoothclap_trainer.evaluation.metrics import recall_at_k, unweighted_average_recall, zero_shot_predictions
from smoothclap_trainer.files import Record

from .graded import graded_correlations


def score_checkpoint(
    folder: str | Path, expressive: pd.DataFrame, speech: pd.DataFrame, own_thresholds: Thresholds, cache: str | Path
) -> dict[str, float]:
    """
    Judge a model by emotions and degrees of synthetic speech, and by retrieval of real speech.

    Texts are English, for clips of any language. A class is worded as training captions may word it, "a sad voice";
    a clip of `speech` is described by its whole fixed caption, once by the thresholds that were saved with the model,
    and once by `own_thresholds`.

    Args:
        folder (`str` or `Path`): What the training script wrote: model, processor and `thresholds.json`.
        expressive (`pd.DataFrame`): Labelled clips, with `id`, `path`, `label` (an emotion that captions know) and
            the columns of [`~graded.graded_correlations`].
        speech (`pd.DataFrame`): Clips with `id`, `path` and the functionals.
        own_thresholds ([`Thresholds`]): Of speech like `speech`, where training clips are unlike it in part and their
            thresholds give most of it one and the same words.
        cache (`str` or `Path`): Folder for what the audio tower says of the clips, see
            [`~smoothclap_trainer.data.cache.cached_features`]: frozen towers run once for all models.

    Returns:
        `dict[str, float]`: `train_clips`; `uar_LANGUAGE` for each language of `expressive`; `intensity`, `egemaps` and
        `valence_arousal`; `audio_to_text_r@1` and so on, and `captions`, how many differ; the same after `own_`; and
        what chance gives, `chance_uar`, `chance_r@1`, `own_chance_r@1`, ....
    """
    model = SmoothCLAPModel.from_pretrained(folder)
    processor = SmoothCLAPProcessor.from_pretrained(folder)
    thresholds = load_thresholds(Path(folder) / Record.THRESHOLDS)
    figures: dict[str, float] = {"train_clips": thresholds.num_rows}

    embeds = cached_embeddings(model, processor.feature_extractor, _clips(expressive), cache)
    figures |= _recalls(model, processor, embeds, expressive) | graded_correlations(embeds, expressive)

    embeds = cached_embeddings(model, processor.feature_extractor, _clips(speech), cache)
    own = _retrieval(model, processor, embeds, speech, own_thresholds)
    figures |= _retrieval(model, processor, embeds, speech, thresholds)
    return figures | {f"own_{name}": figure for name, figure in own.items()}


def _retrieval(
    model: SmoothCLAPModel,
    processor: SmoothCLAPProcessor,
    embeds: np.ndarray,
    rows: pd.DataFrame,
    thresholds: AnyThresholds,
) -> dict[str, float]:
    """R@k, what chance gives, and how many captions differ."""
    records: list[Any] = rows.to_dict("records")
    captions = [full_caption(row_levels(row, thresholds), "en") for row in records]
    caption_ids, distinct = pd.factorize(np.array(captions, dtype=object))
    text_embeds = SmoothCLAPEncoder(model, processor).encode_text(list(distinct))[caption_ids]
    chance = {f"chance_r@{k}": found for k, found in chance_recall(caption_ids).items()}
    return recall_at_k(embeds, text_embeds, caption_ids) | chance | {"captions": len(distinct)}


def chance_recall(caption_ids: np.ndarray) -> dict[int, float]:
    """Return the expected R@k, by k, of candidates ranked at random."""
    n = len(caption_ids)
    _, members = np.unique(caption_ids, return_counts=True)
    # A caption of m clips is asked m times, and has m hits each time.
    return {k: sum(int(m) * (1 - comb(n - int(m), k) / comb(n, k)) for m in members) / n for k in (1, 5, 10) if k <= n}


def _clips(rows: pd.DataFrame) -> Dataset:
    return Dataset.from_pandas(rows[["id", "path"]], preserve_index=False)


def _recalls(
    model: SmoothCLAPModel, processor: SmoothCLAPProcessor, embeds: np.ndarray, rows: pd.DataFrame
) -> dict[str, float]:
    """UAR in each language, among the labels of all."""
    true, labels = pd.factorize(rows["label"], sort=True)
    texts = [phrases("emotion", label)[0] for label in labels]
    predicted = zero_shot_predictions(embeds, SmoothCLAPEncoder(model, processor).encode_text(texts))
    figures = {}
    for language in sorted(rows["language"].unique()):
        members = (rows["language"] == language).to_numpy()
        figures[f"uar_{language}"] = unweighted_average_recall(predicted[members], true[members])
    return figures | {"chance_uar": 1 / len(labels)}
