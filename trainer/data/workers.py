"""A function applied to many clips in worker processes or threads: results in order, few items in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from typing import TypeVar


Item = TypeVar("Item")
Result = TypeVar("Result")

BATCHES_AHEAD = 4
"""Batches that wait for each worker: enough to keep it busy, few enough for clips that travel as bytes."""


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_workers: int = 1,
    batch: int = 1,
    threads: bool = False,
) -> Iterator[Result]:
    """
    Apply a function as `map` does, in several workers. `items` is read only a little ahead of the results.

    Args:
        function (`Callable`): For processes, a function of a module: workers find it there by its name.
        items (`Iterable`): What to apply it to.
        num_workers (`int`, defaults to 1): With one, all is done in this process. With several processes, a script
            needs the usual `if __name__ == "__main__"`.
        batch (`int`, defaults to 1): Items that travel together; take more if the work on one takes about a
            millisecond.
        threads (`bool`, defaults to `False`): Threads in place of processes, for work that leaves the interpreter free.

    Yields:
        The results, in the order of the items.

    Raises:
        ValueError: `num_workers` or `batch` is below 1.
    """
    if num_workers < 1 or batch < 1:
        raise ValueError(f"num_workers and batch must be at least 1, got {num_workers} and {batch}")
    if num_workers == 1:
        yield from map(function, items)
        return
    pool: Executor = ThreadPoolExecutor(num_workers) if threads else _processes(num_workers, function.__module__)
    try:
        yield from _in_order(pool, function, iter(items), batch, BATCHES_AHEAD * num_workers)
    finally:
        pool.shutdown(cancel_futures=True)


def _processes(num_workers: int, module: str) -> ProcessPoolExecutor:
    # Never fork this process: torch or arrow may have threads in it, and the copies would hang.
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([module])  # import once, not once per worker
    return ProcessPoolExecutor(num_workers, mp_context=context)


def _in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterator[Item], batch: int, ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[list[Result]]] = deque()
    while True:
        while len(waiting) < ahead and (together := list(islice(items, batch))):
            waiting.append(pool.submit(_apply, function, together))
        if not waiting:
            return
        yield from waiting.popleft().result()


def _apply(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]
