"""What stage 2 of CLEP-DG costs.

Prints one table: the seconds to fit 80 contexts for seven emotions with the tiny encoder of this repository, with both
losses and with each alone. Sixteen contexts are fitted for a few steps, three times; the least time is scaled to all
contexts and steps. Processor time sums over threads, and unlike the time on the clock hardly depends on other programs.
`OMP_NUM_THREADS` sets the number of threads.
"""

import tempfile
import time
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoTokenizer
from transformers.utils import logging

from modeling_smoothclap import SmoothCLAPModel
from smoothclap_trainer.clep_dg.acpt import ACPTSettings, fit_contexts
from smoothclap_trainer.clep_dg.prompts import ENGLISH, PromptEncoder


CHECKPOINT = Path(__file__).parents[1] / "modeling_smoothclap" / "checkpoints" / "smoothclap-tiny"
NAMES = ["angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"]
CONTEXTS, STEPS, REPEATS = 16, 10, 3
LOSSES = {"both": {}, "content alone": {"style_loss": False}, "style alone": {"content_loss": False}}


def measure(encoder: PromptEncoder, losses: dict[str, bool]) -> tuple[float, float]:
    """The least processor time and the least time on the clock of a whole fit, estimated, in seconds."""
    whole = ACPTSettings(**losses)
    part = whole.changed(num_contexts=CONTEXTS, steps=STEPS)
    share = CONTEXTS * STEPS / (whole.num_contexts * whole.steps)
    spent = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            processor, clock = time.process_time(), time.perf_counter()
            fit_contexts(encoder, ENGLISH, NAMES, part, folder)
            spent.append((time.process_time() - processor, time.perf_counter() - clock))
    processor, clock = map(min, zip(*spent, strict=True))
    return processor / share, clock / share


def main() -> None:
    """Measure and print."""
    logging.disable_progress_bar()
    model = SmoothCLAPModel.from_pretrained(CHECKPOINT).eval()
    encoder = PromptEncoder(model, AutoTokenizer.from_pretrained(CHECKPOINT))
    measure(encoder, {})  # what is set up once is not measured
    rows = [(name, *measure(encoder, losses)) for name, losses in LOSSES.items()]
    print(f"80 contexts, seven emotions, {torch.get_num_threads()} thread(s); seconds")
    print(pd.DataFrame(rows, columns=["losses", "processor", "clock"]).to_string(index=False, float_format="%.0f"))


if __name__ == "__main__":
    main()
