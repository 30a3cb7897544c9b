"""How much faster FAISS searches a large speech index than numpy does, both exactly.

Prints one table: seconds to find the ten nearest of 100,000 random unit vectors, 256 wide, for one query and for many
at a time; the median of five runs that alternate, in this process, on as many threads as `OMP_NUM_THREADS` allows.
"""

import statistics
import time

import numpy as np
import pandas as pd

from smoothclap_trainer.search import nearest


CLIPS, WIDTH, K, RUNS = 100_000, 256, 10, 5
QUERIES = (1, 10, 100, 1000)


def unit_vectors(count: int, seed: int) -> np.ndarray:
    """Random directions, float32 of shape (count, WIDTH)."""
    vectors = np.random.default_rng(seed).standard_normal((count, WIDTH), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    """Measure and print."""
    clips = unit_vectors(CLIPS, 0)
    rows = []
    for count in QUERIES:
        queries = unit_vectors(count, 1)
        seconds: dict[str, list[float]] = {"numpy": [], "faiss": []}
        found = {}
        for _ in range(RUNS):
            for backend, times in seconds.items():
                start = time.perf_counter()
                found[backend], _ = nearest(queries, clips, K, backend)
                times.append(time.perf_counter() - start)
        numpy, faiss = (statistics.median(times) for times in seconds.values())
        same = (found["numpy"] == found["faiss"]).mean()
        rows.append(
            {"queries": count, "numpy, s": numpy, "faiss, s": faiss, "numpy / faiss": numpy / faiss, "same": same}
        )
    print(f"{CLIPS} vectors {WIDTH} wide, k {K}; same: share of answers that agree, place for place")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
