"""A sum over the rows of a large matrix that never exists as a whole, with exact gradients."""

from collections.abc import Callable
from typing import Any

import torch


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
