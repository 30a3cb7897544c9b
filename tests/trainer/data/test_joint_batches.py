from itertools import chain

import pytest

from smoothclap_trainer.data.collator import JointBatchSampler


def shares(clips, batch_size, num_processes, epoch=0, **changes):
    """Per joint batch, each process's share."""
    samplers = [JointBatchSampler(clips, batch_size, num_processes, rank, **changes) for rank in range(num_processes)]
    for sampler in samplers:
        sampler.epoch = epoch
    found = [list(sampler) for sampler in samplers]
    assert {len(one) for one in found} == {len(sampler) for sampler in samplers}
    return list(zip(*found, strict=True))


def joint(batches):
    return [sorted(index for share in batch for index in share) for batch in batches]


@pytest.mark.parametrize("clips", range(3, 40))
@pytest.mark.parametrize("num_processes", [1, 2, 3])
def test_every_clip_once_and_no_process_waits(clips, num_processes):
    batches = shares(clips, 4, num_processes)
    assert sorted(chain.from_iterable(joint(batches))) == list(range(clips))
    for batch in batches:
        sizes = [len(share) for share in batch]
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert sum(sizes) >= 2  # a clip alone has no negatives


@pytest.mark.parametrize("clips", [16, 21, 17, 31])
def test_several_processes_see_the_joint_batches_of_one(clips):
    assert joint(shares(clips, 8, 1)) == joint(shares(clips, 4, 2))


def test_what_is_too_little_joins_the_batch_before():
    assert [len(batch[0]) for batch in shares(9, 4, 1)] == [4, 5]
    assert [[len(share) for share in batch] for batch in shares(10, 2, 4)] == [[3, 3, 2, 2]]
    assert [[len(share) for share in batch] for batch in shares(12, 2, 4)] == [[2, 2, 2, 2], [1, 1, 1, 1]]


def test_an_incomplete_batch_can_be_left_out():
    assert [len(batch[0]) for batch in shares(11, 4, 1, drop_last=True)] == [4, 4]


def test_order_is_by_seed_and_epoch():
    orders = {str(shares(20, 4, 1, epoch, seed=seed)) for epoch in (0, 1) for seed in (0, 1)}
    assert len(orders) == 4
    assert shares(20, 4, 1, 1, seed=1) == shares(20, 4, 1, 1, seed=1)


@pytest.mark.parametrize(("clips", "num_processes", "drop_last"), [(1, 1, False), (2, 3, False), (3, 1, True)])
def test_too_few_clips(clips, num_processes, drop_last):
    with pytest.raises(ValueError, match=f"^{clips} training clips are too few"):
        JointBatchSampler(clips, 4, num_processes, drop_last=drop_last)
