"""eGeMAPS functionals: live, cached, interrupted, clips that have none, and their standardisation."""

import importlib.util

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Dataset, Value
from speech.audio import write_flac

from modeling_smoothclap import DEMO_CLIPS
from modeling_smoothclap.audio_smoothclap import ClipError, decode_audio, read_audio, resample
from smoothclap_trainer.data import functionals as opensmile_features
from smoothclap_trainer.data.captions.thresholds import Thresholds
from smoothclap_trainer.data.functionals import (
    PITCH_COLUMN,
    Standardisation,
    add_functionals,
    extract_functionals,
    extract_table,
    functional_names,
    usable_rows,
)
from tests.examples.recipes.archive_makers import tone


PITCH = "F0semitoneFrom27.5Hz_sma3nz_amean"
ROWS = pd.DataFrame({"pitch": [1.0, 3.0, 5.0], "flat": [0.1, 0.1, 0.1], "gap": [1.0, None, 2.0]})


@pytest.fixture
def clips(tmp_path):
    """Five good clips of rising pitch."""
    paths = [tmp_path / f"{index}.flac" for index in range(5)]
    for index, path in enumerate(paths):
        write_flac(path, tone(0.5, 16000, 110 * 2 ** (index / 4)))
    return paths


@pytest.fixture
def computed(monkeypatch):
    """Counts the clips that openSMILE is really asked for; a limit makes the next one fail like an interruption."""
    count = {"clips": 0, "limit": 1000}
    original = opensmile_features._functionals

    def counting(samples, rate):
        if count["clips"] == count["limit"]:
            raise KeyboardInterrupt
        count["clips"] += 1
        return original(samples, rate)

    monkeypatch.setattr(opensmile_features, "_functionals", counting)
    return count


def functionals_of(samples):
    values, problem = opensmile_features._functionals(samples, 16000)
    assert problem is None
    return pd.Series(values, functional_names())


def live(paths):
    return pd.DataFrame([functionals_of(decode_audio(path)[0]) for path in paths])


def test_a_tone_has_its_pitch_and_level():
    samples = tone(1.0, 16000, 220.0, amplitude=0.3)
    functionals = functionals_of(samples)
    assert len(functionals) == 88 and functionals.dtype == np.float32
    assert functionals[PITCH] == pytest.approx(36.0, abs=0.2)  # 220 Hz is three octaves above 27.5 Hz
    louder = functionals_of(2 * samples)
    gain = louder["equivalentSoundLevel_dBp"] - functionals["equivalentSoundLevel_dBp"]
    assert gain == pytest.approx(6.02, abs=0.05)


def test_cached_equals_live_exactly(tmp_path, clips, computed):
    cold = extract_table(clips, tmp_path / "cache")
    assert computed["clips"] == 5
    warm = extract_table(clips, tmp_path / "cache")
    assert computed["clips"] == 5
    pd.testing.assert_frame_equal(cold, warm, check_exact=True)
    assert cold["path"].tolist() == [str(path) for path in clips]
    assert cold["problem"].tolist() == [None] * 5
    np.testing.assert_array_equal(cold[functional_names()].to_numpy(), live(clips).to_numpy())
    assert cold[functional_names()].dtypes.unique().tolist() == [np.dtype("float32")]


def test_neither_order_nor_processes_matter(tmp_path, clips):
    alone = extract_table(clips, tmp_path / "a")
    together = extract_table(clips[::-1], tmp_path / "b", num_workers=2)
    pd.testing.assert_frame_equal(alone, together[::-1].reset_index(drop=True), check_exact=True)


def test_an_interrupted_run_keeps_what_was_done(tmp_path, clips, computed, monkeypatch):
    monkeypatch.setattr(opensmile_features, "CHUNK_CLIPS", 2)
    computed["limit"] = 3
    with pytest.raises(KeyboardInterrupt):
        extract_table(clips, tmp_path / "cache")
    (part,) = (tmp_path / "cache").rglob("*.parquet")
    assert len(pd.read_parquet(part)) == 2  # one whole file; the third clip's was not full
    computed["limit"] = 1000
    resumed = extract_table(clips, tmp_path / "cache")
    assert computed["clips"] == 3 + 3
    pd.testing.assert_frame_equal(resumed, extract_table(clips, tmp_path / "other"), check_exact=True)


def test_the_key_is_the_sound(tmp_path, clips, computed):
    samples, _ = decode_audio(clips[0])
    soundfile.write(tmp_path / "same.wav", samples, 16000, subtype="FLOAT")
    table = extract_table([clips[0], tmp_path / "same.wav", clips[0]], tmp_path / "cache")
    assert computed["clips"] == 1
    assert table[PITCH].nunique() == 1
    key = opensmile_features._content_key
    assert len({key(samples, 16000), key(samples, 8000), key(samples[:-1], 16000)}) == 3


def test_another_version_never_sees_the_rows(tmp_path, clips, computed, monkeypatch):
    extract_table(clips[:1], tmp_path / "cache")
    monkeypatch.setattr(opensmile_features, "_feature_version", lambda: "eGeMAPSv03")
    extract_table(clips[:1], tmp_path / "cache")
    assert computed["clips"] == 2
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_clips_without_functionals_are_flagged_in_a_table(tmp_path, clips):
    paths = [clips[0]]
    for name, samples in (("short", tone(0.05, 16000)), ("silent", np.zeros(16000)), ("empty", np.zeros(0))):
        paths.append(tmp_path / f"{name}.wav")
        soundfile.write(paths[-1], samples, 16000, subtype="FLOAT")
    for _ in range(2):  # computed, then from the cache
        table = extract_table(paths, tmp_path / "cache")
        assert table["problem"].tolist() == [None, "too short", "silent", "empty"]
        assert table[functional_names()].isna().all(axis=1).tolist() == [False, True, True, True]


def test_functionals_that_opensmile_leaves_undefined_are_flagged(monkeypatch, clips, tmp_path):
    class Undefined:
        feature_names = functional_names()

        def process_signal(self, samples, rate):
            return pd.DataFrame([[np.nan] * 88])

    monkeypatch.setattr(opensmile_features, "_smile", Undefined)
    assert extract_table(clips[:1], tmp_path / "cache")["problem"].tolist() == ["undefined functionals"]


def test_files_that_cannot_be_read_are_flagged_and_the_others_extracted(tmp_path, clips, logs):
    (tmp_path / "x.wav").write_text("text")
    (tmp_path / "half.flac").write_bytes(clips[0].read_bytes()[:2000])
    paths = [tmp_path / "gone.wav", clips[0], tmp_path / "x.wav", tmp_path / "half.flac", clips[1]]
    table = extract_table(paths, tmp_path / "cache")
    assert table["problem"].tolist() == ["missing", None, "unreadable", "truncated", None]
    np.testing.assert_array_equal(table[functional_names()].to_numpy()[[1, 4]], live(clips[:2]).to_numpy())
    assert table[functional_names()].isna().all(axis=1).tolist() == [True, False, True, True, False]
    assert "3 of 5" in logs.text and "gone.wav" in logs.text


def test_functionals_join_rows_of_files_and_bytes(tmp_path, clips, computed):
    data = clips[1].read_bytes()
    rows = Dataset.from_dict(
        {
            "id": ["a", "b", "c", "d"],
            "path": [str(clips[0]), None, str(tmp_path / "gone.wav"), None],
            "audio": [None, data, None, data],
            "problem": ["old"] * 4,
        }
    )
    for chosen in ([0, 1, 2, 3], [3, 2, 0]):  # the second is a selection, and all in the cache
        joined = add_functionals(rows.select(chosen), tmp_path / "cache", num_workers=1)
        assert joined["id"][:] == [rows["id"][index] for index in chosen]
        assert joined["problem"][:] == [None if index != 2 else "missing" for index in chosen]
        expected = live([clips[0], clips[1], clips[0], clips[1]]).to_numpy()
        for row, index in zip(joined.select_columns(functional_names()).to_list(), chosen, strict=True):
            if index != 2:
                np.testing.assert_array_equal(np.float32(list(row.values())), expected[index])
            else:
                assert set(row.values()) == {None}
    assert joined.column_names == ["id", "path", "audio", "problem", *functional_names()]
    assert joined.features["problem"] == Value("string")
    assert joined.features[PITCH] == Value("float32")
    assert add_functionals(rows.select([0]), tmp_path / "cache").features["problem"] == Value("string")


def test_samples_beyond_full_scale_do_not_wrap():
    samples = tone(0.5, 16000)
    samples /= np.abs(samples).max()
    assert (samples >= 1).any()
    for loud in (samples, 3 * samples):
        np.testing.assert_array_equal(functionals_of(loud), functionals_of(np.clip(loud, -1, 32767 / 32768)))


def test_functionals_do_not_follow_the_files_rate(tmp_path, logs):
    speech = [read_audio(clip, 48000) for clip in DEMO_CLIPS]
    paths = []
    for rate in (48000, 16000, 8000):
        for number, samples in enumerate(speech):
            paths.append(tmp_path / f"{number}_{rate}.wav")
            soundfile.write(paths[-1], resample(samples, 48000, rate), rate, subtype="FLOAT")
    table = extract_table(paths, tmp_path / "cache")[functional_names()]
    loudness = table["loudness_sma3_amean"].tolist()
    assert loudness[:2] == pytest.approx(loudness[2:4], rel=0.01)
    columns = ["F0semitoneFrom27.5Hz_sma3nz_amean", "jitterLocal_sma3nz_amean", "loudness_sma3_amean"]
    thresholds = Thresholds(dict(zip(columns, (20, 0.01, 0.5), strict=True)), dict.fromkeys(columns, 1e9), 2)
    levels = [thresholds.levels(row) for row in table.to_dict("records")]
    assert levels[:2] == levels[2:4]
    warnings = [record.getMessage() for record in logs.records if "below 16000 Hz" in record.getMessage()]
    assert len(warnings) == 1 and "2 of 6" in warnings[0] and "8000 Hz" in warnings[0]
    other = extract_table(paths[:1], tmp_path / "cache", sampling_rate=8000)[functional_names()]
    assert other["loudness_sma3_amean"][0] < 0.99 * loudness[0]  # of another key


def test_a_waveform_has_the_functionals_of_its_file_and_integers_are_refused(tmp_path, clips):
    samples, rate = decode_audio(clips[0])
    np.testing.assert_array_equal(extract_functionals(samples, rate), live(clips[:1]).iloc[0])
    for wrong in ((32767 * samples).astype(np.int16), np.stack([samples] * 2), 32767 * samples, samples[:100]):
        with pytest.raises(ClipError):
            extract_functionals(wrong, rate)


def test_segments_of_one_file_have_functionals_of_their_own(tmp_path):
    sound = np.concatenate([tone(0.5, 16000, 110.0), tone(0.5, 16000, 220.0)])
    soundfile.write(tmp_path / "a.wav", sound, 16000)
    rows = Dataset.from_dict({"path": [str(tmp_path / "a.wav")] * 2, "start": [0.0, 0.5], "end": [0.5, 1.0]})
    pitch = add_functionals(rows, tmp_path / "cache")[PITCH][:]
    assert pitch == pytest.approx([24.0, 36.0], abs=0.3)


def test_a_damaged_cache_file_is_named(tmp_path, clips):
    extract_table(clips[:1], tmp_path / "cache")
    (part,) = (tmp_path / "cache").rglob("*.parquet")
    part.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=part.name):
        extract_table(clips[:1], tmp_path / "cache")


def test_without_opensmile_the_error_names_the_extra(monkeypatch):
    opensmile_features._smile.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'smoothclap\[opensmile\]'"):
        functional_names()


def test_clips_without_usable_functionals_follow_the_policy(tmp_path, logs):
    columns = {"id": ["a", "b", "c"], "problem": [None, "silent", None], PITCH_COLUMN: [20.0, None, 0.0]}
    some, report = Dataset.from_dict(columns), tmp_path / "report.csv"
    for policy in ("raise", "trust"):
        with pytest.raises(ValueError, match=r"(?s)2 of 3.*b: silent.*c: no voiced sound"):
            usable_rows(some, policy, report)
    assert usable_rows(some, "skip", report)["id"][:] == ["a"]
    assert pd.read_csv(report)["problem"].tolist() == ["silent", "no voiced sound"]
    assert "2 of 3" in logs.text
    with pytest.raises(ValueError, match="1 of 1"):
        usable_rows(some.select([2]), "skip", report)
    good = some.select([0])
    assert usable_rows(good, "raise", report) is good


@pytest.mark.parametrize("rows", [ROWS, Dataset.from_pandas(ROWS)], ids=["DataFrame", "Dataset"])
def test_standardisation_by_hand(rows, tmp_path):
    fitted = Standardisation.fit(rows, ["pitch", "flat"])
    assert fitted.columns == ("pitch",)  # a column that never varies tells nothing
    assert fitted.mean == (3.0,)
    np.testing.assert_allclose(fitted({"pitch": 5.0, "else": "text"}), [2 / np.sqrt(8 / 3)], rtol=1e-6)
    fitted.save(tmp_path / "file.json")
    assert Standardisation.load(tmp_path / "file.json") == fitted


@pytest.mark.parametrize(
    ("columns", "named"), [(["pitch", "none"], r"\['none'\]"), (["gap"], r"\['gap'\]"), (["flat"], "None of 1")]
)
def test_what_cannot_be_standardised(columns, named):
    with pytest.raises(ValueError, match=named):
        Standardisation.fit(ROWS, columns)
