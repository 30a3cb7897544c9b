"""
Trains with every objective and several seeds from one configuration, and tabulates how they come out.

    python examples/recipes/compare_objectives.py CONFIG.yaml --seeds 5

A run that has finished is not repeated, so an interrupted comparison goes on where it was. A run that was made with
another configuration, other clips or other start encoders is refused.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml
from comparison.page import comparison_page
from comparison.record import fingerprint
from comparison.runs import compare, plan
from comparison.scores import score_checkpoint
from speech.dataset import load_splits
from transformers import HfArgumentParser
from transformers.utils import logging

from smoothclap_trainer.data.captions.thresholds import Thresholds
from smoothclap_trainer.files import held


TRAINING = ("-m", "smoothclap_trainer.cli", "train")
"""What Python runs for each training, before the YAML file."""


@dataclass
class ComparisonArguments:
    """How often, on what and where to."""

    seeds: int = field(default=5, metadata={"help": "Runs of each objective."})
    output: str = field(default="build/comparison", metadata={"help": "Folder of the runs and of results.csv."})
    table: str = field(default="docs/objectives.md", metadata={"help": "Markdown page to write."})
    expressive: str = field(
        default="build/expressive", metadata={"help": "Labelled synthetic speech, from build_expressive_speech.py."}
    )
    speech: str = field(default="build/speech-600", metadata={"help": "Real speech, from build_speech_dataset.py."})
    jobs: int = field(default=2, metadata={"help": "Runs at a time, each with one thread."})


def main(config_file: Path, arguments: ComparisonArguments) -> None:
    """Train, score, tabulate."""
    logging.set_verbosity_error()
    output, page = Path(arguments.output), Path(arguments.table)
    if not config_file.is_file():
        raise SystemExit(f"There is no file {config_file}; examples/configs/ holds some.")
    config = yaml.safe_load(config_file.read_text())
    try:
        trained_on = [load_splits(folder)["train"].to_pandas() for folder in config["dataset"]]
        train = pd.concat(trained_on, ignore_index=True)
        expressive, speech = (
            load_splits(folder)["test"].to_pandas() for folder in (arguments.expressive, arguments.speech)
        )
        own_thresholds = Thresholds.fit(load_splits(arguments.speech)["train"].to_pandas())
        with held(output):
            results = compare(
                plan(output, arguments.seeds),
                TRAINING,
                config_file,
                fingerprint(config, train, expressive, speech),
                lambda folder: score_checkpoint(folder, expressive, speech, own_thresholds, output / "cache"),
                arguments.jobs,
            )
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f"error: {error}") from error
    results.to_csv(output / "results.csv", index=False)
    page.parent.mkdir(parents=True, exist_ok=True)
    command = f"python examples/recipes/compare_objectives.py {config_file} --seeds {arguments.seeds}"
    page.write_text(comparison_page(results, config, command, train, expressive, speech))
    shown = results.drop(columns="seed").groupby("objective", sort=False).mean()
    with pd.option_context("display.width", 200):
        print(shown.T.to_string(float_format="%.3f"))
    print(f"\nEvery run is in {output / 'results.csv'}, the table in {page}.")


if __name__ == "__main__":
    parser = HfArgumentParser(ComparisonArguments)
    parser.add_argument("config", type=Path, help="YAML file for `smoothclap train` that all runs share.")
    settings, rest = parser.parse_args_into_dataclasses()
    main(rest.config, settings)
