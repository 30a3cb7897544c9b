"""Silver arousal, on functionals drawn at random."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from speech.arousal import RULE_COLUMNS, STRENGTH, _fit, add_arousal

from smoothclap_trainer.data.functionals import functional_names


def rows(seed: int, count: int = 120, offset: float = 5.0) -> pd.DataFrame:
    """Two speakers apart by `offset`; pitch, loudness and one more functional are higher where lines end in !."""
    draw = np.random.default_rng(seed)
    table = pd.DataFrame(draw.normal(size=(count, len(functional_names()))), columns=functional_names())
    high = np.arange(count) % 3
    table["speaker"] = np.where(np.arange(count) < count / 2, "a", "b")
    for column in (*RULE_COLUMNS, functional_names()[-1]):
        table[column] += 1.5 * (high == 0) - 1.5 * (high == 1) + offset * (table["speaker"] == "a")
    return table.assign(transcript=np.array(["Go!", "Well...", "Fine."])[high], id=[str(n) for n in range(count)])


def test_rows_get_the_variant_that_tells_the_validation_lines_best():
    splits, record = add_arousal({"train": rows(0), "validation": rows(1), "test": rows(2)})
    aucs = record["validation_auc"]
    assert len(aucs) == 6
    assert record["variant"] == max(aucs, key=aucs.get)
    assert "by speaker" in record["variant"]  # speakers are far apart
    assert aucs[record["variant"]] > 0.9
    assert record["lines"]["validation"] == {"!": 40, "...": 40}
    train = splits["train"].groupby("transcript")["arousal"].mean()
    assert train["Go!"] > train["Fine."] > train["Well..."]
    assert splits["test"]["arousal"].isna().all()


def test_test_rows_change_nothing():
    one, _ = add_arousal({"train": rows(0), "validation": rows(1), "test": rows(2)})
    other, _ = add_arousal({"train": rows(0), "validation": rows(1)})
    pd.testing.assert_frame_equal(one["validation"], other["validation"])


def test_the_regression_is_that_of_scikit_learn():
    table = rows(3, count=200)
    values, aroused = table[functional_names()].to_numpy(), (table["transcript"] == "Go!").to_numpy()
    oracle = LogisticRegression(C=STRENGTH, class_weight="balanced", tol=1e-8, max_iter=10000).fit(values, aroused)
    # scikit-learn weighs each class n / (2 * its number), which is the same
    np.testing.assert_allclose(_fit(values, aroused), oracle.coef_[0], atol=1e-4)


@pytest.mark.parametrize("lost", ["Go!", "Well..."])
def test_without_both_kinds_of_line_there_is_no_arousal(lost):
    splits = {"train": rows(0), "validation": rows(1).query("transcript != @lost")}
    found, record = add_arousal(splits)
    assert record is None
    assert "arousal" not in found["train"]
