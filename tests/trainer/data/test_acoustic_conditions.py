"""Acoustic conditions of clips, of tables and of training crops: what they depend on, and what is refused."""

import sys

import numpy as np
import pandas as pd
import pytest
import soundfile

from smoothclap_trainer.data import acoustic_conditions, acoustic_effects
from smoothclap_trainer.data.acoustic_conditions import CONDITIONS, Augmentation, Condition, apply_condition, degrade
from smoothclap_trainer.data.acoustic_effects import Clipping, Noise
from smoothclap_trainer.data.clips import read_clip
from tests import tiny


RATE = 16000
NOISY = CONDITIONS["noise-10db"]
CLIP = tiny.clips(0.5)[0]


@pytest.fixture
def rows(tmp_path):
    table = pd.DataFrame({"id": list("abc"), "label": ["x", "y", "x"]}, index=[4, 2, 9])
    table["path"] = [str(tmp_path / f"{name}.wav") for name in table["id"]]
    for path, clip in zip(table["path"], tiny.clips(0.3, 0.2, 0.25), strict=True):
        soundfile.write(path, clip, RATE, subtype="FLOAT")
    table.attrs["left_out"] = {"another split": 3}
    return table


@pytest.fixture
def writes(monkeypatch):
    """The files that are written."""
    written, whole = [], acoustic_conditions.whole_file
    monkeypatch.setattr(acoustic_conditions, "whole_file", lambda file: written.append(file) or whole(file))
    return written


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_clip_stays_a_clip_and_the_same_in_every_run(name):
    before = CLIP.copy()
    state = np.random.get_state()[1].copy()
    heard = apply_condition(CONDITIONS[name], CLIP, RATE, "a")
    assert heard.shape == CLIP.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    np.testing.assert_array_equal(CLIP, before)
    np.testing.assert_array_equal(heard, apply_condition(CONDITIONS[name], CLIP, RATE, "a"))
    assert np.array_equal(heard, CLIP) == (name == "clean")
    assert not np.shares_memory(heard, CLIP)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert apply_condition(CONDITIONS[name], CLIP[:480], 8000, "a").shape == (480,)  # 60 ms


def test_noise_depends_on_clip_and_seed_alone_and_is_only_louder_at_a_lower_ratio():
    heard = apply_condition(NOISY, CLIP, RATE, "a", seed=1)
    assert not np.array_equal(heard, apply_condition(NOISY, CLIP, RATE, "b", seed=1))
    assert not np.array_equal(heard, apply_condition(NOISY, CLIP, RATE, "a", seed=2))
    louder = apply_condition(CONDITIONS["noise-0db"], CLIP, RATE, "a", seed=1)
    np.testing.assert_allclose(louder - CLIP, (heard - CLIP) * 10**0.5, atol=1e-5)


def test_noise_is_the_same_on_every_machine():
    """As once computed; a version of numpy that draws otherwise is noticed."""
    tone = np.sin(np.arange(1600) * 0.3).astype(np.float32)
    noise = apply_condition(NOISY, tone, RATE, "clip-7", seed=3) - tone
    np.testing.assert_allclose(noise[:3], [-0.156817, -0.367551, -0.348352], atol=1e-5)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_a_table_sounds_like_its_clips_one_by_one(rows, tmp_path, num_workers):
    degraded = degrade(rows, NOISY, tmp_path / "out", seed=5, num_workers=num_workers)
    for row, source in zip(degraded.to_dict("records"), rows.to_dict("records"), strict=True):
        wanted = apply_condition(NOISY, read_clip(source, RATE), RATE, row["id"], seed=5)
        np.testing.assert_array_equal(read_clip(row, RATE), wanted)
        assert (tmp_path / "out" / "noise-10db").samefile(row["path"].rpartition("/")[0])
    pd.testing.assert_frame_equal(degraded.drop(columns="path"), rows.drop(columns="path"))
    assert degraded.attrs == rows.attrs
    assert len(list((tmp_path / "out").rglob("*"))) == 1 + 3  # nothing unfinished is left


def test_what_is_there_is_used_again_and_nothing_outdated(rows, tmp_path, writes, monkeypatch):
    first = degrade(rows, NOISY, tmp_path / "out")
    assert sorted(map(str, writes)) == sorted(first["path"])

    def new(table=rows, condition=NOISY, seed=0):
        """How many files another call writes."""
        before = len(writes)
        degrade(table, condition, tmp_path / "out", seed)
        return len(writes) - before

    assert new() == 0
    assert new(condition=Condition(NOISY.name, "another title", NOISY.effect)) == 0
    assert new(seed=1) == 3
    assert new(condition=Condition(NOISY.name, NOISY.title, Noise(11))) == 3
    assert new(condition=Condition(NOISY.name, NOISY.title, Clipping(0.5))) == 3
    assert new(rows.assign(id=["a", "b", "other"])) == 1
    soundfile.write(rows["path"].iloc[0], CLIP, RATE, subtype="FLOAT")
    assert new() == 1
    monkeypatch.setattr(acoustic_conditions, "version", lambda name: "another")
    assert new() == 3


def test_files_are_written_whole_and_alike(rows, tmp_path, monkeypatch):
    paths = [degrade(rows, NOISY, tmp_path / out)["path"] for out in ("one", "two")]
    for one, two in zip(*paths, strict=True):
        with open(one, "rb") as first, open(two, "rb") as second:
            assert first.read() == second.read()

    def killed(file, rate, samples):
        file.write_bytes(b"RIFF")
        raise KeyboardInterrupt

    monkeypatch.setattr("scipy.io.wavfile.write", killed)
    with pytest.raises(KeyboardInterrupt):
        degrade(rows, NOISY, tmp_path / "three", num_workers=1)
    assert not list((tmp_path / "three").rglob("*.wav"))


def test_stereo_is_averaged_rates_are_kept_and_nothing_is_clipped(tmp_path):
    path = tmp_path / "stereo.wav"
    stereo = np.stack([CLIP, 0.5 * CLIP], axis=1) / np.abs(CLIP).max()
    soundfile.write(path, stereo, 22050, subtype="FLOAT")
    rows = pd.DataFrame({"id": ["s"], "path": [str(path)]})
    samples, rate = soundfile.read(degrade(rows, CONDITIONS["noise-0db"], tmp_path)["path"][0], dtype="float32")
    assert rate == 22050
    np.testing.assert_array_equal(
        samples, apply_condition(CONDITIONS["noise-0db"], read_clip({"path": path}, 22050), 22050, "s")
    )
    assert np.abs(samples).max() > 1


def test_a_segment_becomes_a_file_of_its_own(tmp_path, writes):
    path = tmp_path / "long.wav"
    clip = np.concatenate([CLIP, np.zeros(1600, dtype=np.float32)])
    soundfile.write(path, clip, RATE, subtype="FLOAT")
    rows = pd.DataFrame({"id": list("abcd"), "path": [str(path)] * 4})
    rows = rows.assign(start=[0.0, 0.2, None, 0.5], end=[0.2, None, None, 0.6])
    degraded = degrade(rows, NOISY, tmp_path / "out")
    for row, part in zip(degraded.to_dict("records"), (clip[:3200], clip[3200:], clip), strict=False):
        np.testing.assert_array_equal(read_clip(row, RATE), apply_condition(NOISY, part, RATE, row["id"]))
    assert len(writes) == 3  # the last is silent and stays a part of the file
    pd.testing.assert_series_equal(degraded.iloc[3], rows.iloc[3], check_dtype=False)
    assert degraded[["start", "end"]].notna().sum().tolist() == [1, 1]


def test_clean_rows_keep_their_files(rows, tmp_path):
    clean = degrade(rows, CONDITIONS["clean"], tmp_path / "out")
    pd.testing.assert_frame_equal(clean, rows)
    assert clean is not rows
    assert not (tmp_path / "out").exists()


def test_all_bad_clips_are_named_at_once(rows, tmp_path):
    low, empty, nan, broken = (f"{tmp_path}/bad-{number}.wav" for number in range(4))
    soundfile.write(low, CLIP, 4000, subtype="FLOAT")
    soundfile.write(empty, np.zeros(0), RATE)
    soundfile.write(nan, np.array([0.0, np.nan] * 400), RATE, subtype="FLOAT")  # short, too
    with open(broken, "w") as file:
        file.write("no audio")
    bad = pd.DataFrame({"id": list("defghi"), "path": [low, empty, nan, broken, str(tmp_path / "none"), None]})
    with pytest.raises(ValueError, match=r"(?s)6 of 9.*'d'.*'e'.*'f'.*'g'.*'h'.*'i'"):
        degrade(pd.concat([rows, bad]), NOISY, tmp_path / "out")
    found = ("'d'.*4000 Hz", "'e' has 0 samples", "'f'.*not finite", "'g'", "'h'.*none", "'i'")
    for number, named in enumerate(found):
        with pytest.raises(ValueError, match=rf"(?s)1 of 1 clips.*{named}"):
            degrade(bad.iloc[[number]], NOISY, tmp_path / "out")


def test_clips_of_which_nothing_can_be_heard_stay_as_recorded(rows, tmp_path, logs):
    paths = [str(tmp_path / f"unheard-{number}.wav") for number in range(3)]
    for path, clip in zip(paths, (np.zeros(8000), np.full(8000, 0.1), CLIP[:959]), strict=True):
        soundfile.write(path, clip, RATE, subtype="FLOAT")
    table = pd.concat([rows.iloc[:1], pd.DataFrame({"id": ["d", "e", "f"], "path": paths}), rows.iloc[1:]])
    paths_of = degrade(table, NOISY, tmp_path / "out")["path"].tolist()
    assert paths_of[1:4] == paths
    assert [paths_of[0], *paths_of[4:]] == degrade(rows, NOISY, tmp_path / "out")["path"].tolist()
    (warning,) = [record.message for record in logs.records]  # once, and not where all clips can be heard
    assert all(part in warning for part in ("3 of 6", "'d'", "'e'", "'f'"))
    soundfile.write(paths[2], CLIP[:960], RATE, subtype="FLOAT")
    assert degrade(table, NOISY, tmp_path / "out")["path"].iloc[3] != paths[2]


@pytest.mark.parametrize(
    ("clip", "rate", "named"),
    [
        (CLIP.astype(np.float64), RATE, r"'a' is float64 of shape \(8000,\)"),
        (np.stack([CLIP, CLIP]), RATE, r"float32 of shape \(2, 8000\)"),
        (CLIP, 7999, "7999 Hz"),
        (CLIP[:959], RATE, "959 samples"),
        (CLIP[:0], RATE, "0 samples"),
        (np.where(np.arange(8000) == 5, np.float32("inf"), CLIP), RATE, "not finite"),
        (np.zeros(8000, dtype=np.float32), RATE, "silent"),
    ],
)
def test_a_clip_that_is_not_sound_is_refused_under_every_condition(clip, rate, named):
    for condition in CONDITIONS.values():
        with pytest.raises(ValueError, match=named):
            apply_condition(condition, clip, rate, "a")


def test_strange_names_and_missing_columns_are_refused(rows, tmp_path):
    with pytest.raises(ValueError, match=r"\['id'\]"):
        degrade(rows.drop(columns="id"), NOISY, tmp_path)
    for name in ("../up", ""):
        with pytest.raises(ValueError, match=f"'{name}'"):
            Condition(name, "not a folder", None)


CROP = tiny.clips(0.1)[0]
THREE = Augmentation(("clean", "clipping", "noise-10db"))


def drawn(augmentation, ids, epochs):
    """Which of [`THREE`] each clip got in each epoch: clipping lowers the peak, noise does not."""
    found = []
    for row_id in ids:
        for epoch in epochs:
            heard = augmentation.apply(CROP, RATE, row_id, epoch)
            clipped = np.abs(heard).max() < 0.5 * np.abs(CROP).max()
            found.append("clipping" if clipped else "clean" if np.array_equal(heard, CROP) else "noise-10db")
    return found


def names(count):
    return [f"clip-{index}" for index in range(count)]


def test_every_condition_is_as_likely_as_any_other():
    """1500 draws: each count is binomial with mean 500 and deviation sqrt(1500 * 1/3 * 2/3) = 18.3."""
    found = drawn(THREE, names(100), range(15))
    for name in THREE.conditions:
        assert abs(found.count(name) - 500) < 4 * 18.3


def test_as_once_drawn():
    """A library that draws otherwise, or another key, would change runs that are resumed."""
    augmentation = Augmentation(THREE.conditions, seed=3)
    short = {"clean": "c", "clipping": "p", "noise-10db": "n"}
    assert "".join(short[name] for name in drawn(augmentation, names(2), range(8))) == "ncnpcccpncpcccpn"


def test_noise_is_drawn_anew_too():
    noisy, other_seed = (Augmentation(("noise-0db",), seed) for seed in (0, 1))
    heard = noisy.apply(CROP, RATE, "a", 3)
    np.testing.assert_array_equal(heard, noisy.apply(CROP, RATE, "a", 3))
    for other in (
        noisy.apply(CROP, RATE, "b", 3),
        noisy.apply(CROP, RATE, "a", 4),
        other_seed.apply(CROP, RATE, "a", 3),
    ):
        assert abs(np.corrcoef(heard - CROP, other - CROP)[0, 1]) < 0.5
    # 0 dB: noise is as strong as the voice, which is heard everywhere.
    assert np.mean((heard - CROP) ** 2) == pytest.approx(np.mean((CROP - CROP.mean()) ** 2), rel=1e-3)


@pytest.mark.parametrize("crop", [np.zeros(1600), np.full(1600, 0.1), CROP[:959], CROP[:0]])
def test_a_crop_of_which_nothing_can_be_heard_stays_as_it_is(crop):
    """Silent, or a sample shorter than 60 ms. With one sample more, or one that differs, it is degraded."""
    crop = crop.astype(np.float32)
    noisy = Augmentation(("noise-0db",))
    np.testing.assert_array_equal(noisy.apply(crop, RATE, "a", 0), crop)
    longer = np.append(np.resize(crop, 959) if len(crop) else CROP[:959], np.float32(0.5))
    assert not np.array_equal(noisy.apply(longer, RATE, "a", 0), longer)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ((), r"\(\)"),
        ("clean", "'clean'"),
        (("clean", "rain"), r"\['rain'\]"),
        (("clean", "codec", "clean"), r"\['clean'\]"),
    ],
)
def test_unknown_conditions_are_refused(wrong, named):
    with pytest.raises(ValueError, match=named):
        Augmentation(wrong)


def test_trying_out_finds_a_low_rate_and_what_is_not_installed(monkeypatch):
    Augmentation(tuple(CONDITIONS)).try_out(8000)
    with pytest.raises(ValueError, match="7999 Hz"):
        Augmentation(("clean",)).try_out(7999)
    acoustic_effects._impulse_response.cache_clear()
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    with pytest.raises(ImportError, match=r"pyroomacoustics: pip install 'smoothclap\[acoustics\]'"):
        Augmentation(("clean", "room-small")).try_out(RATE)
    Augmentation(("clean", "telephone", "noise-0db")).try_out(RATE)
    monkeypatch.setitem(sys.modules, "scipy.signal", None)
    with pytest.raises(ImportError, match=r"scipy.signal: pip install 'smoothclap\[acoustics\]'"):
        Augmentation(("telephone",)).try_out(RATE)
    Augmentation(("clean", "noise-0db", "codec", "clipping")).try_out(RATE)


def test_rooms_that_were_tried_out_are_not_simulated_again():
    acoustic_effects._impulse_response.cache_clear()
    rooms = Augmentation(("room-small", "room-large"))
    rooms.try_out(RATE)
    simulated = acoustic_effects._impulse_response.cache_info().misses
    for epoch in range(8):
        rooms.apply(CROP, RATE, "a", epoch)
    assert simulated == acoustic_effects._impulse_response.cache_info().misses == 2
