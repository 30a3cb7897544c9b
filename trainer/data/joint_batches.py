"""Which clips meet in a joint batch, and which process takes which of them."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class JointBatchSampler(Sampler[list[int]]):
    """
    Shuffles clips into joint batches and yields one process's share of each.

    The order depends on `seed` and `epoch` alone, and a joint batch is the same however many processes share it, so
    several processes train as one would. Shares differ by at most one clip, none is empty, and every process gets the
    same number of them: an uneven end of an epoch neither repeats clips nor leaves a process waiting. What is too
    little for a batch of its own, fewer clips than processes or a single clip, which has no negatives, joins the batch
    before.

    Args:
        clips (`int`): How many there are.
        batch_size (`int`): Clips per process and batch.
        num_processes (`int`, defaults to 1): Processes that share a joint batch.
        process (`int`, defaults to 0): Which of them this is.
        seed (`int`, defaults to 0): Another seed, another order.
        drop_last (`bool`, defaults to `False`): Whether an incomplete batch at the end of an epoch is left out.

    Attributes:
        epoch (`int`): Which epoch's order is yielded; kept up to date by [`~smoothclap_trainer.SmoothCLAPTrainer`].

    Raises:
        ValueError: There are fewer clips than processes, or, with `drop_last`, than a batch takes.
    """

    def __init__(
        self,
        clips: int,
        batch_size: int,
        num_processes: int = 1,
        process: int = 0,
        seed: int = 0,
        drop_last: bool = False,
    ):
        joint = batch_size * num_processes
        needed = joint if drop_last else max(2, num_processes)
        if clips < needed:
            raise ValueError(
                f"{clips} training clips are too few: {num_processes} processes of {batch_size} clips each need at "
                f"least {needed}, and a single clip has nothing to be told apart from."
            )
        self.clips, self.joint, self.num_processes, self.process = clips, joint, num_processes, process
        self.seed, self.epoch = seed, 0
        self.batches, rest = divmod(clips, joint)
        # A batch of its own for the rest, if it is enough for one.
        self.rest_joins = not drop_last and 0 < rest < max(2, num_processes) and self.batches > 0
        self.batches += int(not drop_last and rest > 0 and not self.rest_joins)

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.clips, generator=generator)
        for index in range(self.batches):
            last = index == self.batches - 1
            stop = self.clips if last and self.rest_joins else (index + 1) * self.joint
            batch = order[index * self.joint : stop]
            yield batch.tensor_split(self.num_processes)[self.process].tolist()
