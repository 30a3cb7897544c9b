"""
List the test clips of the speech dataset that are meant to sound excited or calm, as a manifest.

    python examples/recipes/build_speech_dataset.py --output build/speech
    python examples/recipes/label_arousal.py

The labels are silver, nobody listened: those of Fish Fillets are graded by reading its English script, those of
Hedgewars are what the file names suggest. They are those that `judge_checkpoint.py` judges by.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from judge_checkpoint import LABELS, read_labels, with_fillets_arousal
from speech.dataset import load_splits
from transformers import HfArgumentParser

from smoothclap_trainer.evaluation.attributes import AROUSAL
from smoothclap_trainer.files import write_text


COLUMNS = ["id", "path", "corpus", "speaker", "language", "licence", AROUSAL]


@dataclass
class LabelArguments:
    """Which dataset, and where the manifest goes."""

    speech: Path = field(default=Path("build/speech"), metadata={"help": "What build_speech_dataset.py wrote."})
    output: Path = field(default=Path("build/arousal.csv"), metadata={"help": "The manifest, a CSV file."})


def labelled(speech: Path) -> pd.DataFrame:
    """Return the test clips whose arousal is `high` or `low`, with absolute paths."""
    rows = with_fillets_arousal(load_splits(speech)["test"], read_labels(LABELS))
    table: pd.DataFrame = rows.select_columns(COLUMNS).to_pandas()
    return table[table[AROUSAL].notna()].assign(split="test")


def main(arguments: LabelArguments) -> None:
    """Write the manifest, with paths from its folder, and print how many clips have which label."""
    try:
        rows = labelled(arguments.speech)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
    folder = arguments.output.parent
    folder.mkdir(parents=True, exist_ok=True)
    rows["path"] = [Path(os.path.relpath(path, folder)).as_posix() for path in rows["path"]]
    write_text(arguments.output, rows.to_csv(index=False, lineterminator="\n"))
    print(rows.groupby(["corpus", AROUSAL]).size().unstack().to_string())


if __name__ == "__main__":
    main(HfArgumentParser(LabelArguments).parse_args_into_dataclasses()[0])
