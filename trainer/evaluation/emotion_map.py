"""A map of clips and classes: both kinds of embeddings on one plane."""

import numpy as np

from .embed import unit_rows


def project(audio_embeds: np.ndarray, class_embeds: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """
    Projects clips and classes' texts onto the plane in which they vary most.

    The two kinds of embeddings of a contrastive model lie in separate narrow cones (the modality gap, Liang et al.,
    2022), so that a common projection would show the gap and little else. Each kind is therefore centred by its own
    mean; then comes one principal component analysis of both. What a map shows is thus relative: which class a clip is
    nearest to cannot be read off it.

    Args:
        audio_embeds (`np.ndarray` of shape `(clips, width)`): Embeddings of clips, of any length.
        class_embeds (`np.ndarray` of shape `(classes, width)`): Embeddings of the classes' texts.

    Returns:
        `tuple`: Places of the clips, of shape `(clips, 2)`, those of the classes, of shape `(classes, 2)`, and the
        shares of the variance that the two axes have, each between 0 and 1. The same embeddings give the same map: of
        each axis, the entry that is largest in size is positive.

    Raises:
        ValueError: if there is no clip or no class, widths differ or are below 2, or an embedding is not finite.

    Example:

    ```python
    >>> import numpy as np
    >>> from smoothclap_trainer.evaluation.emotion_map import project
    >>> clips, texts, shares = project(np.eye(3), np.eye(3)[:2])
    >>> clips.shape, texts.shape, round(sum(shares), 2)
    ((3, 2), (2, 2), 1.0)

    ```
    """
    widths = {np.shape(audio_embeds)[1:], np.shape(class_embeds)[1:]}
    if len(widths) != 1 or len(only := widths.pop()) != 1 or only[0] < 2:
        raise ValueError(
            f"Clips have the shape {np.shape(audio_embeds)} and classes {np.shape(class_embeds)}; a map needs two "
            "dimensions of one width, 2 or more."
        )
    if not len(audio_embeds) or not len(class_embeds):
        raise ValueError(
            f"There are {len(audio_embeds)} clips and {len(class_embeds)} classes; a map needs some of both."
        )
    clips = _centred(audio_embeds, "audio_embeds")
    texts = _centred(class_embeds, "class_embeds")
    scatter = clips.T @ clips + texts.T @ texts  # (width, width): smaller than all clips, and has the same axes
    variances, axes = np.linalg.eigh(scatter)  # ascending
    axes = axes[:, [-1, -2]]  # (width, 2)
    largest = axes[np.abs(axes).argmax(axis=0), [0, 1]]  # (2,)
    axes = axes * np.where(largest < 0, -1, 1)
    total = float(variances.clip(min=0).sum())
    shares = (float(variances[-1]) / total, max(0.0, float(variances[-2])) / total) if total else (0.0, 0.0)
    return clips @ axes, texts @ axes, shares


def _centred(embeds: np.ndarray, name: str) -> np.ndarray:
    units = unit_rows(embeds, name).astype(np.float64)
    return units - units.mean(axis=0)
