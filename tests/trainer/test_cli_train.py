"""`smoothclap train` from a YAML file to what it writes: metrics, logs, adapters, other dual encoders."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, ClapConfig, ClapFeatureExtractor, ClapModel, ClapProcessor, pipeline

from modeling_smoothclap import SmoothCLAPModel
from smoothclap_trainer.data.captions.thresholds import Thresholds
from smoothclap_trainer.data.functionals import functional_names
from smoothclap_trainer.hub.privacy import shareable
from tests import tiny
from tests.invariants import command_line
from tests.smoothclap import smoothclap


METRICS = ("loss", "forward_divergence", "reverse_divergence", "logit_scale", "negatives", "duplicate_captions")


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Settings of two steps on 8 clips, with 4 for validation."""
    folder = tmp_path_factory.mktemp("runs")
    encoders = command_line.encoders(folder / "encoders")
    dataset = command_line.manifest(folder / "data", train=8, validation=4)

    def settings(name, **changes):
        return command_line.settings(folder / name, dataset, encoders, **{"max_steps": 2} | changes)

    return settings


def classify(folder):
    answers = pipeline("zero-shot-audio-classification", model=str(folder))(
        tiny.clips(0.3)[0], candidate_labels=["a low voice", "eine hohe Stimme"], hypothesis_template="{}"
    )
    return {answer["label"]: answer["score"] for answer in answers}


def test_from_yaml_to_a_checkpoint_and_its_metrics(make):
    config = make("whole", storage_dtype="float16", report_attributes=True, max_train_clips=7, targets=["functionals"])
    rows = pd.read_csv(config["dataset"])
    rng = np.random.default_rng(0)
    others = [name for name in functional_names() if name not in rows.columns]
    rows = pd.concat([rows, pd.DataFrame({name: rng.normal(size=len(rows)) for name in others})], axis=1)
    rows["split"] = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    config["dataset"] = str(Path(config["dataset"]).with_name("functionals.csv"))
    rows.assign(corpus="noise", speaker=rows["split"]).to_csv(config["dataset"], index=False)
    printed = smoothclap("train", command_line.written(config), "--seed", "3").stdout
    out = Path(config["output_dir"])
    assert f"rank --model {out}" in printed and "eval_uar: " in printed and "positives" in printed

    attributes = pd.read_csv(out / "attributes.csv")
    assert attributes["split"].value_counts().to_dict() == {"validation": 28, "test": 28}
    assert Thresholds.load(out / "thresholds.json").num_rows == 7
    assert len(json.loads((out / "standardisation.json").read_text())["columns"]) == 88
    assert json.loads((out / "objective.json").read_text())["sources"][0]["source"] == "functionals"
    assert yaml.safe_load((out / "training_config.yaml").read_text()) == shareable(config) | {"seed": 3}
    described = json.loads((out / "data.json").read_text())
    assert {name: parts["noise"]["clips"] for name, parts in described.items()} == {
        "train": 7,
        "validation": 2,
        "test": 2,
    }
    assert described["train"]["noise"]["speakers"] == 1
    metrics = json.loads((out / "metrics.json").read_text())
    assert {"eval_loss", "eval_uar", "eval_accuracy", "eval_audio_to_text_r@1"} <= set(metrics)
    log = yaml.safe_load((out / "training_log.yaml").read_text())
    assert set(METRICS) <= set(log[0])
    # Stored in half precision, loaded in full.
    assert {value.dtype for value in load_file(out / "model.safetensors").values()} == {torch.float16}
    assert {value.dtype for value in SmoothCLAPModel.from_pretrained(out).parameters()} == {torch.float32}
    assert sum(classify(out).values()) == pytest.approx(1)


def test_the_demonstration_trains_on_a_manifest_of_ones_own(make, tmp_path):
    dataset, out = make("demo")["dataset"], tmp_path / "out"
    given = {"dataset": dataset, "model": "smoothclap-tiny", "output_dir": out, "cache_dir": tmp_path}
    given |= {"num_train_epochs": 1, "per_device_train_batch_size": 4, "report_attributes": "false"}
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    smoothclap("train", Path(__file__).parents[2] / "examples" / "configs" / "demo.yaml", *words)
    assert yaml.safe_load((out / "training_config.yaml").read_text())["dataset"] == shareable(dataset)


def test_adapters_by_yaml(make):
    rates = {"audio_learning_rate": 10.0, "text_learning_rate": 10.0, "max_grad_norm": 0.0}
    adapted = {"lora_towers": ["audio", "text"], "lora_rank": 2, "lora_save": "adapter", "freeze_audio_tower": None}
    config = make("lora", **adapted | rates)
    trainer = command_line.train(config)
    out = Path(config["output_dir"])
    assert (out / "adapter_config.json").is_file()
    loaded = AutoModel.from_pretrained(out).eval()
    inputs = tiny.processor()(text=["a low voice"], audio=tiny.clips(0.2), sampling_rate=16000, return_tensors="pt")
    trained = trainer.model.eval()
    assert isinstance(trained, PeftModel)
    with torch.no_grad():
        expected = trained(**inputs).logits_per_audio
        torch.testing.assert_close(loaded(**inputs).logits_per_audio, expected, atol=1e-4, rtol=1e-4)
        with trained.disable_adapter():
            assert (trained(**inputs).logits_per_audio - expected).abs().max() > 1e-3
    assert sum(classify(out).values()) == pytest.approx(1)


def clap(folder):
    """A tiny CLAP of transformers, which takes 1 s in 16 mel bands."""
    text = {"vocab_size": len(tiny.tokenizer()), "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"intermediate_size": 16, "max_position_embeddings": 300, "pad_token_id": 0}
    audio = {"spec_size": 32, "num_mel_bins": 16, "window_size": 2, "hidden_size": 8, "depths": [1, 1]}
    audio |= {"num_attention_heads": [2, 2], "patch_embeds_hidden_size": 4, "patch_size": 2, "patch_stride": 2}
    torch.manual_seed(0)
    ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=8)).save_pretrained(folder)
    extractor = ClapFeatureExtractor(
        feature_size=16,
        sampling_rate=16000,
        hop_length=400,
        fft_window_size=512,
        max_length_s=1,
        frequency_max=8000,
        truncation="rand_trunc",
        padding="repeatpad",
    )
    ClapProcessor(extractor, tiny.tokenizer()).save_pretrained(folder)
    return folder


def test_transformers_clap_trains(make, tmp_path):
    start = clap(tmp_path / "clap")
    new_model = dict.fromkeys(("audio_encoder", "text_encoder", "projection_dim", "projection_dropout"))
    objective = {"targets": ["labels"], "kl_reading": "forward", "report_attributes": True}
    config = make("clap", model=str(start), **new_model, **objective)
    trainer = command_line.train(config)
    out = Path(config["output_dir"])
    assert set(pd.read_csv(out / "attributes.csv")["attribute"]) == {"pitch", "loudness", "rate", "pitch variation"}
    assert isinstance(trainer.model, ClapModel) and isinstance(AutoModel.from_pretrained(out), ClapModel)
    before, after = load_file(start / "model.safetensors"), load_file(out / "model.safetensors")
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    heads = {"audio_projection", "text_projection", "logit_scale_a", "logit_scale_t"}
    assert moved == heads | {"audio_model", "text_model"}
    assert "eval_uar" in json.loads((out / "metrics.json").read_text())
    assert sum(classify(out).values()) == pytest.approx(1)


def test_tensorboard_shows_the_metrics_of_every_batch(make, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "events"))
    config = make("tensorboard", report_to="tensorboard")
    assert command_line.train(config).args.run_name == "out"  # by which loggers join what comes after training
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    for name in METRICS:
        assert [event.step for event in events.Scalars(f"train/{name}")] == [1, 2]
    assert [event.value for event in events.Scalars("train/negatives")] == [3, 3]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(command_line.losses(config))
    assert "eval/uar" in events.Tags()["scalars"]


def test_early_stopping(make):
    """Nothing is learned, so nothing gets better: one evaluation to compare with, and two of patience."""
    rates = dict.fromkeys(("learning_rate", "audio_learning_rate", "text_learning_rate"), 1e-30)
    evaluation = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    choice = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "save_total_limit": 1}
    config = make("early", max_steps=9, early_stopping_patience=2, **rates, **evaluation, **choice)
    trainer = command_line.train(config)
    assert trainer.state.global_step == 3
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-1")
