"""Hedgewars: short acted shouts, whose file names tell what they are meant to express."""

import re
from collections.abc import Iterator
from pathlib import Path

from .audio import RawClip


EMOTION_INTENTS = {
    "happy": "Victory Laugh Flawless Firstblood Enemydown Excellent Amazing Brilliant Watchthis",
    "angry": "Traitor Revenge Illgetyou Youllregretthat Cutitout Leavemealone Gonnagetyou Justyouwait Comeonthen "
    "Stupid Drat Bugger Watchit Nutter Coward Sameteam",
    "fearful": "Nooo Runaway Takecover Uh-oh Incoming Ohdear Hurry",
    "sad or bored": "Boring Solong Byebye Missed Hmm",
}
"""File names, without numbers, by the emotion that the shout is meant to express; other names tell none. Ours, written
down before any result."""

AROUSAL_INTENTS = {
    "high": "Victory Firstblood Fire Grenade Incoming Takecover Runaway Kamikaze Nooo Traitor Revenge Comeonthen Laugh "
    "Melon",
    "low": "Hmm Boring Solong Byebye Ohdear Missed Uh-oh Oops",
}
"""The same by arousal."""

DISTORTED = "Robot"
"""This voice went through an effect, so its shouts are left out."""

_EMOTIONS = {name: emotion for emotion, names in EMOTION_INTENTS.items() for name in names.split()}
_AROUSALS = {name: level for level, names in AROUSAL_INTENTS.items() for name in names.split()}
_VOICE = re.compile(r".+_([a-z]{2})")


def read_hedgewars(roots: list[Path]) -> Iterator[RawClip]:
    """
    Reads the shouts of Hedgewars, one folder a voice (`Default_pl/Victory.ogg`).

    A language at the end of the folder's name is that of the voice; other voices speak English. The columns are
    `intent` (the file's name without number), `emotion_intent` and `arousal_intent`, or `None` where the name tells
    neither.

    Args:
        roots (`list[Path]`):
            The unpacked package.

    Yields:
        [`RawClip`]: Clips without transcripts.

    Raises:
        ValueError: There are no voices.
    """
    paths = sorted(path for root in roots for path in root.rglob("Sounds/voices/*/*.ogg"))
    if not paths:
        raise ValueError(f"no Sounds/voices/*/*.ogg below {', '.join(map(str, roots))}; unpack the package again")
    for path in paths:
        voice, intent = path.parent.name, path.stem.rstrip("0123456789")
        if voice == DISTORTED:
            continue
        tagged = _VOICE.fullmatch(voice)
        yield RawClip(
            name=f"{voice}/{path.stem}",
            speaker=voice,
            data=path.read_bytes(),
            language=tagged[1] if tagged else "en",
            columns={
                "intent": intent,
                "emotion_intent": _EMOTIONS.get(intent),
                "arousal_intent": _AROUSALS.get(intent),
            },
        )
