"""Figures of a classification, each from a confusion matrix: of one, or of many at once, as a bootstrap draws them.

A confusion matrix has a row for each true class and a column for each predicted one.
"""

import numpy as np


def class_ids(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """
    Number the classes that occur, in their order, from 0.

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted: numbers or names.
        true (`np.ndarray` of shape `(clips,)`): As it is.

    Returns:
        `tuple[np.ndarray, np.ndarray, int]`: What [`confusion_matrix`] takes.
    """
    classes, ids = np.unique(np.concatenate([predicted, true]), return_inverse=True)
    return ids[: len(predicted)], ids[len(predicted) :], len(classes)


def confusion_matrix(predicted: np.ndarray, true: np.ndarray, n_classes: int) -> np.ndarray:
    """
    Count how often which class is taken for which.

    Args:
        predicted (`np.ndarray` of shape `(clips,)`): Class of each clip as predicted, 0 to `n_classes - 1`.
        true (`np.ndarray` of shape `(clips,)`): As it is.
        n_classes (`int`): Number of classes to choose from.

    Returns:
        `np.ndarray` of shape `(n_classes, n_classes)`: Numbers of clips, int64.

    Raises:
        ValueError: if there are no clips, the numbers differ, or an id is not among the classes.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.scores import confusion_matrix
    >>> confusion_matrix(predicted=[0, 0, 1], true=[0, 1, 1], n_classes=2).tolist()
    [[1, 0], [1, 1]]

    ```
    """
    predicted, true = np.asarray(predicted), np.asarray(true)
    if len(predicted) != len(true) or not len(true):
        raise ValueError(
            f"There are {len(predicted)} predictions for {len(true)} clips; give one for each of at least one clip."
        )
    for ids in (predicted, true):
        if len(strange := np.setdiff1d(ids, np.arange(n_classes))):
            raise ValueError(f"{strange[0]} is not the id of one of {n_classes} classes; ids are 0 to {n_classes - 1}.")
    cells = true.astype(int) * n_classes + predicted.astype(int)
    return np.bincount(cells, minlength=n_classes**2).reshape(n_classes, n_classes)


def recalls(confusion: np.ndarray) -> np.ndarray:
    """
    Share of the clips of each class that are taken for what they are.

    Args:
        confusion (`np.ndarray` of shape `(..., classes, classes)`): Rows true, columns predicted.

    Returns:
        `np.ndarray` of shape `(..., classes)`: NaN for classes without clips.
    """
    clips = confusion.sum(axis=-1)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.divide(right, clips, out=np.full(clips.shape, np.nan), where=clips > 0)


def unweighted_average_recall_of(confusion: np.ndarray) -> np.ndarray:
    """
    UAR, the field's figure for emotions: the mean of the classes' recalls, so that a rare class counts as a common one.

    Args:
        confusion (`np.ndarray` of shape `(..., classes, classes)`): Rows true, columns predicted. Classes without clips
            have no recall and do not count, though they may be predicted.

    Returns:
        `np.ndarray` of shape `(...)`: Between 0 and 1; one over the number of classes is chance. NaN without clips.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.scores import unweighted_average_recall_of
    >>> float(unweighted_average_recall_of(np.array([[3, 1], [1, 0]])))  # recalls are 3/4 and 0
    0.375

    ```
    """
    return _mean(recalls(confusion))


def accuracy_of(confusion: np.ndarray) -> np.ndarray:
    """
    Share of the clips whose class is right.

    Args:
        confusion (`np.ndarray` of shape `(..., classes, classes)`): Rows true, columns predicted.

    Returns:
        `np.ndarray` of shape `(...)`: Between 0 and 1; NaN without clips.
    """
    clips = confusion.sum(axis=(-2, -1))
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return np.divide(right, clips, out=np.full(clips.shape, np.nan), where=clips > 0)


def macro_f1_of(confusion: np.ndarray) -> np.ndarray:
    """
    Mean of the classes' F1, the harmonic mean of precision and recall.

    Args:
        confusion (`np.ndarray` of shape `(..., classes, classes)`): Rows true, columns predicted. Unlike in UAR, a
            class that is only predicted counts, with 0; one that is neither there nor predicted does not, as in
            scikit-learn's `f1_score(average="macro")`.

    Returns:
        `np.ndarray` of shape `(...)`: Between 0 and 1; NaN without clips.
    """
    involved = confusion.sum(axis=-1) + confusion.sum(axis=-2)  # clips and predictions, (..., classes)
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return _mean(np.divide(2 * right, involved, out=np.full(involved.shape, np.nan), where=involved > 0))


def _mean(by_class: np.ndarray) -> np.ndarray:
    """Mean over the classes that are not NaN; NaN, and no warning, if all are."""
    there = ~np.isnan(by_class)
    number = there.sum(axis=-1)
    total = np.where(there, by_class, 0).sum(axis=-1)
    return np.divide(total, number, out=np.full(number.shape, np.nan), where=number > 0)
