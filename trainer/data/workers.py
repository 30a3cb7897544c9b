"""A function applied to many items in worker processes: results in order, few items in memory."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_all_start_methods, get_context, parent_process
from threading import Thread
from typing import Any, TypeVar

from modeling_smoothclap.batching_smoothclap import map_ahead


Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], num_workers: int = 1, batch: int = 1
) -> Iterator[Result]:
    """
    Yield `function(item)` in order, computed in several processes. `items` is read only a little ahead of the results.

    Args:
        function (`Callable`): A function of a module: workers find it there by its name. If it is in the script that
            runs, workers import that script, which then needs `if __name__ == "__main__"`.
        items (`Iterable`): What to apply it to.
        num_workers (`int`, defaults to 1): With one, all is done in this process.
        batch (`int`, defaults to 1): Items sent together; give more if the work on one takes about a millisecond.

    Raises:
        ValueError: `num_workers` or `batch` is below 1.
    """
    if num_workers < 1 or batch < 1:
        raise ValueError(f"num_workers and batch must be at least 1, got {num_workers} and {batch}")
    if num_workers == 1:
        yield from map(function, items)
        return
    iterator = iter(items)
    batches = iter(lambda: list(islice(iterator, batch)), [])
    pool = _processes(num_workers, function.__module__)
    for results in map_ahead(partial(_apply, function), batches, num_workers, pool):
        yield from results


def _apply(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def _processes(num_workers: int, module: str) -> ProcessPoolExecutor:
    # Never fork this process: torch or arrow may have threads in it, and the copies would hang.
    context = get_context("forkserver" if "forkserver" in get_all_start_methods() else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([module])  # import once, not once per worker
    kind = ProcessPoolExecutor if module == "__main__" else _WithoutScript
    return kind(num_workers, context, initializer=_end_with_parent)


class _WithoutScript(ProcessPoolExecutor):
    """Processes that do not import the running script, which would otherwise run again in each of them."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with _script_hidden():  # processes are started here
            return super().submit(function, *args, **kwargs)


@contextmanager
def _script_hidden() -> Iterator[None]:
    """Hide where the running script is: multiprocessing tells each new process to import what it finds there."""
    script: Any = sys.modules["__main__"]
    hidden = {name: value for name, value in vars(script).items() if name in ("__file__", "__spec__")}
    script.__spec__ = None
    vars(script).pop("__file__", None)
    try:
        yield
    finally:
        vars(script).update(hidden)


def _end_with_parent() -> None:
    """End this worker when its parent is gone, also if that was killed: else it would wait for work forever."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
