import itertools
import resource

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F

from modeling_smoothclap.loss_smoothclap import contrastive_loss, soft_target_loss, soft_targets
from smoothclap_trainer.losses import joint_loss
from smoothclap_trainer.losses.joint_loss import (
    BatchStatistics,
    JointLoss,
    Representations,
    gather_rows,
    gather_sizes,
    own_rows,
    process_count,
)
from smoothclap_trainer.losses.targets import LabelEquality, LocalFeatureSimilarity, SoftTargets, TagTextSimilarity
from tests import processes


SOURCES = [LocalFeatureSimilarity(), TagTextSimilarity(detach=False)]
MIXED = SoftTargets(SOURCES, [0.4, 0.6], 0.3)
CLAP = SoftTargets([], [], 0.0)
each_reading = pytest.mark.parametrize("reading", ["symmetric", "forward"])


def batch(clips=11, width=6, seed=0) -> list[torch.Tensor]:
    """Audio, text, scales, local features, tag features: leaves with gradients but for the frozen encoder's."""
    generator = torch.Generator().manual_seed(seed)
    audio, text = (F.normalize(torch.randn(clips, width, generator=generator), dim=1) for _ in range(2))
    scales = torch.tensor([7.0, 5.0])
    local, tags = (torch.randn(clips, each, generator=generator) for each in (4, 3))
    return [*(tensor.requires_grad_() for tensor in (audio, text, scales)), local, tags.requires_grad_()]


def representations(tensors, with_features=True) -> Representations:
    return Representations(*tensors[:3], tensors[3:] if with_features else [])


def gradients(tensors):
    return [tensor.grad for tensor in tensors if tensor.requires_grad]


@each_reading
def test_dense_is_the_models_own_formula(reading):
    tensors = batch()
    tensors[2].data[:] = 7.0
    audio, text, _, local, tags = tensors
    loss, parts = JointLoss(MIXED, reading)(representations(tensors))
    targets = soft_targets(local, tags, 0.3, 0.6, detach=False)
    torch.testing.assert_close(loss, soft_target_loss(7 * audio @ text.t(), targets, reading))
    torch.testing.assert_close(parts.sum(), loss)
    assert len(parts) == {"symmetric": 2, "forward": 1}[reading]
    assert not parts.requires_grad


def test_each_direction_has_its_scale():
    tensors = batch()
    audio, text = tensors[:2]
    cosines = audio @ text.t()
    expected = (F.cross_entropy(7 * cosines, torch.arange(11)) + F.cross_entropy(5 * cosines.t(), torch.arange(11))) / 2
    torch.testing.assert_close(JointLoss(CLAP, "forward")(representations(tensors, False))[0], expected)


def test_one_hot_targets_are_clap():
    tensors = batch()
    tensors[2].data[:] = 7.0
    loss, _ = JointLoss(CLAP, "forward")(representations(tensors, False))
    torch.testing.assert_close(loss, contrastive_loss(7 * tensors[0] @ tensors[1].t()))


@each_reading
@pytest.mark.parametrize("tile", [1, 4, 11, 50])
def test_tiled_is_dense(reading, tile):
    dense, tiled = batch(), batch()
    expected, expected_parts = JointLoss(MIXED, reading)(representations(dense))
    loss, parts = JointLoss(MIXED, reading, tile)(representations(tiled))
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(parts, expected_parts, atol=1e-5, rtol=0)
    (3 * expected).backward()  # by a factor, which the tiles' gradients are to be multiplied by
    (3 * loss).backward()
    for one, other in zip(gradients(tiled), gradients(dense), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
        assert one.abs().max() > 1e-4


def test_a_tiled_loss_needs_no_gradients():
    with torch.no_grad():
        loss, _ = JointLoss(MIXED, tile=4)(representations(batch()))
    torch.testing.assert_close(loss, JointLoss(MIXED)(representations(batch()))[0].detach())
    assert not loss.requires_grad


def test_tiled_gradients_by_finite_differences():
    tensors = [tensor.detach().double().requires_grad_(tensor.requires_grad) for tensor in batch(5)]
    objective = JointLoss(MIXED, tile=2)
    objective(representations(tensors))[0].backward()
    for tensor in (tensors[0], tensors[2], tensors[4]):
        step = torch.zeros_like(tensor)
        step.view(-1)[1] = 0.01
        ends = []
        for sign in (1, -1):
            moved = [one.detach() + sign * step if one is tensor else one.detach() for one in tensors]
            ends.append(objective(representations(moved))[0])
        assert float(ends[0] - ends[1]) / 0.02 == pytest.approx(float(tensor.grad.view(-1)[1]), rel=0.02, abs=1e-4)


def test_features_that_do_not_learn_get_no_gradient():
    tensors = batch()
    detached = SoftTargets([LocalFeatureSimilarity(), TagTextSimilarity()], [0.4, 0.6], 0.3)
    for tile in (None, 4):
        JointLoss(detached, tile=tile)(representations(tensors))[0].backward()
    assert tensors[4].grad is None
    assert tensors[0].grad is not None


def test_autocast_does_not_reach_the_loss():
    expected = JointLoss(MIXED)(representations(batch()))[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(JointLoss(MIXED)(representations(batch()))[0], expected)


def test_equal_captions_everywhere_give_the_loss_of_chance():
    """Nothing can be told apart, and the loss says so: ln of the number of clips, without any gradient to captions."""
    tensors = batch()
    text = F.normalize(torch.ones(11, 6), dim=1).requires_grad_()
    audio = tensors[0]
    loss, _ = JointLoss(CLAP, "forward")(Representations(audio, text, tensors[2]))
    from_clips = torch.log(torch.tensor(11.0))
    from_captions = F.cross_entropy(5 * text @ audio.t(), torch.arange(11))
    torch.testing.assert_close(loss, (from_clips + from_captions) / 2)


def test_one_pair_alone_teaches_nothing():
    tensors = batch(1)
    loss, _ = JointLoss(MIXED)(representations(tensors))
    loss.backward()
    assert loss == 0
    assert all(gradient.abs().max() < 1e-6 for gradient in gradients(tensors))


def _compare_with_one_process(rank: int, reading: str, tile: int | None, sizes: tuple[int, int]) -> None:
    whole, mine = batch(sum(sizes)), batch(sum(sizes))
    own = slice(0, sizes[0]) if rank == 0 else slice(sizes[0], None)
    rows = [tensor[own].detach().requires_grad_(tensor.requires_grad) for tensor in mine]
    rows[2] = mine[2]
    targets = SoftTargets([*SOURCES, LabelEquality()], [0.3, 0.5, 0.2], 0.3)
    labels = torch.arange(sum(sizes))[:, None].float() % 3
    loss, parts = JointLoss(targets, reading, tile)(
        Representations(*rows[:3], [*rows[3:], labels[own]]),
    )
    loss.backward()
    totals = [loss.detach().clone(), parts.clone(), rows[2].grad.clone()]
    for total in totals:
        torch.distributed.all_reduce(total)

    joint_loss.process_count = lambda: 1
    expected, expected_parts = JointLoss(targets, reading)(Representations(*whole[:3], [*whole[3:], labels]))
    expected.backward()
    torch.testing.assert_close(totals[0] / 2, expected.detach(), atol=1e-6, rtol=0)
    torch.testing.assert_close(totals[1] / 2, expected_parts, atol=1e-6, rtol=0)
    torch.testing.assert_close(totals[2] / 2, whole[2].grad, atol=1e-6, rtol=0)
    for index in (0, 1, 4):  # DDP averages over processes what each of them adds here
        torch.testing.assert_close(rows[index].grad / 2, whole[index].grad[own], atol=1e-6, rtol=0)


def _compare_all(rank: int) -> None:
    count = joint_loss.process_count
    for reading, tile, sizes in itertools.product(("symmetric", "forward"), (None, 2), ((4, 4), (5, 2), (1, 6))):
        joint_loss.process_count = count
        _compare_with_one_process(rank, reading, tile, sizes)


def test_two_processes_give_the_gradients_of_one(tmp_path):
    processes.run(_compare_all, tmp_path)


def test_alone_nothing_is_gathered():
    rows = torch.randn(3, 2, requires_grad=True)
    sizes = gather_sizes(3, rows.device)
    assert process_count() == 1
    assert sizes == [3]
    assert own_rows(sizes) == slice(0, 3)
    assert gather_rows(rows, sizes) is rows


def _gather_uneven(rank: int) -> None:
    mine = torch.full((rank + 1, 2), float(rank + 1), requires_grad=True)
    sizes = gather_sizes(len(mine), mine.device)
    assert sizes == [1, 2, 3]
    assert own_rows(sizes) == (slice(0, 1), slice(1, 3), slice(3, 6))[rank]
    everything = gather_rows(mine, sizes)
    assert everything[:, 0].tolist() == [1, 2, 2, 3, 3, 3]
    # Process r weighs row i by (r + 1) * i, so row i receives i * (1 + 2 + 3).
    weights = (rank + 1) * torch.arange(6.0)[:, None]
    (everything * weights).sum().backward()
    assert torch.equal(mine.grad[:, 0], 6 * torch.arange(6.0)[own_rows(sizes)])
    integers = gather_rows(torch.tensor([rank, 2**40 + rank]), [2, 2, 2])
    assert integers.tolist() == [0, 2**40, 1, 2**40 + 1, 2, 2**40 + 2]
    assert dist.get_world_size() == process_count() == 3


def test_uneven_rows_of_three_processes(tmp_path):
    processes.run(_gather_uneven, tmp_path, world_size=3)


def test_means_over_batches():
    statistics = BatchStatistics()
    assert statistics.pop() == {}
    statistics.add(torch.tensor([1.0, 3.0]), torch.tensor([10.0, 20.0]), torch.tensor([5, 5, 6, 7]))
    statistics.add(torch.tensor([2.0, 5.0]), torch.tensor([15.0, 15.0]), torch.tensor([1, 2]))
    found = statistics.pop()
    expected = {"forward_divergence": 1.5, "reverse_divergence": 4.0, "logit_scale": 15.0}
    assert found == pytest.approx(expected | {"negatives": 2.0, "duplicate_captions": 0.125})
    assert statistics.pop() == {}


def test_one_reading_and_no_captions():
    statistics = BatchStatistics()
    statistics.add(torch.tensor([1.0]), torch.tensor([10.0, 20.0]), None)
    assert statistics.pop() == {"forward_divergence": 1.0, "logit_scale": 15.0}


def _add_uneven(rank: int) -> None:
    statistics = BatchStatistics()
    statistics.add(torch.tensor([1.0 + rank]), torch.tensor([4.0, 4.0]), torch.arange(2 + rank))
    found = statistics.pop()
    assert found["forward_divergence"] == 1.5
    assert found["negatives"] == 4
    assert found["duplicate_captions"] == pytest.approx(2 / 5)  # 0, 1 and 0, 1, 2


def test_captions_of_all_processes_count(tmp_path):
    processes.run(_add_uneven, tmp_path)


def _measure_memory(rank: int) -> None:
    objective = JointLoss(SoftTargets([LocalFeatureSimilarity()], [1.0], 0.1), tile=64)

    def peak(clips: int) -> float:
        audio, text = (F.normalize(torch.randn(clips, 32), dim=1).requires_grad_() for _ in range(2))
        objective(Representations(audio, text, torch.full((2,), 14.0), [torch.randn(clips, 32)]))[0].backward()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    small = peak(64)  # with what the libraries need at their first use
    assert peak(4096) - small < 64


def test_tiles_need_less_than_one_matrix_of_scores(tmp_path):
    """4,096 x 4,096 scores in float32 are 64 MiB, and the dense loss keeps several such matrices."""
    processes.run(_measure_memory, tmp_path, world_size=1)
