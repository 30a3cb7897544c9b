"""Emotional prosody by rule: Emofilt's figures, graded, and turned into espeak-ng's settings."""

import hashlib
import math
import random
from dataclasses import asdict, dataclass
from typing import Any

from smoothclap_trainer.evaluation.valence_arousal import RUSSELL_DEGREES, RUSSELL_WORDS


@dataclass(frozen=True)
class Prosody:
    """
    How an emotion is spoken, relative to neutral speech.

    Args:
        f0_mean (`float`, defaults to 100):
            Mean pitch, percent of neutral.
        f0_range (`float`, defaults to 100):
            Pitch range about the mean, percent of neutral.
        duration (`float`, defaults to 100):
            Duration, percent of neutral.
        level (`float`, defaults to 0):
            Level relative to neutral, dB.
    """

    f0_mean: float = 100.0
    f0_range: float = 100.0
    duration: float = 100.0
    level: float = 0.0

    def graded(self, share: float) -> "Prosody":
        """
        Weakens the deviation from neutral, the same share of every figure.

        Args:
            share (`float`):
                0 for neutral, 1 for the full figures.

        Returns:
            [`Prosody`]: What lies between.
        """
        neutral = asdict(NEUTRAL)
        return Prosody(**{name: neutral[name] + share * (full - neutral[name]) for name, full in asdict(self).items()})


NEUTRAL = Prosody()
LOUD = 6.0
SOFT = -6.0
"""Emofilt says only "loud" and "soft"; 6 dB up and down are ours."""

PROSODIES = {
    "neutral": NEUTRAL,
    "happy": Prosody(150, 200, 70),
    "angry": Prosody(150, 200, 70, LOUD),
    "fearful": Prosody(200, 160, 70),
    "sad": Prosody(100, 80, 140, SOFT),
    "bored": Prosody(80, 50, 120),
    "calm": Prosody(95, 70, 115, SOFT),
}
"""Percent of neutral by Emofilt's published figures (Burkhardt, 2005): its joy, hot anger, fear, sadness and boredom;
calm is ours. A figure that Emofilt leaves open is that of neutral."""

CIRCUMPLEX_DEGREES = {name: RUSSELL_DEGREES[RUSSELL_WORDS[name]] for name in PROSODIES if name != "neutral"}
"""Where Russell (1980) found the emotions' words on his circumplex: degrees from pleasure (0) towards arousal (90)."""

MAX_INTENSITY = 3
"""An emotion is rendered at intensities 1 to 3, at a third, two thirds and all of its figures; neutral at 0. Ours."""

# espeak-ng's settings of neutral speech. Pitch and range are below its own 50 and 100 percent because both end at about
# twice that: fear's doubled pitch, and the tripled range in Hz of joy (150 percent of 200 percent), must fit in.
NEUTRAL_PITCH = 42
NEUTRAL_RANGE = 66
NEUTRAL_RATE = 175
MAX_PITCH = 99
MAX_RANGE = 198

# The mean F0, as a share of that at espeak-ng's own settings, is BASE_SHARE * 2^(pitch/50 - 1) + (1 - BASE_SHARE)
# + RANGE_SHARE * (range/100 - 1): the base pitch is scaled, the melody is added on top. Shares measured with eGeMAPS as
# medians over these voices.
BASE_SHARE = 0.72
RANGE_SHARE = 0.10

PITCH_JITTER = 0.05
RATE_JITTER = 0.05
LEVEL_JITTER = 1.0
"""Largest random deviation of a clip: shares of pitch and rate, and dB of level, so that no clip is an exact function
of its label. Ours."""


def prosody_of(emotion: str, intensity: int) -> Prosody:
    """
    Gives the figures of an emotion at an intensity.

    Args:
        emotion (`str`):
            A key of [`PROSODIES`].
        intensity (`int`):
            1 to 3, or 0 for neutral.

    Returns:
        [`Prosody`]: Its figures.

    Raises:
        ValueError: There is no such emotion, or not at this intensity.
    """
    if emotion not in PROSODIES:
        raise ValueError(f"unknown emotion {emotion!r}; there are {list(PROSODIES)}")
    allowed = intensities(emotion)
    if intensity not in allowed:
        raise ValueError(f"{emotion!r} has no intensity {intensity}; it has {list(allowed)}")
    return PROSODIES[emotion].graded(intensity / MAX_INTENSITY)


def intensities(emotion: str) -> tuple[int, ...]:
    """
    Lists the intensities at which an emotion is rendered.

    Args:
        emotion (`str`):
            A key of [`PROSODIES`].

    Returns:
        `tuple[int, ...]`: `(0,)` for neutral, else `(1, 2, 3)`.
    """
    return (0,) if emotion == "neutral" else tuple(range(1, MAX_INTENSITY + 1))


def circumplex(emotion: str, intensity: int) -> tuple[float, float]:
    """
    Places a rendered emotion word on Russell's circumplex (1980). Nobody rated a clip: this is where the word lies.

    Args:
        emotion (`str`):
            A key of [`PROSODIES`].
        intensity (`int`):
            0 to 3, which scales the distance from the origin, where neutral lies; ours.

    Returns:
        `tuple[float, float]`: Valence and arousal, each in [-1, 1].
    """
    if emotion == "neutral":
        return 0.0, 0.0
    angle = math.radians(CIRCUMPLEX_DEGREES[emotion])
    share = intensity / MAX_INTENSITY
    return share * math.cos(angle), share * math.sin(angle)


@dataclass(frozen=True)
class Jitter:
    """
    A clip's random deviation.

    Args:
        pitch (`float`, defaults to 1):
            Factor of the mean pitch.
        rate (`float`, defaults to 1):
            Factor of the speech rate.
        level (`float`, defaults to 0):
            dB.
    """

    pitch: float = 1.0
    rate: float = 1.0
    level: float = 0.0


def jitter_of(name: str) -> Jitter:
    """
    Draws a clip's deviation from its name, so always the same.

    Args:
        name (`str`):
            The clip's id.

    Returns:
        [`Jitter`]: Uniform within the bounds of this module.
    """
    draw = random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big"))
    return Jitter(
        pitch=1 + draw.uniform(-PITCH_JITTER, PITCH_JITTER),
        rate=1 + draw.uniform(-RATE_JITTER, RATE_JITTER),
        level=draw.uniform(-LEVEL_JITTER, LEVEL_JITTER),
    )


def espeak_settings(prosody: Prosody, jitter: Jitter) -> dict[str, int]:
    """
    Turns figures into espeak-ng's settings; what lies beyond them is set to their end.

    Args:
        prosody ([`Prosody`]):
            The figures.
        jitter ([`Jitter`]):
            The clip's deviation.

    Returns:
        `dict[str, int]`: `pitch` (0 to 99), `pitch_range` (percent) and `rate` (words per minute), as
        `synthesize` of `espeak.py` takes them.
    """
    mean = prosody.f0_mean / 100 * jitter.pitch
    # Emofilt's range is relative to the mean, espeak-ng's is in Hz.
    pitch_range = min(MAX_RANGE, NEUTRAL_RANGE * mean * prosody.f0_range / 100)
    melody = 1 - BASE_SHARE
    neutral = BASE_SHARE * 2 ** (NEUTRAL_PITCH / 50 - 1) + melody + RANGE_SHARE * (NEUTRAL_RANGE / 100 - 1)
    base = (mean * neutral - melody - RANGE_SHARE * (pitch_range / 100 - 1)) / BASE_SHARE
    pitch = 50 * (1 + math.log2(base))
    return {
        "pitch": max(0, min(MAX_PITCH, round(pitch))),
        "pitch_range": round(pitch_range),
        "rate": round(NEUTRAL_RATE * 100 / prosody.duration * jitter.rate),
    }


def figures() -> dict[str, Any]:
    """
    Collects everything that decides how clips sound, for the record.

    Returns:
        `dict[str, Any]`: Plain values.
    """
    return {
        "prosodies": {emotion: asdict(prosody) for emotion, prosody in PROSODIES.items()},
        "max_intensity": MAX_INTENSITY,
        "neutral": {"pitch": NEUTRAL_PITCH, "pitch_range": NEUTRAL_RANGE, "rate": NEUTRAL_RATE},
        "mean_f0": {"base_share": BASE_SHARE, "range_share": RANGE_SHARE},
        "jitter": {"pitch": PITCH_JITTER, "rate": RATE_JITTER, "level": LEVEL_JITTER},
        "circumplex_degrees": CIRCUMPLEX_DEGREES,
    }
