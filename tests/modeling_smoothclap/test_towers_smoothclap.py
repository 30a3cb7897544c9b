"""Every supported encoder as a tower: it trains, it survives saving, and no item depends on the batch it is in."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel, BertConfig, Data2VecAudioConfig, GPT2Config, Wav2Vec2Config
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPModel
from modeling_smoothclap.towers_smoothclap import (
    INEXACT_SETTINGS,
    MaskedWhisperEncoder,
    audio_input_name,
    build_audio_tower,
    build_text_tower,
    load_audio_tower,
    receptive_field,
    run_audio_tower,
    without_training_noise,
)
from tests import tiny


PAIRS = [(audio, "bert") for audio in tiny.AUDIO_FAMILIES] + [("wav2vec2", text) for text in tiny.TEXT_FAMILIES[1:]]
EAGER_ONLY = {"wavlm", "mpnet"}  # transformers has no SDPA for these
each_pair = pytest.mark.parametrize(("audio", "text"), PAIRS)
each_audio = pytest.mark.parametrize("audio", tiny.AUDIO_FAMILIES)
each_text = pytest.mark.parametrize("text", tiny.TEXT_FAMILIES)


def audio_items(family: str, *lengths: int) -> list[torch.Tensor]:
    """Random clips, one tensor each: (samples,) or (frames, mels)."""
    generator = torch.Generator().manual_seed(1)
    width = (20,) if family == "whisper" else ()
    return [torch.randn(length, *width, generator=generator) for length in lengths]


def padded(items: list[torch.Tensor], value: float = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The items as one batch, and its mask."""
    batch = nn.utils.rnn.pad_sequence(items, batch_first=True, padding_value=value)
    mask = nn.utils.rnn.pad_sequence([torch.ones(len(item), dtype=torch.long) for item in items], batch_first=True)
    return batch, mask


def lengths_of(family: str) -> tuple[int, int, int]:
    # Odd and even, and for Whisper within one window of 60 frames.
    return (60, 31, 8) if family == "whisper" else (400, 251, 64)


def audio_batch(family: str) -> dict[str, torch.Tensor]:
    batch, mask = padded(audio_items(family, *lengths_of(family)))
    return {"input_features" if family == "whisper" else "input_values": batch, "audio_attention_mask": mask}


def text_batch() -> dict[str, torch.Tensor]:
    return dict(tiny.tokenizer()(["a low voice", "une voix très aiguë", "低い声"], return_tensors="pt", padding=True))


def batch_of(family: str) -> dict[str, torch.Tensor]:
    return audio_batch(family) | text_batch()


def embed_alone(model: SmoothCLAPModel, family: str, item: torch.Tensor) -> torch.Tensor:
    name = "input_features" if family == "whisper" else "input_values"
    return model.get_audio_features(**{name: item[None]}).pooler_output[0]


def gradients(model: SmoothCLAPModel) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad}


# Forward, backward, saving


@each_pair
def test_forward_gives_one_unit_vector_per_item(audio, text):
    with torch.no_grad():
        output = tiny.model(audio, text)(**batch_of(audio))
    assert output.logits_per_audio.shape == (3, 3)
    for embeds in (output.audio_embeds, output.text_embeds):
        assert embeds.shape == (3, 16)
        torch.testing.assert_close(embeds.norm(dim=-1), torch.ones(3))


@each_pair
@pytest.mark.parametrize("loaded", [False, True], ids=["new", "loaded"])
def test_every_trainable_parameter_gets_a_finite_gradient(tmp_path, audio, text, loaded):
    # DistributedDataParallel waits for each of them, and loading must not add to them.
    model = tiny.model(audio, text)
    if loaded:
        model.save_pretrained(tmp_path)
        model = AutoModel.from_pretrained(tmp_path)
    model.train()(**batch_of(audio), return_loss=True).loss.backward()
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"audio_model.embed_positions.weight" if audio == "whisper" else "audio_model.masked_spec_embed"}
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trainable.items() if p.grad is None] == []
    assert [name for name, p in trainable.items() if not p.grad.isfinite().all()] == []


@each_pair
def test_a_step_changes_both_towers(audio, text):
    model = tiny.model(audio, text).train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model(**batch_of(audio), return_loss=True).loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    changed = {name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"audio_model", "text_model", "audio_projection", "text_projection", "logit_scale"}


@each_pair
def test_saved_and_loaded_models_agree_bit_for_bit(tmp_path, audio, text):
    model = tiny.model(audio, text)
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is SmoothCLAPModel
    assert not loaded.training
    weights = loaded.state_dict()
    assert weights.keys() == model.state_dict().keys()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name]), name
    with torch.no_grad():
        before, after = model(**batch_of(audio)), loaded(**batch_of(audio))
    assert torch.equal(before.logits_per_audio, after.logits_per_audio)


def test_with_spec_augment_the_mask_embedding_is_trained():
    noisy = tiny.audio_config(apply_spec_augment=True, mask_time_prob=0.5, mask_time_length=2)
    model = SmoothCLAPModel(tiny.config(audio_config=noisy)).train()
    model(**batch_of("wav2vec2"), return_loss=True).loss.backward()
    assert model.audio_model.masked_spec_embed.grad.abs().sum() > 0


# Padding and masks


@each_audio
def test_a_padded_clip_gives_what_it_gives_alone(audio):
    model = tiny.model(audio)
    with torch.no_grad():
        together = model.get_audio_features(**audio_batch(audio)).pooler_output
        alone = [embed_alone(model, audio, item) for item in audio_items(audio, *lengths_of(audio))]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=0)


@each_text
def test_a_padded_text_gives_what_it_gives_alone(text):
    model, batch = tiny.model("wav2vec2", text), text_batch()
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    assert len(set(lengths)) == 3
    with torch.no_grad():
        together = model.get_text_features(**batch).pooler_output
        alone = [
            model.get_text_features(input_ids=ids[None, :length]).pooler_output[0]
            for ids, length in zip(batch["input_ids"], lengths, strict=True)
        ]
    torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=0)


@each_audio
def test_without_a_mask_padding_is_heard(audio):
    # The proof that the tests above can fail.
    model, batch = tiny.model(audio), audio_batch(audio)
    masked = batch.pop("audio_attention_mask")
    longest = torch.ones_like(masked)
    name = next(iter(batch))
    with torch.no_grad():
        alone = embed_alone(model, audio, audio_items(audio, *lengths_of(audio))[2])
        for mask in (None, longest):
            padded_without = model.get_audio_features(**{name: batch[name]}, audio_attention_mask=mask).pooler_output
            assert (padded_without[2] - alone).abs().max() > 1e-2


@each_text
def test_without_a_mask_padding_is_read(text):
    model, batch = tiny.model("wav2vec2", text), text_batch()
    shortest = int(batch["attention_mask"].sum(dim=1).argmin())
    with torch.no_grad():
        masked = model.get_text_features(**batch).pooler_output
        # An absent mask is for these families one that attends to padding too.
        unmasked = model.get_text_features(input_ids=batch["input_ids"]).pooler_output
    assert (masked[shortest] - unmasked[shortest]).abs().max() > 1e-5


@each_audio
def test_a_mask_of_ones_is_no_mask(audio):
    model = tiny.model(audio)
    items = torch.stack(audio_items(audio, *[lengths_of(audio)[0]] * 3))
    name = "input_features" if audio == "whisper" else "input_values"
    with torch.no_grad():
        without = model.get_audio_features(**{name: items}).pooler_output
        ones = torch.ones(items.shape[:2], dtype=torch.long)
        with_mask = model.get_audio_features(**{name: items}, audio_attention_mask=ones).pooler_output
    torch.testing.assert_close(without, with_mask, atol=1e-6, rtol=0)


@each_audio
def test_pooling_is_the_mean_over_the_frames_of_the_clip(audio):
    tower = build_audio_tower(tiny.audio_config(audio)).eval()
    batch, mask = padded(audio_items(audio, *lengths_of(audio)))
    with torch.no_grad():
        output, pooled = run_audio_tower(tower, batch, mask)
        for row, item in enumerate(audio_items(audio, *lengths_of(audio))):
            frames = tower(item[None]).last_hidden_state.shape[1]
            by_hand = output.last_hidden_state[row, :frames].mean(dim=0)
            torch.testing.assert_close(pooled[row], by_hand, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("audio", ["wav2vec2", "hubert", "wavlm", "unispeech-sat"])
def test_group_norm_towers_warn_about_padding(audio, logs):
    tower = build_audio_tower(tiny.audio_config(audio, feat_extract_norm="group")).eval()
    batch, mask = padded(audio_items(audio, 400, 200))
    with torch.no_grad():
        run_audio_tower(tower, batch[:1], mask[:1])
        assert "normalises over time" not in logs.text
        _, pooled = run_audio_tower(tower, batch, mask)
        _, alone = run_audio_tower(tower, batch[1:, :200])
    assert f"{audio} tower normalises over time" in logs.text
    assert (pooled[1] - alone[0]).abs().max() > 1e-4, "the warning is not needed"


def test_layer_norm_towers_do_not_warn(logs):
    for audio in tiny.AUDIO_FAMILIES:
        with torch.no_grad():
            tiny.model(audio).get_audio_features(**audio_batch(audio))
    assert "normalises over time" not in logs.text


@each_text
def test_a_text_as_long_as_the_tower_allows_is_the_last_that_is_taken(text):
    model = tiny.model("wav2vec2", text)
    # Of 66 positions the roberta kind keeps those up to the padding token's, here 0; MPNet always keeps two.
    longest = {"roberta": 65, "xlm-roberta": 65, "mpnet": 64}.get(text, 66)
    ids = torch.randint(5, 40, (1, longest + 1))
    with torch.no_grad():
        assert model.get_text_features(ids[:, :longest]).pooler_output.isfinite().all()
    with pytest.raises(ValueError, match=rf"{longest + 1} tokens, but this {text} tower takes at most {longest}\."):
        model.get_text_features(ids)
    with pytest.raises(ValueError, match=f"takes at most {longest}"):
        model.get_text_features(inputs_embeds=torch.zeros(1, longest + 1, 24))


# Attention implementations, checkpointing, half precision


@pytest.mark.parametrize(("audio", "text"), [pair for pair in PAIRS if not EAGER_ONLY & set(pair)])
def test_sdpa_equals_eager(tmp_path, audio, text):
    tiny.model(audio, text).save_pretrained(tmp_path)
    outputs = []
    for implementation in ("sdpa", "eager"):
        model = AutoModel.from_pretrained(tmp_path, attn_implementation=implementation)
        for tower in (model.audio_model, model.text_model):
            assert tower.config._attn_implementation == implementation
        with torch.no_grad():
            outputs.append(model(**batch_of(audio)))
    torch.testing.assert_close(outputs[0].audio_embeds, outputs[1].audio_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(outputs[0].text_embeds, outputs[1].text_embeds, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("audio", "text", "expected"),
    [("wavlm", "bert", ("eager", "sdpa")), ("wav2vec2", "mpnet", ("sdpa", "eager"))],
)
def test_by_default_each_tower_takes_the_best_attention_it_has(tmp_path, audio, text, expected):
    tiny.model(audio, text).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    chosen = (model.audio_model.config._attn_implementation, model.text_model.config._attn_implementation)
    assert chosen == expected


@pytest.mark.parametrize(("audio", "text", "name"), [("wavlm", "bert", "WavLM"), ("wav2vec2", "mpnet", "MPNet")])
def test_asking_a_tower_for_attention_it_lacks_is_refused_with_the_cure(tmp_path, audio, text, name):
    tiny.model(audio, text).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=f'{name}Model does not support(.|\n)*attn_implementation="eager"'):
        AutoModel.from_pretrained(tmp_path, attn_implementation="sdpa")
    model = AutoModel.from_pretrained(tmp_path, attn_implementation="eager")
    with torch.no_grad():
        assert model(**batch_of(audio)).logits_per_audio.isfinite().all()


@each_pair
def test_gradient_checkpointing_changes_no_gradient(audio, text):
    found = []
    for checkpointing in (False, True):
        model = tiny.model(audio, text).train()
        if checkpointing:
            # The second is its name before transformers 5.23.
            getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()
        calls = []
        audio_layers = model.audio_model.layers if audio == "whisper" else model.audio_model.encoder.layers
        text_layers = (model.text_model.transformer if text == "distilbert" else model.text_model.encoder).layer
        for layer in (audio_layers[0], text_layers[0]):
            # Inside the layer, because transformers checkpoints `forward` and runs the layer's own hooks once.
            inner = next(module for module in layer.modules() if isinstance(module, nn.LayerNorm))
            inner.register_forward_pre_hook(lambda *_, calls=calls: calls.append(1))
        torch.manual_seed(3)  # the same dropout
        model(**batch_of(audio), return_loss=True).loss.backward()
        found.append((gradients(model), len(calls)))
    (plain, plain_calls), (checkpointed, checkpointed_calls) = found
    # Each tower recomputes its layers in the backward pass; transformers' MPNet has no checkpointing and does not.
    assert (plain_calls, checkpointed_calls) == (2, 3 if text == "mpnet" else 4)
    for name, gradient in plain.items():
        torch.testing.assert_close(gradient, checkpointed[name], atol=1e-6, rtol=1e-5, msg=name)


@each_pair
def test_bfloat16_is_finite_and_near_float32(audio, text):
    model, batch = tiny.model(audio, text), batch_of(audio)
    with torch.no_grad():
        exact = model(**batch)
        half = {name: value.bfloat16() if value.is_floating_point() else value for name, value in batch.items()}
        rough = model.bfloat16()(**half, return_loss=True)
    assert rough.audio_embeds.dtype == rough.logits_per_audio.dtype == torch.bfloat16
    assert rough.loss.dtype == torch.float32
    assert rough.loss.isfinite()
    for name in ("audio_embeds", "text_embeds"):
        cosines = nn.functional.cosine_similarity(exact[name], rough[name].float())
        assert cosines.min() > 0.99, name


def test_pooling_many_frames_in_bfloat16_keeps_its_precision():
    # bfloat16 cannot count beyond 256: summed in it, the mean over 2,000 frames would be far off.
    class Constant(nn.Module):
        main_input_name = "input_features"

        def forward(self, audio, attention_mask=None, **_):
            hidden = torch.full((1, 2000, 4), 0.5, dtype=torch.bfloat16)
            return type("Output", (), {"last_hidden_state": hidden})

    for mask in (None, torch.ones(1, 4000)):
        _, pooled = run_audio_tower(Constant(), torch.zeros(1, 4000, 20), mask)
        assert pooled.dtype == torch.bfloat16
        assert pooled.tolist() == [[0.5] * 4]


# Whisper: any length, with a mask


@pytest.fixture(params=["sdpa", "eager"])
def whisper(request) -> MaskedWhisperEncoder:
    torch.manual_seed(0)
    tower = MaskedWhisperEncoder._from_config(
        tiny.audio_config("whisper", max_source_positions=30), attn_implementation=request.param
    )
    return tower.eval()


def test_on_a_full_window_it_is_transformers_own_encoder(whisper):
    own = WhisperEncoder._from_config(whisper.config).eval()
    own.load_state_dict(whisper.state_dict(), strict=True)
    features = torch.randn(2, 60, 20)
    with torch.no_grad():
        expected = own(features.transpose(1, 2)).last_hidden_state
        torch.testing.assert_close(whisper(features).last_hidden_state, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 59, 60, 61, 120, 145])
def test_output_has_half_as_many_frames_as_the_input(whisper, frames):
    with torch.no_grad():
        assert whisper(torch.randn(1, frames, 20)).last_hidden_state.shape == (1, math.ceil(frames / 2), 32)


def test_a_long_clip_is_the_concatenation_of_its_windows(whisper):
    features = torch.randn(2, 145, 20)
    with torch.no_grad():
        windows = [whisper(features[:, start : start + 60]).last_hidden_state for start in (0, 60, 120)]
        torch.testing.assert_close(whisper(features).last_hidden_state, torch.cat(windows, dim=1), atol=1e-5, rtol=0)


def test_windows_of_padding_alone_give_no_nan_and_change_nothing(whisper):
    long, short = audio_items("whisper", 145, 21)
    batch, mask = padded([long, short])
    with torch.no_grad():
        output, pooled = run_audio_tower(whisper, batch, mask)
        _, alone = run_audio_tower(whisper, short[None])
    assert output.last_hidden_state.isfinite().all()
    torch.testing.assert_close(pooled[1], alone[0], atol=1e-5, rtol=0)


def test_what_is_under_the_mask_does_not_matter(whisper):
    batch, mask = padded(audio_items("whisper", 50, 21))
    noisy = torch.where(mask[..., None].bool(), batch, torch.randn_like(batch))
    with torch.no_grad():
        _, clean = run_audio_tower(whisper, batch, mask)
        _, dirty = run_audio_tower(whisper, noisy, mask)
    torch.testing.assert_close(clean, dirty, atol=1e-6, rtol=0)


def test_layerdrop_skips_layers_in_training_only(whisper):
    whisper.layerdrop = 1.0
    features = torch.randn(1, 20, 20)
    calls = []
    for layer in whisper.layers:
        layer.register_forward_hook(lambda *_: calls.append(1))
    whisper(features)
    assert len(calls) == 2
    whisper.train()(features)
    assert len(calls) == 2


# data2vec-audio: upstream's positional convolutions leak padding


def data2vec_pair():
    torch.manual_seed(0)
    config = tiny.audio_config("data2vec-audio")
    own = AutoModel.from_config(config).eval()
    ours = build_audio_tower(config).eval()
    ours.load_state_dict(own.state_dict(), strict=True)
    return own, ours


def test_data2vec_without_padding_is_transformers_own():
    own, ours = data2vec_pair()
    clip = torch.randn(2, 400)
    with torch.no_grad():
        torch.testing.assert_close(ours(clip).last_hidden_state, own(clip).last_hidden_state, atol=1e-6, rtol=0)


def test_data2vec_with_padding_is_exact_here_and_not_upstream():
    # Documents why this project replaces the positional convolution; when upstream is mended, it can go.
    own, ours = data2vec_pair()
    batch, mask = padded(audio_items("data2vec-audio", 400, 200))
    with torch.no_grad():
        _, alone = run_audio_tower(own, batch[1:, :200])
        errors = [(run_audio_tower(tower, batch, mask)[1][1] - alone[0]).abs().max() for tower in (own, ours)]
    assert errors[0] > 1e-3
    assert errors[1] < 1e-5


# What a tower is, and is not


@pytest.mark.parametrize("audio", tiny.WAVEFORM_FAMILIES)
def test_receptive_field_by_trying_every_length(audio):
    config = tiny.audio_config(audio)
    encoder = build_audio_tower(config).feature_extractor.eval()

    def runs(samples: int) -> bool:
        try:
            return encoder(torch.zeros(1, samples)).shape[-1] == 1
        except RuntimeError:  # the convolution is longer than its input
            return False

    assert receptive_field(config) == next(samples for samples in range(1, 100) if runs(samples))


def test_receptive_field_of_wav2vec2_is_25_ms():
    assert receptive_field(Wav2Vec2Config()) == 400


def test_training_noise_is_turned_off_where_there_is_any():
    noisy = Wav2Vec2Config()
    assert (noisy.layerdrop, noisy.apply_spec_augment) == (0.1, True)
    quiet = without_training_noise(noisy)
    assert (quiet.layerdrop, quiet.apply_spec_augment) == (0.0, False)
    assert without_training_noise(tiny.audio_config("whisper", encoder_layerdrop=0.5)).encoder_layerdrop == 0.0


@each_audio
def test_input_name(audio):
    name = "input_features" if audio == "whisper" else "input_values"
    assert audio_input_name(tiny.audio_config(audio)) == name
    assert tiny.model(audio).audio_input_name == name


@each_text
def test_text_towers_have_no_pooler(text):
    tower = build_text_tower(tiny.text_config(text))
    assert [name for name, _ in tower.named_parameters() if "pooler" in name] == []


def test_an_unsupported_audio_family_is_refused():
    with pytest.raises(ValueError, match=r"`bert` is not a supported audio tower; choose one of wav2vec2, .*whisper"):
        SmoothCLAPModel(SmoothCLAPConfig(audio_config=BertConfig(), text_config=tiny.text_config()))


def test_an_unsupported_text_family_is_refused():
    with pytest.raises(ValueError, match=r"`gpt2` is not a supported text tower; choose one of bert, .*distilbert"):
        SmoothCLAPModel(SmoothCLAPConfig(audio_config=tiny.audio_config(), text_config=GPT2Config(n_embd=8, n_head=2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_pair
def test_a_tower_does_not_keep_the_dtype_its_config_remembers(audio, text, dtype):
    # A configuration read from a half-precision checkpoint must not give half-precision towers under float32 heads.
    audio_config, text_config = tiny.audio_config(audio), tiny.text_config(text)
    audio_config.dtype = text_config.dtype = dtype
    model = SmoothCLAPModel(tiny.config(audio_config=audio_config, text_config=text_config))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_data2vec_configurations_lack_the_key_of_spec_augment_and_have_it_off(tmp_path):
    # As real checkpoints do. Upstream takes a missing key to be on.
    given = tiny.audio_config("data2vec-audio", mask_time_prob=0.9, mask_time_length=2).to_dict()
    del given["apply_spec_augment"]
    for name in ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout"):
        given[name] = 0.0
    tower = build_audio_tower(SmoothCLAPConfig(audio_config=given).audio_config).train()
    first, second = (run_audio_tower(tower, *padded(audio_items("data2vec-audio", 400, 251)))[1] for _ in range(2))
    assert torch.equal(first, second)
    assert not tower.masked_spec_embed.requires_grad
    assert without_training_noise(Data2VecAudioConfig()).apply_spec_augment is False


@pytest.mark.parametrize(
    ("family", "setting"),
    [
        *((family, "add_adapter") for family in ("wav2vec2", "wavlm", "data2vec-audio")),
        ("hubert", "conv_pos_batch_norm"),
    ],
)
def test_a_setting_that_makes_padding_count_is_refused(family, setting):
    with pytest.raises(ValueError, match=f"{setting}=True"):
        SmoothCLAPModel(tiny.config(audio_config=tiny.audio_config(family, **{setting: True})))
    with pytest.raises(ValueError, match=f"{setting}=True"):
        load_audio_tower("nowhere", tiny.audio_config(family, **{setting: True}))


@each_audio
def test_no_other_switch_of_a_configuration_makes_padding_count(audio):
    switches = {
        name: not value for name, value in tiny.audio_config(audio).to_dict().items() if isinstance(value, bool)
    }
    batch, mask = padded(audio_items(audio, *lengths_of(audio)))
    for name in switches.keys() - {*INEXACT_SETTINGS, "output_attentions", "return_dict"}:
        tower = build_audio_tower(tiny.audio_config(audio, **{name: switches[name]})).eval()
        with torch.no_grad():
            _, together = run_audio_tower(tower, batch, mask)
            alone = [run_audio_tower(tower, item[None])[1][0] for item in audio_items(audio, *lengths_of(audio))]
        torch.testing.assert_close(together, torch.stack(alone), atol=1e-5, rtol=0, msg=name)


def test_a_text_tower_that_looks_back_only_is_refused():
    with pytest.raises(ValueError, match="is_decoder=True"):
        build_text_tower(tiny.text_config(is_decoder=True))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("audio", "hidden_size", 0),
        ("audio", "num_hidden_layers", -1),
        ("audio", "num_hidden_layers", 10**7),
        ("audio", "conv_stride", [4, 0]),
        ("audio", "conv_kernel", [8]),
        ("audio", "num_conv_pos_embedding_groups", 3),
        ("audio", "hidden_dropout", 1.5),
        ("audio", "layerdrop", -0.1),
        ("audio", "layer_norm_eps", math.nan),
        ("audio", "hidden_act", "no-such-activation"),
        ("text", "vocab_size", 0),
        ("text", "hidden_size", 25),
        ("text", "hidden_dropout_prob", math.nan),
        ("text", "initializer_range", -1.0),
        ("text", "max_position_embeddings", 2**40),
    ],
)
def test_a_configuration_from_which_no_tower_can_be_built_is_refused(part, name, value):
    given = {"audio": tiny.audio_config(), "text": tiny.text_config()}[part].to_dict()
    with pytest.raises(ValueError, match=f"{name}|tower cannot be built|{part}_config"):
        SmoothCLAPModel(tiny.config(**{f"{part}_config": given | {name: value}}))


def test_clips_of_silence_have_finite_embeddings():
    for audio in tiny.AUDIO_FAMILIES:
        silence = tiny.processor(audio)(audio=np.zeros(800, np.float32), sampling_rate=16000, return_tensors="pt")
        with torch.no_grad():
            assert tiny.model(audio).get_audio_features(**silence).pooler_output.isfinite().all(), audio
