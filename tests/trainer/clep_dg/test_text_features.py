"""Features of emotions in contexts, and what is made of them."""

import pytest
import torch
import torch.nn.functional as F

from smoothclap_trainer.clep_dg.acpt import ACPTSettings, untrained_bank
from smoothclap_trainer.clep_dg.text_features import (
    as_training_set,
    content_features,
    ensemble_prototypes,
    joint_features,
)
from tests.trainer.clep_dg import encoders
from tests.trainer.clep_dg.encoders import NAMES, SHORT


SETTINGS = ACPTSettings(num_contexts=4, context_length=2)


@pytest.mark.parametrize("kind", ["bert", "roberta", "clap"])
def test_joint_features_are_every_class_in_every_context(kind):
    encoder = encoders.encoder(kind)
    bank = untrained_bank(encoder, SHORT, SETTINGS)
    encoder.model.train()
    joint = joint_features(encoder, bank, NAMES)
    assert joint.shape == (4, 3, 16) and not joint.requires_grad and encoder.model.training
    encoder.model.eval()
    for k, n in ((0, 0), (2, 1), (3, 2)):
        tokens = encoder.tokenize([f"{NAMES[n]} in a <ctx> room"], 2)
        with torch.no_grad():
            alone = encoder.embed(tokens, bank.contexts[k : k + 1])[0]
        torch.testing.assert_close(joint[k, n], alone, atol=1e-6, rtol=0)


def test_content_features_are_the_classes_alone():
    encoder = encoders.encoder()
    with torch.no_grad():
        expected = encoder.embed(encoder.tokenize(NAMES))
    encoder.model.train()
    assert torch.equal(content_features(encoder, SHORT, NAMES), expected)
    assert encoder.model.training


def test_the_ensemble_is_the_mean_direction():
    joint = F.normalize(torch.randn(5, 3, 16), dim=-1)
    prototypes = ensemble_prototypes(joint)
    for n in range(3):
        mean = sum(joint[k, n] for k in range(5)) / 5
        torch.testing.assert_close(prototypes[n], mean / mean.norm())


def test_a_training_set_pairs_each_feature_with_its_class():
    joint = torch.arange(3.0).expand(2, 3).unsqueeze(-1) + torch.tensor([0.0, 10.0])[:, None, None]
    features, labels = as_training_set(joint)
    assert features[:, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_contexts_of_another_encoder_are_refused():
    bank = untrained_bank(encoders.encoder(), SHORT, SETTINGS)
    with pytest.raises(ValueError, match="belong to another encoder: its text tower or projection differs"):
        joint_features(encoders.encoder("roberta"), bank, NAMES)
