import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from transformers import EvalPrediction

from smoothclap_trainer.evaluation.training_metrics import ZeroShotMetrics
from tests import tiny


WORDINGS = {"sad": "a sad voice", "happy": "a happy voice", "bored": "a bored voice"}
NAMES = ("happy", "sad")


def prediction(audio, labels, text=None, captions=None):
    text = audio if text is None else text
    captions = np.arange(len(audio)) if captions is None else captions
    return EvalPrediction(predictions=(audio, text), label_ids=(np.asarray(labels), captions))


@pytest.fixture
def metrics():
    made = ZeroShotMetrics(tiny.processor(), WORDINGS, NAMES, ks=(1,))
    made.prepare(tiny.model(projection_dropout=0.9))
    return made


def test_classes_are_embedded_as_the_model_embeds_their_texts(metrics):
    model, processor = tiny.model(projection_dropout=0.9), tiny.processor()
    for name, embed in zip(NAMES, metrics.class_embeds, strict=True):
        with torch.no_grad():
            alone = model.get_text_features(**processor(text=[WORDINGS[name]], return_tensors="pt")).pooler_output[0]
        np.testing.assert_allclose(embed, alone, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
def test_preparing_leaves_the_mode_and_has_no_dropout(metrics, training):
    model = tiny.model(projection_dropout=0.9).train(training)
    other = ZeroShotMetrics(tiny.processor(), WORDINGS, NAMES)
    other.prepare(model)
    assert model.training is training and model.text_projection.training is training
    np.testing.assert_allclose(other.class_embeds, metrics.class_embeds, atol=1e-6)


def test_preparing_again_takes_the_model_as_it_is_now(metrics):
    before = metrics.class_embeds
    metrics.prepare(tiny.model(seed=1))
    assert np.abs(metrics.class_embeds - before).max() > 0.01


def test_the_mode_is_restored_when_embedding_fails():
    model = tiny.model().train()
    metrics = ZeroShotMetrics(None, WORDINGS, NAMES)
    with pytest.raises(TypeError):
        metrics.prepare(model)
    assert model.training


def test_found_of_known_labels(metrics):
    happy, sad = metrics.class_embeds
    audio = np.stack([happy, happy, happy, sad, sad])
    found = metrics(prediction(audio, [0, 0, 1, 1, -1], text=np.random.default_rng(0).normal(size=audio.shape)))
    # Recalls by hand: both happy clips, one of two sad ones; the last clip's label is unknown.
    assert found["uar"] == pytest.approx(0.75)
    assert found["accuracy"] == pytest.approx(0.75)
    assert set(found) == {"uar", "accuracy", "audio_to_text_r@1", "text_to_audio_r@1"}


RETRIEVAL = {"audio_to_text_r@1": 1.0, "text_to_audio_r@1": 1.0}


@pytest.mark.parametrize(
    "arguments", [{}, {"wordings": WORDINGS}, {"wordings": WORDINGS, "label_names": ["sad"]}, {"label_names": NAMES}]
)
def test_without_two_worded_classes_there_is_retrieval_only(arguments):
    metrics = ZeroShotMetrics(tiny.processor(), ks=(1,), **arguments)
    metrics.prepare(tiny.model())
    assert metrics(prediction(np.eye(3), [0, 0, 0])) == RETRIEVAL


def test_half_precision_is_compared_in_full():
    metrics = ZeroShotMetrics(tiny.processor(), ks=(1,))
    rng = np.random.default_rng(0)
    audio = rng.normal(size=(50, 200)).astype(np.float16)
    found = metrics(prediction(audio, [-1] * 50))
    assert found == RETRIEVAL


def test_what_does_not_fit_is_refused(metrics):
    with pytest.raises(ValueError, match="angry"):
        ZeroShotMetrics(tiny.processor(), WORDINGS, ("angry", "sad"))
    with pytest.raises(ValueError, match="prepare"):
        ZeroShotMetrics(tiny.processor(), WORDINGS, NAMES)(prediction(np.eye(2, 16), [0, 1]))
    with pytest.raises(ValueError, match=" 2 "):
        metrics(prediction(np.eye(3, 16), [0, 1, 2]))
    with pytest.raises(ValueError, match="1 of 1"):
        metrics(prediction(np.full((1, 16), np.nan), [0]))


def test_a_sharded_model_prepares_as_a_whole_one_and_trains_on(tmp_path, metrics):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        sharded = fully_shard(tiny.model(projection_dropout=0.9), mesh=init_device_mesh("cpu", (1,)))
        other = ZeroShotMetrics(tiny.processor(), WORDINGS, NAMES)
        other.prepare(sharded)
        np.testing.assert_allclose(other.class_embeds, metrics.class_embeds, atol=1e-6)
        batch = tiny.processor()(text=["a", "b"], audio=tiny.clips(0.1, 0.1), sampling_rate=16000, return_tensors="pt")
        sharded.train()(**batch, return_loss=True).loss.backward()
    finally:
        dist.destroy_process_group()
