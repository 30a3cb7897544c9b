import warnings

import numpy as np
import pytest
from sklearn import metrics

from smoothclap_trainer.evaluation.metrics import (
    accuracy_of,
    class_ids,
    confusion_matrix,
    macro_f1_of,
    recalls,
    unweighted_average_recall_of,
)


FIGURES = (unweighted_average_recall_of, accuracy_of, macro_f1_of)

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


def test_figures_by_hand():
    found = confusion_matrix(PREDICTED, TRUE, 5)
    np.testing.assert_array_equal(found, CONFUSION)
    assert found.dtype == np.int64
    np.testing.assert_allclose(recalls(CONFUSION), [2 / 3, 1 / 2, np.nan, 1, np.nan])
    assert unweighted_average_recall_of(CONFUSION) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert accuracy_of(CONFUSION) == pytest.approx(4 / 6)
    # F1 is twice the hits by clips and predictions: 4/6, 2/3, 0/1 and 2/2.
    assert macro_f1_of(CONFUSION) == pytest.approx((4 / 6 + 2 / 3 + 0 + 1) / 4)


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_of_scikit_learn(seed):
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


@pytest.mark.parametrize("figure", [*FIGURES, recalls])
def test_many_matrices_at_once_are_each_as_alone(figure):
    many = np.random.default_rng(0).integers(0, 3, size=(2, 5, 3, 3)).astype(float)
    assert figure(many).shape == (2, 5) + figure(many[0, 0]).shape
    for place in np.ndindex(2, 5):
        np.testing.assert_array_equal(figure(many)[place], figure(many[place]))


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.filterwarnings("error")
def test_without_clips_there_is_no_figure(figure):
    assert np.isnan(figure(np.zeros((3, 3), int)))
    np.testing.assert_array_equal(np.isnan(figure(np.stack([np.zeros((2, 2)), np.eye(2)]))), [True, False])


def test_classes_are_numbered_in_their_order():
    predicted, true, n_classes = class_ids(np.array(["sad", "calm"]), np.array(["calm", "happy"]))
    assert (predicted.tolist(), true.tolist(), n_classes) == ([2, 0], [0, 1], 3)
    predicted, true, n_classes = class_ids(np.array([10**9, -1]), np.array([-1, -1]))
    assert (predicted.tolist(), true.tolist(), n_classes) == ([1, 0], [0, 0], 2)


def test_faulty_input_is_named():
    with pytest.raises(ValueError, match="2 predictions for 3 clips; give one for each"):
        confusion_matrix([0, 0], [0, 0, 0], 1)
    with pytest.raises(ValueError, match="0 predictions for 0 clips"):
        confusion_matrix([], [], 2)
    with pytest.raises(ValueError, match="3 is not the id of one of 3 classes; ids are 0 to 2"):
        confusion_matrix([3, 0], [0, 1], 3)
    with pytest.raises(ValueError, match="-1 is not the id of one of 3 classes"):
        confusion_matrix([0, 0], [0, -1], 3)
    with pytest.raises(ValueError, match=r"0\.5 is not the id"):
        confusion_matrix([0.5], [0], 2)
    with pytest.raises(ValueError, match="sad is not the id"):
        confusion_matrix(["sad"], [0], 2)
