import numpy as np
import pytest

from smoothclap_trainer.data.clips import Crops


CLIP = np.arange(10, dtype=np.float32)  # ten seconds at 1 Hz


def starts(crops, ids, numbers):
    return [int(crops.cut(CLIP, 1, one, number)[0]) for one in ids for number in numbers]


def names(count):
    return [f"clip-{index}" for index in range(count)]


def test_a_crop_is_a_piece_of_the_clip():
    crop = Crops(seconds=4.0).cut(CLIP, 1, "a", 0)
    assert crop.tolist() == list(range(int(crop[0]), int(crop[0]) + 4))


def test_seconds_count_at_the_clips_rate():
    assert len(Crops(seconds=0.5).cut(CLIP, 16, "a", 0)) == 8
    assert len(Crops(seconds=0.001).cut(CLIP, 16, "a", 0)) == 1  # never nothing


def test_every_start_is_as_likely_as_any_other():
    """Seven starts, 7000 draws: each count is binomial with mean 1000 and deviation sqrt(7000 * 1/7 * 6/7) = 29.3."""
    counts = np.bincount(starts(Crops(seconds=4.0), names(700), range(10)), minlength=7)
    assert len(counts) == 7
    assert np.abs(counts - 1000).max() < 4 * 29.3


def test_every_crop_of_a_clip_is_heard_equally_often():
    """Four crops, 8000 draws: mean 2000, deviation sqrt(8000 * 1/4 * 3/4) = 38.7."""
    crops = Crops(per_clip=4)
    counts = np.bincount([crops.number(one, epoch) for one in names(400) for epoch in range(20)], minlength=4)
    assert len(counts) == 4
    assert np.abs(counts - 2000).max() < 4 * 38.7


def test_the_same_in_every_run():
    assert starts(Crops(seconds=4.0, seed=3), names(4), range(3)) == [2, 3, 6, 1, 0, 4, 5, 5, 6, 5, 2, 0]
    assert [Crops(per_clip=8, seed=3).number("a", epoch) for epoch in range(6)] == [1, 4, 2, 1, 4, 4]


@pytest.mark.parametrize("other", [Crops(seconds=4.0, seed=1), Crops(seconds=4.0, per_clip=2)])
def test_the_seed_alone_changes_where_crops_start(other):
    crops = Crops(seconds=4.0)
    same = starts(crops, names(20), range(2)) == starts(other, names(20), range(2))
    assert same == (other.seed == crops.seed)


def test_which_crop_an_epoch_hears_depends_on_the_seed():
    heard = [[Crops(per_clip=8, seed=seed).number(one, 0) for one in names(20)] for seed in range(2)]
    assert heard[0] != heard[1]


def test_without_a_number_of_crops_every_epoch_cuts_its_own():
    crops = Crops(seconds=4.0)
    assert [crops.number("a", epoch) for epoch in (0, 1, 17)] == [0, 1, 17]
    assert len(set(starts(crops, ["a"], range(40)))) == 7


@pytest.mark.parametrize("seconds", [None, 10.0, 11.0])
def test_clips_that_are_not_longer_stay_whole(seconds):
    assert Crops(seconds=seconds).cut(CLIP, 1, "a", 5) is CLIP


def test_whole_clips_have_one_crop():
    assert Crops(seconds=None, per_clip=4).number("a", 3) == 0


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_length_is_refused(seconds):
    with pytest.raises(ValueError, match=f"must be positive, not {seconds}; None takes"):
        Crops(seconds=seconds)


@pytest.mark.parametrize("count", [0, -2])
def test_no_crops_are_refused(count):
    with pytest.raises(ValueError, match=f"`per_clip` is {count}, .* None cuts a new one"):
        Crops(per_clip=count)
