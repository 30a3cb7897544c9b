"""The objective over a joint batch: all pairs of all processes and chunks are each other's candidates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from modeling_smoothclap.loss_smoothclap import KLReading, cosines, divergences

from .gather import gather_rows, gather_sizes, own_rows, process_count
from .targets import SoftTargets
from .tiled_sum import tiled_sum


@dataclass(frozen=True)
class Representations:
    """
    What a loss needs to know of a batch.

    Args:
        audio (`torch.Tensor` of shape `(clips, width)`): Unit-length embeddings of the clips.
        text (`torch.Tensor` of shape `(clips, width)`): Unit-length embeddings of their captions.
        scales (`torch.Tensor` of shape `(2,)`): Factors between cosine and logit, from audio to text and back.
        features (`Sequence[torch.Tensor]`): Of each target source, of shape `(clips, its width)`.
    """

    audio: torch.Tensor
    text: torch.Tensor
    scales: torch.Tensor
    features: Sequence[torch.Tensor] = ()

    def tensors(self) -> list[torch.Tensor]:
        """All of them, in a fixed order."""
        return [self.audio, self.text, self.scales, *self.features]


@dataclass(frozen=True)
class JointLoss:
    """
    SmoothCLAP's loss with the candidates of every process.

    Each process computes the rows of its own clips and captions against all candidates. With one-hot targets and the
    forward reading it is CLAP's loss, symmetric InfoNCE.

    Args:
        targets ([`SoftTargets`]): What each clip and caption should be like.
        reading (`"symmetric"` or `"forward"`): Of the paper's divergence, see
            [`~modeling_smoothclap.loss_smoothclap.soft_target_loss`].
        tile (`int`, *optional*): Rows of the matrices of scores and targets that exist at a time, for batches whose
            matrices would not fit: memory is then O(clips * width + clips * tile). `None` takes them whole.
    """

    targets: SoftTargets
    reading: KLReading = "symmetric"
    tile: int | None = None

    def __call__(self, batch: Representations) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Args:
            batch ([`Representations`]): This process's clips.

        Returns:
            `tuple` of `torch.Tensor`: the loss in nats, of shape `()`, whose average over processes is the joint
            loss, in value and in gradient; and the mean divergences that make it up, `KL(y||p)` and, in the symmetric
            reading, `KL(p||y)`, of shape `(1,)` or `(2,)`, without gradient.
        """
        with torch.autocast(batch.audio.device.type, enabled=False):
            sizes = gather_sizes(len(batch.audio), batch.audio.device)
            learns = [True, True, *(source.learns for source in self.targets.sources)]
            audio, text, *features = _gather_together([batch.audio, batch.text, *batch.features], learns, sizes)
            rows, tensors = own_rows(sizes), [audio, text, batch.scales.float(), *features]
            if self.tile is None:
                sums = self._share(rows, *tensors)
                loss, parts = sums.sum(), sums.detach()
            else:
                loss, parts = tiled_sum(self._share, rows, self.tile, *tensors)
        factor = process_count() / sum(sizes)
        return loss * factor, parts * factor

    def _share(
        self, rows: slice, audio: torch.Tensor, text: torch.Tensor, scales: torch.Tensor, *features: torch.Tensor
    ) -> torch.Tensor:
        """The summed divergences of some rows, of shape `(1,)` or `(2,)`, both directions averaged."""
        targets = self.targets.distribution(features, len(audio), rows).to(audio.device)  # (rows, clips)
        both = (
            divergences(cosines(audio[rows], text) * scales[0], targets, self.reading),
            divergences(cosines(text[rows], audio) * scales[1], targets, self.reading),
        )
        return torch.stack([(there + back).sum() / 2 for there, back in zip(*both, strict=True)])

    def describe(self) -> dict[str, Any]:
        """The loss in words and numbers, for logs and model cards."""
        return {"kl_reading": self.reading, **self.targets.describe()}


def _gather_together(tensors: Sequence[torch.Tensor], learns: Sequence[bool], sizes: list[int]) -> list[torch.Tensor]:
    """Every tensor's rows of all processes, in one collective for all; no gradient passes where nothing `learns`."""
    own = [tensor.float() if learn else tensor.float().detach() for tensor, learn in zip(tensors, learns, strict=True)]
    parts = gather_rows(torch.cat(own, dim=1), sizes).split([tensor.shape[1] for tensor in own], dim=1)
    return [part if learn else part.detach() for part, learn in zip(parts, learns, strict=True)]
