"""SmoothCLAPEncoder with models of every kind, against each model itself."""

import hashlib
import io
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from datasets import Dataset
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor, BertModel

from modeling_smoothclap import (
    SMOOTHCLAP_TINY,
    RankedText,
    SmoothCLAPEncoder,
    SmoothCLAPFeatureExtractor,
    SmoothCLAPProcessor,
    checkpoint_smoothclap,
)
from modeling_smoothclap.audio_smoothclap import ClipError
from modeling_smoothclap.checkpoint_smoothclap import weights_sha256
from modeling_smoothclap.scores_smoothclap import unit_rows
from smoothclap_trainer.towers import LoraSettings, add_lora, save_lora
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


def encoder_of(folder):
    return SmoothCLAPEncoder.from_pretrained(folder, "cpu")


def noise(seconds, rate, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper", "group", "clap", "fused"])
def test_a_clip_is_heard_the_same_alone_and_among_others(checkpoints, kind):
    encoder = encoder_of(checkpoints / kind)
    lengths = (0.5, 0.3, 2.7, 0.3, 1.0)
    clips = [noise(seconds, encoder.sampling_rate, seed) for seed, seconds in enumerate(lengths)]
    together = encoder.encode_audio(clips)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.random.seed(5)  # of which transformers' extractor makes use
    alone = np.concatenate([encoder.encode_audio([clip]) for clip in reversed(clips)])[::-1]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.abs(together[1] - together[3]).max() > 1e-4  # random as they are, they tell clips apart


def test_smoothclap_hears_whole_clips_as_the_model_does(checkpoints):
    encoder = encoder_of(checkpoints / "wav2vec2")
    model, processor = tiny.model(), tiny.processor()
    clip = noise(0.7, 16000)
    with torch.no_grad():
        expected = model.get_audio_features(**processor(audio=clip, sampling_rate=16000, return_tensors="pt"))
    np.testing.assert_allclose(encoder.encode_audio([clip])[0], expected.pooler_output[0], atol=1e-6)
    assert encoder.describe()["long_clips"] == "whole"
    whisper = encoder_of(checkpoints / "whisper")
    # 30 positions of 20 ms
    assert whisper.describe()["long_clips"] == "whole; the audio tower attends within consecutive windows of 0.6 s"


def test_clap_hears_equal_windows_of_a_clip_beyond_its_limit(checkpoints):
    encoder = encoder_of(checkpoints / "clap")
    model = AutoModel.from_pretrained(checkpoints / "clap").eval()
    processor = AutoProcessor.from_pretrained(checkpoints / "clap")
    clip = noise(2.4, SAMPLING_RATE)  # three windows of 0.8 s
    windows = [clip[:6400], clip[6400:12800], clip[12800:]]
    with torch.no_grad():
        batch = processor(audio=windows, sampling_rate=SAMPLING_RATE, return_tensors="pt")
        heard = model.get_audio_features(**batch).pooler_output.numpy()
    mean = heard.mean(axis=0)
    np.testing.assert_allclose(encoder.encode_audio([clip])[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert "each at most 1 s" in encoder.describe()["long_clips"]


def test_texts_are_embedded_in_their_order(checkpoints):
    for kind in ("wav2vec2", "clap"):
        encoder = encoder_of(checkpoints / kind)
        embeds = encoder.encode_text(TEXTS)
        model = AutoModel.from_pretrained(checkpoints / kind).eval()
        processor = AutoProcessor.from_pretrained(checkpoints / kind)
        for text, embed in zip(TEXTS, embeds, strict=True):
            with torch.no_grad():
                alone = model.get_text_features(**processor(text=[text], return_tensors="pt")).pooler_output[0]
            np.testing.assert_allclose(embed, alone, atol=1e-6)
        assert (embeds[0] == embeds[5]).all()


@pytest.mark.parametrize(("kind", "limit"), [("wav2vec2", 66), ("clap", 69)])  # of 70 positions RoBERTa skips one
def test_a_text_too_long_is_named(checkpoints, kind, limit):
    encoder = encoder_of(checkpoints / kind)
    fitting = "x" * (limit - 2)
    assert len(encoder.processor.tokenizer(fitting)["input_ids"]) == limit
    encoder.encode_text([fitting])
    with pytest.raises(ValueError, match=rf"'{fitting}x'.* {limit + 1} .* {limit}"):
        encoder.encode_text(["sad", fitting + "x"])


def test_what_is_said_of_a_model(checkpoints, tmp_path):
    folder = checkpoints / "clap"
    encoder = encoder_of(folder)
    described = encoder.describe()
    assert described["name"] == str(folder) and described["class"] == "ClapModel" and described["revision"] is None
    assert described["weights_sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert described["training_corpora"] is None and described["sampling_rate"] == SAMPLING_RATE
    encoder.model.config.training_corpora = ["noise"]
    assert encoder.training_corpora == ["noise"] == encoder.describe()["training_corpora"]
    assert encoder.logit_scale == pytest.approx(encoder.model.logit_scale_a.exp().item())
    assert encoder_of(checkpoints / "wav2vec2").logit_scale == pytest.approx(1 / 0.07)


def test_adapters_load(tmp_path):
    adapted = add_lora(tiny.model(), LoraSettings(lora_towers=["audio"], lora_rank=2), False, False)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.5)
    save_lora(adapted, tiny.processor(), tmp_path, "adapter")
    encoder = encoder_of(tmp_path)
    clip = noise(0.3, 16000)
    with torch.no_grad():
        batch = tiny.processor()(audio=clip, sampling_rate=16000, return_tensors="pt")
        expected = adapted.eval().get_audio_features(**batch).pooler_output[0]
    np.testing.assert_allclose(encoder.encode_audio([clip])[0], expected, atol=1e-5)
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
        self.eval()

    def get_audio_features(self, input_values, audio_attention_mask):
        self.batches.append(input_values.shape)
        moments = torch.stack([input_values.mean(dim=1), input_values.std(dim=1)], dim=1)
        return type("Output", (), {"pooler_output": moments})

    def get_text_features(self, input_ids, attention_mask, **_):
        return torch.stack([input_ids.sum(dim=1), attention_mask.sum(dim=1)], dim=1)  # bare, as before transformers 5


def test_any_other_dual_encoder_never_gets_padding():
    model = Other()
    encoder = SmoothCLAPEncoder(model, tiny.processor(), "other")
    clips = [noise(seconds, 16000, seed) for seed, seconds in enumerate((0.2, 0.1, 0.2, 0.1, 0.1))]
    embeds = encoder.encode_audio(clips)
    assert sorted(model.batches) == [(2, 3200), (3, 1600)]
    expected = np.array([[clip.mean(), clip.std(ddof=1)] for clip in clips])
    np.testing.assert_allclose(embeds, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    assert encoder.encode_text(["x" * 200, "a"]).shape == (2, 2)  # how long a text may be depends on the tokenizer
    assert encoder.describe()["long_clips"] == "as its processor takes them"
    with pytest.raises(ValueError, match="'other'"):
        encoder.logit_scale  # noqa: B018
    model.logit_scale = torch.nn.Parameter(torch.tensor(2.0))
    assert encoder.logit_scale == pytest.approx(np.exp(2))


def test_what_cannot_be_embedded(checkpoints):
    encoder = encoder_of(checkpoints / "wav2vec2")
    with pytest.raises(ValueError):
        encoder.encode_audio([])
    with pytest.raises(ValueError, match=r"\[\]"):
        encoder.encode_text([])
    encoder.model.audio_projection.linear1.weight.data[:] = np.nan
    with pytest.raises(ValueError, match=r"2 of 2 .*wav2vec2'"):
        encoder.encode_audio([noise(0.1, 16000), noise(0.2, 16000)])


@pytest.mark.parametrize("kind", ["wav2vec2", "clap"])
def test_no_weight_is_made_up(checkpoints, tmp_path, kind):
    folder, name = tmp_path / kind, "audio_projection.linear1.weight"
    shutil.copytree(checkpoints / kind, folder)
    weights = load_file(folder / "model.safetensors")
    whole = weights.pop(name)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"{kind}'.*'{name}'"):
        encoder_of(folder)
    save_file(weights | {name: whole[1:].clone()}, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=kind):
        encoder_of(folder)


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(ValueError, match=f"'{device}'"):
        SmoothCLAPEncoder.from_pretrained("nowhere", device)


def test_what_is_no_dual_encoder(tmp_path, checkpoints, monkeypatch):
    with pytest.raises(ValueError, match="nowhere'"):
        encoder_of(tmp_path / "nowhere")
    BertModel(tiny.text_config()).save_pretrained(tmp_path / "bert")
    tiny.tokenizer().save_pretrained(tmp_path / "bert")
    with pytest.raises(ValueError, match=r"BertModel.*get_audio_features and get_text_features"):
        encoder_of(tmp_path / "bert")
    shutil.copytree(checkpoints / "clap", tmp_path / "deaf")
    (tmp_path / "deaf" / "processor_config.json").unlink()
    with pytest.raises(ValueError, match="deaf'"):
        encoder_of(tmp_path / "deaf")
    monkeypatch.setattr(AutoProcessor, "from_pretrained", lambda *_, **__: tiny.processor().feature_extractor)
    with pytest.raises(ValueError, match=r"SmoothCLAPFeatureExtractor.*feature_extractor and tokenizer"):
        encoder_of(checkpoints / "clap")
    shutil.copytree(checkpoints / "clap", tmp_path / "damaged")
    (tmp_path / "damaged" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="damaged/config"):
        encoder_of(tmp_path / "damaged")


def test_a_model_of_the_hub_is_told_by_its_commit(tmp_path, checkpoints, monkeypatch):
    """From the cache of an earlier download, for there is no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "models--user--clap"
    shutil.copytree(checkpoints / "clap", cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs" / "v1").write_text(commit)
    encoder = SmoothCLAPEncoder.from_pretrained("user/clap", "cpu", revision="v1")
    weights = hashlib.sha256((checkpoints / "clap" / "model.safetensors").read_bytes()).hexdigest()
    assert encoder.describe()["revision"] == commit and encoder.describe()["weights_sha256"] == weights
    assert encoder.name == "user/clap"


def test_paths_bytes_waveforms_and_rows_are_one_and_the_same(checkpoints, tmp_path):
    encoder = encoder_of(checkpoints / "wav2vec2")
    path, clip = tmp_path / "clip.wav", noise(0.3, 16000)
    soundfile.write(path, clip, 16000, subtype="FLOAT")
    data = path.read_bytes()
    forms = [
        path,
        str(path),
        data,
        clip,
        torch.from_numpy(clip),
        {"id": "a", "path": str(path)},
        {"audio": data},
        {"audio": {"bytes": data, "path": None}},
        {"array": clip, "sampling_rate": 16000},
        {"audio": {"array": clip, "sampling_rate": 16000}},
    ]
    embeds = encoder.encode_audio(forms)
    assert embeds.shape == (len(forms), 16)
    for form, embed in zip(forms, embeds, strict=True):
        alone = encoder.encode_audio(form)
        assert alone.shape == (16,)
        np.testing.assert_allclose(embed, alone, atol=1e-6)
        np.testing.assert_allclose(embed, embeds[0], atol=1e-6)
    for rows in (
        Dataset.from_dict({"id": ["a", "b"], "path": [str(path)] * 2}),
        pd.Series([path] * 2),
        np.array([str(path)] * 2),
        (clip, clip),
    ):
        np.testing.assert_allclose(encoder.encode_audio(rows), embeds[:2], atol=1e-6)


def test_a_waveform_of_another_rate_is_resampled(checkpoints, tmp_path):
    encoder, clip = encoder_of(checkpoints / "wav2vec2"), noise(0.3, 44100)
    soundfile.write(tmp_path / "clip.wav", clip, 44100, subtype="FLOAT")
    row = {"array": clip, "sampling_rate": 44100}
    np.testing.assert_array_equal(encoder.encode_audio(row), encoder.encode_audio(tmp_path / "clip.wav"))


def test_one_text_gives_one_embedding(checkpoints):
    encoder = encoder_of(checkpoints / "wav2vec2")
    np.testing.assert_array_equal(encoder.encode_text("sad"), encoder.encode_text(["sad"])[0])
    embeds = encoder.encode_text(TEXTS, batch_size=2, convert_to="torch")
    assert embeds.dtype == torch.float32
    np.testing.assert_allclose(embeds.numpy(), encoder.encode_text(TEXTS), atol=1e-6)
    audio = encoder.encode_audio([noise(0.2, 16000)], convert_to="torch")
    np.testing.assert_array_equal(encoder.similarity(audio, embeds), audio.numpy() @ embeds.numpy().T)


@pytest.mark.parametrize(
    ("kind", "dtype"), [("wav2vec2", "bfloat16"), ("whisper", torch.float16), ("clap", "bfloat16")]
)
def test_half_precision_comes_close(checkpoints, kind, dtype):
    whole = encoder_of(checkpoints / kind)
    half = SmoothCLAPEncoder.from_pretrained(checkpoints / kind, "cpu", dtype)
    assert half.model.dtype in (torch.bfloat16, torch.float16) and whole.model.dtype == torch.float32
    clips = [noise(0.3, half.sampling_rate), noise(0.5, half.sampling_rate)]
    for mine, its in (
        (half.encode_audio(clips), whole.encode_audio(clips)),
        (half.encode_text(TEXTS), whole.encode_text(TEXTS)),
    ):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(mine, axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(mine, its, atol=0.05)


@pytest.mark.parametrize("kind", ["wav2vec2", "clap"])
def test_texts_are_ranked_by_a_softmax_over_them(checkpoints, kind):
    encoder = encoder_of(checkpoints / kind)
    clips = [noise(0.3, encoder.sampling_rate, seed) for seed in range(2)]
    words = ["low", "high", "sad {x}"]
    ranked = encoder.rank(clips, words, template="a {} voice")
    alone = encoder.rank(clips[0], words, template="a {} voice")
    assert [each.text for each in alone] == [each.text for each in ranked[0]]
    texts = encoder.encode_text([f"a {word} voice" for word in words])
    for clip, found in zip(clips, ranked, strict=True):
        cosines = texts.astype(float) @ encoder.encode_audio(clip)
        exponentials = np.exp(encoder.logit_scale * cosines)
        expected = sorted(zip(exponentials / exponentials.sum(), cosines, words, strict=True), reverse=True)
        assert [each.text for each in found] == [word for _, _, word in expected]
        assert isinstance(found[0], RankedText)
        np.testing.assert_allclose([each.score for each in found], [score for score, _, _ in expected], atol=1e-5)
        np.testing.assert_allclose([each.cosine for each in found], [cosine for _, cosine, _ in expected], atol=1e-6)


@pytest.mark.parametrize("texts", [[], ["sad", " "], ""])
def test_nothing_to_rank_is_refused(checkpoints, texts):
    with pytest.raises(ValueError, match=re.escape(repr([texts] if isinstance(texts, str) else texts))):
        encoder_of(checkpoints / "wav2vec2").rank(noise(0.2, 16000), texts)


@pytest.mark.parametrize("texts", [None, 5, [], [5], [None], [["a"]], b"a", {}, np.zeros(2)])
def test_what_is_not_text_is_refused(texts):
    encoder = SmoothCLAPEncoder(tiny.model(), tiny.processor())
    for use in (encoder.encode_text, lambda texts: encoder.rank(noise(0.2, 16000), texts)):
        with pytest.raises(ValueError, match=re.escape(repr(texts))):
            use(texts)


def test_no_description_of_silence_is_ranked(checkpoints):
    encoder = encoder_of(checkpoints / "wav2vec2")
    sound, stereo = noise(0.2, 16000), io.BytesIO()
    soundfile.write(stereo, np.stack([sound, -sound], axis=1), 16000, format="WAV")
    clips = (np.zeros(8000, np.float32), "silent"), (sound[:800], "too short"), (stereo.getvalue(), "channels cancel")
    clips = (*clips, (sound[:80], "too short"))
    for clip, problem in clips:
        with pytest.raises(ClipError, match="1") as caught, warnings.catch_warnings(action="error"):
            encoder.rank([noise(0.2, 16000), clip], ["a low voice", "a high voice"])
        assert caught.value.problem == problem
    with pytest.raises(ValueError, match="'a voice'"):
        encoder.rank(noise(0.2, 16000), ["low", "high"], template="a voice")


def test_a_model_in_memory_encodes_as_the_saved_one(checkpoints):
    memory = SmoothCLAPEncoder(tiny.model(), tiny.processor())
    saved = encoder_of(checkpoints / "wav2vec2")
    clip = noise(0.2, 16000)
    np.testing.assert_allclose(memory.encode_text(TEXTS), saved.encode_text(TEXTS), atol=1e-6)
    np.testing.assert_allclose(memory.encode_audio(clip), saved.encode_audio(clip), atol=1e-6)
    assert memory.device == torch.device("cpu")
    assert memory.describe()["weights_sha256"] is None and memory.describe()["name"] == "model"
    memory.model.train()
    with pytest.raises(ValueError, match="'model'"):
        memory.encode_text("sad")


def test_the_shipped_checkpoint_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    encoder = SmoothCLAPEncoder.from_pretrained("smoothclap-tiny", "cpu")
    assert encoder.name == "smoothclap-tiny"
    assert encoder.describe()["weights_sha256"] == weights_sha256(Path(SMOOTHCLAP_TINY))


def test_adapters_without_peft_are_refused(tmp_path, monkeypatch):
    base = {"base_model_name_or_path": str(tiny.checkpoint(tmp_path / "base"))}
    (tmp_path / "adapter_config.json").write_text(json.dumps(base))
    monkeypatch.setattr(checkpoint_smoothclap, "is_peft_available", lambda: False)
    with pytest.raises(ImportError, match="peft"):
        encoder_of(tmp_path)


def test_unit_rows():
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]], dtype=np.float16), "clips")
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, -1]], atol=1e-7)
    assert rows.dtype == np.float32
    with pytest.raises(ValueError, match="2 of 3 rows of clips"):
        unit_rows(np.array([[np.nan, 0.0], [1.0, 1.0], [np.inf, 0.0]]), "clips")
