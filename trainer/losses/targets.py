"""Soft targets: which clips of a batch count as alike, and how much that weighs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method

from modeling_smoothclap.loss_smoothclap import cosines
from modeling_smoothclap.towers_smoothclap import pool_text


LOWEST_TEMPERATURE = 1e-4
"""Cosines divided by less need not be finite in single precision."""


def tag_features(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None) -> torch.Tensor:
    """Embed tag texts, (batch, text width): the text tower's output, pooled but not projected, without dropout."""
    if isinstance(model, FSDPModule) and isinstance(model, torch.nn.Module):
        register_fsdp_forward_method(model, "get_text_features")  # gathers the sharded weights for it, too
    training = model.training
    model.eval()
    try:
        hidden = model.get_text_features(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    finally:
        model.train(training)
    return pool_text(hidden, attention_mask, getattr(model.config, "text_pooling", "cls"))


@dataclass(frozen=True)
class TargetSource(ABC):
    """A reason for which clips count as alike."""

    name: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]]  # entries of a batch, the first of them required
    provenance: ClassVar[str]

    @property
    def learns(self) -> bool:
        """Return whether the features take a gradient."""
        return False

    def features(self, model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return what is compared, of shape `(clips, width)` in float32."""
        return batch[self.inputs[0]].float()

    @abstractmethod
    def distribution(self, features: torch.Tensor, rows: slice) -> torch.Tensor:
        """Return how alike the clips of `rows` are to every clip, (rows, clips); each row sums to one."""

    def describe(self) -> dict[str, Any]:
        """Return the source in words and numbers, for logs and model cards."""
        return {"source": self.name, **vars(self), "provenance": self.provenance}


@dataclass(frozen=True)
class FeatureSimilarity(TargetSource):
    """Softmax of the cosines between features, divided by a temperature (open in the paper; ours)."""

    temperature: float = 0.07

    def __post_init__(self) -> None:
        if not LOWEST_TEMPERATURE <= self.temperature < float("inf"):
            raise ValueError(
                f"The temperature of {self.name} must be at least {LOWEST_TEMPERATURE}, not {self.temperature}: "
                "try 0.07."
            )

    def distribution(self, features: torch.Tensor, rows: slice) -> torch.Tensor:
        unit = F.normalize(features, dim=-1)
        return torch.softmax(cosines(unit[rows], unit) / self.temperature, dim=-1)


@dataclass(frozen=True)
class LocalFeatureSimilarity(FeatureSimilarity):
    """Time-averaged hidden states of a frozen speech encoder, which a batch holds as `local_features`."""

    name = "local_features"
    inputs = ("local_features",)
    provenance = "stated by the SmoothCLAP paper; cosine inferred, temperature ours"


@dataclass(frozen=True)
class TagTextSimilarity(FeatureSimilarity):
    """Paralinguistic tag texts, by the text tower in training, which with `detach` learns nothing from them (ours)."""

    name = "tags"
    inputs = ("tag_input_ids", "tag_attention_mask")
    provenance = "stated by the SmoothCLAP paper; unprojected text tower inferred, temperature and detaching ours"

    detach: bool = True

    @property
    def learns(self) -> bool:
        return not self.detach

    def features(self, model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.detach):
            return tag_features(model, batch["tag_input_ids"], batch.get("tag_attention_mask")).float()


@dataclass(frozen=True)
class FunctionalsSimilarity(FeatureSimilarity):
    """eGeMAPS functionals themselves, standardised over the training set, which a batch holds as `functionals`."""

    name = "functionals"
    inputs = ("functionals",)
    provenance = "ours: the acoustics behind the paper's tags, without their wording"


@dataclass(frozen=True)
class LabelEquality(TargetSource):
    """Equal shares for all clips of one label, as in supervised contrastive learning (arXiv 2004.11362).

    A clip whose label is unknown, -1, is like itself only.
    """

    name = "labels"
    inputs = ("labels",)
    provenance = "ours, after supervised contrastive learning; not part of SmoothCLAP"

    def features(self, model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return super().features(model, batch)[:, None]

    def distribution(self, features: torch.Tensor, rows: slice) -> torch.Tensor:
        own = features[rows]
        same = (own == features.t()) & (own >= 0)  # (rows, clips)
        places = torch.arange(*rows.indices(len(features)), device=same.device)
        same[torch.arange(len(places), device=same.device), places] = True
        return same / same.sum(dim=-1, keepdim=True)


@dataclass(frozen=True)
class SoftTargets:
    """`y = (1 - beta) * I + beta * sum of weight * q`, the mixture of the identity with what the sources say.

    That both mixtures are there is the paper's; which side `beta` weighs is inferred.
    There is one weight per source, and they sum to one. Without sources targets are one-hot.

    Example:

    ```python
    >>> import torch
    >>> from smoothclap_trainer.losses.targets import LabelEquality, SoftTargets
    >>> targets = SoftTargets([LabelEquality()], [1.0], beta=0.5)
    >>> targets.distribution([torch.tensor([[0.0], [1.0], [0.0]])], 3, slice(0, 1))
    tensor([[0.7500, 0.0000, 0.2500]])

    ```
    """

    sources: Sequence[TargetSource]
    weights: Sequence[float]
    beta: float

    def __post_init__(self) -> None:
        if not 0 <= self.beta <= 1:
            raise ValueError(f"`beta` is a mixing weight between 0 and 1, got {self.beta}.")
        if self.beta > 0 and not self.sources:
            raise ValueError(
                f"With beta={self.beta} `targets` have a soft part, but name no source: name one, such as "
                "local_features, or set beta=0 and kl_reading='forward' to train without soft targets."
            )
        if len(self.sources) != len(self.weights):
            raise ValueError(f"There are {len(self.sources)} target sources but {len(self.weights)} weights.")
        if self.sources and not (min(self.weights) >= 0 and abs(sum(self.weights) - 1) <= 1e-6):
            raise ValueError(f"The weights of target sources are shares that sum to one, got {list(self.weights)}.")

    def features(self, model: Any, batch: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Return every source's features of a batch, or raise a `ValueError` if the batch lacks what one reads."""
        if missing := [source.inputs[0] for source in self.sources if source.inputs[0] not in batch]:
            raise ValueError(
                f"Soft targets need {missing} in the batch. Give the rows what the collator makes them from, or set "
                "beta=0 and kl_reading='forward' to train without soft targets."
            )
        return [source.features(model, batch) for source in self.sources]

    def distribution(self, features: Sequence[torch.Tensor], clips: int, rows: slice) -> torch.Tensor:
        """Return the targets of some rows, float32 of shape `(rows, clips)`; each row sums to one."""
        places = torch.arange(*rows.indices(clips), device=features[0].device if features else None)
        own = F.one_hot(places, clips).float()  # (rows, clips)
        soft = torch.zeros(())
        for source, weight, feature in zip(self.sources, self.weights, features, strict=True):
            soft = soft + weight * source.distribution(feature, rows)
        return (1 - self.beta) * own + self.beta * soft

    def describe(self) -> dict[str, Any]:
        """Return the mixture in words and numbers."""
        weighted = zip(self.sources, self.weights, strict=True)
        return {"beta": self.beta, "sources": [source.describe() | {"weight": weight} for source, weight in weighted]}
