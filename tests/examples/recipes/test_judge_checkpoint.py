"""The labels that the default checkpoint is judged by."""

import sys
from pathlib import Path

import pandas as pd
from datasets import Dataset


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import judge_checkpoint


def test_labels_of_lines_hold_for_both_dubs():
    ids = ["fillets-cs/cave/bat", "fillets-nl/cave/bat", "fillets-nl/cave/cat", "hedgewars/Pirate/Hmm"]
    labels = pd.DataFrame({"line": ["cave/bat", "elk/war"], "arousal": ["high", "low"]})
    filled = judge_checkpoint.with_fillets_arousal(Dataset.from_dict({"id": ids}), labels)
    assert filled["arousal_intent"] == ["high", "high", None, None]
    known = Dataset.from_dict({"id": ids, "arousal_intent": [None, None, None, "low"]})
    filled = judge_checkpoint.with_fillets_arousal(known, labels)
    assert filled["arousal_intent"] == ["high", "high", None, "low"]


def test_labels_are_ids_and_levels_alone():
    labels = pd.read_csv(judge_checkpoint.LABELS)
    assert labels.columns.tolist() == ["line", "arousal"]
    assert labels["line"].is_unique and set(labels["arousal"]) == {"high", "low"}
