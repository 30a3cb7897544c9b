"""The training script from a YAML file to figures, on a tiny data set, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModel, pipeline

from modeling_smoothclap import SmoothCLAPModel
from smoothclap_trainer.data.manifest import save_splits
from smoothclap_trainer.data.opensmile_features import functional_names
from smoothclap_trainer.data.thresholds import Thresholds
from tests import tiny


SCRIPT = Path(__file__).parents[2] / "examples" / "run_training.py"


def split(folder: Path, name: str, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(len(name))
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(count):
        path = f"audio/{name}-{index}.flac"
        sf.write(folder / path, tiny.clips(0.2, seed=index)[0], 16000)
        row = {"id": f"{name}-{index}", "path": path, "corpus": name, "speaker": name, "language": "en"}
        row |= {"transcript": None, "duration": 0.2 + rng.random(), "package": "none", "package_version": "1"}
        row |= {"licence": "none", "sha256": f"{name}{index}"}
        rows.append(row | {column: rng.normal() for column in functional_names()})
    return pd.DataFrame(rows)


@pytest.fixture
def config(tmp_path) -> dict:
    data = tmp_path / "data"
    save_splits(
        {name: split(data, name, count) for name, count in (("train", 9), ("validation", 3), ("test", 9))}, data
    )
    (data / "provenance.json").write_text('{"made": "up"}')
    AutoModel.from_config(tiny.audio_config()).save_pretrained(tmp_path / "audio")
    AutoModel.from_config(tiny.text_config(max_position_embeddings=256)).save_pretrained(tmp_path / "text")
    tiny.tokenizer().save_pretrained(tmp_path / "text")
    return {
        "audio_encoder": str(tmp_path / "audio"),
        "text_encoder": str(tmp_path / "text"),
        "projection_dim": 16,
        "storage_dtype": "float16",
        "dataset": str(data),
        "languages": ["en", "de"],
        "cache_audio_tower": True,
        "max_train_clips": 8,
        "output_dir": str(tmp_path / "out"),
        "per_device_train_batch_size": 4,
        "max_steps": 2,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
    }


def run(tmp_path: Path, config: dict) -> subprocess.CompletedProcess:
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config))
    return subprocess.run([sys.executable, str(SCRIPT), str(file)], capture_output=True, text=True, cwd=tmp_path)


def test_from_yaml_to_a_checkpoint_and_its_figures(tmp_path, config):
    done = run(tmp_path, config)
    assert done.returncode == 0, done.stderr[-3000:]
    out = tmp_path / "out"
    assert pd.read_csv(out / "attributes.csv")["split"].value_counts().to_dict() == {"validation": 12, "test": 12}
    assert Thresholds.load(out / "thresholds.json").num_rows == 8
    assert yaml.safe_load((out / "training_config.yaml").read_text()) == config
    assert json.loads((out / "provenance.json").read_text()) == {"made": "up"}
    # Stored in half precision, loaded in full.
    assert {value.dtype for value in load_file(out / "model.safetensors").values()} == {torch.float16}
    assert {value.dtype for value in SmoothCLAPModel.from_pretrained(out).parameters()} == {torch.float32}
    classify = pipeline("zero-shot-audio-classification", model=str(out))
    assert len(classify(tiny.clips(0.3)[0], candidate_labels=["a low voice", "hoch"])) == 2


def test_a_tower_that_trains_is_not_cached(tmp_path, config):
    done = run(tmp_path, config | {"freeze_audio_tower": False})
    assert done.returncode == 1
    assert "cache_audio_tower needs freeze_audio_tower" in done.stderr
    assert "Traceback" not in done.stderr


def test_usage(tmp_path):
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "usage" in done.stderr
