import numpy as np
import pytest

from smoothclap_trainer.evaluation.metrics import reliability


def rows(*confidences: float) -> np.ndarray:
    """Two classes; the first is predicted, with the confidence."""
    return np.array([[each, 1 - each] for each in confidences])


def test_bins_and_error_by_hand():
    found = reliability(rows(0.6, 0.65, 0.95, 1.0), np.array([0, 1, 0, 0]), bins=10)
    assert [part["clips"] for part in found["bins"]] == [0, 0, 0, 0, 0, 1, 1, 0, 0, 2]  # 0.6 is the end of the sixth
    assert [(part["low"], part["high"]) for part in found["bins"]] == [(i / 10, (i + 1) / 10) for i in range(10)]
    assert found["bins"][0] == {"low": 0.0, "high": 0.1, "clips": 0, "confidence": None, "accuracy": None}
    assert found["bins"][5] == {"low": 0.5, "high": 0.6, "clips": 1, "confidence": 0.6, "accuracy": 1.0}
    assert found["bins"][9]["confidence"] == pytest.approx(0.975)
    assert found["expected_calibration_error"] == pytest.approx((0.4 + 0.65 + 2 * 0.025) / 4)
    assert list(found) == ["expected_calibration_error", "bins"]


def test_one_bin_compares_the_means():
    found = reliability(rows(0.6, 0.9), np.array([0, 1]), bins=1)
    assert found["bins"] == [{"low": 0.0, "high": 1.0, "clips": 2, "confidence": 0.75, "accuracy": 0.5}]
    assert found["expected_calibration_error"] == 0.25


def test_calibrated_scores_have_a_small_error_and_boastful_ones_a_large_one():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20000)
    true = (rng.uniform(size=20000) > confidence).astype(int)
    assert reliability(rows(*confidence), true)["expected_calibration_error"] < 0.02
    # Squeezed towards 1, the scores claim (0.75 + 3) / 4 in the mean, and keep 0.75.
    boast = (confidence + 3) / 4
    assert reliability(rows(*boast), true)["expected_calibration_error"] == pytest.approx(0.1875, abs=0.02)


def test_equal_probabilities_predict_the_first_class():
    assert reliability(rows(0.5, 0.5), np.array([0, 1]))["bins"][4]["accuracy"] == 0.5


def test_half_precision_is_a_distribution():
    scores = np.random.default_rng(0).dirichlet(np.ones(8), size=50).astype(np.float16)
    assert sum(part["clips"] for part in reliability(scores, np.zeros(50, dtype=int))["bins"]) == 50


@pytest.mark.parametrize(
    ("probabilities", "true", "message"),
    [
        (rows(0.6), [0, 1], r"shape \(1, 2\) and true classes \(2,\); give"),
        (np.ones(3), [0, 0, 0], r"shape \(3,\)"),
        (np.ones((0, 2)), [], r"shape \(0, 2\)"),
        ([[0.5, 0.5], [0.9, 0.9]], [0, 0], r"Row 1 of the probabilities is \[0.9, 0.9\]; each row"),
        ([[1.5, -0.5]], [0], r"Row 0 .* give the softmax of the scores"),
        ([[np.nan, 1.0]], [0], "Row 0"),
        (rows(0.6, 0.6), [0, 2], r"true classes \[2\], but probabilities of classes 0 to 1 only"),
        (rows(0.6), [-1], r"true classes \[-1\]"),
    ],
)
def test_what_cannot_be_judged_is_refused(probabilities, true, message):
    with pytest.raises(ValueError, match=message):
        reliability(np.array(probabilities), np.array(true))


def test_there_must_be_a_bin():
    with pytest.raises(ValueError, match="a bin or more, got bins=0"):
        reliability(rows(0.6), np.array([0]), bins=0)
