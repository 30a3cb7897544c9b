"""Emofilt's figures, their grading, and their translation to espeak-ng's settings."""

import json
import math

import pytest
from expressive.prosody import (
    CIRCUMPLEX_DEGREES,
    NEUTRAL,
    PROSODIES,
    Jitter,
    Prosody,
    circumplex,
    espeak_settings,
    figures,
    intensities,
    jitter_of,
    prosody_of,
)


def test_grading_weakens_every_figure_alike():
    assert prosody_of("angry", 3) == Prosody(150, 200, 70, 6)
    assert prosody_of("bored", 3) == Prosody(80, 50, 120, 0)
    half = Prosody(150, 200, 70, 6).graded(0.5)
    assert half == Prosody(125, 150, 85, 3)
    third = prosody_of("sad", 1)
    assert (third.f0_mean, third.f0_range) == (100, pytest.approx(100 - 20 / 3))
    assert (third.duration, third.level) == (pytest.approx(100 + 40 / 3), -2)


def test_neutral_has_one_intensity_and_the_others_three():
    assert intensities("neutral") == (0,)
    assert {intensities(emotion) for emotion in PROSODIES if emotion != "neutral"} == {(1, 2, 3)}
    assert prosody_of("neutral", 0) == NEUTRAL == Prosody(100, 100, 100, 0)


def test_unknown_emotions_and_intensities_are_refused():
    with pytest.raises(ValueError, match="'disgusted'"):
        prosody_of("disgusted", 1)
    with pytest.raises(ValueError, match=r"'sad'.*0.*\[1, 2, 3\]"):
        prosody_of("sad", 0)
    with pytest.raises(ValueError, match=r"'neutral'.*1.*\[0\]"):
        prosody_of("neutral", 1)


@pytest.mark.parametrize(
    ("emotion", "intensity", "settings"),
    [  # worked out by hand from the figures, the neutral settings and the two shares
        ("neutral", 0, (42, 66, 175)),
        ("happy", 3, (71, 198, 250)),
        ("fearful", 3, (98, 198, 250)),
        ("sad", 3, (43, 53, 125)),
        ("bored", 3, (25, 26, 146)),
        ("calm", 3, (39, 44, 152)),
    ],
)
def test_settings(emotion, intensity, settings):
    pitch, pitch_range, rate = settings
    assert espeak_settings(prosody_of(emotion, intensity), Jitter()) == {
        "pitch": pitch,
        "pitch_range": pitch_range,
        "rate": rate,
    }


def test_settings_move_with_intensity_and_jitter():
    for emotion, sign in (("happy", 1), ("fearful", 1), ("bored", -1)):
        pitches = [espeak_settings(PROSODIES[emotion].graded(i / 3), Jitter())["pitch"] for i in range(4)]
        assert pitches == sorted(pitches, reverse=sign < 0)
        assert len(set(pitches)) == 4
    moved = espeak_settings(NEUTRAL, Jitter(pitch=1.05, rate=0.96))
    assert moved["pitch"] > 42
    assert moved["rate"] == 168


def test_settings_end_where_espeak_ends():
    high = espeak_settings(Prosody(f0_mean=200, f0_range=300), Jitter(pitch=1.05))
    assert (high["pitch"], high["pitch_range"]) == (99, 198)
    assert espeak_settings(Prosody(f0_mean=45), Jitter())["pitch"] == 0


def test_the_circumplex_lies_as_russell_drew_it():
    assert circumplex("neutral", 0) == (0, 0)
    for emotion, degrees in CIRCUMPLEX_DEGREES.items():
        valence, arousal = circumplex(emotion, 3)
        assert math.degrees(math.atan2(arousal, valence)) % 360 == pytest.approx(degrees)
        assert math.hypot(valence, arousal) == pytest.approx(1)
        assert math.hypot(*circumplex(emotion, 1)) == pytest.approx(1 / 3)
    assert set(CIRCUMPLEX_DEGREES) == set(PROSODIES) - {"neutral"}
    signs = {emotion: tuple(value > 0 for value in circumplex(emotion, 2)) for emotion in CIRCUMPLEX_DEGREES}
    assert signs == {
        "happy": (True, True),
        "angry": (False, True),
        "fearful": (False, True),
        "sad": (False, False),
        "bored": (False, False),
        "calm": (True, False),
    }


def test_jitter_is_drawn_from_the_name_and_fills_its_bounds():
    assert jitter_of("a") == jitter_of("a") != jitter_of("b")
    drawn = [jitter_of(str(number)) for number in range(400)]
    for values, centre, bound in (
        ([jitter.pitch for jitter in drawn], 1, 0.05),
        ([jitter.rate for jitter in drawn], 1, 0.05),
        ([jitter.level for jitter in drawn], 0, 1.0),
    ):
        assert max(abs(value - centre) for value in values) <= bound
        assert min(values) < centre - 0.95 * bound
        assert max(values) > centre + 0.95 * bound
        assert sum(values) / len(values) == pytest.approx(centre, abs=bound / 8)


def test_figures_can_be_stored():
    stored = json.loads(json.dumps(figures()))
    assert stored == figures()
    assert stored["prosodies"]["fearful"] == {"f0_mean": 200, "f0_range": 160, "duration": 70, "level": 0}


def test_the_expressive_corpus_keeps_its_angles_in_their_order():
    # Manifests and records that were written with them are told apart by a hash.
    assert list(CIRCUMPLEX_DEGREES.items()) == [
        ("happy", 7.8), ("angry", 99.0), ("fearful", 116.0), ("sad", 207.5), ("bored", 242.0), ("calm", 316.2),
    ]  # fmt: skip
