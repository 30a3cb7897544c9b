"""Rows of all processes in one tensor, with gradients, however many rows each process has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from modeling_smoothclap.loss_smoothclap import KLReading, cosines, divergences

from .targets import SoftTargets


def process_count() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_sizes(size: int, device: torch.device) -> list[int]:
    """How many rows each process has, by rank."""
    if process_count() == 1:
        return [size]
    sizes = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(process_count())]
    dist.all_gather(sizes, torch.tensor([size], device=device))
    return [int(one) for one in sizes]


def own_rows(sizes: list[int]) -> slice:
    """Where this process's rows stand among all."""
    rank = dist.get_rank() if process_count() > 1 else 0
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


def gather_rows(rows: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """
    Every process's rows, by rank.

    A row's gradient is the sum of what it receives on all processes. If each process's loss is its own rows' share of
    the joint loss times the number of processes, the average that DDP and FSDP take is the joint gradient.

    Args:
        rows (`torch.Tensor` of shape `(own rows, ...)`): This process's.
        sizes (`list[int]`): What [`gather_sizes`] returned.

    Returns:
        `torch.Tensor` of shape `(all rows, ...)`.
    """
    return rows if len(sizes) == 1 else _GatherRows.apply(rows, sizes)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        ctx.sizes = sizes
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])  # a collective needs equal shapes
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        summed = gradients[0].contiguous().clone()
        dist.all_reduce(summed)
        return summed[own_rows(ctx.sizes)], None


Part = Callable[..., torch.Tensor]
"""Takes a slice of rows and all tensors; returns the rows' share of the sums, of shape `(sums,)`."""


def tiled_sum(part: Part, rows: slice, tile: int, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Adds up `part(tile of rows, *tensors)` tile by tile.

    Each tile's gradient is taken at once and its matrices are dropped, so memory is what one tile needs plus one
    gradient per tensor. The result can be differentiated once.

    Args:
        part (`Callable`): What to sum. It may look at nothing that needs a gradient but `tensors`.
        rows (`slice`): Rows to sum over.
        tile (`int`): Rows at a time.
        *tensors (`torch.Tensor`): What `part` depends on.

    Returns:
        `tuple` of the total, of shape `()`, and of its parts, of shape `(sums,)`, which carry no gradient.
    """
    if not torch.is_grad_enabled():
        tensors = tuple(tensor.detach() for tensor in tensors)
    return _TiledSum.apply(part, rows, tile, *tensors)


class _TiledSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, part: Part, rows: slice, tile: int, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        leaves = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        gradients = [torch.zeros_like(leaf) for leaf in wanted]
        sums = torch.zeros(())
        for start in range(rows.start, rows.stop, tile):
            with torch.set_grad_enabled(bool(wanted)):
                share = part(slice(start, min(start + tile, rows.stop)), *leaves)
                total = share.sum()
            sums = share.detach() + sums.to(share.device)
            if wanted:
                found = torch.autograd.grad(total, wanted, allow_unused=True)
                for gradient, more in zip(gradients, found, strict=True):
                    if more is not None:
                        gradient += more
        ctx.wanted = [leaf.requires_grad for leaf in leaves]
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(sums)
        return sums.sum(), sums

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        gradients = iter(ctx.saved_tensors)
        return None, None, None, *(next(gradients) * upstream[0] if wanted else None for wanted in ctx.wanted)


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
