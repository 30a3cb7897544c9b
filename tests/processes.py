"""Runs a function in several gloo processes, as torchrun would, with a limit on how long it may take."""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run(function: Callable, folder: Any, *args: Any, world_size: int = 2, seconds: float = 120) -> None:
    """Calls `function(rank, *args)` in every process. Fails with a process's traceback, or when time is up."""
    store = f"file://{folder}/store-{function.__name__}"
    context = mp.spawn(_main, (function, store, world_size, args), nprocs=world_size, join=False)
    deadline = time.monotonic() + seconds
    while not context.join(timeout=1):  # which returns whenever one process has ended
        if time.monotonic() > deadline:
            for process in context.processes:
                process.kill()
            raise TimeoutError(f"{function.__name__} hung for {seconds} s in {world_size} processes")


def _main(rank: int, function: Callable, store: str, world_size: int, args: tuple) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=world_size)
    try:
        function(rank, *args)
        dist.barrier()
    finally:
        dist.destroy_process_group()
