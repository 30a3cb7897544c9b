"""What zero-shot classification costs: the pipeline of this package, the stock one, and the bare audio tower.

Prints one table of clips per second, with 8 and 64 labels and batches of 1 and 16, for clips of random lengths. The
bare tower gets the very batches that the pipeline of this package makes; nothing around it is timed. All take turns in
one process, and the best of a few turns counts. In each turn the labels are embedded anew. On a CPU seconds are of the
processor, summed over threads: unlike those on the clock they hardly depend on other programs. `best stock` is the
stock pipeline with the better batch size.

    python benchmarks/zero_shot.py                # smoothclap-tiny; --device cuda, --dtype bfloat16
    python benchmarks/zero_shot.py --model paper  # the paper's architecture with random weights; or any checkpoint
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from transformers import BertConfig, pipeline, set_seed
from transformers.utils import logging

from modeling_smoothclap import (
    SMOOTHCLAP_TINY,
    SmoothCLAPConfig,
    SmoothCLAPEncoder,
    SmoothCLAPFeatureExtractor,
    SmoothCLAPModel,
    SmoothCLAPProcessor,
)
from modeling_smoothclap.towers_smoothclap import run_audio_tower


RATE = 16000
LABELS, BATCHES = (8, 64), (1, 16)
PAPER = "paper"


def load(name: str) -> tuple[SmoothCLAPModel, SmoothCLAPProcessor]:
    """A checkpoint, or the architecture of the SmoothCLAP paper with random weights."""
    encoder = SmoothCLAPEncoder.from_pretrained(SMOOTHCLAP_TINY if name == PAPER else name, device="cpu")
    if name != PAPER:
        return encoder.model, encoder.processor
    set_seed(0)
    tokenizer = encoder.processor.tokenizer
    config = SmoothCLAPConfig(text_config=BertConfig(vocab_size=len(tokenizer)))
    extractor = SmoothCLAPFeatureExtractor.from_audio_config(config.audio_config)
    return SmoothCLAPModel(config).eval(), SmoothCLAPProcessor(extractor, tokenizer)


def noise(count: int, longest: float) -> list[np.ndarray]:
    """Clips of half a second up to the longest."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, int(rng.uniform(0.5, longest) * RATE)).astype(np.float32) for _ in range(count)]


def recorded(model: Any, run: Callable[[], Any]) -> list[Mapping[str, torch.Tensor]]:
    """The batches that the audio half of a model gets in a run."""
    with patch.object(model, "get_audio_features", wraps=model.get_audio_features) as features:
        run()
    return [call.kwargs for call in features.call_args_list]


@torch.no_grad()
def bare(model: Any, batches: list[Mapping[str, torch.Tensor]]) -> None:
    """Run the audio tower alone."""
    for batch in batches:
        run_audio_tower(model.audio_model, batch[model.audio_input_name], batch["audio_attention_mask"])[1].cpu()


def seconds(run: Callable[[], Any], device: str) -> float:
    """How long a run takes; every run ends with a copy from the device, for which it waits."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    start = clock()
    run()
    return clock() - start


def measure(model: Any, processor: Any, clips: list[np.ndarray], repeats: int) -> dict[tuple[str, int, int], float]:
    """Clips per second of each way, by its name, number of labels and batch size."""
    parts = {"feature_extractor": processor.feature_extractor, "tokenizer": processor.tokenizer, "processor": processor}
    ours, stock = (
        pipeline(task, model=model, device=model.device, **parts)
        for task in ("zero-shot-speech-description", "zero-shot-audio-classification")
    )
    runs: dict[tuple[str, int, int], Callable[[], Any]] = {}
    for count in LABELS:
        labels = [f"a person who speaks in manner {number}" for number in range(count)]
        for size in BATCHES:
            given = {"candidate_labels": labels, "hypothesis_template": "{}", "batch_size": size}
            runs["ours", count, size] = partial(ours, clips, **given)
            runs["stock", count, size] = partial(stock, clips, **given)
    for size in BATCHES:
        batches = recorded(model, runs["ours", LABELS[0], size])  # which also warms up
        runs["bare tower", 0, size] = partial(bare, model, batches)
    spent = dict.fromkeys(runs, np.inf)
    for _ in range(repeats):
        for way, run in runs.items():
            ours._kept = (None, np.empty(0))  # each run embeds its labels
            spent[way] = min(spent[way], seconds(run, model.device.type))
    return {way: len(clips) / least for way, least in spent.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smoothclap-tiny")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--longest", type=float, default=6.0, help="in seconds")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    model, processor = load(options.model)
    model.to(options.device, getattr(torch, options.dtype))
    rates = measure(model, processor, noise(options.clips, options.longest), options.repeats)
    rows = []
    for count in LABELS:
        best = max(rates["stock", count, size] for size in BATCHES)
        for size in BATCHES:
            ways = {way: rates[way, count, size] for way in ("ours", "stock")} | {
                "bare tower": rates["bare tower", 0, size]
            }
            ratios = {"ours / best stock": ways["ours"] / best, "ours / bare tower": ways["ours"] / ways["bare tower"]}
            rows.append({"labels": count, "batch": size} | ways | ratios)
    device = (
        torch.cuda.get_device_name() if model.device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    )
    print(f"{options.model}, {options.dtype}, {device}: {options.clips} clips of 0.5 to {options.longest:g} s; clips/s")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    main()
