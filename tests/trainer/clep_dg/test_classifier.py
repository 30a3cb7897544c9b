"""The text-trained classifier: its logits against formulas, what training finds, and what is saved."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import pipeline

from modeling_smoothclap import SmoothCLAPEncoder, SmoothCLAPModel
from smoothclap_trainer.clep_dg.classifier import (
    RECORD_FILE,
    WEIGHTS_FILE,
    ClassifierSettings,
    arcface_logits,
    check_no_adapters,
    save_classifier,
    train_classifier,
)
from smoothclap_trainer.evaluation.metrics import zero_shot_predictions
from tests import tiny
from tests.trainer.evaluation.tiny_clap import clap


def blobs(spread=0.1, count=40):
    """Three directions in eight dimensions with noise around them."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat(count)
    return torch.eye(8)[labels] + spread * torch.randn(3 * count, 8, generator=generator), labels


def loss(features, weights, labels, margin):
    return F.cross_entropy(arcface_logits(features, weights, labels, 5.0, margin), labels)


def test_without_margin_it_is_cross_entropy_of_scaled_cosines():
    features, weights, labels = torch.randn(6, 4), torch.randn(3, 4), torch.tensor([0, 1, 2, 2, 1, 0])
    expected = 5 * F.cosine_similarity(features[:, None], weights[None], dim=-1)
    torch.testing.assert_close(arcface_logits(features, weights, labels, 5.0, 0.0), expected)


def test_the_margin_is_an_angle_at_the_true_class_alone():
    angles = torch.tensor([0.3, 1.0, 2.0, 2.6])  # 2.6 + 0.5 is still less than pi
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    weights = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = arcface_logits(features, weights, torch.zeros(4, dtype=torch.long), 5.0, 0.5)
    torch.testing.assert_close(logits[:, 0], 5 * torch.cos(angles + 0.5))
    torch.testing.assert_close(logits[:, 1], 5 * torch.sin(angles))


def test_the_true_logit_falls_with_the_angle_all_the_way():
    angles = torch.linspace(0, math.pi, 500, dtype=torch.float64)
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    logits = arcface_logits(features, torch.eye(2, dtype=torch.float64), torch.zeros(500, dtype=torch.long))[:, 0]
    assert (logits.diff() < 1e-9).all()
    assert logits[-1].item() == pytest.approx(5 * (-1 - 0.5 * math.sin(0.5)))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gradients_are_finite_where_the_angle_is_0_or_pi(sign):
    features, weights = torch.tensor([[3.0, 0.0]]), torch.tensor([[2.0 * sign, 0.0], [0.3, 1.0]], requires_grad=True)
    loss(features, weights, torch.tensor([0]), 0.5).backward()
    assert weights.grad.isfinite().all()


@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_the_length_of_weights_and_features_has_no_effect(margin):
    features, labels = blobs()
    weights = torch.randn(3, 8)
    lengths = torch.tensor([[0.1], [7.0], [100.0]])
    expected = loss(features, weights, labels, margin)
    torch.testing.assert_close(loss(features, weights * lengths, labels, margin), expected)
    torch.testing.assert_close(loss(features * 9, weights, labels, margin), expected)


@pytest.mark.parametrize("name", ["arcface", "softmax"])
def test_it_learns_the_directions_of_the_classes(name):
    features, labels = blobs()
    weights = train_classifier(features, labels, ClassifierSettings(loss=name))
    torch.testing.assert_close(weights.norm(dim=1), torch.ones(3))
    assert zero_shot_predictions(features.numpy(), weights.numpy()).tolist() == labels.tolist()
    cosine = weights[:, :3] / weights[:, :3].norm(dim=1, keepdim=True)
    assert torch.equal(cosine.argmax(dim=1), torch.arange(3))


def test_it_tells_texts_apart_that_are_nearly_parallel():
    # As the shipped checkpoint's are. From random directions this ends with weights that point away from their texts.
    shared = F.normalize(torch.randn(256), dim=0)
    texts = F.normalize(shared + 0.3 * F.normalize(torch.randn(7, 256), dim=1), dim=1)
    assert (texts @ texts.T).min() > 0.85
    weights = train_classifier(texts.repeat(80, 1), torch.arange(7).repeat(80), ClassifierSettings())
    cosine = texts @ weights.T
    assert torch.equal(cosine.argmax(dim=1), torch.arange(7))
    assert cosine.diagonal().min() > 0.9


def test_two_steps_by_hand():
    features, labels = blobs(count=2)
    settings = ClassifierSettings(epochs=2, learning_rate=0.1, seed=3)
    units = F.normalize(features, dim=1)
    weights, velocity = F.normalize(torch.stack([units[labels == n].mean(dim=0) for n in range(3)]), dim=1), 0
    own = F.one_hot(labels, 3).bool()
    for _ in range(2):
        weights.requires_grad_()
        cosine = F.normalize(features, dim=1) @ F.normalize(weights, dim=1).T
        logits = 5 * torch.where(own, torch.cos(torch.acos(cosine) + 0.5), cosine)
        (slope,) = torch.autograd.grad(F.cross_entropy(logits, labels), weights)
        velocity = 0.9 * velocity + slope
        weights = (weights - 0.1 * velocity).detach()
    torch.testing.assert_close(train_classifier(features, labels, settings), F.normalize(weights, dim=1))


def test_softmax_has_no_margin_and_arcface_has():
    features, labels = blobs(1.0)
    without = train_classifier(features, labels, ClassifierSettings(loss="arcface", margin=0.0))
    assert torch.equal(train_classifier(features, labels, ClassifierSettings(loss="softmax")), without)
    assert not torch.allclose(train_classifier(features, labels, ClassifierSettings()), without, atol=1e-3)


def test_seeds_repeat_and_differ_and_leave_the_global_generator_alone():
    features, labels = blobs(1.0)
    state = torch.get_rng_state()
    one, again, other = (train_classifier(features, labels, ClassifierSettings(seed=seed)) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_defaults_are_promptstylers():
    settings = ClassifierSettings()
    assert (settings.loss, settings.scale, settings.margin, settings.epochs) == ("arcface", 5.0, 0.5, 50)
    assert (settings.learning_rate, settings.momentum, settings.batch_size) == (0.005, 0.9, 128)


@pytest.mark.parametrize(
    ("features", "labels", "wanted"),
    [
        (torch.ones(3, 2), torch.tensor([0, 1]), r"\(3, 2\).*\(2,\)"),
        (torch.ones(3), torch.tensor([0, 1, 1]), r"\(3,\).*\(3,\)"),
        (torch.ones(0, 2), torch.empty(0, dtype=torch.long), r"\(0, 2\)"),
        (torch.tensor([[1.0], [math.inf]]), torch.tensor([0, 1]), "1 of 2"),
        (torch.ones(2, 2), torch.tensor([0, -1]), "-1"),
        (torch.ones(2, 2), torch.tensor([0, 3]), r"\[1, 2\]"),
    ],
)
def test_what_cannot_be_trained_on(features, labels, wanted):
    with pytest.raises(ValueError, match=wanted):
        train_classifier(features, labels, ClassifierSettings())


# Saving


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
    with pytest.raises(ValueError, match="lora_save"):
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
