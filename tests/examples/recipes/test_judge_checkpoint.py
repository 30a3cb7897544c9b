"""The labels that the default checkpoint is judged by."""

import sys
from pathlib import Path

import pandas as pd
from datasets import Dataset


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import judge_checkpoint


def test_labels_of_lines_hold_for_both_dubs():
    ids = ["fillets-cs/cave/bat", "fillets-nl/cave/bat", "fillets-nl/cave/cat", "hedgewars/Pirate/Hmm"]
    labels = {"cave/bat": "high", "elk/war": "low"}
    filled = judge_checkpoint.with_fillets_arousal(Dataset.from_dict({"id": ids}), labels)
    assert filled["arousal_intent"] == ["high", "high", None, None]
    known = Dataset.from_dict({"id": ids, "arousal_intent": [None, None, None, "low"]})
    filled = judge_checkpoint.with_fillets_arousal(known, labels)
    assert filled["arousal_intent"] == ["high", "high", None, "low"]


def test_grades_at_the_ends_are_levels(tmp_path):
    grades = pd.DataFrame({"line": list("abcdefg"), "grade": range(1, 8)})
    grades.to_csv(tmp_path / "grades.csv", index=False)
    found = judge_checkpoint.read_labels(tmp_path / "grades.csv")
    assert found == {"a": "low", "b": "low", "f": "high", "g": "high"}


def test_readings_are_ids_and_numbers_or_levels_alone():
    grades = pd.read_csv(judge_checkpoint.LABELS)
    assert grades.columns.tolist() == ["line", "grade"]
    assert grades["line"].is_unique and set(grades["grade"]) == {*range(1, 8)}
    first = judge_checkpoint.read_labels(judge_checkpoint.READINGS / "fillets_first_reading.csv")
    assert set(first.values()) == {"high", "low"}
