"""A small corpus in memory, with made-up embeddings, and a small experiment in files."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from smoothclap_trainer.clep_dg.corpora import LabelledCorpus
from tests import tiny
from tests.corpus_trees import build_tree
from tests.trainer.clep_dg.encoders import SHORT


CLASSES = ("a", "b", "c")


def corpus(speakers: int = 6, clips: int = 60, unknown: int = 0) -> LabelledCorpus:
    """Clips of all classes from every speaker; the first `unknown` ones are nobody's."""
    labels = [CLASSES[index // speakers % 3] for index in range(clips)]
    spoken = [None if index < unknown else f"s{index % speakers}" for index in range(clips)]
    ids = [f"clip-{index:02}" for index in range(clips)]
    rows = pd.DataFrame({"id": ids, "path": ids, "label": labels, "speaker": pd.Series(spoken, dtype=object)})
    return LabelledCorpus("made-up", "Made up", "en", "none", "Made up.", CLASSES, rows)


def embeddings(of: LabelledCorpus, seed: int = 0) -> np.ndarray:
    """Unit-length embeddings, (clips, 8), that tell the classes a little."""
    drawn = np.random.default_rng(seed).normal(size=(len(of.rows), 8))
    drawn[np.arange(len(of.rows)), [CLASSES.index(label) for label in of.rows["label"]]] += 2
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def experiment(folder: Path, **changes) -> dict:
    """What the YAML file of a quick experiment on EmoDB and TESS says, and all that it needs."""
    for name, takes in (("emodb", 3), ("tess", 1)):
        if not (folder / name).is_dir():
            build_tree(name, folder, takes=takes, seed=takes)
    if not (folder / "encoder").is_dir():
        tiny.checkpoint(folder / "encoder")
    return {
        "encoder": str(folder / "encoder"),
        "corpora": [{"name": name, "data_root": str(folder / name)} for name in ("emodb", "tess")],
        "templates": {name: getattr(SHORT, name) for name in ("context", "joint", "content")},
        "acpt": {"num_contexts": 2, "steps": 2},
        "classifier": {"epochs": 2},
        "seeds": [0, 3],
        "output": str(folder / "out"),
    } | changes


def write(said: dict, path: Path) -> Path:
    """The YAML file."""
    path.write_text(yaml.safe_dump(said, sort_keys=False))
    return path
