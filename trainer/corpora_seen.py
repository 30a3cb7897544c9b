"""Which corpora a model has heard: a record in its configuration, so that no figure is called zero-shot that is not."""

from collections.abc import Callable, Mapping
from typing import Any

from accelerate.utils import extract_model_from_parallel
from datasets import Dataset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


UNRECORDED = "unrecorded"
"""Stands in the record for speech of which nobody wrote down where it is from."""

CORPORA_OF_ENCODERS: dict[str, tuple[str, ...]] = {
    "wav2vec2-large-robust-12-ft-emotion-msp-dim": ("msp-podcast",),  # audeering's, as its model card says
}
"""Encoders that were fine-tuned on emotion corpora and do not say so in their configurations."""


def corpora_of_rows(rows: Any) -> set[str]:
    """
    The corpora that clips are from.

    Args:
        rows (`datasets.Dataset`, `Mapping` of such or `None`): Clips, whose `corpus` says it.

    Returns:
        `set[str]`: Names, [`UNRECORDED`] among them where a row has none.

    Example:

    ```python
    >>> from datasets import Dataset
    >>> from smoothclap_trainer.corpora_seen import corpora_of_rows
    >>> sorted(corpora_of_rows(Dataset.from_dict({"corpus": ["queen", None, "queen"]})))
    ['queen', 'unrecorded']

    ```
    """
    if rows is None:
        return set()
    if isinstance(rows, Mapping):
        return {name for each in rows.values() for name in corpora_of_rows(each)}
    if not isinstance(rows, Dataset) or "corpus" not in rows.column_names:
        return {UNRECORDED}
    return {name or UNRECORDED for name in rows.unique("corpus")}


def corpora_of_encoder(config: Any) -> set[str]:
    """
    The emotion corpora that an encoder is known to have been trained on, by its own record or by its name.

    What else it was pretrained on is no part of the record: an encoder that nothing is known of adds nothing.

    Args:
        config ([`PreTrainedConfig`]): The encoder's.
    """
    source = str(getattr(config, "_name_or_path", ""))
    named = [corpora for name, corpora in CORPORA_OF_ENCODERS.items() if name in source]
    return {*(getattr(config, "training_corpora", None) or ()), *(name for corpora in named for name in corpora)}


def corpora_of_start(config: Any) -> set[str]:
    """
    The corpora that a model had heard before it is trained here.

    Args:
        config ([`PreTrainedConfig`]): A dual encoder's. One that was loaded as a whole says it itself; if it does
            not, that is [`UNRECORDED`]. Of one that was made from two encoders, these say it.
    """
    if getattr(config, "training_corpora", None) is not None:
        return set(config.training_corpora)
    if getattr(config, "_name_or_path", ""):
        return {UNRECORDED}
    towers = (getattr(config, name, None) for name in ("audio_config", "text_config"))
    return {name for tower in towers for name in corpora_of_encoder(tower)}


class CorporaCallback(TrainerCallback):
    """
    Records in the configuration of the model, before its first step, which corpora it will have heard.

    Args:
        heard (`Callable`): Gives the names of the corpora of this training.
    """

    def __init__(self, heard: Callable[[], set[str]]):
        self.heard = heard

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write `training_corpora`, in alphabetical order."""
        model = extract_model_from_parallel(kwargs["model"])
        config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config
        config.training_corpora = sorted(corpora_of_start(config) | self.heard())
