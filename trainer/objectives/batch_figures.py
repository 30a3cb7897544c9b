"""What a log should say of the batches behind a loss."""

import torch

from .gather import gather_rows, gather_sizes


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
        """Means over the batches since the last call: the divergences of this process's clips in nats, the scale, how
        many negatives a clip has, and the share of captions that repeat another of their batch."""
        taken, self.batches = self.batches, []
        if not taken:
            return {}
        return {name: float(torch.stack([one[name].cpu() for one in taken]).mean()) for name in taken[0]}
