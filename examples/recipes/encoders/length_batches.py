"""Batches of texts of like length, so that little is padded."""

import random
from collections.abc import Sequence


def sorted_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Indices in order of length, cut into batches."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def shuffled_batches(lengths: Sequence[int], batch_size: int, rng: random.Random, pool: int = 12) -> list[list[int]]:
    """
    Random batches for one epoch, sorted by length within pools of some batches only.

    Args:
        lengths (`Sequence[int]`): Length of each text.
        batch_size (`int`): Texts in a batch; the last batch is smaller where the number does not divide.
        rng (`random.Random`): Where chance comes from.
        pool (`int`, *optional*): Batches in a pool.

    Returns:
        `list[list[int]]`: Indices, each once.
    """
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), pool * batch_size):
        members = order[start : start + pool * batch_size]
        for batch in sorted_batches([lengths[index] for index in members], batch_size):
            batches.append([members[index] for index in batch])
    rng.shuffle(batches)
    return batches
