import math

import pytest
import torch

from modeling_smoothclap.loss_smoothclap import similarity_distribution, soft_targets
from smoothclap_trainer.losses.targets import (
    FunctionalsSimilarity,
    LabelEquality,
    LocalFeatureSimilarity,
    SoftTargets,
    TagTextSimilarity,
)
from tests import tiny


EVERY_ROW = slice(0, 5)


def paper(beta=0.3, gamma=0.2):
    return SoftTargets([LocalFeatureSimilarity(0.1), TagTextSimilarity(0.3)], [1 - gamma, gamma], beta)


def test_the_papers_mixture_is_the_dense_formula():
    audio, tags = torch.randn(5, 4), torch.randn(5, 7)
    expected = soft_targets(audio, tags, 0.3, 0.2, 0.1, 0.3)
    torch.testing.assert_close(paper().distribution([audio, tags], 5, EVERY_ROW), expected)


@pytest.mark.parametrize("rows", [slice(0, 2), slice(2, 5), slice(4, 5)])
def test_some_rows_are_those_rows_of_all(rows):
    features = [torch.randn(5, 4), torch.randn(5, 7), torch.tensor([[0.0], [1], [0], [-1], [-1]])]
    targets = SoftTargets([*paper().sources, LabelEquality()], [0.5, 0.2, 0.3], 0.6)
    whole = targets.distribution(features, 5, EVERY_ROW)
    torch.testing.assert_close(targets.distribution(features, 5, rows), whole[rows])
    torch.testing.assert_close(whole.sum(dim=1), torch.ones(5))


def test_equal_labels_share_and_unknown_ones_stand_alone():
    labels = LabelEquality().features(None, {"labels": torch.tensor([2, 0, 2, -1, -1])})
    third_of = LabelEquality().distribution(labels, EVERY_ROW)
    expected = torch.eye(5)
    expected[0, 2] = expected[2, 0] = expected[0, 0] = expected[2, 2] = 0.5
    assert torch.equal(third_of, expected)


def test_functionals_by_hand():
    functionals = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    source = FunctionalsSimilarity(0.5)
    share = math.exp(2) / (math.exp(2) + 1)  # cosine 1 with itself, 0 with the other
    found = source.distribution(source.features(None, {"functionals": functionals}), slice(0, 1))
    torch.testing.assert_close(found, torch.tensor([[share, 1 - share]]))


def test_tags_learn_only_where_they_are_not_detached():
    batch = {"tag_input_ids": torch.tensor([[2, 7, 3], [2, 8, 3]])}
    encoder = tiny.model().train()
    for detach in (True, False):
        source = TagTextSimilarity(detach=detach)
        features = source.features(encoder, batch)
        assert features.requires_grad is source.learns is not detach
        assert torch.equal(features[0], source.features(encoder, batch)[0])  # no dropout
    assert encoder.text_model.training
    source.distribution(features, EVERY_ROW)[0, 1].backward()
    assert encoder.text_model.get_input_embeddings().weight.grad.abs().sum() > 0
    torch.testing.assert_close(
        source.distribution(features, slice(0, 2)), similarity_distribution(features, source.temperature)
    )


def test_without_soft_part_only_the_pair_counts():
    assert torch.equal(SoftTargets([], [], 0.0).distribution([], 3, slice(1, 3)), torch.eye(3)[1:])


def test_every_source_describes_itself():
    described = paper().describe()
    assert described["beta"] == 0.3
    assert [part["weight"] for part in described["sources"]] == [0.8, 0.2]
    assert described["sources"][1]["temperature"] == 0.3
    for source in (*paper().sources, FunctionalsSimilarity(), LabelEquality()):
        assert source.describe()["source"] == source.name
        assert "paper" in source.provenance or "SmoothCLAP" in source.provenance


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([LabelEquality()], [1.0], 1.2), "1.2"),
        (([LabelEquality()], [0.5], 0.5), r"\[0.5\]"),
        (([LabelEquality(), FunctionalsSimilarity()], [1.5, -0.5], 0.5), r"\[1.5, -0.5\]"),
        (([LabelEquality()], [0.5, 0.5], 0.5), "1 .*2 "),
        (([], [], 0.5), "beta=0.5"),
    ],
)
def test_mixtures_that_are_none(arguments, message):
    with pytest.raises(ValueError, match=message):
        SoftTargets(*arguments)


def test_a_temperature_is_positive():
    with pytest.raises(ValueError, match=r"functionals .*0"):
        FunctionalsSimilarity(0)


def test_missing_inputs_are_named():
    with pytest.raises(ValueError, match=r"\['local_features', 'tag_input_ids'\].*beta=0"):
        paper().features(None, {})
