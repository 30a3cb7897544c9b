import numpy as np
import pytest

from smoothclap_trainer.evaluation.metrics import accuracy, unweighted_average_recall, zero_shot_predictions


def test_the_class_at_the_smallest_angle_wins_whatever_the_lengths():
    classes = np.array([[100.0, 0.0], [0.0, 0.01]])
    clips = np.array([[1.0, 2.0], [30.0, 20.0], [-1.0, 0.0]])
    assert zero_shot_predictions(clips, classes).tolist() == [1, 0, 1]


def test_among_equal_classes_the_first_wins():
    assert zero_shot_predictions(np.ones((2, 3)), np.ones((4, 3))).tolist() == [0, 0]


def test_predictions_need_classes_and_finite_embeddings():
    with pytest.raises(ValueError, match="no class to choose from"):
        zero_shot_predictions(np.ones((2, 3)), np.ones((0, 3)))
    with pytest.raises(ValueError, match="1 of 2 rows of audio_embeds are not finite; has the training diverged"):
        zero_shot_predictions(np.array([[1.0, 0.0], [np.nan, 0.0]]), np.eye(2))


def test_recalls_are_averaged_over_the_classes_that_occur():
    true = np.array([0, 0, 0, 0, 1, 1, 3])
    predicted = np.array([0, 0, 0, 2, 1, 0, 2])
    # Recalls by hand: 3/4, 1/2 and 0/1; class 2 is predicted only.
    assert unweighted_average_recall(predicted, true) == pytest.approx((0.75 + 0.5 + 0) / 3)
    assert accuracy(predicted, true) == pytest.approx(4 / 7)


@pytest.mark.parametrize("figure", [unweighted_average_recall, accuracy])
def test_every_clip_needs_a_prediction(figure):
    with pytest.raises(ValueError, match="2 predictions for 3 clips"):
        figure(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match="0 predictions for 0 clips"):
        figure(np.zeros(0), np.zeros(0))
