"""Windows along a recording: each is what it is alone, and what is said of it can be computed by hand."""

import numpy as np
import pytest
import soundfile

from modeling_smoothclap import SmoothCLAPEncoder, Window
from tests import tiny


TEXTS = ["a low voice", "a high voice", "a sad voice"]
RATE = 16000


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return SmoothCLAPEncoder.from_pretrained(tiny.checkpoint(tmp_path_factory.mktemp("tiny"), "wav2vec2"), "cpu")


def noise(seconds, seed=0):
    level = np.repeat(np.linspace(0.02, 0.3, 10), round(seconds * RATE / 10))
    return (level * np.random.default_rng(seed).standard_normal(len(level))).astype(np.float32)


def by_hand(encoder, part, templates=("{}",)):
    """Cosines of one part with the texts, each the mean over the templates."""
    means = np.mean([encoder.encode_text([t.replace("{}", text) for text in TEXTS]) for t in templates], axis=0)
    return means / np.linalg.norm(means, axis=1, keepdims=True) @ encoder.encode_audio(part)


def softmax(cosines, encoder):
    powers = np.exp(encoder.logit_scale * cosines.astype(float))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_windows_are_what_they_are_alone(encoder, tmp_path):
    recording = noise(5)
    soundfile.write(tmp_path / "talk.wav", recording, RATE, subtype="FLOAT")
    expected = [(0, 2), (1, 3), (2, 4), (3, 5)]
    for source in (recording, tmp_path / "talk.wav", {"array": recording, "sampling_rate": RATE}):
        found = encoder.timeline(source, TEXTS, window=2, hop=1)
        assert found.windows == [Window(*each) for each in expected] and found.problems == [None] * 4
        cosines = np.array([by_hand(encoder, recording[start * RATE : end * RATE]) for start, end in expected])
        np.testing.assert_allclose(found.cosines, cosines, atol=1e-5)
        np.testing.assert_allclose(found.scores, softmax(cosines, encoder), atol=1e-4)
        assert found.best() == [TEXTS[index] for index in cosines.argmax(axis=1)]
        assert found.spread is None


def test_windows_of_a_lossy_file_of_another_rate(encoder, tmp_path):
    soundfile.write(tmp_path / "talk.mp3", noise(5), 22050)  # 3.6 s
    found = encoder.timeline(tmp_path / "talk.mp3", TEXTS, window=1, batch_size=3)
    whole, rate = soundfile.read(tmp_path / "talk.mp3", dtype="float32")
    assert found.windows[-1].end == len(whole) / rate
    for place in (0, 1, len(found.windows) - 1):
        start, end, _ = found.windows[place]
        cut = {"array": whole[round(start * rate) : round(end * rate)], "sampling_rate": rate}
        np.testing.assert_allclose(found.cosines[place], by_hand(encoder, cut), atol=1e-5)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5, [(0, 2), (2, 4), (3, 5)]), (4, [(0, 2), (2, 4)]), (1.5, [(0, 1.5)])],
)
def test_the_last_window_ends_with_the_recording(encoder, seconds, expected):
    assert encoder.timeline(noise(seconds), TEXTS, window=2, hop=2).windows == [Window(*each) for each in expected]


def test_segments_are_scored_in_order_and_long_ones_in_windows(encoder):
    recording = noise(6)
    found = encoder.timeline(recording, TEXTS, window=2, segments=[(3, 6, "b"), (0.5, 1.5, "a"), (3.5, 4, "a")])
    assert found.windows == [Window(0.5, 1.5, "a"), Window(3, 5, "b"), Window(3.5, 4, "a"), Window(4, 6, "b")]
    np.testing.assert_allclose(found.cosines[0], by_hand(encoder, recording[8000:24000]), atol=1e-5)


def test_silence_has_a_problem_and_no_score(encoder):
    recording = np.concatenate([noise(2), np.zeros(2 * RATE, np.float32), noise(2, 1)])
    found = encoder.timeline(recording, TEXTS, window=2, hop=2, relative=True, smooth=10)
    assert found.problems == [None, "silent", None] and found.best()[1] is None
    assert np.isnan(found.scores[1]).all() and np.isfinite(found.scores[[0, 2]]).all()
    rows = list(found.records())
    assert rows[1]["problem"] == "silent" and rows[0][TEXTS[0]] == found.scores[0, 0]
    alone = encoder.timeline(np.zeros(3 * RATE, np.float32), TEXTS)
    assert alone.problems == ["silent"] and np.isnan(alone.scores).all()


def test_a_window_that_is_wrong_leaves_the_others(encoder):
    recording = noise(6)
    recording[3 * RATE] = np.nan
    found = encoder.timeline(recording, TEXTS, window=2, hop=2, uncertainty=True)
    assert found.problems == [None, "not finite", None] and np.isnan(found.spread).all(axis=1).tolist() == [0, 1, 0]


def test_a_half_that_is_silent_has_no_spread(encoder):
    recording = np.concatenate([noise(1), np.zeros(RATE, np.float32)])
    found = encoder.timeline(recording, TEXTS, window=2, uncertainty=True)
    assert found.problems == [None] and np.isfinite(found.scores).all() and np.isnan(found.spread).all()


def test_relative_cosines_are_those_above_the_speakers_mean(encoder):
    recording = noise(8)
    segments = [(0, 2, "a"), (2, 4, "b"), (4, 6, "a"), (6, 8, "b")]
    plain, relative = (
        encoder.timeline(recording, TEXTS, segments=segments, relative=each).cosines for each in (False, True)
    )
    expected = plain.copy()
    expected[::2] -= plain[::2].mean(axis=0)
    expected[1::2] -= plain[1::2].mean(axis=0)
    np.testing.assert_allclose(relative, expected, atol=1e-6)


def test_smoothing_is_the_mean_over_near_windows_of_the_speaker(encoder):
    recording = noise(10)
    plain, smooth = (encoder.timeline(recording, TEXTS, window=2, hop=2, smooth=each).cosines for each in (0, 4))
    expected = [plain[max(0, place - 1) : place + 2].mean(axis=0) for place in range(5)]
    np.testing.assert_allclose(smooth, expected, atol=1e-6)
    segments = [(0, 2, "a"), (2, 4, "b"), (4, 6, "a")]
    of_speakers = encoder.timeline(recording, TEXTS, segments=segments, smooth=4).cosines
    np.testing.assert_allclose(of_speakers[1], plain[1], atol=1e-5)


def test_the_spread_is_over_templates_and_halves(encoder):
    recording, templates = noise(2), ["{}", "this is {}"]
    found = encoder.timeline(recording, TEXTS, window=2, templates=templates, uncertainty=True)
    np.testing.assert_allclose(found.cosines[0], by_hand(encoder, recording, templates), atol=1e-5)
    parts = [recording, recording[:RATE], recording[RATE:]]
    scores = [softmax(by_hand(encoder, part, [template]), encoder) for part in parts for template in templates]
    np.testing.assert_allclose(found.spread[0], np.std(scores, axis=0), atol=1e-5)
    assert encoder.timeline(recording, TEXTS, window=2, templates=templates).spread.shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"window": 0}, "window"),
        ({"window": float("nan")}, "nan"),
        ({"window": 2, "hop": 3}, "hop"),
        ({"smooth": -1}, "-1"),
        ({"segments": []}, "segments"),
        ({"segments": [(0, 9)]}, "9"),
        ({"segments": [(2, 1)]}, "Segment 0"),
        ({"segments": ["0-1"]}, "0-1"),
        ({"templates": ["a voice"]}, "a voice"),
        ({"templates": "{}"}, "templates"),
    ],
)
def test_settings_out_of_range(encoder, options, named):
    with pytest.raises(ValueError, match=named):
        encoder.timeline(noise(3), TEXTS, **options)


def test_what_is_no_recording(encoder, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    for recording in (tmp_path / "missing.wav", tmp_path / "text.wav", [noise(1), noise(1)]):
        with pytest.raises(ValueError):
            encoder.timeline(recording, TEXTS)
    with pytest.raises(ValueError, match="two or more"):
        encoder.timeline(noise(1), ["a voice"])
    with pytest.raises(ValueError, match="best"):
        encoder.timeline(noise(1), ["best", "worst"])
