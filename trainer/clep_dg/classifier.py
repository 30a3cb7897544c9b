"""Stage 3 of CLEP-DG: a cosine classifier that is trained on embeddings of texts and applied to those of audio.

Equations and defaults are those of PromptStyler (Cho et al., ICCV 2023), the published method that the paper's stages
match. The classifier is one vector per class; a clip's class is that of the vector with the largest cosine to its
embedding.
"""

import copy
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
from ..files import whole_file, write_json


MAX_SCALE = math.exp(MAX_LOGIT_SCALE)
"""What a saved classifier can have."""
WEIGHTS_FILE, RECORD_FILE = "classifier.safetensors", "classifier.json"


class ClassifierSettings(Settings):
    """How the classifier is trained."""

    loss: Annotated[str, one_of(("arcface", "softmax"))] = Field(
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
    """Return `s cos(theta + m)` at the true class and `s cos(theta)` elsewhere, (batch, classes), for any lengths."""
    cosine = cosines(F.normalize(features, dim=-1), F.normalize(weights, dim=-1))  # (batch, classes)
    true = cosine.gather(1, labels[:, None])  # (batch, 1)
    # The sine's slope is infinite where the angle is 0 or pi; within the floor it is constant.
    sine = (1 - true * true).clamp(min=1e-7).sqrt()
    moved = true * math.cos(margin) - sine * math.sin(margin)
    # Where theta + m exceeds pi the cosine would rise again; as in ArcFace's own code (arXiv 1801.07698).
    moved = torch.where(true > -math.cos(margin), moved, true - margin * math.sin(margin))
    return scale * cosine.scatter(1, labels[:, None], moved)


def train_classifier(features: torch.Tensor, labels: torch.Tensor, settings: ClassifierSettings) -> torch.Tensor:
    """
    Train a bias-free cosine classifier, (classes, width), of unit length in float32.

    The weights start from the classes' mean features (ours; PromptStyler draws them). From random starts, nearly
    parallel embeddings push each class to an angle of pi - m, where ArcFace's gradient vanishes. `features` are
    embeddings, (n, width), whose length has no effect; `labels` are class ids, (n,), from 0. It is a `ValueError` if
    they differ in number, a feature is not finite, or a class has no feature.
    """
    classes = _check(features, labels)
    features = features.detach().float()
    generator = torch.Generator().manual_seed(settings.seed)
    sums = features.new_zeros(classes, features.shape[1]).index_add(0, labels, F.normalize(features, dim=-1))
    weights = F.normalize(sums, dim=-1).requires_grad_()  # the unit length is ours; it decides how fast they turn
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


def _check(features: torch.Tensor, labels: torch.Tensor) -> int:
    """Return the number of classes."""
    if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
        raise ValueError(
            f"Features are (n, width) and labels (n,) with n of at least 1; got {tuple(features.shape)} and "
            f"{tuple(labels.shape)}."
        )
    if bad := int((~features.isfinite().all(dim=1)).sum()):
        raise ValueError(f"{bad} of {len(features)} features are not finite; check the model that computed them.")
    if labels.min() < 0:
        raise ValueError(f"Class ids count from 0, got {int(labels.min())}; leave out samples without a class.")
    classes = int(labels.max()) + 1
    if absent := sorted(set(range(classes)) - set(labels.tolist())):
        raise ValueError(f"The classes {absent} have no feature; number the classes that have some from 0.")
    return classes


def check_no_adapters(encoder: SmoothCLAPEncoder) -> None:
    """Raise a `ValueError` if an encoder has adapters, with which [`save_classifier`] could not save its audio half."""
    if isinstance(encoder.model, SmoothCLAPModel) and getattr(encoder.model, "peft_config", None):
        raise ValueError(
            f"The encoder {encoder.name!r} has separate adapters, but a classifier includes its audio tower as one "
            "model. Train it with `lora_save: merged`, or merge the adapters with PEFT's `merge_and_unload` and save "
            "the result."
        )


def save_classifier(
    encoder: SmoothCLAPEncoder, weights: torch.Tensor, classes: list[str], scale: float, folder: str | Path
) -> None:
    """
    Save a classifier, (classes, width): with SmoothCLAP as a model for `pipeline("audio-classification")`.

    With any other encoder, `classifier.safetensors` has the tensor `weights`, and `classifier.json` has `id2label`,
    `scale` (the factor between cosine and logit), and the encoder's name and SHA-256.
    """
    folder = Path(folder)
    id2label = dict(enumerate(classes))
    if isinstance(encoder.model, SmoothCLAPModel):
        model = SmoothCLAPForAudioClassification.from_dual_encoder(encoder.model, weights, id2label, scale)
        model.save_pretrained(folder)
        extractor = copy.copy(encoder.processor.feature_extractor)
        extractor.auto_map = None  # refers to the processor's code; saving adds the extractor's own
        extractor.save_pretrained(folder)
        return
    described = encoder.describe()
    about = {name: described[name] for name in ("name", "revision", "weights_sha256", "class")}
    with whole_file(folder / WEIGHTS_FILE) as unfinished:
        save_file({"weights": weights.contiguous()}, unfinished)
    write_json(folder / RECORD_FILE, {"id2label": id2label, "scale": scale, "encoder": about})
