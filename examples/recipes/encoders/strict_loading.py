"""Load weights where every one must find its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor
from transformers import PreTrainedModel


ModelType = TypeVar("ModelType", bound=PreTrainedModel)


def fill_strictly(model: ModelType, weights: Mapping[str, Tensor]) -> ModelType:
    """
    Put weights into a model and set it to evaluation.

    Args:
        model (`PreTrainedModel`): The model to fill.
        weights (`Mapping[str, Tensor]`): Its whole state by name.

    Raises:
        ValueError: A weight is missing, left over or of another shape; the message names all of them.
    """
    try:
        model.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:
        raise ValueError(f"The weights do not fit a {type(model).__name__}: {error}") from error
    return model.eval()


def load_strictly(model_class: type[ModelType], source: str | Path, **options: Any) -> ModelType:
    """
    Load a pretrained model in float32 and set it to evaluation, with all of its weights.

    Args:
        model_class (`type`): The class to load.
        source (`str` or `Path`): A directory or a model id of the hub.
        options (`Any`): More options of the class, such as `add_pooling_layer=False`.

    Raises:
        ValueError: The source cannot be loaded, or weights are missing, left over or of another shape.
    """
    try:
        loaded: Any = model_class.from_pretrained(str(source), output_loading_info=True, dtype="float32", **options)
    except OSError as error:
        raise ValueError(f"{str(source)!r} could not be loaded as a {model_class.__name__}: {error}") from error
    model, report = loaded
    problems = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
    if problems:
        listed = "; ".join(f"{len(names)} {kind}, such as {names[:3]}" for kind, names in problems.items())
        raise ValueError(f"{str(source)!r} does not fit a {model_class.__name__}: {listed}.")
    return model.eval()
