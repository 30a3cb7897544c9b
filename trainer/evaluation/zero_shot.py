"""Zero-shot classification: every clip gets the class whose text lies nearest, judged by unweighted average recall."""

import numpy as np

from .embed import unit_rows
from .scores import accuracy_of, class_ids, confusion_matrix, unweighted_average_recall_of


def zero_shot_predictions(audio_embeds: np.ndarray, class_embeds: np.ndarray) -> np.ndarray:
    """
    The class of each clip: that with the largest cosine, as in the paper; among equals the first.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of the clips, of any length.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.

    Returns:
        `np.ndarray` of shape `(clips,)`: Indices into `class_embeds`, int64.

    Raises:
        ValueError: if an embedding is not finite, or there is no class.
    """
    if not len(class_embeds):
        raise ValueError("There is no class to choose from: give the embedding of at least one class's text.")
    cosines = unit_rows(audio_embeds, "audio_embeds") @ unit_rows(class_embeds, "class_embeds").T  # (clips, classes)
    return cosines.argmax(axis=1)


def unweighted_average_recall(predicted: np.ndarray, true: np.ndarray) -> float:
    """
    UAR, the field's figure for emotions: the mean of the classes' recalls, so that a rare class counts as a common one.

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted.
        true (`np.ndarray` of shape `(clips,)`): As it is. Classes that do not occur here have no recall and do not
            count, though they may be predicted.

    Returns:
        `float`: Between 0 and 1; one over the number of classes is chance.

    Raises:
        ValueError: if there are no clips, or the numbers differ.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.zero_shot import unweighted_average_recall
    >>> unweighted_average_recall(predicted=np.array([0, 0, 0, 0]), true=np.array([0, 0, 0, 1]))
    0.5

    ```
    """
    return float(unweighted_average_recall_of(confusion_matrix(*class_ids(predicted, true))))


def accuracy(predicted: np.ndarray, true: np.ndarray) -> float:
    """
    The share of clips whose class is right.

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted.
        true (`np.ndarray` of shape `(clips,)`): As it is.

    Returns:
        `float`: Between 0 and 1.

    Raises:
        ValueError: if there are no clips, or the numbers differ.
    """
    return float(accuracy_of(confusion_matrix(*class_ids(predicted, true))))
