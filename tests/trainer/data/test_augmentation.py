"""What decides under which condition a training clip is heard, and what becomes of crops that say nothing."""

import sys

import numpy as np
import pytest

from smoothclap_trainer.data import acoustic_effects
from smoothclap_trainer.data.acoustic_conditions import CONDITIONS, Augmentation
from tests import tiny


RATE = 16000
CLIP = tiny.clips(0.1)[0]
THREE = Augmentation(("clean", "clipping", "noise-10db"))


def drawn(augmentation, ids, epochs):
    """Which of [`THREE`] each clip got in each epoch: clipping lowers the peak, noise does not."""
    found = []
    for row_id in ids:
        for epoch in epochs:
            heard = augmentation.apply(CLIP, RATE, row_id, epoch)
            clipped = np.abs(heard).max() < 0.5 * np.abs(CLIP).max()
            found.append("clipping" if clipped else "clean" if np.array_equal(heard, CLIP) else "noise-10db")
    return found


def names(count):
    return [f"clip-{index}" for index in range(count)]


def test_every_condition_is_as_likely_as_any_other():
    """3000 draws: each count is binomial with mean 1000 and deviation sqrt(3000 * 1/3 * 2/3) = 25.8."""
    found = drawn(THREE, names(150), range(20))
    for name in THREE.conditions:
        assert abs(found.count(name) - 1000) < 4 * 25.8


def test_each_clip_epoch_and_seed_draws_its_own_and_the_same_in_every_run():
    ids, epochs = names(10), range(8)
    found = drawn(THREE, ids, epochs)
    assert found == drawn(THREE, ids, epochs)
    assert found != drawn(Augmentation(THREE.conditions, seed=1), ids, epochs)
    assert len({tuple(found[start : start + 8]) for start in range(0, 80, 8)}) == 10  # of clips
    assert len({tuple(found[start::8]) for start in range(8)}) == 8  # of epochs


def test_as_once_drawn():
    """A library that draws otherwise, or another key, would change runs that are resumed."""
    augmentation = Augmentation(THREE.conditions, seed=3)
    short = {"clean": "c", "clipping": "p", "noise-10db": "n"}
    assert "".join(short[name] for name in drawn(augmentation, names(2), range(8))) == "ncnpcccpncpcccpn"


def test_noise_is_drawn_anew_too():
    noisy, other_seed = (Augmentation(("noise-0db",), seed) for seed in (0, 1))
    heard = noisy.apply(CLIP, RATE, "a", 3)
    np.testing.assert_array_equal(heard, noisy.apply(CLIP, RATE, "a", 3))
    for other in (
        noisy.apply(CLIP, RATE, "b", 3),
        noisy.apply(CLIP, RATE, "a", 4),
        other_seed.apply(CLIP, RATE, "a", 3),
    ):
        assert abs(np.corrcoef(heard - CLIP, other - CLIP)[0, 1]) < 0.5
    # 0 dB: noise is as strong as the voice, which is heard everywhere.
    assert np.mean((heard - CLIP) ** 2) == pytest.approx(np.mean((CLIP - CLIP.mean()) ** 2), rel=1e-3)


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_makes_a_clip_of_a_clip(name):
    before = CLIP.copy()
    heard = Augmentation((name,)).apply(CLIP, RATE, "a", 0)
    assert (heard.dtype, heard.shape) == (np.float32, CLIP.shape)
    assert np.array_equal(heard, CLIP) == (name == "clean")
    np.testing.assert_array_equal(CLIP, before)


@pytest.mark.parametrize("crop", [np.zeros(1600), np.full(1600, 0.1), CLIP[:959], CLIP[:0]])
def test_a_crop_of_which_nothing_can_be_heard_stays_as_it_is(crop):
    """Silent, or a sample shorter than 60 ms. With one sample more, or one that differs, it is degraded."""
    crop = crop.astype(np.float32)
    noisy = Augmentation(("noise-0db",))
    np.testing.assert_array_equal(noisy.apply(crop, RATE, "a", 0), crop)
    longer = np.append(np.resize(crop, 959) if len(crop) else CLIP[:959], np.float32(0.5))
    assert not np.array_equal(noisy.apply(longer, RATE, "a", 0), longer)


def test_errors_name_the_clip():
    with pytest.raises(ValueError, match="The clip 'a' holds samples that are not finite"):
        THREE.apply(np.where(np.arange(1600) == 5, np.float32("nan"), CLIP), RATE, "a", 7)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ((), r"are some of \['clean', 'noise-20db', .*\], at least one, not 'none'\.$"),
        ("clean", r"are some of \['clean', 'noise-20db', .*\], at least one, not 'clean'\.$"),
        (("clean", "rain"), r"no acoustic conditions \['rain'\]; there are \['clean', 'noise-20db', "),
        (("clean", "codec", "clean"), r"come once each, but \['clean'\] come more than once\.$"),
    ],
)
def test_conditions_that_there_are_not_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        Augmentation(wrong)


def test_trying_out_finds_a_low_rate():
    everything = Augmentation(tuple(CONDITIONS))
    everything.try_out(8000)
    with pytest.raises(ValueError, match="hears audio at 7999 Hz, but acoustic conditions need at least 8000 Hz"):
        everything.try_out(7999)


def test_trying_out_finds_what_is_not_installed(monkeypatch):
    acoustic_effects._impulse_response.cache_clear()
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(ImportError, match=r"need pyroomacoustics: pip install 'smoothclap\[acoustics\]'"):
        Augmentation(("clean", "room-small")).try_out(RATE)
    Augmentation(("clean", "telephone", "noise-0db")).try_out(RATE)
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ImportError, match=r"need SciPy: pip install 'smoothclap\[acoustics\]'"):
        Augmentation(("telephone",)).try_out(RATE)
    Augmentation(("clean", "noise-0db", "codec", "clipping")).try_out(RATE)


def test_rooms_that_were_tried_out_are_not_simulated_again():
    acoustic_effects._impulse_response.cache_clear()
    rooms = Augmentation(("room-small", "room-large"))
    rooms.try_out(RATE)
    simulated = acoustic_effects._impulse_response.cache_info().misses
    for epoch in range(8):
        rooms.apply(CLIP, RATE, "a", epoch)
    assert simulated == acoustic_effects._impulse_response.cache_info().misses == 2
