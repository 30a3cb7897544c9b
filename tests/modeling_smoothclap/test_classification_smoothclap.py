"""The audio half with a cosine classifier: its logits, how it is made, its pipeline, and both ways to load it."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    ClapConfig,
    ClapModel,
    Trainer,
    TrainingArguments,
    pipeline,
)

from modeling_smoothclap import SmoothCLAPForAudioClassification, SmoothCLAPModel
from tests import tiny


NAMES = {0: "sad", 1: "pleasantly surprised", 2: "wütend"}
each_family = pytest.mark.parametrize("family", ["wav2vec2", "data2vec-audio", "whisper"])


CONSTANTS = {"audio_model.embed_positions.weight", "audio_model.masked_spec_embed"}


def weights() -> torch.Tensor:
    return torch.randn(3, 16, generator=torch.Generator().manual_seed(1)) * torch.tensor([[0.1], [1.0], [20.0]])


def classifier(family: str = "wav2vec2", **changes) -> SmoothCLAPForAudioClassification:
    return SmoothCLAPForAudioClassification.from_dual_encoder(tiny.model(family), weights(), NAMES, **changes)


def inputs(family: str = "wav2vec2"):
    extractor = tiny.processor(family).feature_extractor
    return extractor(tiny.clips(0.05, 0.03, 0.1), sampling_rate=16000, return_tensors="pt")


def save(folder, family: str = "wav2vec2"):
    classifier(family).save_pretrained(folder)
    tiny.processor(family).feature_extractor.save_pretrained(folder)
    return folder


# The model


@each_family
@torch.no_grad()
def test_logits_are_the_scale_times_the_cosines_of_the_dual_encoders_embeddings(family):
    embeds = tiny.model(family).get_audio_features(**inputs(family)).pooler_output
    expected = 7 * F.cosine_similarity(embeds[:, None], weights()[None], dim=-1)
    torch.testing.assert_close(classifier(family, scale=7.0)(**inputs(family)).logits, expected)


def test_there_is_no_text_tower():
    parts = {name.split(".")[0] for name in classifier().state_dict()}
    assert parts == {"audio_model", "audio_projection", "classifier", "logit_scale"}


def test_it_is_a_copy_that_leaves_the_dual_encoder_alone():
    dual_encoder = tiny.model()
    before = {name: tensor.clone() for name, tensor in dual_encoder.state_dict().items()}
    fields = dual_encoder.config.to_dict()
    model = SmoothCLAPForAudioClassification.from_dual_encoder(dual_encoder, weights(), NAMES)
    for parameter in model.parameters():
        parameter.data += 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in dual_encoder.state_dict().items())
    assert dual_encoder.config.to_dict() == fields
    assert not model.training


def test_names_and_scale_are_in_the_configuration_and_the_weights():
    model = classifier()
    assert model.config.id2label == NAMES
    assert model.config.label2id == {name: index for index, name in NAMES.items()}
    assert model.config.num_labels == 3
    assert model.logit_scale().item() == pytest.approx(5)
    assert classifier(scale=100).logit_scale().item() == pytest.approx(100)


def test_a_dual_encoder_in_half_precision_gives_a_classifier_in_half_precision():
    dual_encoder = tiny.model().to(torch.bfloat16)
    model = SmoothCLAPForAudioClassification.from_dual_encoder(dual_encoder, weights(), NAMES)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        logits = model(inputs()["input_values"].bfloat16()).logits
    assert logits.dtype == torch.bfloat16 and logits.isfinite().all()


def test_pooled_audio_takes_the_place_of_audio():
    model, pooled = classifier(), torch.randn(2, 32)
    with torch.no_grad():
        expected = 5 * F.cosine_similarity(model.audio_projection(pooled)[:, None], weights()[None], dim=-1)
        torch.testing.assert_close(model(pooled_audio=pooled).logits, expected)


def test_the_loss_is_cross_entropy_and_trains_the_classifier():
    model, labels = classifier(), torch.tensor([0, 2, 1])
    output = model(**inputs(), labels=labels)
    logits = output.logits.detach()
    expected = -(logits - logits.logsumexp(dim=1, keepdim=True))[torch.arange(3), labels].mean()
    torch.testing.assert_close(output.loss.detach(), expected)
    output.loss.backward()
    assert model.classifier.weight.grad.abs().sum() > 0
    # A step along the weights themselves changes nothing: only their direction counts.
    along = (model.classifier.weight.grad * model.classifier.weight).sum(dim=1)
    torch.testing.assert_close(along, torch.zeros(3), atol=1e-6, rtol=0)


def test_a_frozen_tower_rests_while_the_classifier_trains():
    model = classifier()
    model.audio_model.requires_grad_(False)
    model.train()
    assert model.training and model.audio_projection.training and not model.audio_model.training


def test_outputs_as_tuples_and_with_hidden_states():
    model = classifier()
    with torch.no_grad():
        output = model(**inputs(), output_hidden_states=True)
        logits, hidden = model(**inputs(), output_hidden_states=True, return_dict=False)
        model.config.return_dict = False
        assert torch.equal(model(**inputs())[0], logits)
    assert torch.equal(logits, output.logits)
    assert len(hidden) == len(output.hidden_states) == 3  # of two layers, and before them


def faulty(row, value):
    return weights().index_put((torch.tensor([row]), torch.tensor([0])), torch.tensor(value))


def test_the_wrong_audio_is_refused():
    with pytest.raises(ValueError, match="`input_values`"):
        classifier()(input_features=torch.zeros(1, 40, 20))


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"class_weights": torch.zeros(3, 15)}, r"\(classes, 16\); got \(3, 15\)"),
        ({"class_weights": torch.zeros(16)}, r"\(classes, 16\); got \(16,\)"),
        ({"class_weights": faulty(1, math.nan)}, r"must be finite; NaN or infinity is in the rows \[1\]"),
        ({"class_weights": faulty(2, -math.inf)}, r"must be finite; NaN or infinity is in the rows \[2\]"),
        ({"id2label": {0: "a", 1: "b"}}, r"0 to 2; got the ids \[0, 1\]"),
        ({"id2label": {1: "a", 2: "b", 3: "c"}}, r"0 to 2; got the ids \[1, 2, 3\]"),
        ({"id2label": {0: "a", 1: "b", 2: "a"}}, r"Classes share a name in \{0: 'a', 1: 'b', 2: 'a'\}"),
        ({"scale": 0.0}, "positive factor of at most 100, got 0.0"),
        ({"scale": 101.0}, "positive factor of at most 100, got 101.0"),
        ({"scale": math.nan}, "positive factor of at most 100, got nan"),
    ],
)
def test_what_does_not_fit_is_refused(changes, wanted):
    given = {"class_weights": weights(), "id2label": NAMES} | changes
    with pytest.raises(ValueError, match=wanted):
        SmoothCLAPForAudioClassification.from_dual_encoder(tiny.model(), **given)


def test_transformers_own_clap_is_refused():
    clap = ClapModel.__new__(ClapModel)
    torch.nn.Module.__init__(clap)
    clap.config = ClapConfig()
    with pytest.raises(ValueError, match="ClapModel"):
        SmoothCLAPForAudioClassification.from_dual_encoder(clap, weights(), NAMES)


# The loss of each problem


def with_loss(problem_type, labels, classes=3, seed=1):
    torch.manual_seed(seed)
    model = SmoothCLAPForAudioClassification(tiny.config(num_labels=classes, problem_type=problem_type)).eval()
    return model(pooled_audio=torch.randn(3, 32), labels=labels)


@pytest.mark.parametrize("problem_type", ["multi_label_classification", None])
def test_several_labels_get_a_binary_cross_entropy_each(problem_type):
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.3, 1.0, 0.0]])
    output = with_loss(problem_type, targets)
    chances = torch.sigmoid(output.logits)
    expected = -(targets * chances.log() + (1 - targets) * (1 - chances).log()).mean()
    torch.testing.assert_close(output.loss, expected)
    if problem_type:  # by their type, integers are class ids
        assert with_loss(problem_type, targets.round().long()).loss > 0
    torch.testing.assert_close(
        with_loss(problem_type, targets > 0.5).loss, with_loss(problem_type, targets.round()).loss
    )


@pytest.mark.parametrize("problem_type", ["regression", None])
@pytest.mark.parametrize("labels", [torch.tensor([0.5, -1.0, 2.0]), torch.tensor([[3], [1], [2]])])
def test_one_output_is_regression(problem_type, labels):
    output = with_loss(problem_type, labels, classes=1)
    torch.testing.assert_close(output.loss, (output.logits[:, 0] - labels.reshape(3)).square().mean())


def test_regression_of_arousal_and_valence_learns_them():
    torch.manual_seed(0)
    model = SmoothCLAPForAudioClassification(tiny.config(num_labels=2, problem_type="regression")).eval()
    pooled, targets = torch.randn(4, 32), torch.rand(4, 2) * 2 - 1
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = model(pooled_audio=pooled, labels=targets).loss
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1 and losses[-1] < 0.01


def test_class_ids_of_any_integer_type_give_the_same_loss():
    ids = torch.tensor([0, 2, 1])
    expected = with_loss("single_label_classification", ids).loss
    for dtype in (torch.int32, torch.uint8):
        assert torch.equal(with_loss(None, ids.to(dtype)).loss, expected)


@pytest.mark.parametrize(
    ("problem_type", "labels"),
    [
        ("single_label_classification", torch.tensor([0, 1, 3])),
        ("single_label_classification", torch.tensor([0, -1, 2])),
        ("single_label_classification", torch.tensor([0.0, 1.0, 2.0])),
        ("single_label_classification", torch.tensor([[0], [1], [2]])),
        ("single_label_classification", torch.tensor([0, 1])),
        ("multi_label_classification", torch.tensor([0, 1, 2])),
        ("multi_label_classification", torch.full((3, 3), 1.5)),
        ("multi_label_classification", torch.full((3, 3), torch.nan)),
        ("regression", torch.zeros(3)),
        ("regression", torch.full((3, 3), torch.inf)),
        ("regression", torch.zeros(3, 3, dtype=torch.complex64)),
        (None, torch.zeros(3, 2)),
        (None, [0, 1, 2]),
    ],
)
def test_labels_that_do_not_fit_the_problem_are_refused(problem_type, labels):
    with pytest.raises(ValueError, match="`labels`"):
        with_loss(problem_type, labels)


def test_one_class_is_no_classification():
    with pytest.raises(ValueError, match="num_labels"):
        tiny.config(num_labels=1, problem_type="single_label_classification")


# What transformers' examples call


@each_family
def test_its_parts_can_be_frozen(family):
    model = classifier(family)
    model.freeze_feature_encoder()
    frozen = {name for name, parameter in model.train().named_parameters() if not parameter.requires_grad}
    convolutions = ("audio_model.conv", "audio_model.feature_extractor.")
    assert any("conv" in name for name in frozen)
    assert all(name.startswith(convolutions) for name in frozen - CONSTANTS)
    trained = {name for name in dict(model.named_parameters()) if name.startswith(convolutions)} - frozen
    assert not trained
    model.freeze_base_model()
    names = {name.split(".")[0] for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert names == {"classifier", "logit_scale"}
    model(**inputs(family), labels=torch.tensor([0, 1, 2])).loss.backward()
    assert model.classifier.weight.grad.abs().sum() > 0


def test_the_steps_of_transformers_audio_classification_example_run(tmp_path):
    """As `run_audio_classification.py` makes them with its defaults: labels as strings, transforms, stock Trainer."""
    tiny.checkpoint(tmp_path / "start")
    extractor = AutoFeatureExtractor.from_pretrained(tmp_path / "start", return_attention_mask=True)
    name = extractor.model_input_names[0]

    def transform(batch):
        found = extractor([np.asarray(clip, np.float32) for clip in batch["audio"]], sampling_rate=16000)
        return {name: found.get(name), "labels": list(batch["label"])}

    rows = {"audio": tiny.clips(*[0.02, 0.03, 0.04, 0.05]), "label": [0, 1, 2, 1]}
    data = Dataset.from_dict(rows)
    data.set_transform(transform, output_all_columns=False)
    config = AutoConfig.from_pretrained(
        tmp_path / "start",
        num_labels=3,
        label2id={"low": "0", "high": "1", "loud": "2"},
        id2label={"0": "low", "1": "high", "2": "loud"},
        finetuning_task="audio-classification",
    )
    model = AutoModelForAudioClassification.from_pretrained(
        tmp_path / "start", config=config, ignore_mismatched_sizes=False
    )
    model.freeze_feature_encoder()
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "run"),
        remove_unused_columns=False,  # with a transform the example needs it for every model
        per_device_train_batch_size=2,
        max_steps=2,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=data,
        eval_dataset=data,
        processing_class=extractor,
        compute_metrics=lambda predicted: {"n": len(predicted.predictions.argmax(axis=1))},
    )
    before = model.classifier.weight.detach().clone()
    assert math.isfinite(trainer.train().training_loss)
    assert not torch.equal(model.classifier.weight, before)
    found = trainer.evaluate()
    assert found["eval_n"] == 4 and math.isfinite(found["eval_loss"])
    trainer.save_model()
    pipe = pipeline("audio-classification", model=str(tmp_path / "run"))
    assert {each["label"] for each in pipe(tiny.clips(0.1)[0])} == {"low", "high", "loud"}


# Saved and loaded


@each_family
def test_a_dual_encoders_checkpoint_loads_with_a_new_classifier(family, tmp_path):
    dual_encoder = tiny.model(family)
    dual_encoder.save_pretrained(tmp_path)
    model, report = AutoModelForAudioClassification.from_pretrained(tmp_path, num_labels=4, output_loading_info=True)
    assert type(model) is SmoothCLAPForAudioClassification and model.classifier.weight.shape == (4, 16)
    assert set(report["missing_keys"]) == {"classifier.weight"} and not report["unexpected_keys"]
    with torch.no_grad():
        expected = dual_encoder.get_audio_features(**inputs(family)).pooler_output
        assert torch.equal(model.get_audio_features(**inputs(family)).pooler_output, expected)


def test_a_classifiers_checkpoint_names_its_own_class_and_no_other(tmp_path):
    tiny.model().save_pretrained(tmp_path / "dual")
    dual_encoder = SmoothCLAPModel.from_pretrained(tmp_path / "dual")  # whose configuration names itself
    SmoothCLAPForAudioClassification.from_dual_encoder(dual_encoder, weights(), NAMES).save_pretrained(tmp_path / "c")
    config = json.loads((tmp_path / "c" / "config.json").read_text())
    assert config["architectures"] == ["SmoothCLAPForAudioClassification"]
    assert config["auto_map"] == {
        "AutoConfig": "configuration_smoothclap.SmoothCLAPConfig",
        "AutoModelForAudioClassification": "classification_smoothclap.SmoothCLAPForAudioClassification",
    }


@each_family
def test_the_stock_pipeline_gives_the_softmax_of_the_logits(family, tmp_path, logs):
    pipe = pipeline("audio-classification", model=str(save(tmp_path, family)))
    assert type(pipe.model) is SmoothCLAPForAudioClassification
    clip = tiny.clips(0.1)[0]
    found = {each["label"]: each["score"] for each in pipe(clip)}
    extracted = pipe.feature_extractor(clip, sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        expected = classifier(family)(**extracted).logits.softmax(dim=-1)[0]
    assert found == pytest.approx(dict(zip(NAMES.values(), expected.tolist(), strict=True)), abs=1e-6)
    assert "not supported" not in logs.text


def test_a_batch_in_the_pipeline_gives_each_clip_what_it_gives_alone(tmp_path):
    pipe = pipeline("audio-classification", model=str(save(tmp_path)))
    clips = tiny.clips(0.11, 0.05, 0.2)
    for one, many in zip([pipe(clip) for clip in clips], pipe(clips, batch_size=3), strict=True):
        assert {e["label"]: e["score"] for e in many} == pytest.approx({e["label"]: e["score"] for e in one}, abs=1e-6)
