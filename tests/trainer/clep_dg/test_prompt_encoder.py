"""Prompts with vectors in them: where they go, that the tower treats them as words, and what decides an embedding."""

import copy

import pytest
import torch
from tokenizers import normalizers

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.clep_dg.prompt_encoder import PromptEncoder, PromptTokens
from tests import tiny
from tests.trainer.clep_dg import encoders


each_kind = pytest.mark.parametrize("kind", encoders.KINDS)
TEXTS = ["a low voice", "eine leise, traurige Stimme", "sad"]


@each_kind
@torch.no_grad()
def test_without_slots_it_is_the_models_text_embedding(kind):
    encoder = encoders.encoder(kind)
    batch = tiny.tokenizer()(TEXTS, padding=True, padding_side="right", return_tensors="pt")
    expected = encoder.model.get_text_features(batch.input_ids, attention_mask=batch.attention_mask).pooler_output
    found = encoder.embed(encoder.tokenize(TEXTS))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3))


@each_kind
@torch.no_grad()
def test_the_vectors_of_words_give_what_the_words_give(kind):
    # At the start, in the middle, at the end; and among prompts of other lengths, so that there is padding.
    encoder = encoders.encoder(kind)
    words = encoder.tokenizer.convert_tokens_to_ids(["Ġlow", "Ġvoice"])
    vectors = encoder.model.text_model.get_input_embeddings()(torch.tensor(words))
    pairs = {
        "a <ctx>": "a low voice",
        "a <ctx> voice, eine leise Stimme": "a low voice voice, eine leise Stimme",
        "<ctx> a": " low voice a",
    }
    spliced = encoder.embed(encoder.tokenize(list(pairs), 2), vectors.expand(3, -1, -1))
    torch.testing.assert_close(spliced, encoder.embed(encoder.tokenize(list(pairs.values()))), atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_vectors_of_a_word_give_what_the_word_gives_with_a_real_tokenizer():
    tokenizer = SmoothCLAPProcessor.from_pretrained(SMOOTHCLAP_TINY).tokenizer
    encoder = PromptEncoder(SmoothCLAPModel.from_pretrained(SMOOTHCLAP_TINY), tokenizer)
    pieces = tokenizer("low", add_special_tokens=False).input_ids
    vectors = encoder.model.text_model.get_input_embeddings()(torch.tensor(pieces))
    spliced = encoder.embed(encoder.tokenize(["A <ctx> voice."], len(pieces)), vectors[None])
    torch.testing.assert_close(spliced, encoder.embed(encoder.tokenize(["A low voice."])), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["sad", "pleasantly surprised", "wütend, außer sich"])
@pytest.mark.parametrize("template", ["<ctx> {}", "{} in a <ctx> room", "{} in <ctx>.", "{}<ctx>"])
def test_slots_stand_where_the_template_says_whatever_pieces_a_name_has(name, template):
    encoder = encoders.encoder()
    (row,) = encoder.tokenize([template.format(name)], context_length=3).ids.tolist()
    before, after = template.format(name).split("<ctx>")
    pieces = [tiny.tokenizer()(part, add_special_tokens=False).input_ids for part in (before.rstrip(), after)]
    assert row == [2, *pieces[0], *[encoder.slot_id] * 3, *pieces[1], 3]  # between [CLS] and [SEP]


@each_kind
@torch.no_grad()
def test_padding_is_on_the_right_whatever_the_tokenizer_says(kind):
    right, tokenizer = encoders.encoder(kind), copy.deepcopy(tiny.tokenizer())
    tokenizer.padding_side = "left"
    left = PromptEncoder(right.model, tokenizer)
    for mine, its in zip(left.tokenize(TEXTS), right.tokenize(TEXTS), strict=True):
        assert torch.equal(mine, its)
    alone = torch.cat([left.embed(left.tokenize([text])) for text in TEXTS])
    torch.testing.assert_close(left.embed(left.tokenize(TEXTS)), alone, atol=1e-6, rtol=0)


def test_each_prompt_takes_its_own_context():
    encoder = encoders.encoder()
    tokens, contexts = encoder.tokenize(["a <ctx> room", "sad in a <ctx> room"]), torch.randn(2, 1, 24)
    with torch.no_grad():
        together = encoder.embed(tokens, contexts)
        for row in range(2):
            one = PromptTokens(tokens.ids[row : row + 1], tokens.mask[row : row + 1])
            torch.testing.assert_close(encoder.embed(one, contexts[row : row + 1])[0], together[row])
        swapped = encoder.embed(tokens, contexts.flip(0))
    assert not torch.allclose(together, swapped, atol=1e-3)


@each_kind
def test_frozen_lets_gradients_through_and_takes_none(kind):
    encoder = encoders.encoder(kind)
    contexts = torch.randn(1, 2, encoder.token_width, requires_grad=True)
    with encoder.frozen():
        encoder.embed(encoder.tokenize(["a <ctx> room"], 2), contexts)[0, 0].backward()
    assert (contexts.grad.abs().sum(dim=-1) > 0).all()
    assert all(parameter.grad is None for parameter in encoder.model.parameters())


def test_frozen_leaves_the_model_as_it_was():
    encoder = encoders.encoder()
    model = encoder.model.train()
    model.audio_model.requires_grad_(False).eval()
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    with pytest.raises(KeyError), encoder.frozen():
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        raise KeyError
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags


def test_the_given_tokenizer_learns_no_slot():
    before = len(tiny.tokenizer())
    assert encoders.encoder().slot_id == before
    assert len(tiny.tokenizer()) == before


@each_kind
def test_fingerprints_are_the_same_wherever_the_model_was_loaded_from(kind, tmp_path):
    encoder = encoders.encoder(kind)
    encoder.model.save_pretrained(tmp_path / "elsewhere")
    tiny.tokenizer().save_pretrained(tmp_path / "elsewhere")
    model = type(encoder.model).from_pretrained(tmp_path / "elsewhere")
    tokenizer = type(tiny.tokenizer()).from_pretrained(tmp_path / "elsewhere")
    assert PromptEncoder(model, tokenizer).fingerprints == encoder.fingerprints


@each_kind
@pytest.mark.parametrize("part", ["text_model", "text_projection"])
def test_the_encoders_fingerprint_covers_every_weight_that_decides_an_embedding(kind, part):
    encoder = encoders.encoder(kind)
    before = encoder.fingerprints
    for parameter in getattr(encoder.model, part).parameters():
        kept = parameter.data.clone()
        parameter.data.view(-1)[-1] += 1e-3
        after = encoder.fingerprints
        parameter.data = kept
        assert after["encoder"] != before["encoder"] and after["tokenizer"] == before["tokenizer"]
    assert encoder.fingerprints == before


def test_the_encoders_fingerprint_covers_the_configuration_and_not_the_audio_half():
    encoder = encoders.encoder()
    before = encoder.fingerprints
    for part in (encoder.model.audio_model, encoder.model.audio_projection, encoder.model.logit_scale):
        next(iter(part.parameters())).data += 1
    encoder.model.config.text_config._name_or_path = "elsewhere"
    assert encoder.fingerprints == before
    encoder.model.config.text_config.layer_norm_eps = 1e-3
    assert encoder.fingerprints["encoder"] != before["encoder"]


def test_the_tokenizers_fingerprint_covers_its_words_and_how_it_splits():
    model, before = encoders.model(), encoders.encoder().fingerprints["tokenizer"]
    more, lower, padded = (copy.deepcopy(tiny.tokenizer()) for _ in range(3))
    more.add_tokens(["melancholy"])
    lower.backend_tokenizer.normalizer = normalizers.Lowercase()
    padded(["a", "a low voice"], padding=True, truncation=True, max_length=4)  # which leaves traces in its state
    assert PromptEncoder(model, more).fingerprints["tokenizer"] != before
    assert PromptEncoder(model, lower).fingerprints["tokenizer"] != before
    assert PromptEncoder(model, padded).fingerprints["tokenizer"] == before


def test_a_model_in_training_mode_is_refused():
    encoder = encoders.encoder()
    encoder.model.train()
    with pytest.raises(ValueError, match=r"in training mode.*call `eval\(\)`"):
        encoder.embed(encoder.tokenize(["sad"]))


@pytest.mark.parametrize(
    ("prompts", "contexts"),
    [
        (["a <ctx> room"], None),
        (["a <ctx> room"], torch.zeros(1, 2, 24)),
        (["a <ctx> room"], torch.zeros(1, 1, 23)),
        (["a <ctx> room"], torch.zeros(1, 24)),
        (["a <ctx> room", "a <ctx> hall"], torch.zeros(1, 1, 24)),
        (["a <ctx> room", "a hall"], torch.zeros(2, 1, 24)),
        (["<ctx> <ctx>", "a hall"], torch.zeros(2, 1, 24)),
    ],
)
def test_contexts_that_do_not_fill_the_slots_are_refused(prompts, contexts):
    encoder = encoders.encoder()
    with pytest.raises(ValueError, match=r"do not fill the slots: the prompts have \[.*\] slot tokens, 24 wide"):
        encoder.embed(encoder.tokenize(prompts), contexts)


def test_the_longest_prompt_of_clap_fits_and_a_longer_one_is_refused():
    encoder = encoders.encoder("clap")
    with torch.no_grad():  # of 66 positions the first goes to padding; [CLS] and [SEP] are tokens, too
        assert encoder.embed(encoder.tokenize(["<ctx>"], 63), torch.zeros(1, 63, 24)).isfinite().all()
    with pytest.raises(ValueError, match="A prompt has 66 tokens, but this CLAP takes at most 65"):
        encoder.tokenize(["<ctx>"], 64)


def test_a_prompt_too_long_for_smoothclap_is_refused():
    encoder = encoders.encoder()
    with pytest.raises(ValueError, match="67 tokens, but this bert tower takes at most 66"):
        encoder.embed(encoder.tokenize(["<ctx>"], 65), torch.zeros(1, 65, 24))
