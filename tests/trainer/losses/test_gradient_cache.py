import random

import numpy as np
import pytest
import torch
from torch import nn

from smoothclap_trainer.losses.gradient_cache import CachedGradients, RandomState
from smoothclap_trainer.losses.joint_loss import JointLoss, Representations
from smoothclap_trainer.losses.targets import LocalFeatureSimilarity, SoftTargets, TagTextSimilarity
from tests import tiny


CPU = torch.device("cpu")
SIZES = (4, 3, 1)


def noisy_model():
    """Dropout everywhere and SpecAugment, which draws from numpy."""
    audio = tiny.audio_config(apply_spec_augment=True, mask_time_prob=0.4, mask_time_length=2, mask_feature_prob=0.2)
    audio.mask_feature_length = 2
    text = tiny.text_config(hidden_dropout_prob=0.3)
    return tiny.model(audio_config=audio, text_config=text, projection_dropout=0.4).train()


def chunks():
    generator = torch.Generator().manual_seed(0)
    made = []
    for size in SIZES:
        ids = torch.randint(5, 200, (size, 6), generator=generator)
        made.append(
            {
                "input_values": torch.randn(size, 400, generator=generator),
                "audio_attention_mask": torch.ones(size, 400, dtype=torch.long),
                "input_ids": ids,
                "tag_input_ids": ids.flip(1),
                "local_features": torch.randn(size, 5, generator=generator),
            }
        )
    return made


def parts(detach: bool, tile: int | None):
    targets = SoftTargets([LocalFeatureSimilarity(), TagTextSimilarity(detach=detach)], [0.5, 0.5], 0.4)
    return targets, JointLoss(targets, "symmetric", tile)


def represent_with(model, targets):
    def represent(chunk, with_features):
        names = ("input_values", "audio_attention_mask", "input_ids")
        outputs = model(**{name: chunk[name] for name in names})
        features = targets.features(model, chunk) if with_features else []
        return Representations(outputs.audio_embeds, outputs.text_embeds, outputs.logit_scale.expand(2), features)

    return represent


def gradients(model):
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def seed():
    torch.manual_seed(3)
    np.random.seed(3)


@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("tile", [None, 3])
def test_chunks_give_the_gradients_of_their_joint_batch(detach, tile):
    model = noisy_model()
    targets, objective = parts(detach, tile)
    represent = represent_with(model, targets)

    # The joint batch, with every chunk's activations kept. Its forward passes draw the same numbers.
    seed()
    found = [represent(chunk, True) for chunk in chunks()]
    audio, text, _, *features = (torch.cat(each) for each in zip(*(one.tensors() for one in found), strict=True))
    expected, expected_parts = objective(Representations(audio, text, found[0].scales, features))
    expected.backward()
    drawn_next = torch.rand(1), np.random.rand()
    plain = gradients(model)
    model.zero_grad()

    seed()
    cached = CachedGradients(represent, chunks(), objective, model)
    for index in range(len(SIZES)):
        cached.surrogate(index).backward()
    torch.testing.assert_close(cached.loss, expected.detach())
    torch.testing.assert_close(cached.parts, expected_parts)
    found = gradients(model)
    assert found.keys() == plain.keys()
    assert "logit_scale.weight" in found
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, plain[name], atol=1e-6, rtol=1e-4, msg=name)
    assert (torch.rand(1), np.random.rand()) == drawn_next  # generators stand where one pass leaves them


def test_without_the_replay_it_would_not_be_exact(monkeypatch):
    """The noise is there: were it drawn anew, gradients would be others."""
    found = []
    for replays in (True, False):
        model = noisy_model()
        targets, objective = parts(True, None)
        seed()
        cached = CachedGradients(represent_with(model, targets), chunks(), objective, model)
        if not replays:
            monkeypatch.setattr(RandomState, "restore", lambda *_: None)
        for index in range(len(SIZES)):
            cached.surrogate(index).backward()
        found.append(model.audio_projection.linear1.weight.grad)
    assert (found[0] - found[1]).abs().max() > 1e-3


def test_every_generator_is_replayed():
    def draw():
        return torch.rand(1).item(), np.random.rand(), random.random()

    state = RandomState.capture(CPU)
    first, second = draw(), draw()
    with state.replayed(CPU):
        assert draw() == first
        assert draw() == second
    third = draw()
    assert third not in (first, second)
    with pytest.raises(KeyError), state.replayed(CPU):
        draw()
        raise KeyError
    assert draw() != first


def test_batch_norm_sees_every_clip_once():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

    def represent_with_norm(model):
        def represent(chunk, with_features):
            embeds = nn.functional.normalize(model.norm(chunk), dim=1)
            return Representations(embeds, embeds, torch.ones(2))

        return represent

    data = list(torch.randn(3, 5, 4))
    once, cached = Model(), Model()
    for chunk in data:
        once.norm(chunk)
    clap = JointLoss(SoftTargets([], [], 0.0), "forward")
    found = CachedGradients(represent_with_norm(cached), data, clap, cached)
    for index in range(3):
        found.surrogate(index).backward()
    torch.testing.assert_close(cached.norm.running_mean, once.norm.running_mean)
    assert cached.norm.num_batches_tracked == once.norm.num_batches_tracked == 3
