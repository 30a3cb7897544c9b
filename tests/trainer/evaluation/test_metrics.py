import warnings

import numpy as np
import pytest
from sklearn import metrics

from smoothclap_trainer.evaluation import metrics as ours
from smoothclap_trainer.evaluation.metrics import (
    CalibrationBin,
    accuracy,
    accuracy_of,
    class_ids,
    confusion_matrix,
    macro_f1_of,
    recall_at_k,
    recalls,
    reliability,
    unweighted_average_recall,
    unweighted_average_recall_of,
    zero_shot_predictions,
)


METRICS = (unweighted_average_recall_of, accuracy_of, macro_f1_of)

# Three clips of class 0, two of class 1, none of class 2 (which is predicted), one of class 3; class 4 is not involved.
CONFUSION = np.array(
    [
        [2, 0, 1, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0],
    ]
)
TRUE, PREDICTED = [0, 0, 0, 1, 1, 3], [0, 0, 2, 0, 1, 3]


def test_metrics_by_hand():
    found = confusion_matrix(PREDICTED, TRUE, 5)
    np.testing.assert_array_equal(found, CONFUSION)
    assert found.dtype == np.int64
    np.testing.assert_allclose(recalls(CONFUSION), [2 / 3, 1 / 2, np.nan, 1, np.nan])
    assert unweighted_average_recall_of(CONFUSION) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert accuracy_of(CONFUSION) == pytest.approx(4 / 6)
    # F1 is twice the hits by clips and predictions: 4/6, 2/3, 0/1 and 2/2.
    assert macro_f1_of(CONFUSION) == pytest.approx((4 / 6 + 2 / 3 + 0 + 1) / 4)


@pytest.mark.parametrize("seed", range(10))
def test_metrics_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    n_classes, clips = rng.integers(2, 9), rng.integers(1, 40)  # often with classes that do not occur
    true, predicted = rng.integers(n_classes, size=clips), rng.integers(n_classes, size=clips)
    confusion = confusion_matrix(predicted, true, n_classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, that a predicted class does not occur
        np.testing.assert_array_equal(confusion, metrics.confusion_matrix(true, predicted, labels=np.arange(n_classes)))
        assert unweighted_average_recall_of(confusion) == pytest.approx(
            metrics.balanced_accuracy_score(true, predicted)
        )
        occurring = np.unique(true)
        np.testing.assert_allclose(
            recalls(confusion)[occurring], metrics.recall_score(true, predicted, labels=occurring, average=None)
        )
        assert np.isnan(np.delete(recalls(confusion), occurring)).all()
        assert accuracy_of(confusion) == pytest.approx(metrics.accuracy_score(true, predicted))
        assert macro_f1_of(confusion) == pytest.approx(metrics.f1_score(true, predicted, average="macro"))


@pytest.mark.parametrize("metric", [*METRICS, recalls])
def test_many_matrices_at_once_are_each_as_alone(metric):
    many = np.random.default_rng(0).integers(0, 3, size=(2, 5, 3, 3)).astype(float)
    assert metric(many).shape == (2, 5) + metric(many[0, 0]).shape
    for place in np.ndindex(2, 5):
        np.testing.assert_array_equal(metric(many)[place], metric(many[place]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.filterwarnings("error")
def test_without_clips_there_is_no_metric(metric):
    assert np.isnan(metric(np.zeros((3, 3), int)))
    np.testing.assert_array_equal(np.isnan(metric(np.stack([np.zeros((2, 2)), np.eye(2)]))), [True, False])


def test_classes_are_numbered_in_their_order():
    predicted, true, n_classes = class_ids(np.array(["sad", "calm"]), np.array(["calm", "happy"]))
    assert (predicted.tolist(), true.tolist(), n_classes) == ([2, 0], [0, 1], 3)
    predicted, true, n_classes = class_ids(np.array([10**9, -1]), np.array([-1, -1]))
    assert (predicted.tolist(), true.tolist(), n_classes) == ([1, 0], [0, 0], 2)


@pytest.mark.parametrize(
    ("predicted", "true", "n_classes", "value"),
    [
        ([0, 0], [0, 0, 0], 1, "2 .*3 "),
        ([], [], 2, "0 .*0 "),
        ([3, 0], [0, 1], 3, "^3 "),
        ([0, 0], [0, -1], 3, "^-1 "),
        ([0.5], [0], 2, "^0.5 "),
        (["sad"], [0], 2, "^sad "),
    ],
)
def test_faulty_confusions_are_refused(predicted, true, n_classes, value):
    with pytest.raises(ValueError, match=value):
        confusion_matrix(predicted, true, n_classes)


def test_the_class_at_the_smallest_angle_wins_whatever_the_lengths():
    classes = np.array([[100.0, 0.0], [0.0, 0.01]])
    clips = np.array([[1.0, 2.0], [30.0, 20.0], [-1.0, 0.0]])
    assert zero_shot_predictions(clips, classes).tolist() == [1, 0, 1]
    assert zero_shot_predictions(np.ones((2, 3)), np.ones((4, 3))).tolist() == [0, 0]  # among equals the first


def test_predictions_need_finite_embeddings():
    with pytest.raises(ValueError, match=r"1 of 2 .*audio_embeds"):
        zero_shot_predictions(np.array([[1.0, 0.0], [np.nan, 0.0]]), np.eye(2))


def test_recalls_are_averaged_over_the_classes_that_occur():
    true = np.array([0, 0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 0, 0, 2, 1, 0, 2])
    # Recalls by hand: 3/4, 1/2 and 0/1; class 2 is predicted only.
    assert unweighted_average_recall(predicted, true) == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert accuracy(predicted, true) == pytest.approx(4 / 7)


def rows(*confidences: float) -> np.ndarray:
    """Two classes; the first is predicted, with the confidence."""
    return np.array([[each, 1 - each] for each in confidences])


def test_bins_and_error_by_hand():
    found = reliability(rows(0.6, 0.65, 0.95, 1.0), np.array([0, 1, 0, 0]), bins=10)
    assert [part.clips for part in found.bins] == [0, 0, 0, 0, 0, 1, 1, 0, 0, 2]  # 0.6 is the end of the sixth
    assert [(part.low, part.high) for part in found.bins] == [(i / 10, (i + 1) / 10) for i in range(10)]
    assert found.bins[0] == CalibrationBin(0.0, 0.1, 0, None, None)
    assert found.bins[5] == CalibrationBin(0.5, 0.6, 1, 0.6, 1.0)
    assert found.bins[9].confidence == pytest.approx(0.975)
    assert found.expected_calibration_error == pytest.approx((0.4 + 0.65 + 2 * 0.025) / 4)
    assert found.mean("confidence") == pytest.approx((0.6 + 0.65 + 0.95 + 1) / 4) and found.mean("accuracy") == 0.75


def test_calibrated_scores_have_a_small_error_and_boastful_ones_a_large_one():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1, 20000)
    true = (rng.uniform(size=20000) > confidence).astype(int)
    assert reliability(rows(*confidence), true).expected_calibration_error < 0.02
    # Squeezed towards 1, the scores claim (0.75 + 3) / 4 in the mean, and keep 0.75.
    boast = (confidence + 3) / 4
    assert reliability(rows(*boast), true).expected_calibration_error == pytest.approx(0.1875, abs=0.02)


def test_equal_probabilities_predict_the_first_class():
    assert reliability(rows(0.5, 0.5), np.array([0, 1])).bins[4].accuracy == 0.5


def on_circle(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_ranks_worked_out_by_hand():
    # Angles from clip 0 to the texts are 10, 100, 60; from clip 1 40, 50, 10; from clip 2 170, 80, 120.
    audio, text = on_circle(0, 50, 180), on_circle(10, 100, 60)
    recalls = recall_at_k(audio, text, np.arange(3), ks=(1, 2, 3))
    assert recalls == pytest.approx(
        {
            "audio_to_text_r@1": 1 / 3,
            "audio_to_text_r@2": 2 / 3,
            "audio_to_text_r@3": 1,
            # Read downwards: 10, 40, 170; 100, 50, 80; 60, 10, 120.
            "text_to_audio_r@1": 2 / 3,
            "text_to_audio_r@2": 2 / 3,
            "text_to_audio_r@3": 1,
        }
    )


def test_clips_with_the_same_caption_are_hits():
    audio, text = on_circle(0, 90), on_circle(90, 0)  # each clip lies on the other's text
    assert recall_at_k(audio, text, np.array([0, 1]), ks=(1,)) == {"audio_to_text_r@1": 0.0, "text_to_audio_r@1": 0.0}
    assert recall_at_k(audio, text, np.array([7, 7]), ks=(1,)) == {"audio_to_text_r@1": 1.0, "text_to_audio_r@1": 1.0}


def test_ties_count_against_the_model():
    same = np.random.default_rng(0).normal(size=(1, 48)).astype(np.float32).repeat(37, axis=0)
    recalls = recall_at_k(same, same, np.arange(37), ks=(1, 36, 37))
    assert list(recalls.values()) == [0.0, 0.0, 1.0] * 2


def test_ties_are_ties_within_rounding():
    for degrees, found in ((0.01, 0.0), (1.0, 1.0)):  # cosines that differ by 1.5e-8 and by 1.5e-4
        recalls = recall_at_k(on_circle(0, 180), on_circle(0, degrees), np.arange(2), ks=(1,))
        assert recalls["audio_to_text_r@1"] == found


def test_blocks_do_not_show_and_it_is_what_sorting_gives(monkeypatch):
    monkeypatch.setattr(ours, "BLOCK_ROWS", 7)
    rng = np.random.default_rng(0)
    audio, text, ids = rng.normal(size=(30, 4)), rng.normal(size=(30, 4)), rng.integers(12, size=30)
    cosines = (audio / np.linalg.norm(audio, axis=1)[:, None]) @ (text / np.linalg.norm(text, axis=1)[:, None]).T
    recalls = recall_at_k(audio, text, ids)
    for k in (1, 5, 10):
        for name, scores in (("audio_to_text", cosines), ("text_to_audio", cosines.T)):
            found = [ids[row] in ids[np.argsort(-scores[row])[:k]] for row in range(30)]
            assert recalls[f"{name}_r@{k}"] == pytest.approx(np.mean(found))


def test_k_beyond_the_set_is_dropped():
    assert list(recall_at_k(np.eye(3), np.eye(3), np.arange(3))) == ["audio_to_text_r@1", "text_to_audio_r@1"]


def test_faulty_retrieval_is_refused():
    with pytest.raises(ValueError, match=r"3 .*2 .*3"):
        recall_at_k(np.eye(3), np.eye(3)[:2], np.arange(3))
    with pytest.raises(ValueError, match="0 "):
        recall_at_k(np.ones((0, 2)), np.ones((0, 2)), np.arange(0))
    with pytest.raises(ValueError, match="0"):
        recall_at_k(np.eye(3), np.eye(3), np.arange(3), ks=(1, 0))
    with pytest.raises(ValueError, match=r"1 of 3 .*text_embeds"):
        recall_at_k(np.eye(3), np.diag([1.0, 1.0, np.inf]), np.arange(3))
