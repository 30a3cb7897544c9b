"""Rows of all processes in one tensor, with gradients, however many rows each process has."""

from typing import Any

import torch
import torch.distributed as dist


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
