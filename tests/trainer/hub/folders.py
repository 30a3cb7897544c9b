"""Folders of checkpoints with made-up files of a training run."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from modeling_smoothclap.checkpoint_smoothclap import weights_sha256
from tests import tiny
from tests.trainer.evaluation.made_up_results import MODELS, made_up_results


SETTINGS = {"audio_encoder": "someone/speech", "text_encoder": "towers/text", "languages": ["en", "de"], "seed": 3}
DATA = {
    "train": {
        "queen": {"clips": 1200, "minutes": 61.5, "speakers": 7, "language": "en", "licence": "free"},
        "made-up": {"clips": 34, "minutes": 2.0, "language": ["de", "en"], "licence": "CC0-1.0", "synthetic": True},
    },
    "test": {"fillets": {"clips": 5, "language": "cs", "package": "fillets-ng", "package_version": "1.0"}},
}
ATTRIBUTES = [
    ("pitch", "a high voice", "a low voice", "queen", 10, 11, 0.81234, 0.7, 0.9, "validation"),
    ("pitch", "a high voice", "a low voice", "fillets", 1500, 1500, 0.96, 0.95, 0.97, "test"),
    ("rate", "fast speech", "slow speech", "fillets", 1500, 1502, 0.5, 0.4, 0.6, "test"),
]
LABELLED = {"attribute": "arousal", "high": "a fiery voice", "low": "a tame voice", "corpus": "fillets", "positives": 3}
LABELLED |= {"negatives": 4, "auc": 0.75, "interval_low": 0.6, "interval_high": 0.9, "split": "test", "held_out": True}
LABELLED |= {"interval_unit": "speakers", "shuffled_mean": 0.51, "shuffled_high": 0.58}
"""A result whose truth is a label."""
ATTRIBUTE_COLUMNS = ["attribute", "high", "low", "corpus", "positives", "negatives", "auc"]
ATTRIBUTE_COLUMNS += ["interval_low", "interval_high", "split"]
OBJECTIVE = {
    "kl_reading": "forward",
    "beta": 0.2,
    "sources": [{"source": "labels", "provenance": "ours, it says", "weight": 1.0}],
}
LOG = [{"loss": 3.5, "step": 1}, {"loss": 2.25, "step": 1400}, {"step": 1400, "epoch": 2.5, "train_runtime": 600.0}]
LOG[-1]["train_loss"] = 2.875
TEXT_TOWER = {
    "teacher": "e5",
    "parameters": 1234,
    "sentences_trained": 5678,
    "translation_pairs": 400,
    "retrieval_tower": {"en to de": 0.25, "de to en": 0.5},
    "retrieval_teacher": {"en to de": 0.75, "de to en": 1.0},
}
ORIGIN = {
    "audio_encoder": {"name": "someone/speech", "hub": True, "revision": "c0ffee"},
    "text_encoder": {"name": "towers/text", "hub": False, "revision": None},
    "datasets": ["someone/emotions"],
}
THRESHOLDS = {"quantiles": [0.3, 0.7], "num_rows": 1234, "columns": {"duration": {"low": 1.5, "high": 2.5}}}
PROVENANCE: list[dict[str, Any]] = [
    {"name": "queen", "notes": "acted English", "speakers": "from file names"},
    {"name": "made-up"},
    {"name": "drascula", "arousal": {"notes": "By rule.", "strength": 0.01}, "emotion": {"notes": "Nobody rated it"}},
]


def bare(folder: Path, **changes: Any) -> Path:
    """A checkpoint as `save_pretrained` leaves it."""
    tiny.model(**changes).save_pretrained(folder)
    tiny.processor().save_pretrained(folder)
    return folder


def write(folder: Path, **files: Any) -> Path:
    """JSON and YAML files, `data_json={...}` for data.json."""
    for name, content in files.items():
        stem, _, kind = name.rpartition("_")
        text = yaml.safe_dump(content, sort_keys=False) if kind == "yaml" else json.dumps(content)
        (folder / f"{stem}.{kind}").write_text(text)
    return folder


def whole(folder: Path) -> Path:
    """A checkpoint with everything that a run writes, and a zero-shot evaluation."""
    bare(folder, training_corpora=["made-up", "queen", "unrecorded"])
    write(
        folder,
        training_config_yaml=SETTINGS,
        training_log_yaml=LOG,
        data_json=DATA,
        objective_json=OBJECTIVE,
        metrics_json={"eval_loss": 1.25, "eval_uar": 0.625, "eval_runtime": 3.0, "eval_samples_per_second": 9.0},
        origin_json=ORIGIN,
        versions_json={"smoothclap": "0.1.0", "python": "3.11.0"},
        thresholds_json=THRESHOLDS,
        provenance_json=PROVENANCE,
        text_tower_json=TEXT_TOWER,
        zero_shot_json=evaluated(folder),
    )
    pd.DataFrame(ATTRIBUTES, columns=ATTRIBUTE_COLUMNS).to_csv(folder / "attributes.csv", index=False)
    (folder / "pictures").mkdir()
    (folder / "pictures" / "ravdess-map.png").write_bytes(b"a picture")
    (folder / "notes.md").write_text("---\nlicense: mit\ntags: [tiny]\n---\n\nIt is *tiny*.\n\n## Notes\n\n- One.\n")
    return folder


def evaluated(folder: Path) -> dict[str, Any]:
    """Made-up results, of which the first model is the one in the folder."""
    results = made_up_results().to_json()
    results["models"][0]["weights_sha256"] = weights_sha256(folder)
    results["versions"]["transformers"] = "5.23.0"
    assert results["models"][0]["name"] == MODELS[0]
    return results
