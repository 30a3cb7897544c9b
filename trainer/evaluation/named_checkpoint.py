"""Which model a user means, and what results and pictures call it."""

from pathlib import Path
from typing import NamedTuple

from modeling_smoothclap import SMOOTHCLAP_TINY


class NamedCheckpoint(NamedTuple):
    """
    A model to evaluate.

    Args:
        name (`str`): What results and pictures call it.
        checkpoint (`str`): Hub id or folder.
        revision (`str`, *optional*): Branch, tag or commit on the Hub.
    """

    name: str
    checkpoint: str
    revision: str | None


def parse_model(asked: str) -> NamedCheckpoint:
    """
    Read which model is meant, and what to call it: `[NAME=]MODEL[@REVISION]`.

    Without a name, a model of the Hub is called what is asked, and a folder by its own name only: where it lies is
    nobody's business.

    Args:
        asked (`str`): A Hub id, a folder, or "smoothclap-tiny", the checkpoint that comes with this package. The name
            ends at the first equals sign. What exists as it stands has neither name nor revision.

    Returns:
        [`NamedCheckpoint`]

    Raises:
        ValueError: if a part is empty, or a revision is asked of a folder.

    Example:

    ```python
    >>> from smoothclap_trainer.evaluation.named_checkpoint import parse_model
    >>> parse_model("ours=user/model@v2")
    NamedCheckpoint(name='ours', checkpoint='user/model', revision='v2')
    >>> parse_model("smoothclap-tiny").name
    'smoothclap-tiny'

    ```
    """
    named = "=" in asked and not Path(asked).exists()
    name, _, model = asked.partition("=") if named else ("", "", asked)
    checkpoint, at, revision = (model, "", "") if Path(model).exists() else model.partition("@")
    if not checkpoint or (named and not name) or (at and not revision):
        raise ValueError(f"{asked!r} names no model: write a Hub id or a folder, as NAME=MODEL or MODEL@REVISION.")
    if checkpoint == Path(SMOOTHCLAP_TINY).name and not Path(checkpoint).exists():
        checkpoint = SMOOTHCLAP_TINY
    is_folder = Path(checkpoint).is_dir()
    if is_folder and revision:
        raise ValueError(f"{asked!r} is a folder, which has no revisions: leave out {at + revision!r}.")
    own = (Path(checkpoint).resolve().name if is_folder else "") or model
    return NamedCheckpoint(name or own, checkpoint, revision or None)
