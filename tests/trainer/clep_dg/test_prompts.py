"""Prompts: their wordings, the vectors in them, that the tower treats these as words, and what decides an embedding."""

import copy

import pytest
import torch
from tokenizers import normalizers

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel, SmoothCLAPProcessor
from smoothclap_trainer.clep_dg.prompts import (
    ENGLISH,
    GERMAN,
    LANGUAGES,
    PromptEncoder,
    PromptTemplates,
    PromptTokens,
    kinds_of_written,
    written_contexts,
)
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


@pytest.mark.parametrize("spaces", ["", " "])
def test_with_a_tokenizer_that_lowercases_only_the_slot_itself_is_one(spaces):
    tokenizer = copy.deepcopy(tiny.tokenizer())
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    encoder = PromptEncoder(encoders.model(), tokenizer)
    tokens = encoder.tokenize([f"A{spaces}<ctx>{spaces}Room", "A <CTX> Room"])
    assert (tokens.ids == encoder.slot_id).sum(dim=1).tolist() == [1, 0]


@each_kind
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@torch.no_grad()
def test_embeddings_have_unit_length_in_every_precision(kind, dtype):
    encoder = PromptEncoder(encoders.model(kind).to(dtype), tiny.tokenizer())
    found = encoder.embed(encoder.tokenize(TEXTS))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(3), atol=1e-6, rtol=0)


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
    config = encoder.model.config.text_config
    config._name_or_path = "elsewhere"
    config.id2label = {0: "sad", 1: "glad", 2: "mad"}
    config.problem_type, config.use_cache, config.output_hidden_states = "regression", False, True
    config.classifier_dropout = config.hidden_dropout_prob = config.initializer_range = 0.5
    assert encoder.fingerprints == before
    for name, value in (("layer_norm_eps", 1e-3), ("num_attention_heads", 3), ("hidden_act", "relu")):
        kept = getattr(config, name)
        setattr(config, name, value)
        assert encoder.fingerprints["encoder"] != before["encoder"]
        setattr(config, name, kept)
    assert encoder.fingerprints == before


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
    with pytest.raises(ValueError, match=r"eval\(\)"):
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
    with pytest.raises(ValueError, match="24"):
        encoder.embed(encoder.tokenize(prompts), contexts)


@each_kind
def test_the_longest_prompt_fits_and_a_longer_one_is_refused(kind):
    encoder = encoders.encoder(kind)
    # Of 66 positions RoBERTa's kin do not use those up to the padding token's, 0, or 1 in MPNet whatever it is.
    limit = {"bert": 66, "distilbert": 66, "mpnet": 64}.get(kind, 65)
    slots = limit - 2  # [CLS] and [SEP] are tokens, too
    with torch.no_grad():
        assert encoder.embed(encoder.tokenize(["<ctx>"], slots), torch.zeros(1, slots, 24)).isfinite().all()
    with pytest.raises(ValueError, match=f"'<ctx>' .*{limit + 1} .*{limit}"):
        encoder.tokenize(["a", "<ctx>", ""], slots + 1)


def test_a_tower_whose_positions_start_at_nothing_needs_no_padding_token():
    encoder = encoders.encoder("bert")
    encoder.model.config.text_config.pad_token_id = None
    assert encoder.tokenize(["a <ctx> voice"]).ids.shape[0] == 1


# Wordings


@pytest.mark.parametrize(
    ("templates", "joint", "content"),
    [
        (ENGLISH, "sad speech recorded in a <ctx> acoustic environment", "sad speech"),
        (
            GERMAN,
            "Sprache, die sad klingt, aufgenommen in einer <ctx> akustischen Umgebung",
            "Sprache, die sad klingt",
        ),
    ],
)
def test_each_class_gets_its_prompts_in_order(templates, joint, content):
    names = ["sad", "very {happy}"]
    assert templates.joint_prompts(names) == [joint, joint.replace("sad", "very {happy}")]
    assert templates.content_prompts(names) == [content, content.replace("sad", "very {happy}")]


@pytest.mark.parametrize(
    "changes",
    [
        {"context": "a room"},
        {"context": "{emotion} <ctx>"},
        {"joint": "{emotion} <ctx> <ctx>"},
        {"joint": "a <ctx>"},
        {"content": "speech"},
        {"content": "{emotion} <ctx>"},
    ],
)
def test_a_template_with_other_slots_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        PromptTemplates(**changes)


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], r"\[\]"),
        ("sad", "'sad'"),
        (["sad", " "], r"\[' '\]"),
        ([1, "sad", None], r"\[1, None\]"),
        (["sad", "in <ctx>"], r"\['in <ctx>'\]"),
        (["sad", "sad"], "'sad'"),
    ],
)
def test_unusable_class_names_are_refused(names, wanted):
    for prompts in (ENGLISH.joint_prompts, ENGLISH.content_prompts):
        with pytest.raises(ValueError, match=wanted):
            prompts(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_forty_hand_written_contexts_are_put_after_each_content_prompt(language):
    templates = {"en": ENGLISH, "de": GERMAN}[language]
    prompts = templates.written_prompts(["a", "b"], language)
    assert len(prompts) == 40 and len({prompt for each in prompts for prompt in each}) == 80
    content = templates.content_prompts(["a", "b"])
    for of_context in prompts:
        ends = [prompt.removeprefix(own) for prompt, own in zip(of_context, content, strict=True)]
        assert ends[0] == ends[1] != of_context[1] and "{" not in ends[0]


def test_each_hand_written_context_has_a_kind():
    kinds = dict(zip(written_contexts("de"), kinds_of_written(), strict=True))
    assert len(set(kinds.values())) == 5
    assert {kinds[f"{{content}}, aufgenommen {each}"] for each in ("am Telefon", "in einem Callcenter")} == {
        "telephones"
    }
    assert {kinds[f"{{content}}, aufgenommen in einem {each}"] for each in ("Tunnel", "kleinen Büro")} == {"rooms"}


@pytest.mark.parametrize("kind", encoders.KINDS)
def test_the_last_layer_of_the_first_token_alone_gives_the_same(kind):
    encoder = encoders.encoder(kind)
    tokens, widths = encoder.tokenize(["a room", "a long corridor with an echo"]), []
    rest = encoder.model.text_model.encoder.layer[-1].output if kind in ("bert", "clap") else None
    if rest is not None:
        rest.register_forward_hook(lambda _, given, __: widths.append(given[0].shape[1]))
    with torch.no_grad(), encoder.frozen():
        whole = encoder.embed(tokens)
        with encoder.first_token_alone():
            torch.testing.assert_close(encoder.embed(tokens), whole, atol=1e-6, rtol=0)
        assert torch.equal(encoder.embed(tokens), whole)
    assert widths == ([tokens.ids.shape[1], 1, tokens.ids.shape[1]] if rest is not None else [])


def test_a_mean_over_tokens_needs_them_all():
    encoder = encoders.encoder()
    encoder.model.config.text_pooling = "mean"
    tokens = encoder.tokenize(["a long corridor with an echo"])
    with torch.no_grad(), encoder.frozen():
        whole = encoder.embed(tokens)
        with encoder.first_token_alone():
            assert torch.equal(encoder.embed(tokens), whole)
