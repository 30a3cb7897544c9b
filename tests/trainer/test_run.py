import pytest

from smoothclap_trainer.evaluation.metrics import ZeroShotMetrics
from smoothclap_trainer.run import _check_metric
from tests import tiny


WORDINGS = {"happy": "a happy voice", "sad": "a sad voice"}


def test_a_metric_that_no_evaluation_gives_is_refused_with_those_there_are():
    labelled = ZeroShotMetrics(tiny.processor(), WORDINGS, ("happy", "sad"))
    for known in (None, "loss", "uar", "eval_uar", "audio_to_text_r@10"):
        _check_metric(known, labelled)
    with pytest.raises(ValueError, match="'uarr', but evaluation gives loss, uar, accuracy, audio_to_text_r@1"):
        _check_metric("uarr", labelled)
    with pytest.raises(ValueError, match="'uar', but evaluation gives loss, audio_to_text_r@1"):
        _check_metric("uar", ZeroShotMetrics(tiny.processor()))
