"""The objective against formulas worked out by hand, and against torch's own distributions."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Categorical, kl_divergence

from modeling_smoothclap.loss_smoothclap import (
    TARGET_FLOOR,
    contrastive_loss,
    similarity_distribution,
    soft_target_loss,
    soft_targets,
)


READINGS = ["symmetric", "forward"]


def random_logits(batch: int = 5, seed: int = 0) -> torch.Tensor:
    return 4 * torch.randn(batch, batch, generator=torch.Generator().manual_seed(seed))


def random_targets(batch: int = 5, seed: int = 1, **kwargs) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return soft_targets(
        torch.randn(batch, 7, generator=generator), torch.randn(batch, 3, generator=generator), **kwargs
    )


def with_gradient(loss, logits: torch.Tensor, *args, **kwargs) -> tuple[torch.Tensor, torch.Tensor]:
    logits = logits.clone().requires_grad_()
    value = loss(logits, *args, **kwargs)
    value.backward()
    return value.detach(), logits.grad


# Symmetric InfoNCE


@pytest.mark.parametrize("batch", [1, 2, 7, 32])
def test_uniform_logits_give_log_b(batch):
    assert contrastive_loss(torch.full((batch, batch), 3.0)).item() == pytest.approx(math.log(batch), abs=1e-6)


def test_contrastive_loss_of_two_pairs_by_hand():
    # logits [[a, b], [c, d]]: rows cost log(1 + e^(b-a)) and log(1 + e^(c-d)), columns log(1 + e^(c-a)) and
    # log(1 + e^(b-d)); the loss is the mean of the four.
    a, b, c, d = 2.0, 1.0, -1.0, 0.5
    costs = [math.log1p(math.exp(x)) for x in (b - a, c - d, c - a, b - d)]
    assert contrastive_loss(torch.tensor([[a, b], [c, d]])).item() == pytest.approx(sum(costs) / 4, abs=1e-6)


def test_contrastive_loss_treats_both_modalities_alike():
    logits = random_logits()
    assert contrastive_loss(logits) == contrastive_loss(logits.t())


def test_contrastive_gradient_by_hand():
    # d/ds of the mean cross-entropy is (softmax - identity) / batch, of rows and of columns.
    logits = random_logits()
    _, gradient = with_gradient(contrastive_loss, logits)
    identity = torch.eye(5)
    expected = ((logits.softmax(1) - identity) + (logits.softmax(0) - identity)) / (2 * 5)
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=0)


# Similarity within a modality


def test_similarity_distribution_by_hand():
    # Items 1 and 2 point the same way whatever their lengths, item 3 at a right angle.
    features = torch.tensor([[1.0, 0.0], [5.0, 0.0], [0.0, 2.0]])
    e = math.exp(1 / 0.5)
    expected = torch.tensor([[e, e, 1.0], [e, e, 1.0], [1.0, 1.0, e]])
    expected = expected / expected.sum(dim=1, keepdim=True)
    torch.testing.assert_close(similarity_distribution(features, 0.5), expected)


def test_a_small_temperature_leaves_the_mass_on_the_item_itself():
    features = torch.randn(6, 4)
    sharpness = [similarity_distribution(features, t).diagonal().mean().item() for t in (10.0, 1.0, 0.1, 0.01)]
    assert sharpness == sorted(sharpness)
    assert sharpness[0] < 0.25 < 0.99 < sharpness[-1]


@pytest.mark.parametrize("temperature", [0.0, -0.07, math.nan, math.inf, 1e-45])
def test_a_temperature_that_gives_no_distribution_is_refused(temperature):
    with pytest.raises(ValueError, match=f"got {temperature}"):
        similarity_distribution(torch.randn(2, 2), temperature)


# Soft targets


@pytest.mark.parametrize("beta", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_rows_of_the_targets_sum_to_one(beta, gamma):
    targets = random_targets(16, beta=beta, gamma=gamma)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(16), atol=1e-6, rtol=0)
    assert (targets >= 0).all()


def test_targets_are_the_papers_mixture():
    audio, tags = torch.randn(4, 9), torch.randn(4, 6)
    # The two softmaxes written out, apart from the code under test.
    cosines = [F.cosine_similarity(x[:, None], x[None, :], dim=-1) for x in (audio, tags)]
    q_audio, q_tags = (
        torch.exp(c / t) / torch.exp(c / t).sum(1, keepdim=True) for c, t in zip(cosines, (0.3, 0.9), strict=True)
    )
    expected = 0.8 * torch.eye(4) + 0.2 * (0.25 * q_audio + 0.75 * q_tags)
    actual = soft_targets(audio, tags, beta=0.2, gamma=0.75, audio_temperature=0.3, tag_temperature=0.9)
    torch.testing.assert_close(actual, expected)


def test_gamma_weighs_the_tags():
    audio, tags = torch.randn(4, 9), torch.randn(4, 6)
    assert torch.equal(soft_targets(audio, tags, beta=1, gamma=0), similarity_distribution(audio, 0.07))
    assert torch.equal(soft_targets(audio, tags, beta=1, gamma=1), similarity_distribution(tags, 0.07))


def test_the_defaults_are_the_documented_ones():
    audio, tags = torch.randn(4, 9), torch.randn(4, 6)
    stated = soft_targets(audio, tags, beta=0.1, gamma=0.5, audio_temperature=0.07, tag_temperature=0.07, detach=True)
    assert torch.equal(soft_targets(audio, tags), stated)


def test_beta_zero_gives_the_identity():
    assert torch.equal(random_targets(beta=0), torch.eye(5))


def test_more_beta_takes_more_from_the_diagonal():
    diagonals = [random_targets(beta=beta).diagonal().mean().item() for beta in (0.0, 0.2, 0.6, 1.0)]
    assert diagonals == sorted(diagonals, reverse=True)
    assert diagonals[0] > diagonals[-1]


def test_targets_are_detached_unless_asked_otherwise():
    audio, tags = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    assert not soft_targets(audio, tags).requires_grad
    attached = soft_targets(audio, tags, detach=False)
    attached.diagonal().sum().backward()
    assert audio.grad.abs().sum() > 0
    assert tags.grad.abs().sum() > 0


def test_targets_of_half_precision_features_are_float32():
    targets = soft_targets(torch.randn(300, 8).bfloat16(), torch.randn(300, 8).half())
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(300), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("name", "value"), [("beta", -0.1), ("beta", 1.5), ("gamma", 2.0), ("gamma", -1.0)])
def test_a_weight_outside_zero_and_one_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` is a mixing weight between 0 and 1, got {value}"):
        random_targets(**{name: value})


def test_features_of_different_batches_are_refused():
    with pytest.raises(ValueError, match="got 3 and 4"):
        soft_targets(torch.randn(3, 2), torch.randn(4, 2))


# The divergence


def test_forward_reading_at_beta_zero_is_infonce_with_its_gradient():
    logits = random_logits(8)
    plain, plain_gradient = with_gradient(contrastive_loss, logits)
    soft, soft_gradient = with_gradient(soft_target_loss, logits, random_targets(8, beta=0), reading="forward")
    torch.testing.assert_close(soft, plain, atol=1e-6, rtol=0)
    torch.testing.assert_close(soft_gradient, plain_gradient, atol=1e-6, rtol=0)


def test_two_pairs_by_hand():
    # Equal logits predict one half everywhere; the targets are 0.9 and 0.1 in both rows. With H = 0.9 ln 0.9 +
    # 0.1 ln 0.1: KL(y||p) = H + ln 2, and KL(p||y) = -ln 2 - (ln 0.9 + ln 0.1) / 2, alike in both directions.
    targets = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    forward = 0.9 * math.log(0.9) + 0.1 * math.log(0.1) + math.log(2)
    reverse = -math.log(2) - (math.log(0.9) + math.log(0.1)) / 2
    logits = torch.zeros(2, 2)
    assert soft_target_loss(logits, targets, "forward").item() == pytest.approx(forward, abs=1e-6)
    assert soft_target_loss(logits, targets, "symmetric").item() == pytest.approx(forward + reverse, abs=1e-6)


def test_two_pairs_with_asymmetric_logits_by_hand():
    # Row 1 predicts (s, 1 - s) with s = sigmoid(1), row 2 one half each; columns likewise, from s_00 - s_10 = 1 and
    # s_11 - s_01 = 0.
    logits, targets = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.7, 0.3], [0.2, 0.8]])
    s = 1 / (1 + math.exp(-1))

    def kl(y, p):
        return sum(a * math.log(a / b) for a, b in zip(y, p, strict=True))

    rows = (kl((0.7, 0.3), (s, 1 - s)) + kl((0.2, 0.8), (0.5, 0.5))) / 2
    assert soft_target_loss(logits, targets, "forward").item() == pytest.approx(rows, abs=1e-6)
    back = (kl((s, 1 - s), (0.7, 0.3)) + kl((0.5, 0.5), (0.2, 0.8))) / 2
    assert soft_target_loss(logits, targets).item() == pytest.approx(rows + back, abs=1e-6)


@pytest.mark.parametrize("reading", READINGS)
def test_divergences_are_those_of_torch_distributions(reading):
    # Temperatures that leave no target near the floor, for torch's own floor is another one.
    logits, targets = random_logits(), random_targets(beta=0.4, audio_temperature=0.5, tag_temperature=0.5)
    y = Categorical(probs=targets)
    expected = torch.zeros(())
    for direction in (logits, logits.t()):
        p = Categorical(logits=direction)
        expected += kl_divergence(y, p).mean() / 2
        if reading == "symmetric":  # Jeffreys' divergence
            expected += kl_divergence(p, y).mean() / 2
    torch.testing.assert_close(soft_target_loss(logits, targets, reading), expected, atol=1e-5, rtol=1e-5)


def test_forward_kl_is_soft_cross_entropy_less_the_entropy_of_the_targets():
    logits, targets = random_logits(), random_targets(beta=0.4)
    cross_entropy = (F.cross_entropy(logits, targets) + F.cross_entropy(logits.t(), targets)) / 2
    entropy = Categorical(probs=targets).entropy().mean()
    torch.testing.assert_close(soft_target_loss(logits, targets, "forward"), cross_entropy - entropy)


@pytest.mark.parametrize("reading", READINGS)
def test_the_loss_is_zero_where_predictions_equal_targets_and_positive_elsewhere(reading):
    targets = torch.tensor(
        [[0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]]
    )  # symmetric: one p serves both directions
    at_targets, gradient = with_gradient(soft_target_loss, targets.log(), targets, reading)
    assert at_targets.item() == pytest.approx(0, abs=1e-6)
    assert gradient.abs().max() < 1e-6
    for seed in range(20):
        assert soft_target_loss(random_logits(3, seed), targets, reading) > 0


@pytest.mark.parametrize("reading", READINGS)
def test_the_loss_grows_with_the_distance_from_the_targets(reading):
    targets = torch.tensor([[0.6, 0.3, 0.1], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]])
    direction = random_logits(3)
    losses = [soft_target_loss(targets.log() + step * direction, targets, reading).item() for step in range(5)]
    assert losses == sorted(losses)
    assert losses[0] < losses[1] < losses[-1]


@pytest.mark.parametrize("reading", READINGS)
def test_gradient_agrees_with_central_differences(reading):
    # In float32, so the step is wide: error about step^2 from the curve and 1e-7 / step from rounding.
    logits, targets, step = random_logits(4) / 2, random_targets(4, beta=0.5), 1e-2
    _, gradient = with_gradient(soft_target_loss, logits, targets, reading)
    differences = torch.zeros_like(logits)
    for i in range(4):
        for j in range(4):
            nudge = torch.zeros_like(logits)
            nudge[i, j] = step
            above, below = (soft_target_loss(logits + sign * nudge, targets, reading) for sign in (1, -1))
            differences[i, j] = (above - below) / (2 * step)
    torch.testing.assert_close(gradient, differences, atol=2e-4, rtol=0)
    assert gradient.abs().max() > 0.05


def test_gradient_into_attached_targets_agrees_with_central_differences():
    targets, logits, step = random_targets(4, beta=0.9, audio_temperature=1, tag_temperature=1), random_logits(4), 1e-2
    attached = targets.clone().requires_grad_()
    soft_target_loss(logits, attached).backward()
    for i, j in [(0, 0), (1, 2), (3, 1)]:
        nudge = torch.zeros_like(targets)
        nudge[i, j] = step
        above, below = (soft_target_loss(logits, targets + sign * nudge).item() for sign in (1, -1))
        assert attached.grad[i, j].item() == pytest.approx((above - below) / (2 * step), abs=5e-3)


def test_at_one_hot_targets_the_symmetric_reading_measures_the_floor():
    # As documented. Uniform predictions over 2 items: KL(y||p) = ln 2, and KL(p||y) = -ln 2 - ln(floor) / 2.
    loss = soft_target_loss(torch.zeros(2, 2), torch.eye(2), "symmetric").item()
    assert loss == pytest.approx(math.log(2) - math.log(2) - math.log(TARGET_FLOOR) / 2, rel=1e-5)


@pytest.mark.parametrize("reading", READINGS)
def test_extreme_logits_stay_finite(reading):
    logits = 100 * (2 * torch.eye(6) - 1).roll(1, 0)  # full scale, and every pair wrong
    loss, gradient = with_gradient(soft_target_loss, logits, random_targets(6), reading)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_half_precision_logits_are_computed_in_float32():
    logits, targets = random_logits(64).bfloat16(), random_targets(64)
    assert contrastive_loss(logits).dtype == soft_target_loss(logits, targets).dtype == torch.float32
    torch.testing.assert_close(contrastive_loss(logits), contrastive_loss(logits.float()), atol=0, rtol=0)
    torch.testing.assert_close(soft_target_loss(logits, targets), soft_target_loss(logits.float(), targets))
    # In bfloat16 itself the result would differ in the third digit.
    labels = torch.arange(64)
    assert abs(F.cross_entropy(logits, labels).float() - F.cross_entropy(logits.float(), labels)) > 1e-4


@pytest.mark.parametrize("shape", [(3, 4), (3,), (2, 3, 3)])
def test_logits_that_are_not_square_are_refused(shape):
    with pytest.raises(ValueError, match="must be square"):
        contrastive_loss(torch.zeros(shape))
    with pytest.raises(ValueError, match="must be square"):
        soft_target_loss(torch.zeros(shape), torch.zeros(shape))


def test_targets_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 3\), got \(4, 4\)"):
        soft_target_loss(torch.zeros(3, 3), torch.eye(4))


def test_an_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="'symmetric' or 'forward', got 'backward'"):
        soft_target_loss(torch.zeros(3, 3), torch.eye(3), "backward")
