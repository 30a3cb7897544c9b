"""The dual encoder: its heads, its scale, its loss, how it is built from encoders, and how it trains."""

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCTC,
    AutoModelForMaskedLM,
    WhisperForConditionalGeneration,
    WhisperModel,
)

from modeling_smoothclap import SmoothCLAPModel, SmoothCLAPOutput
from modeling_smoothclap.loss_smoothclap import soft_target_loss
from modeling_smoothclap.modeling_smoothclap import SmoothCLAPLogitScale, SmoothCLAPProjection
from modeling_smoothclap.towers_smoothclap import load_audio_tower, run_audio_tower
from tests import tiny


LIMIT = math.log(100)


def batch(family: str = "wav2vec2") -> dict[str, torch.Tensor]:
    return dict(
        tiny.processor(family)(
            text=["a low voice", "a high voice", "a sad voice"],
            audio=tiny.clips(0.05, 0.03, 0.04),
            sampling_rate=16000,
            return_tensors="pt",
        )
    )


def quiet(family: str = "wav2vec2") -> SmoothCLAPModel:
    """A tiny model without any dropout."""
    config = tiny.config(family, projection_dropout=0.0)
    for part in (config.audio_config, config.text_config):
        for name in list(part.to_dict()):
            if "dropout" in name and getattr(part, name):
                setattr(part, name, 0.0)
    torch.manual_seed(0)
    return SmoothCLAPModel(config).eval()


# Heads


def test_projection_head_against_the_formula():
    head = SmoothCLAPProjection(5, 7, dropout=0.5).eval()
    torch.nn.init.normal_(head.layer_norm.weight)
    torch.nn.init.normal_(head.layer_norm.bias)
    x = torch.randn(3, 5)
    e1 = x @ head.linear1.weight.T
    gelu = e1 * 0.5 * (1 + torch.erf(e1 / math.sqrt(2)))
    total = e1 + gelu @ head.linear2.weight.T
    centred = total - total.mean(dim=1, keepdim=True)
    normed = centred / torch.sqrt((centred**2).mean(dim=1, keepdim=True) + 1e-5)
    expected = normed * head.layer_norm.weight + head.layer_norm.bias
    torch.testing.assert_close(head(x), expected, atol=1e-6, rtol=1e-5)


def test_projection_head_has_no_biases_outside_its_norm():
    names = set(SmoothCLAPProjection(5, 7, dropout=0.5).state_dict())
    assert names == {"linear1.weight", "linear2.weight", "layer_norm.weight", "layer_norm.bias"}


def test_projection_dropout_acts_on_the_residual_branch_in_training_only():
    head = SmoothCLAPProjection(5, 7, dropout=1.0)
    x = torch.randn(3, 5)
    torch.testing.assert_close(head.train()(x), F.layer_norm(head.linear1(x), (7,)))
    assert not torch.allclose(head.train()(x), head.eval()(x))


# Outputs


def test_logits_are_the_scale_times_the_cosines():
    model = tiny.model()
    model.logit_scale.weight.data.fill_(1.5)
    with torch.no_grad():
        output = model(**batch())
    cosines = F.cosine_similarity(output.audio_embeds[:, None], output.text_embeds[None], dim=-1)
    torch.testing.assert_close(output.logits_per_audio, math.exp(1.5) * cosines)
    assert torch.equal(output.logits_per_text, output.logits_per_audio.T)
    torch.testing.assert_close(output.logit_scale, torch.tensor([math.exp(1.5)]))


def test_clips_and_texts_may_differ_in_number():
    inputs = batch()
    inputs["input_ids"], inputs["attention_mask"] = inputs["input_ids"][:2], inputs["attention_mask"][:2]
    with torch.no_grad():
        output = tiny.model()(**inputs)
    assert output.logits_per_audio.shape == (3, 2)
    with pytest.raises(ValueError, match=r"must be square; got \(3, 2\)"):
        tiny.model()(**inputs, return_loss=True)


def test_embedding_is_the_head_on_the_pooled_tower_at_unit_length():
    model, inputs = tiny.model(), batch()
    text = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        first_token = model.text_model(**text).last_hidden_state[:, 0]
        expected = model.text_projection(first_token)
        torch.testing.assert_close(
            model.get_text_features(**text).pooler_output, expected / expected.norm(dim=1, keepdim=True)
        )
        clip = inputs["input_values"][:1]  # the longest, so nothing of it is padding
        expected = model.audio_projection(model.audio_model(clip).last_hidden_state.mean(dim=1))
        torch.testing.assert_close(
            model.get_audio_features(clip).pooler_output, expected / expected.norm(dim=1, keepdim=True)
        )


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_forward_is_what_the_feature_methods_give(family):
    model, inputs = tiny.model(family), batch(family)
    with torch.no_grad():
        output = model(**inputs)
        text = model.get_text_features(inputs["input_ids"], inputs["attention_mask"])
        audio = model.get_audio_features(
            **{name: inputs[name] for name in (model.audio_input_name, "audio_attention_mask")}
        )
    assert torch.equal(output.text_embeds, text.pooler_output)
    assert torch.equal(output.audio_embeds, audio.pooler_output)
    assert torch.equal(output.audio_model_output.last_hidden_state, audio.last_hidden_state)
    assert torch.equal(output.text_model_output.last_hidden_state, text.last_hidden_state)


def test_loss_is_infonce_by_hand():
    with torch.no_grad():
        output = tiny.model()(**batch(), return_loss=True)
    total = 0.0
    for logits in (output.logits_per_audio, output.logits_per_text):
        for i in range(3):
            total += -math.log(math.exp(logits[i, i]) / sum(math.exp(value) for value in logits[i]))
    assert output.loss.item() == pytest.approx(total / 6, abs=1e-5)
    assert output.loss.shape == ()


def test_no_loss_unless_asked_for():
    with torch.no_grad():
        assert tiny.model()(**batch()).loss is None


def test_soft_targets_give_the_soft_loss():
    targets = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.1, 0.7]])
    model = tiny.model()
    with torch.no_grad():
        output = model(**batch(), soft_targets=targets, return_loss=True)
        hard = model(**batch(), return_loss=True)
    assert torch.equal(output.loss, soft_target_loss(output.logits_per_audio, targets))
    assert output.loss != hard.loss
    assert torch.equal(output.logits_per_audio, hard.logits_per_audio)


@pytest.mark.parametrize("as_config", [False, True])
def test_tuples_on_request(as_config):
    model, inputs = tiny.model(), batch()
    with torch.no_grad():
        output = model(**inputs, return_loss=True)
        if as_config:
            model.config.return_dict = False
            as_tuple = model(**inputs, return_loss=True)
        else:
            as_tuple = model(**inputs, return_loss=True, return_dict=False)
    assert isinstance(output, SmoothCLAPOutput)
    assert isinstance(as_tuple, tuple)
    assert len(as_tuple) == 8
    assert torch.equal(as_tuple[0], output.loss)
    assert torch.equal(as_tuple[1], output.logits_per_audio)
    assert isinstance(as_tuple[6], tuple)


def test_hidden_states_of_both_towers_on_request():
    for family in ("wav2vec2", "whisper"):
        with torch.no_grad():
            output = tiny.model(family)(**batch(family), output_hidden_states=True)
        assert len(output.audio_model_output.hidden_states) == 3
        assert len(output.text_model_output.hidden_states) == 2


# Inputs


@pytest.mark.parametrize(("family", "wrong"), [("wav2vec2", "input_features"), ("whisper", "input_values")])
def test_the_other_towers_input_is_refused(family, wrong):
    model, inputs = tiny.model(family), batch(family)
    right = model.audio_input_name
    message = f"A {family} tower takes `{right}` and no other audio input"
    clips = inputs.pop(right)
    for given in ({wrong: clips}, {}, {wrong: clips, right: clips}):
        with pytest.raises(ValueError, match=message):
            model(**inputs, **given)
        with pytest.raises(ValueError, match=message):
            model.get_audio_features(**given)


def test_no_text_is_refused():
    model, inputs = tiny.model(), batch()
    for name in ("input_ids", "attention_mask"):
        del inputs[name]
    with pytest.raises(ValueError, match="`input_ids`"):
        model(**inputs)
    with pytest.raises(ValueError, match="`input_ids`"):
        model.get_text_features()


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_frozen_towers_output_may_stand_for_the_audio(family):
    model, inputs = tiny.model(family), batch(family)
    audio = inputs.pop(model.audio_input_name)
    mask = inputs.pop("audio_attention_mask")
    with torch.no_grad():
        _, pooled = run_audio_tower(model.audio_model, audio, mask)
        expected = model(**inputs, **{model.audio_input_name: audio}, audio_attention_mask=mask, return_loss=True)
        cached = model(**inputs, pooled_audio=pooled, return_loss=True)
    assert torch.equal(cached.audio_embeds, expected.audio_embeds)
    assert torch.equal(cached.loss, expected.loss)


@pytest.mark.parametrize("text", tiny.TEXT_FAMILIES)
def test_token_embeddings_may_stand_for_token_ids(text):
    model = tiny.model("wav2vec2", text)
    ids = tiny.tokenizer()(["a low voice"], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        embeds = model.get_input_embeddings()(ids)
        torch.testing.assert_close(
            model.get_text_features(inputs_embeds=embeds).pooler_output, model.get_text_features(ids).pooler_output
        )


def test_positions_and_segments_reach_the_text_tower():
    model = tiny.model()
    ids = tiny.tokenizer()(["a low voice"], return_tensors="pt")["input_ids"]
    positions = torch.arange(ids.shape[1])[None]
    with torch.no_grad():
        plain = model.get_text_features(ids).pooler_output
        same = model.get_text_features(ids, position_ids=positions, token_type_ids=torch.zeros_like(ids)).pooler_output
        moved = model.get_text_features(ids, position_ids=positions + 5).pooler_output
        segment = model.get_text_features(ids, token_type_ids=torch.ones_like(ids)).pooler_output
    torch.testing.assert_close(same, plain)
    assert (moved - plain).abs().max() > 1e-4
    assert (segment - plain).abs().max() > 1e-4


def test_the_vocabulary_can_grow(tmp_path):
    model, ids = tiny.model(), torch.tensor([[2, 50, 60, 3]])
    with torch.no_grad():
        before = model.get_text_features(ids).pooler_output
    assert model.resize_token_embeddings(350, mean_resizing=False).num_embeddings == 350
    assert model.get_input_embeddings().num_embeddings == 350
    assert model.config.text_config.vocab_size == 350
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(loaded.get_text_features(ids).pooler_output, before)
        assert loaded.get_text_features(torch.tensor([[2, 349, 3]])).pooler_output.isfinite().all()


def test_the_other_masks_name_is_refused_with_the_right_one():
    model, inputs = tiny.model(), batch()
    mask = inputs["audio_attention_mask"]
    with pytest.raises(ValueError, match="`audio_attention_mask`") as error:
        model.get_audio_features(inputs["input_values"], attention_mask=mask)
    assert len(str(error.value)) < 200
    with pytest.raises(ValueError, match="pass `attention_mask`"):
        model.get_text_features(inputs["input_ids"], audio_attention_mask=inputs["attention_mask"])
    with pytest.raises(ValueError, match="`mask_time_indices` is not an input"):
        model.get_audio_features(inputs["input_values"], mask_time_indices=mask)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
@pytest.mark.parametrize(("weights", "given"), [(torch.float32, torch.float64), (torch.bfloat16, torch.float32)])
@torch.no_grad()
def test_inputs_take_the_float_type_of_the_weights(family, weights, given):
    model, inputs = tiny.model(family).to(weights), batch(family)
    audio, ids = inputs[model.audio_input_name], inputs["input_ids"]
    embeds, pooled = model.get_input_embeddings()(ids), torch.randn(3, 32).to(weights)
    for method, name, value in (
        (model.get_audio_features, model.audio_input_name, audio.to(weights)),
        (model.get_audio_features, "pooled_audio", pooled),
        (model.get_text_features, "inputs_embeds", embeds),
    ):
        expected = method(**{name: value}).pooler_output
        found = method(**{name: value.to(given)}).pooler_output
        assert found.dtype == weights and torch.equal(found, expected), name


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("input_values", np.zeros((3, 800), np.float32), "return_tensors"),
        ("input_values", torch.zeros(3, 800, dtype=torch.int16), "int16"),
        ("input_values", torch.zeros(3, 19), "19 samples, but this tower needs 20"),
        ("input_values", torch.zeros(800), r"\(800,\)"),
        ("audio_attention_mask", torch.ones(3, 799), r"\(3, 799\)"),
        ("audio_attention_mask", torch.tensor([[1], [1], [0]]).expand(3, 800), r"rows \[2\]"),
        ("input_ids", torch.full((3, 5), 10**6), "1000000"),
        ("input_ids", torch.full((3, 5), -1), "-1"),
        ("input_ids", torch.zeros(3, 5), "float32"),
        ("attention_mask", torch.ones(3, 4), r"\(3, 4\)"),
        ("token_type_ids", torch.full((3, 12), 2), "token_type_ids"),
        ("pooled_audio", torch.zeros(3, 31), r"\(batch, 32\)"),
        ("output_hidden_states", "yes", "output_hidden_states"),
    ],
)
def test_inputs_of_another_form_are_refused(name, value, wanted):
    inputs = batch() | {name: value}
    with pytest.raises(ValueError, match=wanted):
        tiny.model()(**inputs)


# The scale


def test_initial_scale_is_one_over_0_07():
    model = tiny.model()
    assert model.logit_scale().item() == pytest.approx(1 / 0.07, rel=1e-5)
    assert tiny.model(logit_scale_init_value=2.0).logit_scale().item() == pytest.approx(math.exp(2), rel=1e-5)


def test_scale_is_clamped_at_100():
    scale = SmoothCLAPLogitScale(10.0).eval()
    assert scale().item() == pytest.approx(100, rel=1e-5)
    assert scale.weight.item() == 10.0, "evaluation changes no parameter"
    scale.train()
    assert scale().item() == pytest.approx(100, rel=1e-5)
    assert scale.weight.item() == pytest.approx(LIMIT)


def test_a_scale_past_the_limit_comes_back_in_one_step():
    # Clip 1 fits text 2 better than its own, so a smaller scale is a smaller loss.
    model, inputs = quiet().train(), batch()
    inputs["input_ids"] = inputs["input_ids"][[1, 0, 2]]
    model.logit_scale.weight.data.fill_(LIMIT + 3)
    loss = model(**inputs, return_loss=True).loss
    loss.backward()
    gradient = model.logit_scale.weight.grad.item()
    assert gradient != 0
    with torch.no_grad():
        model.logit_scale.weight -= 0.1 * abs(gradient) / gradient * torch.sign(torch.tensor(gradient))
    assert model.logit_scale.weight.item() == pytest.approx(LIMIT - 0.1, abs=1e-5)
    assert model.logit_scale().item() == pytest.approx(100 * math.exp(-0.1), rel=1e-4)


def test_two_forward_passes_may_precede_one_backward_pass():
    # As in gradient caching and in losses over several views of one batch.
    model, inputs = quiet().train(), batch()
    (model(**inputs, return_loss=True).loss + model(**inputs, return_loss=True).loss).backward()
    twice = model.logit_scale.weight.grad.clone()
    model.zero_grad()
    model(**inputs, return_loss=True).loss.backward()
    torch.testing.assert_close(twice, 2 * model.logit_scale.weight.grad)


# Training


def test_it_can_fit_three_pairs():
    model, inputs = quiet().train(), batch()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(80):
        loss = model(**inputs, return_loss=True).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[0] > 1
    assert losses[-1] < 0.1
    with torch.no_grad():
        assert model.eval()(**inputs).logits_per_audio.argmax(dim=1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("frozen", ["audio_model", "text_model"])
def test_a_frozen_tower_stays_in_evaluation_mode(frozen):
    model = tiny.model()
    other = ({"audio_model", "text_model"} - {frozen}).pop()
    getattr(model, frozen).requires_grad_(False)
    assert model.train() is model
    assert not any(module.training for module in getattr(model, frozen).modules())
    assert all(module.training for module in getattr(model, other).modules())
    assert model.audio_projection.training
    assert model.text_projection.training
    getattr(model, frozen).requires_grad_(True)
    assert getattr(model.train(), frozen).training
    assert not any(module.training for module in model.eval().modules())


def test_with_a_frozen_tower_all_else_still_gets_gradients():
    model = tiny.model()
    model.audio_model.requires_grad_(False)
    model.train()(**batch(), return_loss=True).loss.backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []
    assert all(p.grad is None for p in model.audio_model.parameters())


def test_lora_trains_the_modules_it_saves_and_round_trips(tmp_path):
    heads = ["audio_projection", "text_projection", "logit_scale"]
    base = quiet()
    model = get_peft_model(
        quiet(), LoraConfig(r=2, target_modules=["q_proj", "v_proj", "query", "value"], modules_to_save=heads)
    )
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    for _ in range(3):
        optimiser.zero_grad()
        model(**batch(), return_loss=True).loss.backward()
        optimiser.step()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    for head in heads:
        assert any(f"{head}.modules_to_save" in name for name in changed), head
    assert {name for name in changed if "lora_" not in name and "modules_to_save" not in name} == set()
    assert any("audio_model" in name for name in changed)
    assert any("text_model" in name for name in changed)

    model.eval().save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(base, tmp_path).eval()
    with torch.no_grad():
        expected = model(**batch())
        again = loaded(**batch())
        merged_model = model.merge_and_unload()
        merged = merged_model(**batch())
    assert torch.equal(again.logits_per_audio, expected.logits_per_audio)
    assert torch.equal(again.logit_scale, expected.logit_scale)
    assert expected.logit_scale.item() != pytest.approx(1 / 0.07, rel=1e-4)
    torch.testing.assert_close(merged.logits_per_audio, expected.logits_per_audio, atol=1e-4, rtol=1e-4)
    merged_model.save_pretrained(tmp_path / "merged")
    plain = AutoModel.from_pretrained(tmp_path / "merged")
    with torch.no_grad():
        assert torch.equal(plain(**batch()).logits_per_audio, merged.logits_per_audio)


@pytest.fixture
def one_process_group(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_sharded_step_equals_a_plain_one(one_process_group, family):
    plain, sharded, inputs = quiet(family).train(), quiet(family).train(), batch(family)
    mesh = init_device_mesh("cpu", (1,))
    for part in (sharded.audio_model, sharded.text_model, sharded):
        fully_shard(part, mesh=mesh)
    assert isinstance(sharded.logit_scale.weight, DTensor)
    for model in (plain, sharded):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        loss = model(**inputs, return_loss=True).loss
        loss.backward()
        optimiser.step()
    whole = {name: p.full_tensor() for name, p in sharded.named_parameters()}
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(whole[name], parameter.detach(), atol=1e-6, rtol=1e-5, msg=name)


def test_a_sharded_scale_past_the_limit_is_clamped_and_gets_a_gradient(one_process_group):
    model = quiet().train()
    model.logit_scale.weight.data.fill_(LIMIT + 1)
    fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    output = model(**batch(), return_loss=True)
    assert output.logit_scale.item() == pytest.approx(100, rel=1e-5)
    output.loss.backward()
    assert model.logit_scale.weight.grad.full_tensor().item() != 0


@pytest.mark.parametrize("family", tiny.AUDIO_FAMILIES)
def test_data_parallel_steps_wait_for_no_unused_parameter(one_process_group, family):
    model = DistributedDataParallel(tiny.model(family).train())
    for _ in range(2):  # the second forward pass raises if the first left a parameter without gradient
        model(**batch(family), return_loss=True).loss.backward()


# From two pretrained encoders


def save_encoders(folder, audio, text) -> tuple[str, str]:
    audio.save_pretrained(folder / "audio")
    text.save_pretrained(folder / "text")
    return str(folder / "audio"), str(folder / "text")


def assert_same_weights(loaded: torch.nn.Module, source: torch.nn.Module):
    source_weights = source.state_dict()
    for name, weight in loaded.state_dict().items():
        assert torch.equal(weight, source_weights[name]), name


@pytest.mark.parametrize(
    ("audio", "text"),
    [(audio, "bert") for audio in tiny.WAVEFORM_FAMILIES] + [("wav2vec2", text) for text in tiny.TEXT_FAMILIES[1:]],
)
def test_from_pretrained_encoders_really_loads_them(tmp_path, logs, audio, text):
    sources = (
        AutoModel.from_config(tiny.audio_config(audio, layerdrop=0.1, apply_spec_augment=True)),
        AutoModel.from_config(tiny.text_config(text)),
    )
    model = SmoothCLAPModel.from_audio_text_pretrained(*save_encoders(tmp_path, *sources), projection_dim=12)
    assert_same_weights(model.audio_model, sources[0])
    assert_same_weights(model.text_model, sources[1])
    assert model.config.projection_dim == 12
    assert not model.training
    message = next(record.message for record in logs.records if "are new" in record.message)
    assert "['audio_projection', 'text_projection', 'logit_scale']" in message
    assert "Train this model" in message


@pytest.mark.parametrize("whisper_class", [WhisperModel, WhisperForConditionalGeneration])
def test_from_a_whole_whisper_takes_the_encoder(tmp_path, whisper_class):
    source = whisper_class(tiny.audio_config("whisper", encoder_layerdrop=0.1)).eval()
    encoder = source.get_encoder()
    folders = save_encoders(tmp_path, source, AutoModel.from_config(tiny.text_config()))
    model = SmoothCLAPModel.from_audio_text_pretrained(*folders, projection_dim=12)
    assert_same_weights(model.audio_model, encoder)
    assert not any("decoder" in name for name in model.state_dict())
    features = torch.randn(2, 60, 20)
    with torch.no_grad():
        torch.testing.assert_close(
            model.audio_model(features).last_hidden_state,
            encoder(features.transpose(1, 2)).last_hidden_state,
            atol=1e-6,
            rtol=0,
        )


def test_from_the_encoders_of_another_smoothclap(tmp_path):
    source = tiny.model("whisper")
    model = SmoothCLAPModel.from_audio_text_pretrained(*save_encoders(tmp_path, source.audio_model, source.text_model))
    assert_same_weights(model.audio_model, source.audio_model)
    assert_same_weights(model.text_model, source.text_model)


def test_from_encoders_with_task_heads(tmp_path):
    audio = AutoModelForCTC.from_config(tiny.audio_config(vocab_size=30))
    text = AutoModelForMaskedLM.from_config(tiny.text_config())
    model = SmoothCLAPModel.from_audio_text_pretrained(*save_encoders(tmp_path, audio, text))
    assert_same_weights(model.audio_model, audio.wav2vec2)
    assert_same_weights(model.text_model, text.bert)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_pretraining_noise_is_off(tmp_path, family):
    no_dropout = {"dropout": 0.0, "activation_dropout": 0.0, "attention_dropout": 0.0}
    if family == "whisper":
        config = tiny.audio_config(family, encoder_layerdrop=0.9, **no_dropout)
    else:
        config = tiny.audio_config(
            family, layerdrop=0.9, apply_spec_augment=True, mask_time_prob=0.5, mask_time_length=2
        )
        for name in ("hidden_dropout", "activation_dropout", "attention_dropout", "feat_proj_dropout"):
            setattr(config, name, 0.0)
    source = WhisperModel(config) if family == "whisper" else AutoModel.from_config(config)
    folders = save_encoders(tmp_path, source, AutoModel.from_config(tiny.text_config()))
    model = SmoothCLAPModel.from_audio_text_pretrained(*folders, projection_dropout=0.0).train()
    inputs = {name: value for name, value in batch(family).items() if name not in ("input_ids", "attention_mask")}
    outputs = [model.get_audio_features(**inputs).pooler_output for _ in range(3)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    saved = model.config.to_dict()["audio_config"]
    assert saved.get("layerdrop", saved.get("encoder_layerdrop")) == 0.0
    assert saved["apply_spec_augment"] is False


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_encoders_stored_in_half_precision_give_a_float32_model(tmp_path, family, dtype):
    whole = (
        WhisperModel(tiny.audio_config("whisper"))
        if family == "whisper"
        else AutoModel.from_config(tiny.audio_config())
    )
    folders = save_encoders(tmp_path, whole.to(dtype), AutoModel.from_config(tiny.text_config()).to(dtype))
    model = SmoothCLAPModel.from_audio_text_pretrained(*folders)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        logits = model(**batch(family)).logits_per_audio
    model.save_pretrained(tmp_path / "both")
    again = AutoModel.from_pretrained(tmp_path / "both")
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    with torch.no_grad():
        assert torch.equal(again(**batch(family)).logits_per_audio, logits)


@pytest.mark.parametrize("family", ["wav2vec2", "whisper"])
def test_a_tower_stored_in_half_precision_loads_as_float32(tmp_path, family):
    # As a frozen encoder by itself, outside any model.
    source = (
        WhisperModel(tiny.audio_config(family)) if family == "whisper" else AutoModel.from_config(tiny.audio_config())
    )
    source.half().save_pretrained(tmp_path)
    tower = load_audio_tower(str(tmp_path), AutoConfig.from_pretrained(tmp_path))
    assert {parameter.dtype for parameter in tower.parameters()} == {torch.float32}
    assert not tower.training


def test_the_models_configuration_is_its_towers(tmp_path):
    folders = save_encoders(
        tmp_path, AutoModel.from_config(tiny.audio_config()), AutoModel.from_config(tiny.text_config())
    )
    for model in (tiny.model(), SmoothCLAPModel.from_audio_text_pretrained(*folders)):
        assert model.config.audio_config is model.audio_model.config
        assert model.config.text_config is model.text_model.config


def test_an_unsupported_encoder_is_refused_by_name(tmp_path):
    text = AutoModel.from_config(tiny.text_config())
    folders = save_encoders(tmp_path, text, text)
    with pytest.raises(ValueError, match="`bert` is not a supported audio tower"):
        SmoothCLAPModel.from_audio_text_pretrained(*folders)
