"""Audio classification with a SmoothCLAP audio tower: cosines with one weight vector per class, and no text tower."""

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .configuration_smoothclap import SmoothCLAPConfig
from .loss_smoothclap import cosines
from .modeling_smoothclap import (
    MAX_LOGIT_SCALE,
    SmoothCLAPLogitScale,
    SmoothCLAPModel,
    SmoothCLAPPreTrainedModel,
    SmoothCLAPProjection,
)
from .towers_smoothclap import audio_input_name, build_audio_tower, freeze_feature_encoder


class SmoothCLAPForAudioClassification(SmoothCLAPPreTrainedModel):
    r"""
    The audio half of a [`SmoothCLAPModel`] with a cosine classifier, for `pipeline("audio-classification")`.

    The logit of a class is the scale times the cosine between the clip's embedding and the class's weights, without
    bias. So weights that were trained on embeddings of texts serve clips as they are (the third stage of CLEP-DG, after
    PromptStyler; see [`~SmoothCLAPForAudioClassification.from_dual_encoder`]). `from_pretrained` takes a dual encoder's
    checkpoint, too, with a new classifier, which is then to be trained.

    The loss depends on `config.problem_type`:

    - `"single_label_classification"`: cross-entropy with class ids of shape `(batch,)`;
    - `"multi_label_classification"`: binary cross-entropy with targets in [0, 1] of shape `(batch, classes)`;
    - `"regression"`, e.g. of arousal and valence: mean squared error with finite targets of shape `(batch, outputs)`,
      or `(batch,)` for one output. Outputs lie between minus and plus the scale; centre the targets at 0.

    If it is `None`, one output means regression, labels of integers mean single, and others several labels, as in
    transformers.

    Args:
        config ([`SmoothCLAPConfig`]): Architecture; `num_labels` or `id2label` say how many classes there are. Its
            text tower is not built.

    Example:

    ```python
    >>> import torch
    >>> from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPForAudioClassification, SmoothCLAPModel
    >>> dual_encoder = SmoothCLAPModel.from_pretrained(SMOOTHCLAP_TINY)
    >>> names = {0: "low", 1: "high"}
    >>> weights = torch.randn(2, dual_encoder.config.projection_dim)  # trained ones go here
    >>> model = SmoothCLAPForAudioClassification.from_dual_encoder(dual_encoder, weights, names)
    >>> model.config.label2id, hasattr(model, "text_model")
    ({'low': 0, 'high': 1}, False)

    ```
    """

    main_input_name = "input_values"
    input_modalities = ["audio"]
    _keys_to_ignore_on_load_unexpected = [r"^text_model\.", r"^text_projection\."]

    def __init__(self, config: SmoothCLAPConfig):
        super().__init__(config)
        if not config.num_labels:
            raise ValueError("The configuration names no class; set `num_labels` or `id2label`.")
        ids = [str(each) for each in config.id2label or {}]
        if set(ids) != {str(each) for each in range(config.num_labels)}:
            raise ValueError(f"`id2label` has the ids {ids}; name the classes 0 to {config.num_labels - 1}.")
        self.audio_input_name = self.main_input_name = audio_input_name(config.audio_config)
        self.audio_model = build_audio_tower(config.audio_config)
        self.audio_projection = SmoothCLAPProjection(
            config.audio_config.hidden_size, config.projection_dim, config.projection_dropout
        )
        self.logit_scale = SmoothCLAPLogitScale(config.logit_scale_init_value)
        self.classifier = nn.Linear(config.projection_dim, config.num_labels, bias=False)
        self.post_init()

    @classmethod
    def from_dual_encoder(
        cls,
        model: SmoothCLAPModel,
        class_weights: torch.Tensor,
        id2label: Mapping[int, str],
        scale: float = 5.0,
    ) -> "SmoothCLAPForAudioClassification":
        r"""
        Join a dual encoder's audio half, which is copied, and the weights of a classifier.

        Save the dual encoder's feature extractor beside the result, and the pipeline finds all it needs.

        Args:
            model ([`SmoothCLAPModel`]): The dual encoder in whose space the classifier was trained.
            class_weights (`torch.Tensor` of shape `(classes, projection_dim)`): One vector per class, of any length.
            id2label (`Mapping[int, str]`): The classes' names, by their row in `class_weights`.
            scale (`float`, defaults to 5.0): The factor between cosine and logit, at most 100. It decides how sharp
                the pipeline's scores are, never which is the largest (5 is PromptStyler's in training; to use it for
                scores is ours).

        Returns:
            [`SmoothCLAPForAudioClassification`]: In evaluation mode, of the dual encoder's type and on its device.

        Raises:
            ValueError: if the model is no SmoothCLAP dual encoder, the weights do not fit it or are not finite, a class
                lacks its name or shares it, or the scale is out of range.
        """
        _check(model, class_weights, id2label, scale)
        config = copy.deepcopy(model.config)
        config.id2label = {index: id2label[index] for index in range(len(class_weights))}
        config.label2id = {name: index for index, name in config.id2label.items()}
        config.logit_scale_init_value = math.log(scale)
        config.auto_map = None  # the dual encoder's classes; saving names these
        classifier: Any = cls(config)
        classifier.to(device=model.device, dtype=model.dtype)
        for part in ("audio_model", "audio_projection"):
            getattr(classifier, part).load_state_dict(getattr(model, part).state_dict())
        with torch.no_grad():
            classifier.classifier.weight.copy_(class_weights)
        return classifier.eval()

    def freeze_feature_encoder(self) -> None:
        """Freeze the convolutions through which the audio tower reads its input."""
        freeze_feature_encoder(self.audio_model)

    def freeze_base_model(self) -> None:
        """Freeze the audio tower and its projection head, so that only the classifier and the scale are trained."""
        self.audio_model.requires_grad_(False)
        self.audio_projection.requires_grad_(False)

    @can_return_tuple
    def forward(
        self,
        input_values: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        audio_attention_mask: torch.Tensor | None = None,
        pooled_audio: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        r"""
        Classify clips.

        Args:
            input_values, input_features, audio_attention_mask, pooled_audio: See
                [`~SmoothCLAPPreTrainedModel.get_audio_features`].
            labels (`torch.Tensor`, *optional*): Class ids or targets, for the loss; see the class.

        Returns:
            [`SequenceClassifierOutput`]: `logits` of shape `(batch, classes)`, and `loss` if there are labels.

        Raises:
            ValueError: if the audio is not what the tower takes, or the labels are not what the problem takes.
        """
        kwargs["return_dict"] = True
        output = self.get_audio_features(input_values, input_features, audio_attention_mask, pooled_audio, **kwargs)
        embeds = output.pooler_output
        weights = F.normalize(self.classifier.weight, dim=-1)
        logits = cosines(embeds, weights) * self.logit_scale().to(embeds.dtype)  # (batch, classes)
        return SequenceClassifierOutput(
            loss=None if labels is None else _loss(logits.float(), labels, self.config.problem_type),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


def _loss(logits: torch.Tensor, labels: torch.Tensor, problem_type: str | None) -> torch.Tensor:
    """Return the loss of a problem, given logits (batch, classes); see the class."""
    if not isinstance(labels, torch.Tensor) or labels.is_complex():
        raise ValueError(f"`labels` are of type {type(labels).__name__}; give a tensor of real numbers.")
    batch, classes = logits.shape
    integers = not labels.is_floating_point() and labels.dtype != torch.bool
    if problem_type is None:
        problem_type = "regression" if classes == 1 else f"{'single' if integers else 'multi'}_label_classification"
    if problem_type == "single_label_classification":
        if classes == 1:
            raise ValueError("With a single class there is nothing to learn: set `num_labels`, or `problem_type`.")
        if labels.shape != (batch,) or not integers or not ((labels >= 0) & (labels < classes)).all():
            raise _wrong_labels(labels, problem_type, f"class ids from 0 to {classes - 1} of shape ({batch},)")
        return F.cross_entropy(logits, labels.long())
    targets = labels.float().unsqueeze(1) if labels.shape == (batch,) and classes == 1 else labels.float()
    if problem_type == "regression":
        if targets.shape != logits.shape or not targets.isfinite().all():
            raise _wrong_labels(labels, problem_type, f"finite targets of shape ({batch}, {classes})")
        return F.mse_loss(logits, targets)
    if targets.shape != logits.shape or not ((targets >= 0) & (targets <= 1)).all():
        raise _wrong_labels(labels, problem_type, f"targets between 0 and 1 of shape ({batch}, {classes})")
    return F.binary_cross_entropy_with_logits(logits, targets)


def _wrong_labels(labels: torch.Tensor, problem_type: str, wanted: str) -> ValueError:
    found = f"{labels.dtype} from {labels.min()} to {labels.max()}" if labels.numel() else f"no {labels.dtype}"
    return ValueError(
        f"`labels` hold {found}, of shape {tuple(labels.shape)}, but `problem_type={problem_type!r}` takes {wanted}. "
        "Change the labels, or `problem_type` of the configuration."
    )


def _check(model: SmoothCLAPModel, class_weights: torch.Tensor, id2label: Mapping[int, str], scale: float) -> None:
    if model.config.model_type != SmoothCLAPConfig.model_type:
        raise ValueError(
            f"The audio half of a {type(model).__name__} does not fit here: pass a SmoothCLAPModel, or compare the "
            "weights with the audio embeddings yourself."
        )
    if class_weights.ndim != 2 or class_weights.shape[1] != model.config.projection_dim:
        raise ValueError(
            f"`class_weights` are one vector per class in the space of the model, (classes, "
            f"{model.config.projection_dim}); got {tuple(class_weights.shape)}."
        )
    if faulty := (~class_weights.isfinite().all(dim=1)).nonzero().flatten().tolist():
        raise ValueError(f"`class_weights` must be finite; NaN or infinity is in the rows {faulty}. Train them anew.")
    if sorted(id2label) != list(range(len(class_weights))):
        raise ValueError(
            f"`id2label` names the rows of `class_weights`, 0 to {len(class_weights) - 1}; got the ids "
            f"{list(id2label)}."
        )
    if len(set(id2label.values())) < len(id2label):
        raise ValueError(f"Classes share a name in {dict(id2label)}; give each its own.")
    if not 0 < scale <= math.exp(MAX_LOGIT_SCALE) * (1 + 1e-9):  # of rounding: 100 itself is allowed
        raise ValueError(f"`scale` is a positive factor of at most 100, got {scale}; the usual value is 5.")


__all__ = ["SmoothCLAPForAudioClassification"]
