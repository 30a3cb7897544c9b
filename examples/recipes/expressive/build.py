"""Building the expressive synthetic corpus: voices say the sentences of their split in every emotion and intensity."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from speech.audio import reason_to_drop, to_common_band, write_flac
from speech.dataset import save_splits
from transformers.utils import logging

from smoothclap_trainer.data.functionals import PITCH_COLUMN, extract_table, functional_names
from smoothclap_trainer.data.manifest import SPLITS
from smoothclap_trainer.files import Record, file_sha256

from .espeak import PROGRAM, Espeak, check_voices, synthesize
from .prosody import PROSODIES, circumplex, espeak_settings, figures, intensities, jitter_of, prosody_of
from .sentences import SENTENCE_ROLES, SENTENCES, VOICES, sentence_id, split_of


logger = logging.get_logger(__name__)

CORPUS = "expressive-synthetic"
"""Corpora are named `expressive-synthetic-LANGUAGE`, speakers `expressive-synthetic:VOICE`."""
LICENCE = "GPL-3.0-or-later"
"""Of espeak-ng and the voice data that clips are made from; the sentences are this project's own."""
AMPLITUDE = 30
"""espeak-ng's level of neutral speech. Low, since it clips the loudest voices at its own 100, and anger adds 7 dB."""
NOTES = (
    "Synthetic speech by rule, nobody's voice and nobody's emotion: labels name the rule that was applied. Models that "
    "recognise these emotions need not recognise a human's. The circumplex columns are where the emotion's word lies, "
    "not ratings. The licence is that of espeak-ng, which made the clips; as a rule, the licence of a program does not "
    "cover what the program makes."
)
SUMMARY_COLUMNS = {
    "clips": ("id", "size"),
    "seconds": ("duration", "mean"),
    "F0 mean (st)": (PITCH_COLUMN, "mean"),
    "F0 stddevNorm": ("F0semitoneFrom27.5Hz_sma3nz_stddevNorm", "median"),
    "F0 20-80 % (st)": ("F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2", "median"),
    "loudness": ("loudness_sma3_amean", "mean"),
    "loudness peaks/s": ("loudnessPeaksPerSec", "mean"),
}


@dataclass(frozen=True)
class ExpressiveClip:
    """
    One clip to render.

    Args:
        language (`str`):
            Of the sentence.
        voice (`str`):
            Who speaks.
        sentence (`int`):
            Its place among the language's sentences, from 0.
        emotion (`str`):
            How it is spoken.
        intensity (`int`):
            0 for neutral, else 1 to 3.
    """

    language: str
    voice: str
    sentence: int
    emotion: str
    intensity: int

    @property
    def corpus(self) -> str:
        """`str`: The corpus's name."""
        return f"{CORPUS}-{self.language}"

    @property
    def id(self) -> str:
        """`str`: For instance `"expressive-synthetic-en/f1/en01-happy-3"`."""
        name = f"{sentence_id(self.language, self.sentence)}-{self.emotion}-{self.intensity}"
        return f"{self.corpus}/{self.voice}/{name}"

    @property
    def path(self) -> Path:
        """`Path`: Of the audio, relative to the dataset."""
        return Path("audio") / f"{self.id}.flac"


def plan_clips(trial: bool = False) -> list[ExpressiveClip]:
    """
    Lists the corpus.

    Args:
        trial (`bool`, defaults to `False`):
            Take only the first voice and the first sentence of every split.

    Returns:
        `list[ExpressiveClip]`: Every language, voice, sentence, emotion and intensity, in this order, without the
        sentences that are in another split than the voice.
    """
    return list(_planned(trial))


def _planned(trial: bool) -> Iterator[ExpressiveClip]:
    roles = [voice.role for voice in VOICES.values()]
    voices = [voice for index, voice in enumerate(VOICES) if not trial or roles.index(roles[index]) == index]
    for language, sentences in SENTENCES.items():
        indices = [SENTENCE_ROLES.index(role) for role in SPLITS] if trial else range(len(sentences))
        for voice in voices:
            for sentence in indices:
                if split_of(language, voice, sentence) is None:
                    continue
                for emotion in PROSODIES:
                    for intensity in intensities(emotion):
                        yield ExpressiveClip(language, voice, sentence, emotion, intensity)


def render(espeak: Espeak, clip: ExpressiveClip) -> np.ndarray:
    """
    Speaks a clip. Its level is kept, since it is part of the emotion.

    Args:
        espeak ([`Espeak`]):
            What speaks.
        clip ([`ExpressiveClip`]):
            What to say and how.

    Returns:
        `np.ndarray` of shape `(samples,)`: float32, 16 kHz, in the common band.

    Raises:
        ValueError: espeak-ng failed, or the clip is silent, too short, too long, or louder than full scale.
    """
    prosody, jitter = prosody_of(clip.emotion, clip.intensity), jitter_of(clip.id)
    text = SENTENCES[clip.language][clip.sentence]
    settings = espeak_settings(prosody, jitter)
    samples, rate = synthesize(espeak, text, f"{clip.language}+{clip.voice}", amplitude=AMPLITUDE, **settings)
    samples = samples * 10 ** ((prosody.level + jitter.level) / 20)
    reason = "too loud" if np.abs(samples).max(initial=0.0) > 1 else reason_to_drop(samples, rate)
    if reason is not None:
        raise ValueError(
            f"clip {clip.id!r} came out {reason} with espeak-ng {espeak.version} at {settings}; use another version "
            "of espeak-ng, or change the voice or AMPLITUDE"
        )
    return to_common_band(samples, rate)


def _row(espeak: Espeak, clip: ExpressiveClip, output: Path) -> dict[str, Any]:
    path = output / clip.path
    if not path.is_file():
        write_flac(path, render(espeak, clip))
    info = soundfile.info(path)
    valence, arousal = circumplex(clip.emotion, clip.intensity)
    return {
        "id": clip.id,
        "path": clip.path.as_posix(),
        "corpus": clip.corpus,
        "speaker": f"{CORPUS}:{clip.voice}",
        "language": clip.language,
        "transcript": SENTENCES[clip.language][clip.sentence],
        "duration": info.frames / info.samplerate,
        "package": PROGRAM,
        "package_version": espeak.version,
        "licence": LICENCE,
        "sha256": file_sha256(path),
        "synthetic": True,
        "voice": clip.voice,
        "gender": VOICES[clip.voice].gender,
        "sentence": sentence_id(clip.language, clip.sentence),
        "emotion": clip.emotion,
        "label": clip.emotion,
        "emotion_intensity": clip.intensity,
        "circumplex_valence": valence,
        "circumplex_arousal": arousal,
    }


def _discard_other(espeak: Espeak, output: Path) -> None:
    """Removes clips that another espeak-ng or other figures made, so that those that are there can be kept."""
    spoken = {language: list(sentences) for language, sentences in SENTENCES.items()}
    state = {"espeak": espeak.version, "amplitude": AMPLITUDE, "sentences": spoken, **figures()}
    file = output / "work" / f"{CORPUS}.json"
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")) == state:
        return
    for language in SENTENCES:
        shutil.rmtree(output / "audio" / f"{CORPUS}-{language}", ignore_errors=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")


def build_expressive(
    espeak: Espeak, output: str | Path, cache_dir: str | Path, num_workers: int = 1, trial: bool = False
) -> dict[str, pd.DataFrame]:
    """
    Builds the corpus: audio, features, splits and provenance. Clips that are there are kept.

    Training and validation are in English. Test clips have voices and sentences that neither holds, in English and in
    German, which only the test holds.

    Args:
        espeak ([`Espeak`]):
            What speaks.
        output (`str` or `Path`):
            The dataset's folder.
        cache_dir (`str` or `Path`):
            Folder of the functionals' cache.
        num_workers (`int`, defaults to 1):
            Threads that speak, and processes for the functionals.
        trial (`bool`, defaults to `False`):
            Build only the few clips of [`plan_clips`].

    Returns:
        `dict[str, pd.DataFrame]`: Rows per split.

    Raises:
        ValueError: espeak-ng fails, lacks a voice, or speaks so that a clip cannot serve.
    """
    output = Path(output)
    check_voices(espeak, VOICES)
    _discard_other(espeak, output)
    clips = plan_clips(trial)
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        made = pool.map(lambda clip: _row(espeak, clip, output), clips)
        rows = pd.DataFrame(list(logging.tqdm(made, total=len(clips), desc="speaking", unit="clip")))
    features = extract_table([output / path for path in rows["path"]], cache_dir, num_workers)
    faulty = features["problem"].notna() | (features[PITCH_COLUMN] == 0)
    if faulty.any():
        raise ValueError(
            f"{int(faulty.sum())} clips have no functionals or no pitch, first {rows.loc[faulty, 'id'].iloc[0]!r} "
            f"({features.loc[faulty, 'problem'].iloc[0] or 'no voiced sound'}); use another version of espeak-ng"
        )
    rows = pd.concat([rows, features[functional_names()]], axis=1)
    split = pd.Series([split_of(clip.language, clip.voice, clip.sentence) for clip in clips])
    splits = {name: rows[split == name].reset_index(drop=True) for name in SPLITS}
    save_splits(splits, output)
    _write_provenance(espeak, output)
    return splits


def _write_provenance(espeak: Espeak, output: Path) -> None:
    voices = {name: asdict(voice) for name, voice in VOICES.items()}
    record = [
        {
            "name": f"{CORPUS}-{language}",
            "synthetic": True,
            "language": language,
            "licence": LICENCE,
            "notes": NOTES,
            "program": f"{PROGRAM} {espeak.version}",
            "packages": [package.provenance() for package in espeak.packages],
            "voices": voices,
            "amplitude": AMPLITUDE,
            **figures(),
        }
        for language in SENTENCES
    ]
    (output / Record.PROVENANCE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def acoustic_summary(rows: pd.DataFrame) -> pd.DataFrame:
    """
    Shows whether the emotions sound as they were meant to.

    Args:
        rows (`pd.DataFrame`):
            Rows of [`build_expressive`].

    Returns:
        `pd.DataFrame`: One row per emotion and intensity: clips, and eGeMAPS's mean F0 (semitones above 27.5 Hz),
        spread of F0 (relative to the mean; and from the 20th to the 80th percentile, semitones), loudness, and
        loudness peaks per second as the speech rate. Spreads are medians, since one octave error of the
        pitch tracker triples them.
    """
    order = {emotion: place for place, emotion in enumerate(PROSODIES)}
    grouped = rows.groupby(["emotion", "emotion_intensity"]).agg(**SUMMARY_COLUMNS).reset_index()
    return grouped.sort_values("emotion", key=lambda names: names.map(order), kind="stable", ignore_index=True)
