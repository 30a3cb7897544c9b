"""What summing the loss in tiles costs in time and saves in memory.

Prints one table: loss and gradients of batches of random embeddings, 512 wide, with the paper's two sources of soft
targets. The matrices of all pairs exist at once (dense) or 256 rows at a time (tiled); each measurement is a process of
its own. Memory is what the process grew by while it computed; the last batch is for tiles only, and its peak, PyTorch
and the embeddings included, is held against 2 GiB.
"""

import json
import resource
import subprocess
import sys
import time

import pandas as pd


SIZES = (1024, 2048, 4096, 8192)
LARGEST = 32768
WIDTH, TILE = 512, 256
MEBIBYTE = 2**20
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in the unit of `ru_maxrss`, which differs between systems."""


def peak() -> float:
    """The most memory that this process has had so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / MEBIBYTE


def measure(size: int, tile: int | None) -> dict[str, float]:
    """One loss and its gradients: seconds, MiB grown and MiB in all."""
    import torch  # here, so that the process that starts the others stays small

    from smoothclap_trainer.losses.joint_loss import JointLoss, Representations
    from smoothclap_trainer.losses.targets import LocalFeatureSimilarity, SoftTargets, TagTextSimilarity

    def loss_of(clips: int) -> None:
        torch.manual_seed(0)
        audio, text, local, tags = (
            torch.nn.functional.normalize(torch.randn(clips, WIDTH), dim=-1).requires_grad_(learns)
            for learns in (True, True, False, False)
        )
        scales = torch.full((2,), 14.3, requires_grad=True)
        targets = SoftTargets([LocalFeatureSimilarity(), TagTextSimilarity()], [0.5, 0.5], beta=0.1)
        figures["before"], start = peak(), time.process_time()
        loss, _ = JointLoss(targets, "symmetric", tile)(Representations(audio, text, scales, [local, tags]))
        loss.backward()
        figures["s"] = time.process_time() - start
        figures["loss"] = loss.item()

    figures: dict[str, float] = {}
    loss_of(64)  # what is set up once is no part of the measurement
    loss_of(size)
    return {**figures, "peak": peak(), "grown": peak() - figures["before"]}


def in_own_process(size: int, tile: int | None) -> dict[str, float]:
    """[`measure`] in a new process, whose peak is its own."""
    command = [sys.executable, __file__, str(size), str(tile or 0)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    """Measure and print."""
    rows = []
    for size in (*SIZES, LARGEST):
        tiled = in_own_process(size, TILE)
        row = {
            "batch": size,
            "tiled, CPU s": tiled["s"],
            "tiled, MiB grown": tiled["grown"],
            "tiled, MiB": tiled["peak"],
        }
        if size != LARGEST:
            dense = in_own_process(size, None)
            row |= {
                "dense, CPU s": dense["s"],
                "dense, MiB grown": dense["grown"],
                "time, tiled / dense": tiled["s"] / dense["s"],
                "memory, tiled / dense": tiled["grown"] / dense["grown"],
                "loss differs by": abs(tiled["loss"] - dense["loss"]),
            }
        rows.append(row)
    print(f"embeddings {WIDTH} wide, two target sources, {TILE} rows a tile")
    print(pd.DataFrame(rows).to_string(index=False, na_rep="-", float_format=lambda value: f"{value:.3g}"))
    verdict = "below" if rows[-1]["tiled, MiB"] < 2048 else "NOT below"
    print(f"A batch of {LARGEST}: {rows[-1]['tiled, MiB']:.0f} MiB at its peak, {verdict} 2 GiB.")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]) or None)))
    else:
        main()
