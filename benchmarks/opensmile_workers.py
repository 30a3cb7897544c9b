"""How the extraction of functionals scales with worker processes.

Prints one table. Whole runs of `extract_table` into an empty cache, reading, hashing and writing included, are measured
in turns with 1 to all cores. Beside them stands what the machine gives to plain arithmetic in as many processes: where
that is below linear, cores are shared or busy. The clips are synthetic: noisy tones. Importing the packages for the
first worker, once per run of a script, is not in the table but on the line above it.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
import soundfile
import transformers

from smoothclap_trainer.data.functionals import extract_table
from smoothclap_trainer.data.workers import ordered_map


CLIPS, SECONDS, RATE, ROUNDS = 240, 2.5, 16000, 3
ARITHMETIC_PER_CLIP = 700_000


def synthetic_clips(folder: Path) -> list[Path]:
    """Tones of rising pitch that swell and fade, in noise."""
    rng = np.random.default_rng(0)
    seconds = np.arange(round(SECONDS * RATE)) / RATE
    paths = [folder / f"{index}.flac" for index in range(CLIPS)]
    for index, path in enumerate(paths):
        tone = sum(np.sin(2 * np.pi * (100 + index) * overtone * seconds) / overtone for overtone in (1, 2, 3))
        swelling = 0.1 * tone * (1 + 0.5 * np.sin(2 * np.pi * 3 * seconds))
        soundfile.write(path, swelling + 0.005 * rng.standard_normal(len(seconds)), RATE)
    return paths


def arithmetic(steps: int) -> int:
    """Work that needs a core and nothing else."""
    total = 0
    for step in range(steps):
        total += step
    return total


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(paths: list[Path], folder: Path, workers: int, run: int) -> tuple[float, float]:
    """Seconds for all clips, and for arithmetic that takes about as long."""
    extraction = seconds_of(lambda: extract_table(paths, folder / f"cache-{run}-{workers}", workers))
    plain = seconds_of(lambda: list(ordered_map(arithmetic, [ARITHMETIC_PER_CLIP] * len(paths), workers)))
    return extraction, plain


def main() -> None:
    transformers.utils.logging.disable_progress_bar()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = sorted({2**power for power in range(cores.bit_length()) if 2**power < cores} | {1, cores})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = synthetic_clips(folder)
        extract_table(paths[:1], folder / "start")  # openSMILE's start is not one worker's alone
        first = seconds_of(lambda: extract_table(paths[:2], folder / "first", 2))
        measured: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
        for run in range(ROUNDS):
            for count in counts:
                measured[count].append(measure(paths, folder, count, run))
    table = []
    for count in counts:
        extraction, plain = (median(times) for times in zip(*measured[count], strict=True))
        alone = [median(times) for times in zip(*measured[1], strict=True)]
        table.append(
            {
                "workers": count,
                "clips/s": round(CLIPS / extraction, 1),
                "of linear": round(alone[0] / extraction / count, 3),
                "arithmetic, of linear": round(alone[1] / plain / count, 3),
            }
        )
    print(f"{CLIPS} synthetic clips of {SECONDS} s; starting the first worker takes {first:.1f} s, once per script")
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
