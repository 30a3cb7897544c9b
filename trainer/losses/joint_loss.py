"""SmoothCLAP's loss over the clips of all processes, with exact gradients, however many clips each process has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from modeling_smoothclap.loss_smoothclap import KLReading, cosines, divergences

from .targets import SoftTargets


def process_count() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_sizes(size: int, device: torch.device) -> list[int]:
    """Return how many rows each process has, by rank."""
    if process_count() == 1:
        return [size]
    sizes = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(process_count())]
    dist.all_gather(sizes, torch.tensor([size], device=device))
    return [int(one) for one in sizes]


def own_rows(sizes: list[int]) -> slice:
    """Return where this process's rows are among all."""
    rank = dist.get_rank() if process_count() > 1 else 0
    return slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))


def gather_rows(rows: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """Return every process's rows, (all rows, ...), by rank; a row's gradient is the sum over all processes."""
    # If each loss is the own rows' share times the number of processes, the average of DDP is the joint gradient.
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
    """Add up `part(tile of rows, *tensors)`; return the total, (), and without gradient its parts, (sums,)."""
    # Each tile's gradient is computed at once and its matrices are freed, so memory is what one tile needs plus one
    # gradient per tensor. The result can be differentiated once, and gradients reach nothing but `tensors`.
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
    """What a loss needs of a batch; embeddings of clips and of their captions have unit length."""

    audio: torch.Tensor  # (clips, width)
    text: torch.Tensor  # (clips, width)
    scales: torch.Tensor  # (2,): factors between cosine and logit, from audio to text and back
    features: Sequence[torch.Tensor] = ()  # of each target source: (clips, its width)

    def tensors(self) -> list[torch.Tensor]:
        """Return all of them, in a fixed order."""
        return [self.audio, self.text, self.scales, *self.features]


@dataclass(frozen=True)
class JointLoss:
    """
    SmoothCLAP's loss with the candidates of every process.

    Each process computes the rows of its own clips and captions against all candidates. With one-hot targets and the
    forward reading it is CLAP's loss, symmetric InfoNCE. `reading` is that of the paper's divergence, see
    [`~modeling_smoothclap.loss_smoothclap.soft_target_loss`]. Only `tile` rows of the matrices exist at a time.
    """

    targets: SoftTargets
    reading: KLReading = "symmetric"
    tile: int | None = None

    def __call__(self, batch: Representations) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Return the loss of this process's clips in nats, of shape `()`, and its parts without gradient.

        The average over processes is the joint loss, in value and in gradient. The parts are the mean divergences
        `KL(y||p)` and, in the symmetric reading, `KL(p||y)`, of shape `(1,)` or `(2,)`.
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
        """Return the summed divergences of some rows, of shape `(1,)` or `(2,)`, both directions averaged."""
        targets = self.targets.distribution(features, len(audio), rows).to(audio.device)  # (rows, clips)
        both = (
            divergences(cosines(audio[rows], text) * scales[0], targets, self.reading),
            divergences(cosines(text[rows], audio) * scales[1], targets, self.reading),
        )
        return torch.stack([(there + back).sum() / 2 for there, back in zip(*both, strict=True)])

    def describe(self) -> dict[str, Any]:
        """Return the loss in words and numbers, for logs and model cards."""
        return {"kl_reading": self.reading, **self.targets.describe()}


def _gather_together(tensors: Sequence[torch.Tensor], learns: Sequence[bool], sizes: list[int]) -> list[torch.Tensor]:
    """Gather the rows of all tensors in one collective; no gradient passes where nothing `learns`."""
    own = [tensor.float() if learn else tensor.float().detach() for tensor, learn in zip(tensors, learns, strict=True)]
    parts = gather_rows(torch.cat(own, dim=1), sizes).split([tensor.shape[1] for tensor in own], dim=1)
    return [part if learn else part.detach() for part, learn in zip(parts, learns, strict=True)]


class BatchStatistics:
    """Divergences in nats, the scale, negatives per clip, and the share of captions that repeat another of a batch."""

    def __init__(self) -> None:
        self.batches: list[dict[str, torch.Tensor]] = []

    def add(self, parts: torch.Tensor, scales: torch.Tensor, caption_ids: torch.Tensor | None) -> None:
        """Add a joint batch; `parts` as [`JointLoss`] returns them, `caption_ids`, (clips,), of this process."""
        names = ("forward_divergence", "reverse_divergence")
        values = dict(zip(names, parts.detach(), strict=False))
        values["logit_scale"] = scales.detach().mean()
        if caption_ids is not None:
            captions = gather_rows(caption_ids, gather_sizes(len(caption_ids), caption_ids.device))
            distinct = len(captions.unique())
            values["negatives"] = torch.tensor(float(len(captions) - 1))
            values["duplicate_captions"] = torch.tensor(1 - distinct / len(captions))
        self.batches.append(values)

    def pop(self) -> dict[str, float]:
        """Return means over the batches since the last call and over all processes, which must call this together."""
        taken, self.batches = self.batches, []
        if not taken:
            return {}
        device = taken[0]["logit_scale"].device
        table = torch.stack([torch.stack([value.to(device) for value in one.values()]) for one in taken])
        means = table.mean(dim=0)  # (values,)
        if process_count() > 1:
            dist.all_reduce(means)
        return dict(zip(taken[0], (means / process_count()).tolist(), strict=True))
