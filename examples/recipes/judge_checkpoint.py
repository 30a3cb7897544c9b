"""
Judge a checkpoint on speech that smoothclap-tiny is not trained on, and write the results next to its weights.

    python examples/recipes/build_speech_dataset.py --output build/speech
    python examples/recipes/build_expressive_speech.py --output build/expressive
    python examples/recipes/judge_checkpoint.py CHECKPOINT

Attributes and arousal go to `attributes.csv`, emotions to `zero_shot.json` and `pictures`; `make card` puts them into
the card. To compare with an earlier version, judge that too, with `--output CHECKPOINT/previous`.
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd
from datasets import Dataset, DatasetDict
from speech.dataset import load_splits

from smoothclap_trainer.evaluation.attributes import AROUSAL, measured_attributes, write_attributes
from smoothclap_trainer.evaluation.evaluator import evaluate
from smoothclap_trainer.files import Record


ROOT = Path(__file__).parents[2]
TASKS = [ROOT / "examples" / "configs" / f"{name}.yaml" for name in ("own_task", "own_task_de", "own_task_hedgewars")]
READINGS = Path(__file__).parent / "judging"
LABELS = READINGS / "fillets_grades.csv"
"""How aroused the voice of each line of Fish Fillets is likely to be, from 1 (sleepy) to 7 (screaming). Silver: graded
by reading the English text alone, by a reader who saw no result; nobody listened. Both dubs share the lines. An earlier
reading, `fillets_first_reading.csv`, had two levels only, also for milder lines: `--labels` judges by it."""
HIGH, LOW = 6, 2
"""Grades from which on, and up to which, a line counts. The reader was asked, before grading, to give these only where
the text makes the delivery clear."""
DUBS = ("fillets-cs", "fillets-nl")
SHOWN = "expressive-en"
"""The task whose plots the card shows."""


def read_labels(path: Path) -> dict[str, str]:
    """Read which lines are `high` or `low`: a column says so, or the grades do."""
    labels = pd.read_csv(path).set_index("line")
    if "grade" in labels:
        levels = pd.cut(labels["grade"], [0, LOW, HIGH - 1, 7], labels=["low", "", "high"])
        labels = labels.assign(arousal=levels)[levels != ""]
    return labels["arousal"].astype(str).to_dict()


def with_fillets_arousal(rows: Dataset, levels: dict[str, str]) -> Dataset:
    """Fill in the arousal of the labelled lines in the rows of both dubs."""
    by_id = {f"{dub}/{line}": level for dub in DUBS for line, level in levels.items()}
    known = rows[AROUSAL] if AROUSAL in rows.column_names else [None] * len(rows)
    filled = [by_id.get(name, level) for name, level in zip(rows["id"], known, strict=True)]
    return rows.remove_columns([name for name in rows.column_names if name == AROUSAL]).add_column(AROUSAL, filled)


def judge(checkpoint: Path, speech: Path, output: Path, scratch: Path, labels: Path = LABELS) -> None:
    """
    Write the results of a checkpoint into `output`; the full report stays in `scratch`.

    What training wrote of its validation clips stays in `attributes.csv`.
    """
    test = with_fillets_arousal(load_splits(speech)["test"], read_labels(labels))
    table = measured_attributes(checkpoint, DatasetDict(test=test), str(scratch / "cache"))
    output.mkdir(parents=True, exist_ok=True)
    path = output / Record.ATTRIBUTES
    kept = [pd.read_csv(path).query("split != 'test'")] if path.is_file() else []
    write_attributes(pd.concat([table, *kept]), path)
    evaluate(f"{checkpoint.name}={checkpoint}", TASKS, output=scratch)
    shutil.copy(scratch / Record.RESULTS, output / Record.ZERO_SHOT)
    if output != checkpoint:  # cards show no plots of a version before
        return
    (output / Record.PLOTS).mkdir(exist_ok=True)
    for plot in (scratch / Record.PLOTS).glob(f"{SHOWN}-*.png"):
        shutil.copy(plot, output / Record.PLOTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--speech", type=Path, default=Path("build/speech"), help="what build_speech_dataset.py wrote")
    parser.add_argument("--output", type=Path, help="folder of the results; default: the checkpoint's")
    parser.add_argument("--scratch", type=Path, default=Path("build/judged"), help="folder of the report")
    parser.add_argument("--labels", type=Path, default=LABELS, help="another reading of the lines of Fish Fillets")
    asked = parser.parse_args()
    try:
        judge(asked.checkpoint, asked.speech, asked.output or asked.checkpoint, asked.scratch, asked.labels)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
