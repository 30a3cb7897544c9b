import hashlib
import shutil

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor, BertModel

from modeling_smoothclap import SmoothCLAPFeatureExtractor, SmoothCLAPProcessor
from smoothclap_trainer.evaluation.dual_encoders import DualEncoder, load_dual_encoder
from smoothclap_trainer.lora import LoraSettings, add_lora, save_lora
from tests import tiny
from tests.trainer.evaluation.tiny_clap import SAMPLING_RATE, clap


TEXTS = ["a low voice", "eine leise, traurige Stimme", "a", "a high voice", "sad", "a low voice"]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    clap(folder / "clap")
    clap(folder / "fused", fusion=True)
    for family in ("wav2vec2", "whisper"):
        tiny.checkpoint(folder / family, family)
    config = tiny.audio_config(feat_extract_norm="group", conv_bias=False)
    tiny.model(audio_config=config).save_pretrained(folder / "group")
    SmoothCLAPProcessor(SmoothCLAPFeatureExtractor.from_audio_config(config), tiny.tokenizer()).save_pretrained(
        folder / "group"
    )
    return folder


def noise(seconds, rate, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "group", "clap", "fused"])
def test_a_clip_is_heard_the_same_alone_and_among_others(checkpoints, kind):
    encoder = load_dual_encoder(str(checkpoints / kind))
    lengths = (0.5, 0.3, 2.7, 0.3, 1.0)
    clips = [noise(seconds, encoder.sampling_rate, seed) for seed, seconds in enumerate(lengths)]
    together = encoder.embed_clips(clips)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.random.seed(5)  # of which transformers' extractor makes use
    alone = np.concatenate([encoder.embed_clips([clip]) for clip in reversed(clips)])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(together[1] - together[3]).max() > 1e-4  # random as they are, they tell clips apart


def test_smoothclap_hears_whole_clips_as_the_model_does(checkpoints):
    encoder = load_dual_encoder(str(checkpoints / "wav2vec2"))
    model, processor = tiny.model(), tiny.processor()
    clip = noise(0.7, 16000)
    with torch.no_grad():
        expected = model.get_audio_features(**processor(audio=clip, sampling_rate=16000, return_tensors="pt"))
    np.testing.assert_allclose(encoder.embed_clips([clip])[0], expected.pooler_output[0], atol=1e-6)
    assert encoder.describe()["long_clips"] == "whole"
    whisper = load_dual_encoder(str(checkpoints / "whisper"))
    # 30 positions of 20 ms
    assert whisper.describe()["long_clips"] == "whole; the audio tower attends within consecutive windows of 0.6 s"


def test_clap_hears_equal_windows_of_a_clip_beyond_its_limit(checkpoints):
    encoder = load_dual_encoder(str(checkpoints / "clap"))
    model = AutoModel.from_pretrained(checkpoints / "clap").eval()
    processor = AutoProcessor.from_pretrained(checkpoints / "clap")
    clip = noise(2.4, SAMPLING_RATE)  # three windows of 0.8 s
    windows = [clip[:6400], clip[6400:12800], clip[12800:]]
    with torch.no_grad():
        batch = processor(audio=windows, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        heard = model.get_audio_features(**batch).pooler_output.numpy()
    mean = heard.mean(axis=0)
    np.testing.assert_allclose(encoder.embed_clips([clip])[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert "each at most 1 s; the mean of their unit-length embeddings" in encoder.describe()["long_clips"]
    assert len(encoder._windows(noise(1, SAMPLING_RATE))) == 1  # a clip of just the limit is whole


def test_texts_are_embedded_in_their_order(checkpoints):
    for kind in ("wav2vec2", "clap"):
        encoder = load_dual_encoder(str(checkpoints / kind))
        embeds = encoder.embed_texts(TEXTS)
        model = AutoModel.from_pretrained(checkpoints / kind).eval()
        processor = AutoProcessor.from_pretrained(checkpoints / kind)
        for text, embed in zip(TEXTS, embeds, strict=True):
            with torch.no_grad():
                alone = model.get_text_features(**processor(text=[text], return_tensors="pt")).pooler_output[0]
            np.testing.assert_allclose(embed, alone, atol=1e-6)
        assert (embeds[0] == embeds[5]).all()


@pytest.mark.parametrize(("kind", "limit"), [("wav2vec2", 66), ("clap", 69)])  # of 70 positions RoBERTa skips one
def test_a_text_too_long_is_named(checkpoints, kind, limit):
    encoder = load_dual_encoder(str(checkpoints / kind))
    fitting = "x" * (limit - 2)
    assert len(encoder.processor.tokenizer(fitting)["input_ids"]) == limit
    encoder.embed_texts([fitting])
    with pytest.raises(
        ValueError, match=rf"cannot read '{fitting}x': A text has {limit + 1} tokens, .+ at most {limit}"
    ):
        encoder.embed_texts(["sad", fitting + "x"])


def test_what_is_said_of_a_model(checkpoints, tmp_path):
    folder = checkpoints / "clap"
    encoder = load_dual_encoder(str(folder))
    assert list(encoder.describe()) == [
        "name",
        "revision",
        "weights_sha256",
        "class",
        "training_corpora",
        "sampling_rate",
        "long_clips",
    ]
    described = encoder.describe()
    assert described["name"] == str(folder) and described["class"] == "ClapModel" and described["revision"] is None
    assert described["weights_sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert described["training_corpora"] is None and described["sampling_rate"] == SAMPLING_RATE
    assert not encoder.model.training
    assert encoder.logit_scale == pytest.approx(encoder.model.logit_scale_a.exp().item())
    assert load_dual_encoder(str(checkpoints / "wav2vec2")).logit_scale == pytest.approx(1 / 0.07)


def test_the_record_of_training(checkpoints):
    encoder = load_dual_encoder(str(checkpoints / "clap"))
    encoder.model.config.training_corpora = ["noise"]
    assert encoder.training_corpora == ["noise"] == encoder.describe()["training_corpora"]


def test_adapters_load(tmp_path):
    adapted = add_lora(tiny.model(), LoraSettings(lora_towers=["audio"], lora_rank=2), False, False)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.5)
    save_lora(adapted, tiny.processor(), tmp_path, "adapter")
    encoder = load_dual_encoder(str(tmp_path))
    clip = noise(0.3, 16000)
    with torch.no_grad():
        batch = tiny.processor()(audio=clip, sampling_rate=16000, return_tensors="pt")
        expected = adapted.eval().get_audio_features(**batch).pooler_output[0]
    np.testing.assert_allclose(encoder.embed_clips([clip])[0], expected, atol=1e-5)
    assert np.abs(expected.numpy() - tiny_embedding(clip)).max() > 1e-3
    assert encoder.logit_scale == pytest.approx(adapted.logit_scale().item())


def tiny_embedding(clip):
    with torch.no_grad():
        batch = tiny.processor()(audio=clip, sampling_rate=16000, return_tensors="pt")
        return tiny.model().get_audio_features(**batch).pooler_output[0].numpy()


class Other(torch.nn.Module):
    """A dual encoder of another kind, which hears padding."""

    def __init__(self):
        super().__init__()
        self.config = type("Config", (), {"model_type": "other"})()
        self.device = torch.device("cpu")
        self.batches = []

    def get_audio_features(self, input_values, audio_attention_mask):
        self.batches.append(input_values.shape)
        moments = torch.stack([input_values.mean(dim=1), input_values.std(dim=1)], dim=1)
        return type("Output", (), {"pooler_output": moments})

    def get_text_features(self, input_ids, attention_mask, **_):
        counts = torch.stack([input_ids.sum(dim=1), attention_mask.sum(dim=1)], dim=1)
        return type("Output", (), {"pooler_output": counts})


def test_any_other_dual_encoder_never_gets_padding():
    model = Other()
    encoder = DualEncoder(model, tiny.processor(), "other", "none")
    clips = [noise(seconds, 16000, seed) for seed, seconds in enumerate((0.2, 0.1, 0.2, 0.1, 0.1))]
    embeds = encoder.embed_clips(clips)
    assert sorted(model.batches) == [(2, 3200), (3, 1600)]
    expected = np.array([[clip.mean(), clip.std(ddof=1)] for clip in clips])
    np.testing.assert_allclose(embeds, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert encoder.embed_texts(["x" * 200, "a"]).shape == (2, 2)  # how long a text may be is its own to say
    assert encoder.describe()["long_clips"] == "as its processor takes them"
    with pytest.raises(ValueError, match="'other' has neither `logit_scale` nor `logit_scale_a`"):
        encoder.logit_scale  # noqa: B018
    model.logit_scale = torch.nn.Parameter(torch.tensor(2.0))
    assert encoder.logit_scale == pytest.approx(np.exp(2))


def test_what_cannot_be_embedded(checkpoints):
    encoder = load_dual_encoder(str(checkpoints / "wav2vec2"))
    with pytest.raises(ValueError, match="There are no clips to embed"):
        encoder.embed_clips([])
    with pytest.raises(ValueError, match="There are no texts to embed"):
        encoder.embed_texts([])
    encoder.model.audio_projection.linear1.weight.data[:] = np.nan
    with pytest.raises(ValueError, match=r"2 of 2 rows of clip embeddings of '.+wav2vec2' are not finite"):
        encoder.embed_clips([noise(0.1, 16000), noise(0.2, 16000)])


class Older(Other):
    """Returns the embeddings themselves, as code for transformers 4 does."""

    def get_audio_features(self, **inputs):
        return super().get_audio_features(**inputs).pooler_output

    def get_text_features(self, **inputs):
        return super().get_text_features(**inputs).pooler_output


def test_embeddings_may_be_returned_as_such():
    older, newer = (DualEncoder(model, tiny.processor(), "other", "none") for model in (Older(), Other()))
    np.testing.assert_array_equal(older.embed_texts(TEXTS), newer.embed_texts(TEXTS))
    np.testing.assert_array_equal(older.embed_clips([noise(0.2, 16000)]), newer.embed_clips([noise(0.2, 16000)]))


@pytest.mark.parametrize("kind", ["wav2vec2", "clap"])
def test_no_weight_is_made_up(checkpoints, tmp_path, kind):
    folder, name = tmp_path / kind, "audio_projection.linear1.weight"
    shutil.copytree(checkpoints / kind, folder)
    weights = load_file(folder / "model.safetensors")
    whole = weights.pop(name)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"{kind}' lacks 1 of the weights of a \w+, '{name}' for one\. They would be"):
        load_dual_encoder(str(folder))
    save_file(weights | {name: whole[1:].clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"could not be loaded as a dual encoder: .*mismatch"):
        load_dual_encoder(str(folder))


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"The device '{device}' cannot be used: "):
        load_dual_encoder("nowhere", device=device)


def test_what_is_no_dual_encoder(tmp_path, checkpoints, monkeypatch):
    with pytest.raises(ValueError, match=r"'.+nowhere' is no checkpoint: there is no such folder"):
        load_dual_encoder(str(tmp_path / "nowhere"))
    BertModel(tiny.text_config()).save_pretrained(tmp_path / "bert")
    tiny.tokenizer().save_pretrained(tmp_path / "bert")
    with pytest.raises(
        ValueError, match=r"with a BertModel, which lacks get_audio_features and get_text_features\. Need"
    ):
        load_dual_encoder(str(tmp_path / "bert"))
    shutil.copytree(checkpoints / "clap", tmp_path / "deaf")
    (tmp_path / "deaf" / "processor_config.json").unlink()
    with pytest.raises(
        ValueError, match=r"'.+deaf' could not be loaded as a dual encoder: Can't load feature extractor"
    ):
        load_dual_encoder(str(tmp_path / "deaf"))
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *_, **__: tiny.processor().feature_extractor)
    with pytest.raises(
        ValueError, match="with a SmoothCLAPFeatureExtractor, which lacks feature_extractor and tokenizer"
    ):
        load_dual_encoder(str(checkpoints / "clap"))
    shutil.copytree(checkpoints / "clap", tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"'.+damaged' could not be loaded"):
        load_dual_encoder(str(tmp_path / "damaged"))


def test_a_model_of_the_hub_is_told_by_its_commit(tmp_path, checkpoints, monkeypatch):
    """From the cache of an earlier download, for there is no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--user--clap"
    shutil.copytree(checkpoints / "clap", cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "v1").write_text(commit)
    encoder = load_dual_encoder("user/clap", revision="v1")
    weights = hashlib.sha256((checkpoints / "clap" / "model.safetensors").read_bytes()).hexdigest()
    assert encoder.describe()["revision"] == commit and encoder.describe()["weights_sha256"] == weights
    assert encoder.name == "user/clap"
