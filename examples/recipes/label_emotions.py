"""
Gives the training clips of the speech dataset emotion labels by the rules of the synthetic one. Build both first.

    python examples/recipes/label_emotions.py --speech build/speech --synthetic build/expressive
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from datasets import load_from_disk
from speech.dataset import load_splits, save_splits
from speech.emotion import add_emotion
from transformers import HfArgumentParser

from smoothclap_trainer.files import Record, held, write_json


@dataclass
class LabelArguments:
    """Which datasets."""

    speech: str = field(default="build/speech", metadata={"help": "Dataset of real speech; its labels are replaced."})
    synthetic: str = field(default="build/expressive", metadata={"help": "Dataset of synthetic emotional speech."})


def main(arguments: LabelArguments) -> None:
    """Labels, saves, and prints how many clips got which label."""
    folder = Path(arguments.speech)
    try:
        with held(folder):
            load_splits(folder)  # raises if there is none
            splits = {name: rows.to_pandas() for name, rows in load_from_disk(str(folder)).items()}
            synthetic = load_splits(arguments.synthetic)["train"].to_pandas()
            splits["train"], record = add_emotion(splits["train"], synthetic)
            save_splits(splits, folder)
            file = folder / Record.PROVENANCE
            corpora = json.loads(file.read_text(encoding="utf-8"))
            write_json(file, [each | {"emotion": record} if each["split"] == "train" else each for each in corpora])
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    print(f"{sum(record['clips'].values())} of {len(splits['train'])} training clips are labelled: {record['clips']}")
    print(record["notes"])


if __name__ == "__main__":
    main(HfArgumentParser(LabelArguments).parse_args_into_dataclasses()[0])
