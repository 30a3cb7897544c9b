"""What a log should say of the batches behind a loss."""

import torch
import torch.distributed as dist

from .gather import gather_rows, gather_sizes, process_count


class BatchFigures:
    """Running means of the figures of joint batches, until they are logged."""

    def __init__(self) -> None:
        self.batches: list[dict[str, torch.Tensor]] = []

    def add(self, parts: torch.Tensor, scales: torch.Tensor, caption_ids: torch.Tensor | None) -> None:
        """
        Take down a joint batch.

        Args:
            parts (`torch.Tensor` of shape `(1,)` or `(2,)`): The divergences, as [`JointLoss`] returns them.
            scales (`torch.Tensor` of shape `(2,)`): Factors between cosine and logit.
            caption_ids (`torch.Tensor` of shape `(clips,)`, *optional*): Equal for equal captions, of this process.
        """
        names = ("forward_divergence", "reverse_divergence")
        figures = dict(zip(names, parts.detach(), strict=False))
        figures["logit_scale"] = scales.detach().mean()
        if caption_ids is not None:
            captions = gather_rows(caption_ids, gather_sizes(len(caption_ids), caption_ids.device))
            distinct = len(captions.unique())
            figures["negatives"] = torch.tensor(float(len(captions) - 1))
            figures["duplicate_captions"] = torch.tensor(1 - distinct / len(captions))
        self.batches.append(figures)

    def pop(self) -> dict[str, float]:
        """Means over the batches since the last call and over all processes, which must call this together: the
        divergences in nats, the scale, how many negatives a clip has, and the share of captions that repeat another of
        their batch."""
        taken, self.batches = self.batches, []
        if not taken:
            return {}
        device = taken[0]["logit_scale"].device
        table = torch.stack([torch.stack([value.to(device) for value in one.values()]) for one in taken])
        means = table.mean(dim=0)  # (figures,)
        if process_count() > 1:
            dist.all_reduce(means)
        return dict(zip(taken[0], (means / process_count()).tolist(), strict=True))
