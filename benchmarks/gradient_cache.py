"""What gradient caching costs in time and saves in memory.

Prints one table: the gradients of one joint batch of random clips for a small random model, with all of it at once
(plain) and in ever smaller chunks, each measured in a process of its own. Memory is what the process grew by while it
computed; time is the processor's, so that other programs do not matter. Dropout is off, so that the last column, the
length of the gradients' difference, should be nothing but rounding.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd


CLIPS, SECONDS, TOKENS, STEPS = 64, 1.0, 16, 3
CHUNKS = (64, 32, 16, 8)
RATE, VOCABULARY = 16000, 1000
MEBIBYTE = 2**20
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of `ru_maxrss`, which differs between systems."""


def peak() -> float:
    """The most memory that this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MEBIBYTE


def measure(chunk: int, file: str) -> dict[str, float]:
    """Seconds per step and MiB grown; the gradient goes to a file."""
    import torch  # here, so that the process that starts the others stays small
    from transformers import BertConfig, Wav2Vec2Config, set_seed

    from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPModel
    from smoothclap_trainer.losses.gradient_cache import CachedGradients
    from smoothclap_trainer.losses.joint_loss import JointLoss, Representations
    from smoothclap_trainer.losses.targets import SoftTargets

    def represent(batch: dict[str, torch.Tensor], with_features: bool) -> Representations:
        outputs = model(**batch)
        return Representations(outputs.audio_embeds, outputs.text_embeds, outputs.logit_scale.reshape(1).expand(2))

    def step(clips: int) -> None:
        """The gradients of the first `clips`, into the parameters."""
        model.zero_grad()
        parts = {name: value[:clips].split(chunk) for name, value in inputs.items()}
        batches = [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
        if chunk == CLIPS:
            objective(represent(batches[0], True))[0].backward()
            return
        cached = CachedGradients(represent, batches, objective, model)
        for index in range(len(batches)):
            cached.surrogate(index).backward()

    set_seed(0)
    audio = Wav2Vec2Config(
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=512,
        conv_dim=[64] * 7,
        feat_extract_norm="layer",
        layerdrop=0.0,
        apply_spec_augment=False,
    )
    text = BertConfig(
        vocab_size=VOCABULARY, hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512
    )
    model = SmoothCLAPModel(SmoothCLAPConfig(audio_config=audio, text_config=text, projection_dim=128)).eval()
    objective = JointLoss(SoftTargets([], [], 0.0), "forward")
    inputs = {
        "input_values": 0.1 * torch.randn(CLIPS, round(SECONDS * RATE)),
        "input_ids": torch.randint(VOCABULARY, (CLIPS, TOKENS)),
    }
    step(2)  # what is set up once is no part of the measurement
    before, seconds = peak(), []
    for _ in range(STEPS):
        start = time.process_time()
        step(CLIPS)
        seconds.append(time.process_time() - start)
    grown = peak() - before
    np.save(file, torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None]).numpy())
    return {"s": sorted(seconds)[STEPS // 2], "grown": grown}


def in_own_process(chunk: int, file: Path) -> dict[str, float]:
    """[`measure`] in a new process, whose peak is its own."""
    command = [sys.executable, __file__, str(chunk), str(file)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        files = {chunk: Path(folder) / f"{chunk}.npy" for chunk in CHUNKS}
        found = {chunk: in_own_process(chunk, file) for chunk, file in files.items()}
        gradients = {chunk: np.load(file) for chunk, file in files.items()}
    plain, gradient = found[CLIPS], gradients[CLIPS]
    rows = [
        {
            "clips a chunk": f"{chunk} (plain)" if chunk == CLIPS else chunk,
            "CPU s per step": one["s"],
            "time, of plain": one["s"] / plain["s"],
            "MiB grown": one["grown"],
            "memory, of plain": one["grown"] / plain["grown"],
            "gradient differs by": np.linalg.norm(gradients[chunk] - gradient) / np.linalg.norm(gradient),
        }
        for chunk, one in found.items()
    ]
    print(f"a joint batch of {CLIPS} random clips of {SECONDS:g} s, both towers trained; medians of {STEPS} steps")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), sys.argv[2])))
    else:
        main()
