"""Measure the seconds of CPU that fitting a context takes with each set of losses, on the default checkpoint."""

import tempfile
import time

import torch

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.clep_dg.acpt import TOGETHER, ACPTSettings, fit_contexts
from smoothclap_trainer.clep_dg.methods import FITTED
from smoothclap_trainer.clep_dg.prompts import ENGLISH, PromptEncoder


WORDS = ["angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"]


def main() -> None:
    """Fit as many contexts as the content loss alone fits at once; print one row for each set of losses."""
    torch.set_num_threads(1)
    encoder = SmoothCLAPEncoder.from_pretrained("smoothclap-tiny")
    prompts = PromptEncoder(encoder.model, encoder.processor.tokenizer)
    print(f"{TOGETHER} contexts, {len(WORDS)} classes, one thread\n")
    print("| losses | seconds a context |\n| --- | ---: |")
    for kind, losses in FITTED.items():
        settings = ACPTSettings(num_contexts=TOGETHER, **losses)
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            fit_contexts(prompts, ENGLISH, WORDS, settings, folder)
            print(f"| {kind} | {(time.process_time() - started) / TOGETHER:.2f} |")


if __name__ == "__main__":
    main()
