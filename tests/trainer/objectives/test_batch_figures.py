import pytest
import torch

from smoothclap_trainer.callbacks import BatchFigures
from tests import processes


def test_means_over_batches():
    figures = BatchFigures()
    assert figures.pop() == {}
    figures.add(torch.tensor([1.0, 3.0]), torch.tensor([10.0, 20.0]), torch.tensor([5, 5, 6, 7]))
    figures.add(torch.tensor([2.0, 5.0]), torch.tensor([15.0, 15.0]), torch.tensor([1, 2]))
    found = figures.pop()
    expected = {"forward_divergence": 1.5, "reverse_divergence": 4.0, "logit_scale": 15.0}
    assert found == pytest.approx(expected | {"negatives": 2.0, "duplicate_captions": 0.125})
    assert figures.pop() == {}


def test_one_reading_and_no_captions():
    figures = BatchFigures()
    figures.add(torch.tensor([1.0]), torch.tensor([10.0, 20.0]), None)
    assert figures.pop() == {"forward_divergence": 1.0, "logit_scale": 15.0}


def _add_uneven(rank: int) -> None:
    figures = BatchFigures()
    figures.add(torch.tensor([1.0 + rank]), torch.tensor([4.0, 4.0]), torch.arange(2 + rank))
    found = figures.pop()
    assert found["forward_divergence"] == 1.5
    assert found["negatives"] == 4
    assert found["duplicate_captions"] == pytest.approx(2 / 5)  # 0, 1 and 0, 1, 2


def test_captions_of_all_processes_count(tmp_path):
    processes.run(_add_uneven, tmp_path)
