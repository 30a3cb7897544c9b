"""The builder of the expressive corpus, with a program that answers with tones instead of espeak-ng."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
from expressive import build as expressive
from expressive.build import AMPLITUDE, ExpressiveClip, acoustic_summary, build_expressive, plan_clips, render
from expressive.espeak import find_espeak
from expressive.prosody import PROSODIES, jitter_of
from expressive.sentences import SENTENCES, VOICES
from speech.dataset import COLUMNS, load_splits

from smoothclap_trainer.data import functionals as opensmile_features
from smoothclap_trainer.data.functionals import functional_names
from smoothclap_trainer.files import file_sha256

from .fake_espeak import PEAK, calls, write_espeak


FEW = {emotion: PROSODIES[emotion] for emotion in ("neutral", "angry")}
CLIPS = (1 + 1 + 1 + 3) * 4  # sentences of each split, the German ones all of the test; neutral and three times angry


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A `PATH` with the stand-in, and fewer emotions."""
    folder = tmp_path_factory.mktemp("scene")
    write_espeak(folder / "bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(folder / "bin"))
        patch.setattr(expressive, "PROSODIES", FEW)
        yield folder


def make(scene, **changes):
    espeak = replace(find_espeak(scene), **changes)
    return build_expressive(espeak, scene / "speech", scene / "cache", num_workers=1, trial=True)


@pytest.fixture(scope="module")
def built(scene):
    """All rows."""
    return pd.concat(make(scene).values(), ignore_index=True)


def test_the_plan_is_all_of_every_split():
    clips = plan_clips()
    assert len(clips) == (20 * 12 + 2 * 3 + 4 * 5 + 4 * 20) * (6 * 3 + 1)
    assert len({clip.id for clip in clips}) == len(clips)
    assert clips[1] == ExpressiveClip("en", "m2", 0, "happy", 1)
    assert clips[1].id == "expressive-synthetic-en/m2/en01-happy-1"
    assert clips[1].path.as_posix() == "audio/expressive-synthetic-en/m2/en01-happy-1.flac"


def test_a_trial_has_clips_of_every_split_and_emotion():
    clips = plan_clips(trial=True)
    assert {clip.voice for clip in clips} == {"m2", "m6", "edward"}
    assert {clip.sentence for clip in clips} == {0, 12, 15}
    assert {clip.emotion for clip in clips} == set(PROSODIES)
    assert len(clips) == (1 + 1 + 1 + 3) * 19


def test_splits_hold_the_right_clips(built, scene):
    splits = load_splits(scene / "speech")
    spoken = {
        name: {(row["language"], row["voice"], row["sentence"]) for row in split.remove_columns("path")}
        for name, split in splits.items()
    }
    assert spoken == {
        "train": {("en", "m2", "en01")},
        "validation": {("en", "m6", "en13")},
        "test": {("en", "edward", "en16")} | {("de", "edward", f"de{index}") for index in ("01", "13", "16")},
    }
    assert {name: len(split) for name, split in splits.items()} == {"train": 4, "validation": 4, "test": 16}


def test_rows_say_what_the_clips_are(built, scene):
    row = load_splits(scene / "speech")["test"].filter(lambda row: row["id"].endswith("-de/edward/de01-angry-2"))[0]
    assert {*COLUMNS, *functional_names()} <= set(row)
    expected = {
        "id": "expressive-synthetic-de/edward/de01-angry-2",
        "corpus": "expressive-synthetic-de",
        "speaker": "expressive-synthetic:edward",
        "language": "de",
        "transcript": SENTENCES["de"][0],
        "package": "espeak-ng",
        "package_version": "1.51",
        "licence": "GPL-3.0-or-later",
        "synthetic": True,
        "voice": "edward",
        "gender": "male",
        "sentence": "de01",
        "emotion": "angry",
        "label": "angry",
        "emotion_intensity": 2,
        "circumplex_valence": pytest.approx(2 / 3 * math.cos(math.radians(99))),
        "circumplex_arousal": pytest.approx(2 / 3 * math.sin(math.radians(99))),
    }
    assert {name: row[name] for name in expected} == expected
    info = soundfile.info(row["path"])
    assert (info.samplerate, info.channels, info.format, info.subtype) == (16000, 1, "FLAC", "PCM_16")
    assert row["duration"] == info.frames / 16000
    assert row["sha256"] == file_sha256(row["path"])


def test_level_follows_the_emotion_and_is_not_normalised(built, scene):
    tone = PEAK * AMPLITUDE / 100 / 2.5 * math.sqrt(3 / 2)  # three sines, root mean square
    for row in load_splits(scene / "speech")["train"]:
        samples, _ = soundfile.read(row["path"])
        level = 20 * math.log10(np.sqrt(np.mean(samples**2)) / tone)
        assert level == pytest.approx(2 * row["emotion_intensity"] + jitter_of(row["id"]).level, abs=0.1)


def test_pitch_is_that_of_the_settings(built):
    rows = built.set_index("id")["F0semitoneFrom27.5Hz_sma3nz_amean"]
    neutral, angry = rows["expressive-synthetic-en/m2/en01-neutral-0"], rows["expressive-synthetic-en/m2/en01-angry-3"]
    assert 5 < angry - neutral < 9  # 29 steps of 12 / 50 semitones, jitter of 0.85 each, and the tones' own 10 Hz


def test_a_second_run_speaks_and_computes_nothing(built, scene, monkeypatch):
    def never(*arguments):
        raise AssertionError("work was done twice")

    monkeypatch.setattr(opensmile_features, "_functionals", never)
    before = len(calls(scene / "bin"))
    splits = make(scene)
    assert len(calls(scene / "bin")) == before
    pd.testing.assert_frame_equal(pd.concat(splits.values(), ignore_index=True), built)
    assert list(splits) == ["train", "validation", "test"]


def test_only_what_is_missing_is_spoken_again_and_sounds_the_same(built, scene):
    lost = scene / "speech" / built["path"][5]
    content = lost.read_bytes()
    lost.unlink()
    before = len(calls(scene / "bin"))
    make(scene)
    assert len(calls(scene / "bin")) == before + 1
    assert lost.read_bytes() == content


def test_another_version_speaks_everything_again(built, scene, monkeypatch):
    before = {path: soundfile.read(scene / "speech" / path)[0] for path in built["path"]}
    spoken = []

    def say_the_same(espeak, clip):
        spoken.append(espeak.version)
        return before[clip.path.as_posix()]

    monkeypatch.setattr(expressive, "render", say_the_same)
    splits = make(scene, version="1.52")
    assert spoken == ["1.52"] * CLIPS
    assert set(splits["test"]["package_version"]) == {"1.52"}
    make(scene)  # for the other tests
    assert spoken == ["1.52"] * CLIPS + ["1.51"] * CLIPS


def test_provenance_marks_it_synthetic_and_gives_the_figures(built, scene):
    record = json.loads((scene / "speech/provenance.json").read_text())
    assert [entry["name"] for entry in record] == ["expressive-synthetic-en", "expressive-synthetic-de"]
    for entry in record:
        assert entry["synthetic"] is True
        assert entry["program"] == "espeak-ng 1.51"
        assert entry["prosodies"]["sad"] == {"f0_mean": 100, "f0_range": 80, "duration": 140, "level": -6}
        assert entry["voices"]["f5"] == {"gender": "female", "role": "test"}


@pytest.mark.parametrize(
    ("peak", "reason"), [(2.85, "too loud"), (0.0, "silent")], ids=["beyond full scale", "nothing"]
)
def test_clips_that_cannot_serve_are_refused(tmp_path, monkeypatch, peak, reason):
    write_espeak(tmp_path, peak=peak)
    monkeypatch.setenv("PATH", str(tmp_path))
    clip = ExpressiveClip("en", "m2", 0, "angry", 3)
    with pytest.raises(ValueError, match=f"'{clip.id}'.* {reason} .*'pitch'"):
        render(find_espeak(tmp_path), clip)


def test_missing_voices_are_refused(tmp_path, monkeypatch):
    write_espeak(tmp_path, voices=tuple(VOICES)[1:])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="'m2'"):
        build_expressive(find_espeak(tmp_path), tmp_path / "speech", tmp_path / "cache")


@pytest.mark.parametrize(
    ("column", "value", "reason"), [("problem", "silent", "silent"), (expressive.PITCH_COLUMN, 0.0, "no voiced sound")]
)
def test_clips_without_functionals_are_refused(built, scene, monkeypatch, column, value, reason):
    extract = expressive.extract_table

    def faulty(*arguments):
        table = extract(*arguments)
        table.loc[1, column] = value
        return table

    monkeypatch.setattr(expressive, "extract_table", faulty)
    with pytest.raises(ValueError, match=rf"m2/en01-angry-1' \({reason}\)"):
        make(scene)


def test_the_summary_averages_each_emotion_and_intensity(built):
    table = acoustic_summary(built)
    assert table[["emotion", "emotion_intensity", "clips"]].values.tolist() == [
        ["neutral", 0, 6],
        ["angry", 1, 6],
        ["angry", 2, 6],
        ["angry", 3, 6],
    ]
    angry = built[(built["emotion"] == "angry") & (built["emotion_intensity"] == 3)]
    assert table["seconds"][3] == pytest.approx(angry["duration"].mean())
    assert table["loudness"][3] == pytest.approx(angry["loudness_sma3_amean"].mean())
    assert table["seconds"].is_monotonic_decreasing
    assert table["loudness"].is_monotonic_increasing
