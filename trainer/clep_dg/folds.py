"""The supervised protocol: inside a corpus, each clip is judged by a classifier of audio that heard other speakers."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..evaluation.zero_shot import zero_shot_predictions
from .classifier import ClassifierSettings, train_classifier


MOST_FOLDS = 5
FEWEST_SPEAKERS_A_SIDE = 2


def speaker_folds(speakers: Sequence[str], labels: Sequence[str | int] | np.ndarray) -> np.ndarray:
    """
    Deals speakers to folds, one to each in turn: those who speak the same classes together, by falling number of clips,
    then by name.

    There are up to five folds, as many as leave two speakers to each (ours). Nothing is drawn, so the folds are always
    the same.

    Args:
        speakers (`Sequence[str]`): Of each clip.
        labels (`Sequence[str]` or `Sequence[int]`): Class of each clip, by name or id; errors say it as it is given.

    Returns:
        `np.ndarray` of shape `(clips,)`: The fold, from 0, that each clip is tested in.

    Raises:
        ValueError: if there are fewer than four speakers, or the clips outside of a fold lack a class. The text may
            follow "because".

    Example:

    ```python
    >>> from smoothclap_trainer.clep_dg.folds import speaker_folds
    >>> speaker_folds(["ann", "ann", "bob", "bob", "eve", "eve", "ian", "ian"], [0, 1] * 4)
    array([0, 0, 1, 1, 0, 0, 1, 1])

    ```
    """
    given = np.asarray(labels).tolist()
    clips = Counter(speakers)
    count = min(MOST_FOLDS, len(clips) // FEWEST_SPEAKERS_A_SIDE)
    if count < 2:
        raise ValueError(
            f"{len(clips)} speakers are known, and {2 * FEWEST_SPEAKERS_A_SIDE} are needed: "
            f"{FEWEST_SPEAKERS_A_SIDE} to train on and {FEWEST_SPEAKERS_A_SIDE} to test on"
        )
    spoken: dict[str, set[Any]] = {}
    for speaker, label in zip(speakers, given, strict=True):
        spoken.setdefault(speaker, set()).add(label)
    # Where each speaks few classes, those who speak the same must not end up in one fold.
    dealt = sorted(clips, key=lambda speaker: (sorted(spoken[speaker]), -clips[speaker], speaker))
    fold_of = {speaker: place % count for place, speaker in enumerate(dealt)}
    folds = np.array([fold_of[speaker] for speaker in speakers])
    for fold in range(count):
        others = {label for label, its in zip(given, folds, strict=True) if its != fold}
        if absent := sorted(set(given) - others):
            raise ValueError(
                f"all clips of the classes {absent} are from one speaker, or from speakers who are tested together, so "
                "none is left to train on"
            )
    return folds


def weights_by_fold(
    audio_embeds: np.ndarray, labels: np.ndarray, folds: np.ndarray, settings: ClassifierSettings
) -> list[np.ndarray]:
    """
    Trains the classifier of each fold, on the clips of all the others.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips.
        labels (`np.ndarray` of shape `(clips,)`): Class ids.
        folds (`np.ndarray` of shape `(clips,)`): From [`speaker_folds`].
        settings ([`ClassifierSettings`]): How; the same as for a classifier of texts.

    Returns:
        `list[np.ndarray]`: One vector per class, `(classes, width)`, for each fold.
    """
    features, ids = torch.from_numpy(audio_embeds), torch.from_numpy(labels)
    others = [torch.from_numpy(folds != fold) for fold in range(folds.max() + 1)]
    return [train_classifier(features[each], ids[each], settings).numpy() for each in others]


def predictions_by_fold(audio_embeds: np.ndarray, folds: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """
    Judges each clip with the classifier of its fold, which has not heard its speaker.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Of the same clips, perhaps under another condition.
        folds (`np.ndarray` of shape `(clips,)`): From [`speaker_folds`].
        weights (`Sequence[np.ndarray]`): From [`weights_by_fold`].

    Returns:
        `np.ndarray` of shape `(clips,)`: Class ids.
    """
    predicted = np.empty(len(folds), int)
    for fold, its_weights in enumerate(weights):
        predicted[folds == fold] = zero_shot_predictions(audio_embeds[folds == fold], its_weights)
    return predicted
