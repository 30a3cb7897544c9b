"""The numbers, by hand."""

import pytest
import torch

from smoothclap_trainer.clep_dg.text_features import emotions_kept, prompt_similarity, texts_right


def test_similarity_is_the_mean_over_pairs_of_any_length_and_sign():
    features = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])  # 0, 1/sqrt(2), 1/sqrt(2)
    assert prompt_similarity(features) == pytest.approx(2**0.5 / 3)
    assert prompt_similarity(torch.ones(2, 5)) == pytest.approx(1)


def test_a_single_context_resembles_no_other():
    assert prompt_similarity(torch.ones(1, 5)) is None


def test_emotions_are_kept_where_the_own_content_is_nearest():
    content = torch.eye(3)
    swapped = content[[1, 0, 2]]  # the third alone is where it was
    assert emotions_kept(torch.stack([content, 5 * content]), content) == 1
    assert emotions_kept(torch.stack([content, swapped]), content) == pytest.approx(4 / 6)


def test_texts_are_right_where_their_own_vector_is_nearest():
    features, labels = torch.tensor([[3.0, 0.1], [0.1, 3.0], [2.0, 1.9]]), torch.tensor([0, 1, 1])
    assert texts_right(features, labels, torch.tensor([[9.0, 0.0], [0.0, 1.0]])) == pytest.approx(2 / 3)
