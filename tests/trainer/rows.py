"""A tiny data set on disk: noise clips with made-up functionals."""

from pathlib import Path

import numpy as np
import soundfile as sf
from datasets import Dataset

from smoothclap_trainer.data.captions.thresholds import ACOUSTIC_GROUPS, Thresholds
from smoothclap_trainer.data.collator import SmoothCLAPCollator
from tests import tiny


LOCAL_WIDTH = 6


def dataset(folder: Path, count: int = 8, seconds: float = 0.2, seed: int = 0) -> Dataset:
    """`count` clips with `id`, `path`, functionals, `corpus` and random `local_features`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        path = folder / f"{index}.wav"
        sf.write(path, tiny.clips(seconds, seed=index)[0], tiny.SAMPLING_RATE, subtype="FLOAT")
        row = {
            "id": f"clip-{index}",
            "path": str(path),
            "corpus": "noise",
            "local_features": rng.normal(size=LOCAL_WIDTH),
        }
        row |= {column: rng.normal() for columns in ACOUSTIC_GROUPS.values() for column in columns}
        row["local_features"] = row["local_features"].astype(np.float32)
        rows.append(row)
    return Dataset.from_list(rows)


def collator(rows: Dataset, audio: str = "wav2vec2", **changes) -> SmoothCLAPCollator:
    """A collator whose texts fit the tiny text tower's positions."""
    processor = tiny.processor(audio)
    return SmoothCLAPCollator(processor, Thresholds.fit(rows.to_pandas()), **changes)
