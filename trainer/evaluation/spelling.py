"""Names that are almost right."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """
    Ask whether another name was meant.

    Args:
        name (`str`): What was written. Case does not matter.
        known (`Iterable[str]`): The names there are, in lower case.

    Returns:
        `str` or `None`: A question that has all names that begin so, or else the nearest; `None` if none is near.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.spelling import did_you_mean
    >>> did_you_mean("fau-aibo", ["alc-2", "fau-aibo-2", "fau-aibo-5"])
    "did you mean 'fau-aibo-2' or 'fau-aibo-5'?"

    ```
    """
    known, plain = list(known), name.lower()
    near = [each for each in known if plain and each.startswith(plain)] or get_close_matches(plain, known, n=1)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else None
