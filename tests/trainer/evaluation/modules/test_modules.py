"""The metrics as `evaluate` runs them: copies of their scripts, without network. Importing `evaluate` takes seconds."""

import inspect
import socket
import sys
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from smoothclap_trainer.evaluation.intervals import metrics_with_intervals
from smoothclap_trainer.evaluation.modules import ACCURACY, MACRO_F1, UAR


SCRIPTS = {"uar": UAR, "accuracy": ACCURACY, "macro_f1": MACRO_F1}
TRUE = [0, 0, 0, 0, 1, 1, 1, 4, 4, 4, 4, 4]  # as ids of classes that are not all there
PREDICTED = [0, 0, 1, 0, 1, 4, 1, 4, 0, 4, 2, 4]
SPEAKERS = list("abcdefabcdef")


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """The library with caches of its own, and no way to the network."""
    import evaluate

    def refuse(*_):
        raise AssertionError("A metric wanted the network.")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path / "modules")
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", tmp_path / "metrics")
    monkeypatch.setattr(sys, "path", sys.path.copy())  # to which the cache is added
    for name in [name for name in sys.modules if name.startswith("evaluate_modules")]:
        monkeypatch.delitem(sys.modules, name)  # of another cache
    return evaluate


@pytest.mark.parametrize("metric", SCRIPTS)
@pytest.mark.parametrize("given", [Path, lambda path: Path(path).parent], ids=["script", "folder"])
def test_a_metric_is_loaded_by_its_path(evaluate, tmp_path, metric, given):
    loaded = evaluate.load(str(given(SCRIPTS[metric])))
    assert Path(inspect.getfile(type(loaded))).is_relative_to(tmp_path / "modules")  # a copy, away from the package
    assert loaded.name == metric and loaded.module_type == "metric" and loaded.description
    found = loaded.compute(predictions=PREDICTED, references=TRUE)
    expected = metrics_with_intervals(PREDICTED, TRUE, 5).metrics[metric]
    assert list(found.items()) == [
        (metric, expected.value), (f"{metric}_low", expected.low), (f"{metric}_high", expected.high),
    ]  # fmt: skip


def test_combined_metrics_are_those_of_scikit_learn(evaluate):
    combined = evaluate.combine([UAR, ACCURACY, MACRO_F1])
    combined.add_batch(predictions=np.array(PREDICTED[:7]), references=np.array(TRUE[:7]))
    combined.add_batch(predictions=PREDICTED[7:11], references=TRUE[7:11])
    combined.add(prediction=PREDICTED[11], reference=TRUE[11])
    found = combined.compute()
    assert list(found) == [f"{metric}{bound}" for metric in SCRIPTS for bound in ("", "_low", "_high")]
    assert found["uar"] == pytest.approx(metrics.recall_score(TRUE, PREDICTED, labels=[0, 1, 4], average="macro"))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(TRUE, PREDICTED))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(TRUE, PREDICTED, average="macro"))


def test_loaded_metrics_combine_and_take_speakers_draws_and_seed(evaluate):
    combined = evaluate.combine([evaluate.load(UAR), evaluate.load(ACCURACY)])
    found = combined.compute(predictions=PREDICTED, references=TRUE, speakers=SPEAKERS, samples=50, seed=7)
    expected = metrics_with_intervals(PREDICTED, TRUE, 5, SPEAKERS, samples=50, seed=7).metrics
    for metric in ("uar", "accuracy"):
        assert [found[metric], found[f"{metric}_low"], found[f"{metric}_high"]] == list(astuple(expected[metric]))
    assert found != combined.compute(predictions=PREDICTED, references=TRUE, speakers=SPEAKERS, samples=50, seed=8)


def test_faulty_input_is_named(evaluate):
    metric = evaluate.load(UAR)
    with pytest.raises(ValueError, match=r"2 .*12 "):
        metric.compute(predictions=PREDICTED, references=TRUE, speakers=["a", "b"])
    with pytest.raises(ValueError, match="0 "):
        evaluate.load(ACCURACY).compute(predictions=[], references=[])


def test_the_scripts_of_the_package_are_metrics(evaluate):
    from smoothclap_trainer.evaluation.modules.accuracy.accuracy import Accuracy
    from smoothclap_trainer.evaluation.modules.macro_f1.macro_f1 import MacroF1
    from smoothclap_trainer.evaluation.modules.uar.uar import UAR as Recall

    combined = evaluate.combine([Recall(), Accuracy(), MacroF1()])
    copies = evaluate.combine([UAR, ACCURACY, MACRO_F1])
    assert combined.evaluation_module_names == list(SCRIPTS)
    data = {"predictions": PREDICTED, "references": TRUE}
    assert combined.compute(**data) == copies.compute(**data)
