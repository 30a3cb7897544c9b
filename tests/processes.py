"""
Functions in several gloo processes, and scripts in processes of their own, with a limit on how long they may take.

The processes are forks of one that has imported the libraries, which would take each of them 8 s.
"""

import atexit
import multiprocessing
import os
import runpy
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def run(function: Callable, folder: Any, *args: Any, world_size: int = 2, seconds: float = 120) -> None:
    """Calls `function(rank, *args)` in every process. Fails with a process's traceback, or when time is up."""
    store = f"file://{folder}/store-{function.__name__}"
    context()
    running = mp.start_processes(
        _main, (function, store, world_size, args), nprocs=world_size, join=False, start_method="forkserver"
    )
    deadline = time.monotonic() + seconds
    while not running.join(timeout=1):  # which returns whenever one process has ended
        if time.monotonic() > deadline:
            for process in running.processes:
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


@dataclass
class Script:
    """A script that runs in one or several processes, which print to one file each."""

    processes: list[Any]
    logs: list[Path]

    def kill(self, signal_number: int, rank: int = 0) -> None:
        """Sends a signal to one process."""
        os.kill(self.processes[rank].pid, signal_number)

    def wait_for(self, happened: Callable[[], bool], seconds: float = 120) -> None:
        """Returns as soon as something has happened. Fails if the script ends before, or when time is up."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert all(process.is_alive() for process in self.processes), f"it ended:\n{self.printed()}"
            assert time.monotonic() < deadline, f"it did not happen:\n{self.printed()}"
            time.sleep(0.002)

    def end(self, seconds: float = 120) -> list[int]:
        """Waits for all processes and returns their exit statuses, as Python's: minus the signal that ended one."""
        deadline = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                raise TimeoutError(f"a process hung for {seconds} s:\n{self.printed()}")
        return [process.exitcode for process in self.processes]

    def printed(self) -> str:
        """What all processes have printed so far."""
        return "".join(log.read_text(errors="replace") for log in self.logs if log.is_file())


@contextmanager
def script(
    path: Path | str,
    arguments: Sequence[str],
    folder: Path,
    world_size: int = 1,
    work: Path | None = None,
    **environment: str,
) -> Iterator[Script]:
    """Run a script (`python path`) or a module (`python -m path`), or several as torchrun does; kill what is left.

    What they print goes to `folder`; they run in the folder `work`, or where this process does.
    """
    forks = context()
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    logs = [folder / f"rank-{rank}.txt" for rank in range(world_size)]
    processes = []
    for rank, log in enumerate(logs):
        places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size, "LOCAL_WORLD_SIZE": world_size}
        places |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        set_here = environment | ({name: str(value) for name, value in places.items()} if world_size > 1 else {})
        processes.append(forks.Process(target=_script, args=(path, arguments, log, work, set_here)))
    try:
        for process in processes:
            process.start()
        yield Script(processes, logs)
    finally:
        for process in processes:
            process.kill()
            process.join()


def context() -> Any:
    """What starts processes as forks of one that has imported the libraries."""
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["smoothclap_trainer.train"])
    return forks


def _script(
    path: Path | str, arguments: Sequence[str], log: Path, work: Path | None, environment: dict[str, str]
) -> None:
    with log.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.environ.update(environment)
    if work is not None:
        os.chdir(work)
    torch.set_num_threads(1)
    sys.argv = [str(path), *arguments]
    try:
        if isinstance(path, Path):
            runpy.run_path(str(path), run_name="__main__")
        else:
            runpy.run_module(path, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # which multiprocessing leaves out


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
