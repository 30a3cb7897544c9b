"""Tiny test sets with all columns that a comparison of objectives reads, and a checkpoint to judge."""

from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf

from modeling_smoothclap import SmoothCLAPModel
from smoothclap_trainer.data.captions.thresholds import Thresholds
from smoothclap_trainer.data.functionals import functional_names
from tests import tiny


EMOTIONS = ("sad", "happy", "neutral")


def clips(folder: Path, corpus: str, language: str, count: int, seed: int = 0) -> pd.DataFrame:
    """Manifest rows of noise clips by speakers of their own, with random functionals; paths are below `folder`."""
    rng = np.random.default_rng(seed)
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        name = f"{corpus}-{index}"
        sf.write(
            folder / f"audio/{name}.flac", tiny.clips(0.1 + 0.01 * index, seed=seed + index)[0], tiny.SAMPLING_RATE
        )
        row = {"id": name, "path": f"audio/{name}.flac", "corpus": corpus, "speaker": f"{corpus}:{index % 4}"}
        row |= {"language": language, "package": "none", "package_version": "1", "licence": "none"}
        row |= {"sha256": f"{name}@{seed}", "transcript": None, "duration": 0.1 + 0.01 * index}
        rows.append(row | {column: rng.normal() for column in functional_names()})
    return pd.DataFrame(rows)


def expressive(folder: Path, corpus: str, language: str, count: int, seed: int = 0) -> pd.DataFrame:
    """The same with emotions, marked as synthetic."""
    rows = clips(folder, corpus, language, count, seed)
    rng = np.random.default_rng(seed)
    emotions = np.resize(EMOTIONS, count)
    intensity = np.where(emotions == "neutral", 0, 1 + np.arange(count) // 3 % 3)
    circumplex = rng.normal(size=(2, count))
    graded = {"emotion_intensity": intensity, "circumplex_valence": circumplex[0], "circumplex_arousal": circumplex[1]}
    return rows.assign(emotion=emotions, label=emotions, synthetic=True, **graded)


def checkpoint(folder: Path, seed: int = 0) -> Path:
    """A tiny model as the training script leaves it: its processor and thresholds beside it."""
    model: SmoothCLAPModel = tiny.model(seed=seed, text_config=tiny.text_config(max_position_embeddings=512))
    model.save_pretrained(folder)
    tiny.processor().save_pretrained(folder)
    Thresholds.fit(clips(folder.with_name("fitted-on"), "train", "en", 20, seed=50)).save(folder / "thresholds.json")
    (folder / "training_log.yaml").write_text("[{step: 7, loss: 1.0}]")
    return folder
