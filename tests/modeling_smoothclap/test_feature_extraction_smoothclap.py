"""The feature extractor: it refuses what it cannot use and says why, and what it gives for a clip never varies."""

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoFeatureExtractor, WhisperConfig, WhisperFeatureExtractor

from modeling_smoothclap import ShortClipWarning, SmoothCLAPFeatureExtractor
from tests import tiny


WAVEFORM = SmoothCLAPFeatureExtractor()
LOG_MEL = SmoothCLAPFeatureExtractor(num_mel_bins=80)
both = pytest.mark.parametrize("extractor", [WAVEFORM, LOG_MEL], ids=["waveform", "log-mel"])

GOOD = np.zeros(800, dtype=np.float32)


def tone(frequency: float, seconds: float = 0.5) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * 16000)) / 16000)).astype(np.float32)


def extract(extractor, audio, **kwargs) -> dict:
    return dict(extractor(audio, **{"sampling_rate": 16000, "return_tensors": "np"} | kwargs))


def main_input(extractor) -> str:
    return extractor.model_input_names[0]


# What it refuses


@both
def test_a_missing_rate_is_refused(extractor):
    with pytest.raises(ValueError, match=r"`sampling_rate`.*16000 Hz"):
        extractor(GOOD)


@both
@pytest.mark.parametrize("rate", [8000, 44100, 16001])
def test_a_wrong_rate_is_refused_with_the_cure(extractor, rate):
    with pytest.raises(ValueError, match=f"{rate} Hz.*16000 Hz"):
        extractor(GOOD, sampling_rate=rate)


NAN, INF = GOOD.copy(), GOOD.copy()
NAN[3], INF[5] = np.nan, -np.inf
FAULTS = {
    "nan": (NAN, "holds NaN or infinity, first at sample 3.*nan_to_num"),
    "inf": (INF, "holds NaN or infinity, first at sample 5.*nan_to_num"),
    "too large for float32": (np.full(800, 1e39), "holds NaN or infinity, first at sample 0"),
    "empty": (np.zeros(0, np.float32), "is empty. Leave it out"),
    "stereo, channels first": (np.zeros((2, 800), np.float32), r"has shape \(2, 800\).*mono.*mean\(axis=0\)"),
    "stereo, channels last": (np.zeros((800, 2), np.float32), r"has shape \(800, 2\).*mono.*mean\(axis=0\)"),
    "one channel": (np.zeros((1, 800), np.float32), r"has shape \(1, 800\)"),
    "16-bit PCM": (np.zeros(800, np.int16), "holds int16 values.*astype.*32768"),
    "8-bit PCM": (np.zeros(800, np.uint8), "holds uint8 values.*full scale at 1"),
    "bool": (np.zeros(800, bool), "holds bool values"),
    "list of ints": ([0] * 800, "holds int64 values.*32768"),
    "complex": (np.zeros(800, np.complex64), "holds complex64 values"),
    "tensor of ints": (torch.zeros(800, dtype=torch.int32), "holds int32 values"),
    "tensor of two channels": (torch.zeros(2, 800), r"has shape \(2, 800\)"),
    "nothing": (None, r"has shape \(\)"),
}


@both
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_clip_is_refused_by_its_index(extractor, fault):
    clip, message = FAULTS[fault]
    if not isinstance(clip, list):  # a bare list of numbers is one clip, as a part of a list it would be one too
        with pytest.raises(ValueError, match=f"Clip 0 {message}"):
            extractor(clip, sampling_rate=16000)
    with pytest.raises(ValueError, match=f"Clip 2 {message}"):
        extractor([GOOD, GOOD, clip, GOOD], sampling_rate=16000)


@both
def test_a_bare_list_of_integers_is_refused(extractor):
    with pytest.raises(ValueError, match=r"Clip 0 .*int64"):
        extractor([0] * 800, sampling_rate=16000)


@both
def test_an_empty_list_is_refused(extractor):
    with pytest.raises(ValueError, match="Clip 0"):
        extractor([], sampling_rate=16000)


def test_padding_on_the_left_is_refused():
    with pytest.raises(ValueError, match="left"):
        SmoothCLAPFeatureExtractor(padding_side="left")


def test_a_minimum_below_what_the_spectrogram_needs_is_refused():
    for change in ({"minimum_samples": 200}, {"minimum_samples": 400, "hop_length": 401}):
        with pytest.raises(ValueError, match=str(change["minimum_samples"])):
            SmoothCLAPFeatureExtractor(num_mel_bins=20, **change)
    shortest = SmoothCLAPFeatureExtractor(num_mel_bins=20, minimum_samples=201)
    assert extract(shortest, np.zeros(201, np.float32))["input_features"].shape == (1, 1, 20)


# What it accepts


@both
@pytest.mark.parametrize(
    "convert",
    [
        lambda clip: clip,
        lambda clip: clip.astype(np.float64),
        lambda clip: clip.tolist(),
        lambda clip: tuple(clip.tolist()),
        lambda clip: torch.from_numpy(clip),
        lambda clip: torch.from_numpy(clip).double(),
        lambda clip: torch.from_numpy(clip).requires_grad_(),
        lambda clip: [clip],
        lambda clip: [clip.tolist()],
        lambda clip: [torch.from_numpy(clip)],
        lambda clip: clip[::-1][::-1],
    ],
    ids=[
        "float32",
        "float64",
        "list of floats",
        "tuple of floats",
        "tensor",
        "double tensor",
        "tensor with gradient",
        "list of one array",
        "list of one list",
        "list of one tensor",
        "strided",
    ],
)
def test_every_form_of_one_clip_gives_the_same(extractor, convert):
    clip = tiny.clips(0.1)[0]
    expected = extract(extractor, clip)
    actual = extract(extractor, convert(clip))
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value)
    assert actual[main_input(extractor)].dtype == np.float32


@both
@pytest.mark.parametrize("half", [np.float16, torch.float16, torch.bfloat16])
def test_half_precision_clips_are_widened(extractor, half):
    clip = tiny.clips(0.1)[0]
    narrow = torch.from_numpy(clip).to(half) if isinstance(half, torch.dtype) else clip.astype(half)
    actual = extract(extractor, narrow)[main_input(extractor)]
    assert actual.dtype == np.float32
    wide = narrow.float().numpy() if isinstance(half, torch.dtype) else narrow.astype(np.float32)
    np.testing.assert_array_equal(actual, extract(extractor, wide)[main_input(extractor)])


@both
def test_what_it_returns(extractor):
    batch = extractor(tiny.clips(0.1, 0.05), sampling_rate=16000, return_tensors="pt")
    assert list(batch) == extractor.model_input_names
    shape = (2, 1600) if extractor is WAVEFORM else (2, 10, 80)
    assert batch[main_input(extractor)].shape == shape
    assert batch["audio_attention_mask"].shape == shape[:2]
    assert batch["audio_attention_mask"].sum(dim=1).tolist() == ([1600, 800] if extractor is WAVEFORM else [10, 5])


def test_a_waveform_is_passed_through_untouched():
    clip = tiny.clips(0.1)[0]
    kept = clip.copy()
    batch = extract(WAVEFORM, clip)
    np.testing.assert_array_equal(batch["input_values"][0], kept)
    batch["input_values"][:] = 7
    np.testing.assert_array_equal(clip, kept, err_msg="the caller's clip was changed")


@both
def test_the_mask_can_be_left_out(extractor):
    assert list(extract(extractor, GOOD, return_attention_mask=False)) == [main_input(extractor)]


@both
def test_same_input_same_output(extractor):
    clips = tiny.clips(0.1, 0.07)
    first, second = extract(extractor, clips), extract(extractor, [clip.copy() for clip in clips])
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)


@both
def test_a_batch_gives_each_clip_what_it_gives_alone(extractor):
    clips = tiny.clips(0.1, 0.0371, 0.3)
    clips[1] *= 1e-3  # so that one clip's peak would show in another's spectrogram
    together = extract(extractor, clips)
    for row, clip in enumerate(clips):
        alone = extract(extractor, clip)
        length = alone["audio_attention_mask"].sum()
        assert together["audio_attention_mask"][row].sum() == length
        np.testing.assert_array_equal(together[main_input(extractor)][row, :length], alone[main_input(extractor)][0])
        assert (together[main_input(extractor)][row, length:] == 0).all()


# Short clips


@both
def test_short_clips_are_padded_and_named(extractor):
    clips = [GOOD, np.full(30, 0.5, np.float32), GOOD, np.full(399, 0.5, np.float32), np.full(400, 0.5, np.float32)]
    with pytest.warns(ShortClipWarning) as caught:
        batch = extract(extractor, clips)
    assert len(caught) == 1
    assert caught[0].message.indices == [1, 3]
    assert caught[0].filename == __file__, "the warning points at the caller"
    assert "Clips [1, 3] are shorter than the 400 samples (25 ms)" in str(caught[0].message)
    whole = 400 if extractor is WAVEFORM else 2
    assert batch["audio_attention_mask"].sum(axis=1)[[1, 3, 4]].tolist() == [whole] * 3
    padded = np.concatenate([clips[1], np.zeros(370, np.float32)])
    np.testing.assert_array_equal(
        batch[main_input(extractor)][1, :whole], extract(extractor, padded)[main_input(extractor)][0]
    )


@both
def test_clips_long_enough_give_no_warning(extractor):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        extract(extractor, np.zeros(400, np.float32))


@pytest.mark.parametrize("family", tiny.AUDIO_FAMILIES)
def test_the_shortest_clip_passes_through_every_tower(family):
    processor, model = tiny.processor(family), tiny.model(family)
    with pytest.warns(ShortClipWarning), torch.no_grad():
        batch = processor(audio=np.full(1, 0.1, np.float32), sampling_rate=16000, return_tensors="pt")
        assert model.get_audio_features(**batch).pooler_output.isfinite().all()


# Log-mel


@pytest.mark.parametrize("seconds", [0.1, 0.99, 1.0])
@pytest.mark.parametrize("num_mel_bins", [80, 128])
@pytest.mark.parametrize("make", [lambda seconds: tiny.clips(seconds)[0], lambda seconds: tone(440, seconds)])
def test_log_mel_is_whispers(make, seconds, num_mel_bins):
    # Of the whole clip: both reflect it at its end, which Whisper usually does to the silence it adds. Noise fills all
    # bands; a tone leaves most of them to the floor.
    clip = make(seconds)
    whisper = WhisperFeatureExtractor(feature_size=num_mel_bins)
    expected = whisper(clip, sampling_rate=16000, padding="do_not_pad", truncation=False, return_tensors="np")
    actual = extract(SmoothCLAPFeatureExtractor(num_mel_bins=num_mel_bins), clip)["input_features"]
    np.testing.assert_allclose(actual[0], expected["input_features"][0].T, atol=1e-5)


def test_log_mel_is_whispers_within_a_clip_padded_to_30_s():
    # Away from the clip's end, where the stock extractor sees silence and this one a mirror image, they agree.
    clip = tiny.clips(1.0)[0]
    expected = WhisperFeatureExtractor()(clip, sampling_rate=16000, return_tensors="np")["input_features"][0].T
    actual = extract(LOG_MEL, clip)["input_features"][0]
    np.testing.assert_allclose(actual[:98], expected[:98], atol=1e-5)
    assert np.abs(actual[98:] - expected[98:100]).max() > 1e-3


def test_a_tone_is_loudest_in_the_band_around_it():
    low, high = (extract(LOG_MEL, tone(f))["input_features"][0].mean(axis=0) for f in (200, 3000))
    centres = LOG_MEL.mel_filters.argmax(dim=0) * 40  # Hz: 201 bins up to 8 kHz
    assert abs(int(centres[low.argmax()]) - 200) <= 40
    assert abs(int(centres[high.argmax()]) - 3000) <= 80


def test_nothing_is_more_than_80_db_below_the_peak():
    features = extract(LOG_MEL, tone(440))["input_features"]
    assert features.max() - features.min() == pytest.approx(2, abs=1e-5)  # 8 units of log10 power, a quarter of that
    assert (features == features.min()).mean() > 0.1


def test_log_mel_of_silence_is_finite_and_flat():
    features = extract(LOG_MEL, np.zeros(1600, np.float32))["input_features"]
    np.testing.assert_allclose(features, (-10 + 4) / 4, atol=1e-6)


def test_loudness_is_kept():
    clip = tiny.clips(0.2)[0]
    quiet, loud = (extract(LOG_MEL, factor * clip)["input_features"] for factor in (0.1, 1.0))
    # 20 dB are 2 units of log10 power, and a quarter of that after scaling.
    np.testing.assert_allclose(loud - quiet, 0.5, atol=1e-4)


# Narrow-band and wide-band recordings


def test_bands_above_max_frequency_are_silent():
    extractor = SmoothCLAPFeatureExtractor(num_mel_bins=80, max_frequency=5500)
    centres = LOG_MEL.mel_filters.argmax(dim=0) * 40
    silent = (extractor.mel_filters == 0).all(dim=0)
    assert torch.equal(silent, centres > 5500)
    assert 0 < silent.sum() < 20
    kept = ~silent
    assert torch.equal(extractor.mel_filters[:, kept], LOG_MEL.mel_filters[:, kept])


def test_narrow_and_wide_band_versions_of_a_clip_look_alike():
    wide = tiny.clips(0.5)[0]
    spectrum = np.fft.rfft(wide)
    spectrum[np.fft.rfftfreq(len(wide), 1 / 16000) > 5800] = 0  # what an 11 kHz recording has, resampled to 16 kHz
    narrow = np.fft.irfft(spectrum, len(wide)).astype(np.float32)
    silenced = SmoothCLAPFeatureExtractor(num_mel_bins=80, max_frequency=5300)
    inner = slice(2, -2)  # at the clip's ends the reflection spreads the cut
    alike = [extract(silenced, clip)["input_features"][0, inner] for clip in (wide, narrow)]
    unlike = [extract(LOG_MEL, clip)["input_features"][0, inner] for clip in (wide, narrow)]
    assert np.abs(alike[0] - alike[1]).max() < 0.01
    assert np.abs(unlike[0] - unlike[1]).max() > 0.5


def test_a_loud_tone_in_a_silent_band_does_not_raise_the_floor():
    # The floor is 80 dB below the clip's peak, and the peak counts no silenced band.
    quiet = 1e-3 * tiny.clips(0.5)[0]
    with_hiss = quiet + tone(7500)
    silenced = SmoothCLAPFeatureExtractor(num_mel_bins=80, max_frequency=5500)
    kept = (silenced.mel_filters != 0).any(dim=0).numpy()
    clean, hissing = (extract(silenced, clip)["input_features"][0, 2:-2][:, kept] for clip in (quiet, with_hiss))
    assert np.abs(clean - hissing).max() < 0.3
    assert (
        np.abs(extract(LOG_MEL, quiet)["input_features"][0] - extract(LOG_MEL, with_hiss)["input_features"][0]).max()
        > 1
    )


# Options


@pytest.mark.parametrize("extra", [{}, {"num_mel_bins": 80}])
def test_do_normalize_is_zero_mean_and_unit_variance(extra):
    clip = 0.2 * tiny.clips(0.1)[0] + 0.3
    by_hand = ((clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)).astype(np.float32)
    normalising = SmoothCLAPFeatureExtractor(do_normalize=True, **extra)
    plain = SmoothCLAPFeatureExtractor(**extra)
    np.testing.assert_allclose(
        extract(normalising, clip)[main_input(plain)], extract(plain, by_hand)[main_input(plain)], atol=1e-5
    )


def test_do_normalize_does_not_count_padding():
    clip = np.full(100, 0.5, np.float32)
    clip[::2] = -0.1
    with pytest.warns(ShortClipWarning):
        values = extract(SmoothCLAPFeatureExtractor(do_normalize=True), [clip, GOOD])["input_values"][0]
    assert values[:100].mean() == pytest.approx(0, abs=1e-5)
    assert values[:100].std() == pytest.approx(1, abs=1e-3)
    assert (values[100:] == 0).all()


@both
def test_padding_to_a_length(extractor):
    length = 2000 if extractor is WAVEFORM else 13
    batch = extract(extractor, tiny.clips(0.1), padding="max_length", max_length=length)
    assert batch[main_input(extractor)].shape[1] == batch["audio_attention_mask"].shape[1] == length
    assert batch["audio_attention_mask"].sum() == (1600 if extractor is WAVEFORM else 10)


@both
def test_truncation(extractor):
    length = 500 if extractor is WAVEFORM else 4
    clips = tiny.clips(0.1, 0.05)
    batch = extract(extractor, clips, truncation=True, max_length=length)
    np.testing.assert_array_equal(
        batch[main_input(extractor)], extract(extractor, clips)[main_input(extractor)][:, :length]
    )
    assert batch["audio_attention_mask"].tolist() == [[1] * length] * 2


@both
def test_padding_to_a_multiple(extractor):
    batch = extract(extractor, tiny.clips(0.1, 0.05), pad_to_multiple_of=64)
    assert batch[main_input(extractor)].shape[1] == (1600 if extractor is WAVEFORM else 64)
    assert batch["audio_attention_mask"].shape == batch[main_input(extractor)].shape[:2]


@both
def test_no_padding(extractor):
    batch = extract(extractor, tiny.clips(0.1, 0.05), padding=False, return_tensors=None)
    lengths = [len(row) for row in batch[main_input(extractor)]]
    assert lengths == ([1600, 800] if extractor is WAVEFORM else [10, 5])


@both
@pytest.mark.parametrize("tensors", ["np", "pt"])
def test_rows_extracted_apart_can_be_padded_together(extractor, tensors):
    # As a collator does.
    clips = tiny.clips(0.1, 0.05)
    rows = [{name: value[0] for name, value in extract(extractor, clip).items()} for clip in clips]
    batch = extractor.pad(rows, return_tensors=tensors)
    expected = extractor(clips, sampling_rate=16000, return_tensors=tensors)
    assert batch.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(batch[name], value)
    assert rows[1].keys() == expected.keys(), "the caller's rows were changed"


@both
def test_datasets_store_what_is_not_padded(extractor):
    clips = tiny.clips(0.1, 0.05, 0.07)
    data = Dataset.from_dict({"clip": clips})

    def extract_rows(rows):
        return dict(extractor([np.float32(clip) for clip in rows["clip"]], sampling_rate=16000, padding=False))

    stored = data.map(extract_rows, batched=True, remove_columns="clip")
    alone = [extract(extractor, clip) for clip in clips]
    for row, expected in zip(stored, alone, strict=True):
        for name, value in expected.items():
            np.testing.assert_array_equal(np.float32(row[name]), value[0])
    found = extract_rows({"clip": clips})
    assert all(isinstance(rows, list) and isinstance(rows[0], np.ndarray) for rows in found.values())
    batch = extractor.pad([dict(row) for row in stored], return_tensors="np")
    np.testing.assert_array_equal(batch[main_input(extractor)], extract(extractor, clips)[main_input(extractor)])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("sampling_rate", "n_fft", "hop_length") for value in (0, -1, 1.5, "16000", None)),
        ("num_mel_bins", 0),
        ("minimum_samples", -1),
        ("max_frequency", 0),
        ("padding_value", float("nan")),
        ("do_normalize", "yes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}`"):
        SmoothCLAPFeatureExtractor(**{name: value})


@pytest.mark.parametrize("rate", ["16000", [16000], np.array([16000, 16000]), float("nan"), True, torch.tensor(8000)])
def test_a_rate_that_is_no_rate_is_refused(rate):
    with pytest.raises(ValueError, match="this model takes 16000 Hz"):
        WAVEFORM(GOOD, sampling_rate=rate)


@both
@pytest.mark.parametrize("rows", [[], [{}], [5], ["a"], 5, [{"input_values": GOOD}, {"input_features": GOOD}]])
def test_what_cannot_be_padded_together_is_refused(extractor, rows):
    with pytest.raises(ValueError, match=r"padded together|input_"):
        extractor.pad(rows)
    for name in ("max_length", "pad_to_multiple_of"):
        with pytest.raises(ValueError, match=name):
            extractor(GOOD, sampling_rate=16000, **{name: 0})


# Saving and building


@pytest.mark.parametrize("kwargs", [{}, {"num_mel_bins": 20, "max_frequency": 5500, "do_normalize": True}])
def test_round_trip_through_a_directory(tmp_path, kwargs):
    extractor = SmoothCLAPFeatureExtractor(minimum_samples=512, **kwargs)
    extractor.save_pretrained(tmp_path)
    for loaded in (
        SmoothCLAPFeatureExtractor.from_pretrained(tmp_path),
        AutoFeatureExtractor.from_pretrained(tmp_path),
        copy.deepcopy(extractor),
        pickle.loads(pickle.dumps(extractor)),
    ):
        assert type(loaded) is SmoothCLAPFeatureExtractor
        assert loaded.to_dict() == extractor.to_dict()
        clip = tiny.clips(0.1)[0]
        for name, value in extract(extractor, clip).items():
            np.testing.assert_array_equal(extract(loaded, clip)[name], value)


def test_mel_filters_are_not_saved():
    assert "mel_filters" not in LOG_MEL.to_dict()
    assert "mel_filters" not in LOG_MEL.to_json_string()


def test_it_fits_the_audio_config():
    whisper = SmoothCLAPFeatureExtractor.from_audio_config(WhisperConfig(num_mel_bins=128), max_frequency=5500)
    assert (whisper.num_mel_bins, whisper.max_frequency) == (128, 5500)
    assert whisper.model_input_names == ["input_features", "audio_attention_mask"]
    waveform = SmoothCLAPFeatureExtractor.from_audio_config(tiny.audio_config("hubert"), do_normalize=True)
    assert (waveform.num_mel_bins, waveform.do_normalize, waveform.minimum_samples) == (None, True, 20)
    assert waveform.model_input_names == ["input_values", "audio_attention_mask"]
    with pytest.raises(ValueError, match="`bert`"):
        SmoothCLAPFeatureExtractor.from_audio_config(tiny.text_config())


def test_integer_pcm_that_was_cast_to_float_is_refused():
    pcm = (32767 * tiny.clips(0.1)[0]).astype(np.float32)
    with pytest.raises(ValueError, match=r"Clip 1 .*32768"):
        SmoothCLAPFeatureExtractor()([pcm / 32768, pcm], sampling_rate=16000)


def test_a_limit_of_mel_bands_is_refused_for_waveforms():
    with pytest.raises(ValueError, match=r"4000.*wav2vec2"):
        SmoothCLAPFeatureExtractor.from_audio_config(tiny.audio_config(), max_frequency=4000)
