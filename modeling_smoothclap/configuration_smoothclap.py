"""Configuration of a SmoothCLAP dual encoder."""

import json
import math
import os
import re
from collections.abc import Mapping
from reprlib import repr
from textwrap import shorten
from typing import Any

from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, try_to_load_from_cache
from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, StrictDataclassError
from transformers import AutoConfig, BertConfig, PreTrainedConfig, Wav2Vec2Config
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.utils import logging


logger = logging.get_logger(__name__)

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")

TEXT_POOLINGS = ("cls", "mean")
POOLING_FILE = "1_Pooling/config.json"
"""Where sentence-transformers keeps how an encoder's tokens become one vector."""

PIPELINE_TASK = "zero-shot-speech-description"
"""A name of its own, so that `pipeline("zero-shot-audio-classification")` stays the stock one."""
PIPELINE_CODE = "pipeline_smoothclap.SpeechDescriptionPipeline"

LARGEST = 1_000_000
"""More dimensions or labels than any model has; a slip beyond it would fill the memory."""


def _paper_audio_config() -> Wav2Vec2Config:
    """The paper's audio tower: the architecture of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim.

    The paper keeps this tower frozen, so LayerDrop and SpecAugment, on by default in `Wav2Vec2Config`, are off.
    """
    return Wav2Vec2Config(
        hidden_size=1024,
        num_hidden_layers=12,
        num_attention_heads=16,
        intermediate_size=4096,
        feat_extract_norm="layer",
        conv_bias=True,
        do_stable_layer_norm=True,
        layerdrop=0.0,
        apply_spec_augment=False,
    )


def _with_value_errors(cls: Any) -> Any:
    """Check the values of a strict configuration class, and report those of a wrong type as ValueErrors, too."""
    assign = cls.__setattr__

    def __setattr__(self: Any, name: str, value: Any) -> None:
        _check(name, value)
        try:
            assign(self, name, value)
        except (StrictDataclassError, TypeError) as error:
            raise ValueError(f"`{name}` cannot be {repr(value)}: {shorten(str(error), 300)}") from error

    cls.__setattr__ = __setattr__
    return cls


@_with_value_errors
@strict
class SmoothCLAPConfig(PreTrainedConfig):
    r"""
    Configuration of a [`SmoothCLAPModel`]: two encoders and the space they share.

    The defaults are the architecture of the SmoothCLAP paper (arXiv 2601.12591): a 12-layer wav2vec 2.0 audio tower,
    bert-base-uncased as text tower, and the projection heads of its predecessor ParaCLAP.

    Args:
        audio_config (`dict` or [`PreTrainedConfig`], *optional*):
            The audio tower. A wav2vec2, hubert, wavlm, data2vec-audio, unispeech-sat or whisper configuration.
            Defaults to the paper's wav2vec 2.0.
        text_config (`dict` or [`PreTrainedConfig`], *optional*):
            The text tower. A bert, roberta, xlm-roberta, mpnet or distilbert configuration. Defaults to
            bert-base-uncased's.
        projection_dim (`int`, *optional*, defaults to 768):
            Width of the shared embedding space.
        text_pooling (`str`, *optional*, defaults to `"cls"`):
            What the text tower's projection head gets: the first token (`"cls"`, as in the paper), or the mean over
            all tokens but padding (`"mean"`), for which E5 and most of sentence-transformers' encoders were made.
        projection_dropout (`float`, *optional*, defaults to 0.5):
            Dropout probability inside the projection heads.
        logit_scale_init_value (`float`, *optional*, defaults to `log(1 / 0.07)`):
            Initial natural logarithm of the factor that turns cosines into logits.
        training_corpora (`list[str]`, *optional*):
            Names of the corpora whose speech the weights were trained or selected on. `None` says that nobody wrote
            it down, `"unrecorded"` among the names that this holds for a part of them, say an earlier stage.

    Example:

    ```python
    >>> from modeling_smoothclap import SmoothCLAPConfig
    >>> config = SmoothCLAPConfig(projection_dim=256)
    >>> config.audio_config.model_type, config.text_config.model_type, config.projection_dim
    ('wav2vec2', 'bert', 256)

    ```
    """

    model_type = "smoothclap"
    sub_configs = {"audio_config": AutoConfig, "text_config": AutoConfig}

    audio_config: Any = None  # a PreTrainedConfig after __post_init__, whatever was passed
    text_config: Any = None
    projection_dim: int = 768
    text_pooling: str = "cls"
    projection_dropout: float | int = 0.5
    logit_scale_init_value: float | int = math.log(1 / 0.07)
    training_corpora: list[str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is saved, in which a folder of this machine that a tower came from is only its name."""
        output = super().to_dict()
        output.pop("custom_pipelines", None)
        if "SmoothCLAPModel" in (output.get("architectures") or ()):  # a classifier has no texts to describe clips with
            output["custom_pipelines"] = {PIPELINE_TASK: {"impl": PIPELINE_CODE, "pt": ["AutoModel"]}}
        for part in (output, output["audio_config"], output["text_config"]):
            if os.path.isabs(name := str(part.get("_name_or_path", ""))):
                part["_name_or_path"] = os.path.basename(name.rstrip("/"))
        return output

    def __post_init__(self, **kwargs):
        if PIPELINE_TASK in PIPELINE_REGISTRY.supported_tasks:  # installed code goes before what a checkpoint brings
            kwargs.pop("custom_pipelines", None)
        self.audio_config = _as_config(self.audio_config, "audio_config", _paper_audio_config)
        self.text_config = _as_config(self.text_config, "text_config", BertConfig)
        try:
            super().__post_init__(**kwargs)
        except (AttributeError, LookupError, TypeError) as error:
            raise ValueError(f"The configuration has a value of a wrong type: {error}") from error


def _check(name: str, value: Any) -> None:
    """Refuse a value of one of this configuration's own fields that makes no sense."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if name in ("projection_dim", "num_labels"):
        fits, wanted = type(value) is int and 0 < value <= LARGEST, f"an integer from 1 to {LARGEST}"
    elif name == "projection_dropout":
        fits, wanted = number and 0 <= value <= 1, "a probability between 0 and 1"
    elif name == "logit_scale_init_value":
        fits, wanted = number and abs(value) <= 10, "the logarithm of a factor, between -10 and 10"
    elif name == "text_pooling":
        fits, wanted = isinstance(value, str) and value in TEXT_POOLINGS, " or ".join(map(repr, TEXT_POOLINGS))
    elif name == "problem_type":
        fits, wanted = value is None or (isinstance(value, str) and value in PROBLEM_TYPES), f"{PROBLEM_TYPES} or None"
    elif name == "training_corpora":
        names = isinstance(value, list | tuple) and all(isinstance(corpus, str) for corpus in value)
        fits, wanted = value is None or names, "a list of names, or None"
    else:
        return
    if not fits:
        raise ValueError(f"`{name}` is {repr(value)}; give {wanted}.")


def _as_config(value, name, default) -> PreTrainedConfig:
    if value is None:
        return default()
    if isinstance(value, PreTrainedConfig):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"`{name}` is {repr(value)}; give a configuration object or a dict.")
    fields = dict(value)
    if "model_type" not in fields:
        raise ValueError(
            f"`{name}` is a dict without `model_type`, so its architecture is unknown. Add it, e.g. "
            f'{{"model_type": "{default().model_type}", ...}}, or pass a configuration object.'
        )
    family = fields.pop("model_type")
    try:
        if fields.get("num_labels") is not None:
            _check("num_labels", fields["num_labels"])
        return AutoConfig.for_model(family, **fields)
    except (StrictDataclassError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise ValueError(f"`{name}` is not a configuration of {repr(family)}: {shorten(str(error), 300)}") from error


def pretrained_text_pooling(name_or_path: str) -> str:
    """
    Return the `text_pooling` that a pretrained text encoder was made for, from sentence-transformers' file beside it.

    Args:
        name_or_path (`str`): Hub id or folder. Without that file, or if the Hub cannot be asked for it, it is `"cls"`.

    Raises:
        ValueError: if the file is damaged, or the encoder is pooled in a way that this model cannot.
    """
    path = _pooling_file(name_or_path)
    if path is None:
        return "cls"
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        # Files of earlier versions have a switch for each way: "pooling_mode_mean_tokens": true.
        switches = [name for name, value in content.items() if name.startswith("pooling_mode_") and value is True]
        found = content.get("pooling_mode") or [re.sub("pooling_mode_|_tokens?$", "", name) for name in switches]
    except (AttributeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({error}); repair it, or set `text_pooling`.") from error
    pooling = found[0] if isinstance(found, list) and len(found) == 1 else found
    if pooling not in TEXT_POOLINGS:
        raise ValueError(
            f"The text encoder {name_or_path!r} is pooled by {found}, which this model cannot do: choose another "
            'encoder, or set `text_pooling` to "cls" or "mean".'
        )
    logger.warning(f"Texts are pooled by {pooling!r}, as {POOLING_FILE} of {name_or_path!r} says.")
    return pooling


def _pooling_file(name_or_path: str) -> str | None:
    if os.path.isdir(name_or_path):
        path = os.path.join(name_or_path, POOLING_FILE)
        return path if os.path.isfile(path) else None
    try:
        return hf_hub_download(name_or_path, POOLING_FILE)
    except LocalEntryNotFoundError:  # not there, and the Hub cannot be asked
        if try_to_load_from_cache(name_or_path, POOLING_FILE) is not _CACHED_NO_EXIST:
            logger.warning(
                f"Whether {name_or_path!r} pools its texts by the mean is not known, because the Hub cannot be "
                "reached: their first token is read. Set `text_pooling` to decide."
            )
    except EntryNotFoundError:
        pass
    return None


__all__ = ["SmoothCLAPConfig"]
