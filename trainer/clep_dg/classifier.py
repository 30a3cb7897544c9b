"""The third stage of CLEP-DG: a cosine classifier that is trained on embeddings of texts and applied to those of audio.

Equations and defaults are PromptStyler's (Cho et al., ICCV 2023), the published method that the paper's stages match.

What is trained is one vector per class, and that is what comes back. For a SmoothCLAP encoder it becomes a model of its
own, by [`SmoothCLAPForAudioClassification.from_dual_encoder`]. For any other dual encoder, such as transformers'
ClapModel, the vectors are the result: the class of a clip is that of the largest cosine with its audio embedding, which
is what [`~smoothclap_trainer.evaluation.metrics.zero_shot_predictions`] finds when given them in place of texts.
"""

import copy
import json
import math
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from safetensors.torch import save_file

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPForAudioClassification, SmoothCLAPModel
from modeling_smoothclap.loss_smoothclap import cosines
from modeling_smoothclap.modeling_smoothclap import MAX_LOGIT_SCALE

from ..config import Count, Fraction, NotNegative, Positive, Seed, Settings, one_of


LOSSES = ("arcface", "softmax")
MAX_SCALE = math.exp(MAX_LOGIT_SCALE)
"""What a saved classifier can have."""


class ClassifierSettings(Settings):
    """How the classifier is trained."""

    loss: Annotated[str, one_of(LOSSES)] = Field(
        default="arcface", description="arcface, with a margin in training (PromptStyler's), or softmax."
    )
    scale: Annotated[Positive, Field(le=MAX_SCALE)] = Field(
        default=5.0, description="s, the factor between cosine and logit (PromptStyler's)."
    )
    margin: Annotated[NotNegative, Field(lt=math.pi / 2)] = Field(
        default=0.5, description="m, ArcFace's angle in radians (PromptStyler's)."
    )
    epochs: Count = Field(default=50, description="Passes over the features (PromptStyler's).")
    learning_rate: Positive = Field(default=0.005, description="Rate of SGD (PromptStyler's).")
    momentum: Fraction = Field(default=0.9, description="Momentum of SGD (PromptStyler's).")
    batch_size: Count = Field(default=128, description="Features per step (PromptStyler's).")
    seed: Seed = Field(default=0, description="Of the order of the features (ours).")


def arcface_logits(
    features: torch.Tensor, weights: torch.Tensor, labels: torch.Tensor, scale: float = 5.0, margin: float = 0.5
) -> torch.Tensor:
    """
    Scaled cosines, with an angular margin at the true class: `s cos(theta + m)` there and `s cos(theta)` elsewhere.

    Where `theta + m` would pass pi and the cosine rise again, the true class gets `s (cos(theta) - m sin(m))`, as in
    ArcFace's own code (arXiv 1801.07698). Gradients are finite for any angle. With a margin of 0 these are the logits
    of softmax cross-entropy.

    Args:
        features (`torch.Tensor` of shape `(batch, width)`): Of any length.
        weights (`torch.Tensor` of shape `(classes, width)`): Of any length.
        labels (`torch.Tensor` of shape `(batch,)`): Class ids.
        scale (`float`, defaults to 5.0): s.
        margin (`float`, defaults to 0.5): m, in radians.

    Returns:
        `torch.Tensor` of shape `(batch, classes)`.
    """
    cosine = cosines(F.normalize(features, dim=-1), F.normalize(weights, dim=-1))  # (batch, classes)
    true = cosine.gather(1, labels[:, None])  # (batch, 1)
    # The sine's slope is infinite where the angle is 0 or pi; within the floor it is constant.
    sine = (1 - true * true).clamp(min=1e-7).sqrt()
    moved = true * math.cos(margin) - sine * math.sin(margin)
    moved = torch.where(true > -math.cos(margin), moved, true - margin * math.sin(margin))
    return scale * cosine.scatter(1, labels[:, None], moved)


def train_classifier(features: torch.Tensor, labels: torch.Tensor, settings: ClassifierSettings) -> torch.Tensor:
    """
    Train a bias-free cosine classifier.

    The weights begin as the classes' mean features (ours; PromptStyler draws them). Texts of a model that knows few
    words are nearly parallel. From random directions, each class is then pushed away from what all texts share faster
    than its own texts pull it, to where ArcFace's slope vanishes, at an angle of pi - m, and stays there.

    Args:
        features (`torch.Tensor` of shape `(n, width)`): Embeddings, of texts or of audio; their length has no effect.
        labels (`torch.Tensor` of shape `(n,)`): Class ids from 0; each class up to the largest occurs.
        settings ([`ClassifierSettings`]): How.

    Returns:
        `torch.Tensor` of shape `(classes, width)`: Unit-length weights, float32, on the features' device.

    Raises:
        ValueError: if features and labels differ in number, a feature is not finite, or a class has no feature.

    Example:

    ```python
    >>> import torch
    >>> from smoothclap_trainer.clep_dg.classifier import ClassifierSettings, train_classifier
    >>> features = torch.tensor([[1.0, 0.1], [0.1, 1.0]])
    >>> weights = train_classifier(features, torch.tensor([0, 1]), ClassifierSettings())
    >>> (features @ weights.T).argmax(dim=1)
    tensor([0, 1])

    ```
    """
    classes = _check(features, labels)
    features = features.detach().float()
    generator = torch.Generator().manual_seed(settings.seed)
    weights = _class_means(features, labels, classes).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=settings.learning_rate, momentum=settings.momentum)
    margin = settings.margin if settings.loss == "arcface" else 0.0
    for _ in range(settings.epochs):
        for chosen in torch.randperm(len(features), generator=generator).split(settings.batch_size):
            chosen = chosen.to(features.device)
            logits = arcface_logits(features[chosen], weights, labels[chosen], settings.scale, margin)
            optimizer.zero_grad()
            F.cross_entropy(logits, labels[chosen]).backward()
            optimizer.step()
    return F.normalize(weights.detach(), dim=-1)


def _class_means(features: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Unit-length directions, (classes, width): the length decides how fast they turn, and one is ours."""
    sums = features.new_zeros(classes, features.shape[1])
    return F.normalize(sums.index_add(0, labels, F.normalize(features, dim=-1)), dim=-1)


def _check(features: torch.Tensor, labels: torch.Tensor) -> int:
    """The number of classes."""
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise ValueError(
            f"Features are (n, width) and labels (n,) with n of at least 1; got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}."
        )
    if bad := int((~features.isfinite().all(dim=1)).sum()):
        raise ValueError(f"{bad} of {len(features)} features are not finite; see what they were computed with.")
    if labels.min() < 0:
        raise ValueError(f"Class ids count from 0, got {int(labels.min())}; leave out what has no class.")
    classes = int(labels.max()) + 1
    if absent := sorted(set(range(classes)) - set(labels.tolist())):
        raise ValueError(f"The classes {absent} have no feature to be learned from; number those that have from 0.")
    return classes


WEIGHTS_FILE, RECORD_FILE = "classifier.safetensors", "classifier.json"


def check_no_adapters(encoder: SmoothCLAPEncoder) -> None:
    """
    Finds out early whether [`save_classifier`] can take an encoder's audio half along.

    Raises:
        ValueError: it is a SmoothCLAP with adapters beside its weights.
    """
    if isinstance(encoder.model, SmoothCLAPModel) and getattr(encoder.model, "peft_config", None):
        raise ValueError(
            f"The encoder {encoder.name!r} has adapters apart from its weights, and a classifier takes its audio tower "
            "along as one. Train it with `lora_save: merged`, or merge the adapters with PEFT's `merge_and_unload` and "
            "save the result."
        )


def save_classifier(
    encoder: SmoothCLAPEncoder, weights: torch.Tensor, classes: list[str], scale: float, folder: str | Path
) -> None:
    """
    Saves a classifier with what it needs.

    Of a SmoothCLAP encoder it becomes a model with its feature extractor, which
    `pipeline("audio-classification", model=folder)` loads. Of any other, such as transformers' ClapModel, two files are
    written: `classifier.safetensors` with the tensor `weights`, one vector per class, whose cosines with the encoder's
    audio embeddings say which class it is; and `classifier.json` with `id2label`, `scale`, and the encoder's name and
    SHA-256.

    Args:
        encoder ([`SmoothCLAPEncoder`]): In whose space the classifier was trained.
        weights (`torch.Tensor` of shape `(classes, width)`): One vector per class.
        classes (`list[str]`): Their names.
        scale (`float`): The factor between cosine and logit.
        folder (`str` or `Path`): It is created if need be.
    """
    folder = Path(folder)
    id2label = dict(enumerate(classes))
    if isinstance(encoder.model, SmoothCLAPModel):
        model = SmoothCLAPForAudioClassification.from_dual_encoder(encoder.model, weights, id2label, scale)
        model.save_pretrained(folder)
        extractor = copy.copy(encoder.processor.feature_extractor)
        extractor.auto_map = None  # names the processor's code, which does not go along; saving names its own
        extractor.save_pretrained(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    described = encoder.describe()
    record = {"id2label": id2label, "scale": scale}
    record |= {"encoder": {name: described[name] for name in ("name", "revision", "weights_sha256", "class")}}
    save_file({"weights": weights.contiguous()}, folder / WEIGHTS_FILE)
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
