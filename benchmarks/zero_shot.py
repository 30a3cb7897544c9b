"""What a zero-shot pipeline costs: the pipeline of this package, the stock one, and the bare audio tower.

Prints one table of clips per second, with 8 and 64 labels, of clips of one to six seconds of noise. The bare tower is
given the very batches that the pipeline of this package makes, and nothing else is timed. Each is timed `--repeats`
times in turn, and the best is taken. `best stock` is the faster of the stock pipeline's two batch sizes.

    python benchmarks/zero_shot.py [--device cuda] [--clips 512]
"""

import argparse
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import pipeline
from transformers.utils import logging

from modeling_smoothclap import SMOOTHCLAP_TINY


RATE = 16000
LABELS = (8, 64)
BATCHES = (1, 16)


def noises(count: int) -> list[np.ndarray]:
    """Clips of random lengths."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, int(rng.uniform(1, 6) * RATE)).astype(np.float32) for _ in range(count)]


def recorded(describe: Any, run: Callable[[], object]) -> list[Mapping[str, torch.Tensor]]:
    """The batches that the audio tower gets in a run."""
    batches: list[Mapping[str, torch.Tensor]] = []
    features = describe.model.get_audio_features

    def keeping(**inputs: torch.Tensor) -> Any:
        batches.append(inputs)
        return features(**inputs)

    describe.model.get_audio_features = keeping
    try:
        run()
    finally:
        describe.model.get_audio_features = features
    return batches


def seconds(run: Callable[[], object]) -> float:
    """How long a run takes, with all that waits on a GPU."""
    start = time.perf_counter()
    run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=SMOOTHCLAP_TINY)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    ours, stock = (
        pipeline(task, model=options.model, device=options.device)
        for task in ("zero-shot-speech-description", "zero-shot-audio-classification")
    )
    clips = noises(options.clips)
    runs: dict[tuple[str, int, int], Callable[[], object]] = {}
    for count in LABELS:
        labels = [f"a voice that is number {number}" for number in range(count)]
        for size in BATCHES:
            given: dict[str, Any] = {"candidate_labels": labels, "hypothesis_template": "{}", "batch_size": size}
            runs["ours", count, size] = lambda given=given: ours(clips, **given)
            runs["stock", count, size] = lambda given=given: stock(clips, **given)
    for size in BATCHES:
        batches = recorded(ours, runs["ours", LABELS[0], size])

        def bare(batches: list[Mapping[str, torch.Tensor]] = batches) -> None:
            with torch.no_grad():
                for batch in batches:
                    ours.model.get_audio_features(**batch).pooler_output.cpu()

        runs["bare tower", 0, size] = bare
    best = dict.fromkeys(runs, np.inf)
    for _ in range(options.repeats + 1):  # the first warms up
        for name, run in runs.items():
            best[name] = min(best[name], seconds(run))
    rates = {name: len(clips) / spent for name, spent in best.items()}
    rows = []
    for count in LABELS:
        fastest = max(rates["stock", count, size] for size in BATCHES)
        for size in BATCHES:
            mine, bare_rate = rates["ours", count, size], rates["bare tower", 0, size]
            cells = {
                "labels": count,
                "batch": size,
                "ours": mine,
                "stock": rates["stock", count, size],
                "bare": bare_rate,
            }
            rows.append(cells | {"ours / best stock": mine / fastest, "ours / bare": mine / bare_rate})
    print(f"{len(clips)} clips of 1 to 6 s on {options.device}, {torch.get_num_threads()} thread(s); clips per second")
    print(pd.DataFrame(rows).to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    main()
