import numpy as np
import pandas as pd

from smoothclap_trainer.evaluation.evaluator import Answers, write_predictions
from smoothclap_trainer.evaluation.own_task import Task
from tests.trainer.evaluation.test_zero_shot_evaluator import protocol


def answers(predicted, probabilities):
    unused = np.zeros((2, 1))
    return Answers(unused, unused, np.array([0, 1]), np.array(predicted), np.array(probabilities))


ROWS = pd.DataFrame({"id": ["a, b", "ü"], "label": ["sad", "happy"], "speaker": ["7", None]})
WORDS = {"sad": "sad", "happy": "happy"}
TASKS = [Task(protocol("one", WORDS), ROWS, "none"), Task(protocol("two", WORDS), ROWS, "none")]
FIRST, SECOND = answers([0, 0], [[2 / 3, 1 / 3], [0.9, 0.1]]), answers([1, 1], [[0, 1], [1e-9, 1 - 1e-9]])
GIVEN = {("one", "m"): FIRST, ("two", "m"): SECOND, ("one", "n"): SECOND}  # in the order that models run in


def test_task_by_task_model_by_model_clip_by_clip(tmp_path):
    write_predictions(TASKS, GIVEN, tmp_path / "new" / "predictions.csv")
    expected = """task,model,id,speaker,true,predicted,score,true_score
one,m,"a, b",7,sad,sad,0.666667,0.666667
one,m,ü,,happy,sad,0.900000,0.100000
one,n,"a, b",7,sad,happy,1.000000,0.000000
one,n,ü,,happy,happy,1.000000,1.000000
two,m,"a, b",7,sad,happy,1.000000,0.000000
two,m,ü,,happy,happy,1.000000,1.000000
"""
    assert (tmp_path / "new" / "predictions.csv").read_bytes() == expected.encode()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["predictions.csv"]
