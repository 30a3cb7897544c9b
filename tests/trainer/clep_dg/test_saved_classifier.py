"""A saved classifier gives what its vectors give: as a model in the stock pipeline, or as two files."""

import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import pipeline

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPModel
from smoothclap_trainer.clep_dg.classifier import RECORD_FILE, WEIGHTS_FILE, check_no_adapters, save_classifier
from tests import tiny
from tests.trainer.evaluation.tiny_clap import clap


def test_a_smoothclap_becomes_a_model_for_the_stock_pipeline(tmp_path):
    encoder = SmoothCLAPEncoder.from_pretrained(str(tiny.checkpoint(tmp_path / "encoder")))
    weights = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    save_classifier(encoder, weights, ["sad", "glad", "mad"], 4.0, tmp_path / "classifier")
    clip = tiny.clips(0.3)[0]
    found = pipeline("audio-classification", model=str(tmp_path / "classifier"))(clip)
    unit = torch.nn.functional.normalize(weights, dim=-1).numpy()
    logits = 4 * encoder.encode_audio([clip])[0] @ unit.T
    expected = dict(zip(["sad", "glad", "mad"], np.exp(logits) / np.exp(logits).sum(), strict=True))
    assert {each["label"]: each["score"] for each in found} == pytest.approx(expected, abs=1e-5)


def test_adapters_apart_are_refused(tmp_path):
    base = tiny.checkpoint(tmp_path / "encoder")
    check_no_adapters(SmoothCLAPEncoder.from_pretrained(str(base)))
    config = LoraConfig(target_modules=["query", "value"])
    get_peft_model(SmoothCLAPModel.from_pretrained(base), config).save_pretrained(tmp_path / "adapters")
    tiny.processor().save_pretrained(tmp_path / "adapters")
    with pytest.raises(ValueError, match=r"adapters' has adapters apart .*`lora_save: merged`"):
        check_no_adapters(SmoothCLAPEncoder.from_pretrained(str(tmp_path / "adapters")))


def test_every_class_that_the_folder_names_has_its_code_there(tmp_path):
    encoder = SmoothCLAPEncoder.from_pretrained(str(tiny.checkpoint(tmp_path / "encoder")))
    extractor = encoder.processor.feature_extractor
    assert "AutoProcessor" in extractor.auto_map  # as it was loaded with its processor, whose code does not go along
    save_classifier(encoder, torch.eye(2, 16), ["sad", "glad"], 4.0, tmp_path / "classifier")
    maps = [json.loads((tmp_path / "classifier" / f"{name}config.json").read_text())["auto_map"]
            for name in ("", "preprocessor_")]  # fmt: skip
    assert [set(each) for each in maps] == [{"AutoConfig", "AutoModelForAudioClassification"}, {"AutoFeatureExtractor"}]
    for reference in (*maps[0].values(), *maps[1].values()):
        assert (tmp_path / "classifier" / f"{reference.split('.')[0]}.py").is_file()
    assert "AutoProcessor" in extractor.auto_map  # the encoder's own is as it was


def test_of_clap_the_vectors_are_kept_with_what_they_are_for(tmp_path):
    encoder = SmoothCLAPEncoder.from_pretrained(str(clap(tmp_path / "clap")))
    weights = torch.randn(4, 2, generator=torch.Generator().manual_seed(0)).T  # not contiguous
    save_classifier(encoder, weights, ["traurig", "wütend"], 5.0, tmp_path / "new" / "classifier")
    folder = tmp_path / "new" / "classifier"
    assert torch.equal(load_file(folder / WEIGHTS_FILE)["weights"], weights)
    record = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    assert (record["id2label"], record["scale"]) == ({"0": "traurig", "1": "wütend"}, 5.0)
    assert record["encoder"] == {name: encoder.describe()[name] for name in record["encoder"]}
    assert set(record["encoder"]) == {"name", "revision", "weights_sha256", "class"}
