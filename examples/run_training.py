"""
Trains an audio-text model as a YAML file says; settings on the command line take precedence.

    python examples/run_training.py examples/configs/demo.yaml
    python examples/run_training.py examples/configs/paper.yaml --dataset msp.csv --seed 3
    torchrun --nproc_per_node 2 examples/run_training.py CONFIG.yaml
    accelerate launch --config_file examples/accelerate_configs/several_gpus.yaml examples/run_training.py CONFIG.yaml

What there is to set is told by --help. A run that was interrupted goes on with --resume_from_checkpoint true.
"""

import json
import logging
import sys
from pathlib import Path

import pandas as pd

from smoothclap_trainer.config import describe_fields, read_yaml
from smoothclap_trainer.settings import TrainingRun
from smoothclap_trainer.train import run_training


STOPPED = 128 + 15
"""Exit status of a process that SIGTERM ended, as shells have it."""


def main() -> None:
    """Read the settings, train, and say where the results are."""
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__)
        if {"-h", "--help"} & set(sys.argv):
            print("usage: run_training.py CONFIG.yaml [--name value ...]")
            for field in describe_fields(TrainingRun):
                default = "required" if field.required else f"default: {field.default!r}"
                print(f"  --{field.name}  {field.help} ({default})")
        sys.exit(0 if {"-h", "--help"} & set(sys.argv) else 2)
    logging.basicConfig(format="%(message)s")
    for name in ("smoothclap_trainer", "transformers.trainer"):  # not every configuration that is loaded
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        trainer = run_training(read_yaml(sys.argv[1], TrainingRun, sys.argv[2:]))
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    output = Path(str(trainer.args.output_dir))
    if trainer.stop.stopped:
        print(f"Stopped by SIGTERM at step {trainer.state.global_step}; --resume_from_checkpoint true goes on.")
        sys.exit(STOPPED)
    if trainer.args.process_index == 0:
        for name, value in json.loads((output / "metrics.json").read_text()).items():
            print(f"{name}: {value:.4f}")
        if (output / "attributes.csv").is_file():
            print(pd.read_csv(output / "attributes.csv").to_string(index=False, float_format="%.3f"))
        print(f"The model, its processor and its figures are in {output}.")


if __name__ == "__main__":
    main()
