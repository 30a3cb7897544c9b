"""Gradients of a joint batch that does not fit in memory, chunk by chunk, and equal to those of the whole batch.

Every chunk is embedded without activations; the loss gives the gradient of each embedding; then every chunk is embedded
once more, with activations, and passes these gradients on (Gao et al., 2021, arXiv 2101.06983). Both passes of a chunk
draw the same random numbers, so that dropout and SpecAugment do the same twice.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .joint_loss import JointLoss, Representations


@dataclass(frozen=True)
class RandomState:
    """States of all generators that a model may use: torch's, also on the accelerator, numpy's and Python's."""

    torch_state: torch.Tensor
    device_state: torch.Tensor | None
    numpy_state: Any
    python_state: Any

    @classmethod
    def capture(cls, device: torch.device) -> "RandomState":
        """Return the states as they are now."""
        on_device = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)
        return cls(torch.get_rng_state(), on_device, np.random.get_state(), random.getstate())

    def restore(self, device: torch.device) -> None:
        """Set the generators back to these states."""
        torch.set_rng_state(self.torch_state)
        if self.device_state is not None:
            torch.get_device_module(device).set_rng_state(self.device_state, device)
        np.random.set_state(self.numpy_state)
        random.setstate(self.python_state)

    @contextmanager
    def replayed(self, device: torch.device) -> Iterator[None]:
        """Draw the same numbers again within the block; afterwards the states are as before it."""
        before = RandomState.capture(device)
        self.restore(device)
        try:
            yield
        finally:
            before.restore(device)


class CachedGradients:
    """
    The joint loss of several chunks, and the gradients of their embeddings.

    `represent` is called twice for each chunk; its second argument says whether features are wanted. The buffers of
    `model`, which it runs, see each chunk once (batch norm's averages).
    """

    def __init__(
        self,
        represent: Callable[[Any, bool], Representations],
        chunks: Sequence[Any],
        objective: JointLoss,
        model: nn.Module,
    ):
        self.represent, self.chunks = represent, chunks
        self.device = next(model.parameters()).device
        buffers = [buffer.clone() for buffer in model.buffers()]
        self.states, found = [], []
        with torch.no_grad():
            for chunk in chunks:
                self.states.append(RandomState.capture(self.device))
                found.append(represent(chunk, True))
            for buffer, before in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(before)
        self.scales = found[0].scales
        self.gradients: list[list[torch.Tensor | None]] = []
        self.loss, self.parts = self._differentiate(found, objective)

    def _differentiate(
        self, found: Sequence[Representations], objective: JointLoss
    ) -> tuple[torch.Tensor, torch.Tensor]:
        leaves = [[tensor.detach().requires_grad_() for tensor in one.tensors()] for one in found]
        for chunk in leaves[1:]:
            chunk[2] = leaves[0][2]  # the scales are the same in all chunks, and one gradient serves them
        audio, text, _, *features = (torch.cat(each) for each in zip(*leaves, strict=True))
        with torch.enable_grad():
            loss, parts = objective(Representations(audio, text, leaves[0][2], features))
        loss.backward()
        for chunk in leaves:
            audio_gradient, text_gradient, scale_gradient, *others = [leaf.grad for leaf in chunk]
            # A share each: every backward pass touches every parameter, as DDP wants it.
            share = None if scale_gradient is None else scale_gradient / len(leaves)
            self.gradients.append([audio_gradient, text_gradient, share, *others])
        return loss.detach(), parts

    def surrogate(self, index: int) -> torch.Tensor:
        """Return a scalar whose gradient is the chunk's part of the joint loss's gradient."""
        gradients = self.gradients[index]
        features_learn = any(gradient is not None for gradient in gradients[3:])
        with self.states[index].replayed(self.device):
            again = self.represent(self.chunks[index], features_learn)
        products = [
            (tensor * gradient).sum()
            for tensor, gradient in zip(again.tensors(), gradients, strict=features_learn)
            if gradient is not None and tensor.requires_grad
        ]
        return torch.stack(products).sum()
