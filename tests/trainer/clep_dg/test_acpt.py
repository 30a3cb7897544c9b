"""The two objectives against formulas, and the fit: what it changes, what it leaves alone, and how it goes on."""

import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from modeling_smoothclap import SmoothCLAPEncoder
from smoothclap_trainer.clep_dg import acpt, prompts
from smoothclap_trainer.clep_dg.acpt import (
    ACPTSettings,
    content_loss,
    fit_contexts,
    prepare_fit,
    style_loss,
    untrained_bank,
)
from smoothclap_trainer.clep_dg.context_bank import CONTEXTS_FILE, RECORD_FILE, AcousticContextBank, write_contexts
from tests.trainer.clep_dg import encoders
from tests.trainer.clep_dg.encoders import NAMES, SHORT


QUICK = ACPTSettings(num_contexts=3, context_length=2, steps=3, learning_rate=0.5)
each_kind = pytest.mark.parametrize("kind", encoders.KINDS)


def fit(folder, encoder=None, settings=QUICK, templates=SHORT, names=NAMES):
    return fit_contexts(encoder or encoders.encoder(), templates, names, settings, folder)


def check(folder, encoder=None, settings=QUICK, templates=SHORT, names=NAMES):
    prepare_fit(encoder or encoders.encoder(), templates, names, settings, folder)


# Objectives


def test_style_loss_by_hand():
    feature = torch.tensor([2.0, 0.0])
    earlier = torch.tensor([[1.0, 1.0], [-3.0, 4.0], [0.0, 7.0]])  # cosines 1/sqrt(2), -3/5 and 0
    assert style_loss(feature, earlier).item() == pytest.approx((1 / math.sqrt(2) + 0.6 + 0) / 3)


def test_style_loss_of_the_first_context_is_zero_and_has_a_gradient_of_zero():
    feature = torch.randn(4, requires_grad=True)
    loss = style_loss(feature, torch.empty(0, 4))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(feature.grad, torch.zeros(4))


def test_content_loss_is_cross_entropy_of_the_similarity_matrix_with_arange():
    rng = np.random.default_rng(0)
    joint, content = rng.normal(size=(2, 4, 6))
    cosine = (joint @ content.T) / np.outer(np.linalg.norm(joint, axis=1), np.linalg.norm(content, axis=1))
    expected = np.mean([np.log(np.exp(row).sum()) - row[m] for m, row in enumerate(cosine)])
    assert content_loss(torch.tensor(joint), torch.tensor(content)).item() == pytest.approx(expected)
    unit = torch.tensor(cosine)
    assert F.cross_entropy(unit, torch.arange(4)).item() == pytest.approx(expected)
    sharp = content_loss(torch.tensor(joint), torch.tensor(content), 0.1).item()
    assert sharp == pytest.approx(F.cross_entropy(10 * unit, torch.arange(4)).item())


def test_content_loss_of_classes_that_are_all_alike_is_log_n():
    same = torch.ones(5, 3)
    assert content_loss(same, same).item() == pytest.approx(math.log(5))


# Settings and initial contexts


def test_defaults_are_promptstylers_but_for_the_temperature():
    assert ACPTSettings().model_dump() == {
        "num_contexts": 80, "context_length": 1, "steps": 100, "learning_rate": 0.002, "momentum": 0.9,
        "init_std": 0.02, "style_loss": True, "content_loss": True, "content_temperature": 0.07, "seed": 0,
    }  # fmt: skip


def test_without_losses_there_is_nothing_to_fit():
    with pytest.raises(ValueError, match="content_loss"):
        ACPTSettings(style_loss=False, content_loss=False)


def test_a_temperature_without_content_loss_is_refused():
    for temperature in (0.07, "logit_scale"):
        with pytest.raises(ValueError, match=f"content_temperature.*{temperature}"):
            ACPTSettings(content_loss=False, content_temperature=temperature)
        with pytest.raises(ValueError, match="content_temperature"):
            ACPTSettings(content_temperature=temperature).changed(content_loss=False)
    assert QUICK.changed(content_loss=False).content_loss is False


def test_a_fit_without_content_loss_is_recorded_without_its_temperature(tmp_path):
    settings = QUICK.changed(content_loss=False)
    assert fit(tmp_path, settings=settings).fitted_with["settings"]["content_temperature"] == "none"
    check(tmp_path, settings=settings.changed(content_temperature="none"))
    record = json.loads((tmp_path / RECORD_FILE).read_text())
    record["fitted_with"]["settings"]["content_temperature"] = 0.07  # as the version before wrote
    (tmp_path / RECORD_FILE).write_text(json.dumps(record))
    check(tmp_path, settings=settings)


def test_untrained_contexts_are_normal_and_each_has_a_seed_of_its_own():
    encoder = encoders.encoder()
    settings = ACPTSettings(num_contexts=60, context_length=5)
    drawn = untrained_bank(encoder, SHORT, settings).contexts
    assert drawn.shape == (60, 5, 24)
    assert drawn.mean().abs() < 0.001 and drawn.std().item() == pytest.approx(0.02, rel=0.03)
    assert len({each.numpy().tobytes() for each in drawn}) == 60
    fewer = untrained_bank(encoder, SHORT, settings.changed(num_contexts=2)).contexts
    assert torch.equal(fewer, drawn[:2])
    assert not torch.equal(untrained_bank(encoder, SHORT, settings.changed(seed=1)).contexts, drawn)


def test_the_scale_of_the_encoder_is_saved_as_a_number(tmp_path):
    encoder = encoders.encoder()
    settings = QUICK.changed(content_temperature="logit_scale")
    bank = fit(tmp_path, encoder, settings)
    saved = AcousticContextBank.from_pretrained(tmp_path, encoder)
    number = saved.fitted_with["settings"]["content_temperature"]
    assert number == pytest.approx(1 / SmoothCLAPEncoder(encoder.model, None).logit_scale)
    same = fit(tmp_path / "number", encoder, settings.changed(content_temperature=number))
    assert torch.equal(same.contexts, bank.contexts)
    with torch.no_grad():
        encoder.model.logit_scale.weight += 0.1
    with pytest.raises(ValueError, match="content_temperature"):  # of another scale, which no fingerprint covers
        check(tmp_path, encoder, settings)


# The fit


@pytest.mark.parametrize(
    ("kind", "temperature"), [("bert", "none"), ("bert", "logit_scale"), *((kind, 0.2) for kind in encoders.KINDS)]
)
def test_two_steps_against_the_formulas(kind, temperature, tmp_path):
    encoder = encoders.encoder(kind)
    settings = QUICK.changed(num_contexts=2, steps=2, content_temperature=temperature)
    scale = {"none": 1, "logit_scale": encoder.logit_scale}.get(temperature, 5)
    start = untrained_bank(encoder, SHORT, settings).contexts
    fitted = fit(tmp_path, encoder, settings).contexts

    def features(prompts, context=None):
        tokens = encoder.tokenize(prompts, 2)
        return encoder.embed(tokens, None if context is None else context.expand(len(prompts), -1, -1))

    for number in (0, 1):
        context, velocity = start[number].clone(), 0
        for _ in range(2):
            context.requires_grad_()
            cosine = features([f"{name} in a <ctx> room" for name in NAMES], context) @ features(NAMES).detach().T
            loss = -(scale * cosine).log_softmax(dim=1).diagonal().mean()
            if number:  # the first context, as it was fitted, is a constant
                earlier = features(["a <ctx> room"], fitted[0]).detach()[0]
                loss = loss + (features(["a <ctx> room"], context)[0] @ earlier).abs()
            (slope,) = torch.autograd.grad(loss, context)
            velocity = 0.9 * velocity + slope  # from nothing for each context: its optimiser is its own
            context = (context - 0.5 * velocity).detach()
        torch.testing.assert_close(fitted[number], context, atol=1e-5, rtol=1e-4)
        assert (fitted[number] - start[number]).abs().max() > 1e-3


def test_the_style_loss_spreads_contexts_and_its_absence_does_not(tmp_path):
    encoder = encoders.encoder()
    settings = ACPTSettings(num_contexts=4, steps=40, learning_rate=0.05)

    def likeness(bank):
        with torch.no_grad():
            features = encoder.embed(encoder.tokenize([SHORT.context] * 4), bank.contexts)
        return (features @ features.T).abs().triu(1).sum().item() / 6

    untrained = likeness(untrained_bank(encoder, SHORT, settings))
    apart = likeness(fit(tmp_path / "both", encoder, settings))
    without = likeness(fit(tmp_path / "content", encoder, settings.changed(style_loss=False)))
    assert apart < 0.5 * untrained
    assert without > 2 * apart


@each_kind
def test_the_model_is_bit_identical_afterwards(kind, tmp_path):
    encoder = encoders.encoder(kind)
    encoder.model.train()
    before = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
    fit(tmp_path, encoder)
    after = encoder.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert encoder.model.training
    assert all(parameter.grad is None for parameter in encoder.model.parameters())


def test_the_bank_says_what_it_was_fitted_with_and_is_in_the_folder(tmp_path):
    encoder = encoders.encoder()
    bank = fit(tmp_path, encoder)
    assert bank.fitted_with == {"settings": QUICK.model_dump(), "class_names": NAMES}
    saved = AcousticContextBank.from_pretrained(tmp_path, encoder)
    assert torch.equal(saved.contexts, bank.contexts)
    assert saved.record == bank.record
    assert {path.name for path in tmp_path.iterdir()} == {CONTEXTS_FILE, RECORD_FILE}


@pytest.mark.parametrize("style", [True, False])
def test_stopped_again_and_again_it_ends_with_the_same_contexts(style, tmp_path, monkeypatch):
    settings, folder = QUICK.changed(num_contexts=6, style_loss=style), tmp_path / "stopped"
    monkeypatch.setattr(acpt, "TOGETHER", 2)
    expected = fit(tmp_path / "whole", settings=settings).contexts
    fit_group = acpt._fit_group

    def stop_at(number):
        def fit_or_stop(*arguments):
            if arguments[-1] == number:
                raise KeyboardInterrupt
            return fit_group(*arguments)

        return fit_or_stop

    for count in (1, 4) if style else (2, 4):
        monkeypatch.setattr(acpt, "_fit_group", stop_at(count))
        with pytest.raises(KeyboardInterrupt):
            fit(folder, settings=settings)
        assert torch.equal(load_file(folder / CONTEXTS_FILE)["contexts"], expected[:count])
    with pytest.raises(ValueError, match=r"\[6, 2, 24\]"):
        AcousticContextBank.from_pretrained(folder, encoders.encoder())
    monkeypatch.setattr(acpt, "_fit_group", fit_group)
    assert torch.equal(fit(folder, settings=settings).contexts, expected)
    assert torch.equal(load_file(folder / CONTEXTS_FILE)["contexts"], expected)


@pytest.mark.parametrize("changes", [{}, {"style_loss": False}, {"content_loss": False}])
def test_the_first_contexts_of_a_large_bank_are_those_of_a_small_one(changes, tmp_path, monkeypatch):
    monkeypatch.setattr(acpt, "TOGETHER", 2)
    large, *small = (
        fit(tmp_path / str(count), settings=QUICK.changed(num_contexts=count, **changes)).contexts
        for count in (6, 1, 4)
    )
    for contexts in small:
        whole = len(contexts) - len(contexts) % 2 if "style_loss" in changes else len(contexts)
        assert torch.equal(contexts[:whole], large[:whole])
        # Without the style loss the rest was fitted with others, so only rounding may differ.
        torch.testing.assert_close(contexts, large[: len(contexts)], atol=1e-4, rtol=0)


@pytest.mark.parametrize("changes", [{}, {"style_loss": False}, {"content_loss": False}])
@each_kind
def test_the_fast_fit_is_the_plain_one_but_for_rounding(kind, changes, tmp_path, monkeypatch):
    """The same to 1e-4 with a rate 250 times the default; the style loss amplifies rounding from context to context."""
    encoder, settings = encoders.encoder(kind), QUICK.changed(num_contexts=5, **changes)
    fast = fit(tmp_path / "fast", encoder, settings).contexts
    monkeypatch.setattr(acpt, "TOGETHER", 1)
    monkeypatch.setattr(prompts, "FIRST_TOKEN_FAMILIES", ())
    torch.testing.assert_close(fast, fit(tmp_path / "plain", encoder, settings).contexts, atol=1e-4, rtol=0)


def test_a_fit_that_was_killed_before_its_first_context_begins(tmp_path):
    expected = fit(tmp_path / "whole").contexts
    fit(tmp_path / "early")
    (tmp_path / "early" / CONTEXTS_FILE).unlink()
    assert torch.equal(fit(tmp_path / "early").contexts, expected)


@pytest.mark.parametrize("left", ["of another fit", "damaged"])
def test_a_fit_that_failed_in_its_first_context_may_be_made_otherwise(left, tmp_path):
    encoder, settings = encoders.encoder(), QUICK.changed(learning_rate=1e38)
    with pytest.raises(ValueError, match="nan"):
        fit(tmp_path, encoder, settings)
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_FILE]
    if left == "damaged":
        (tmp_path / RECORD_FILE).write_text("{")
    bank = fit(tmp_path, encoder)
    assert AcousticContextBank.from_pretrained(tmp_path, encoder).record == bank.record


@pytest.mark.parametrize(
    "long",
    [{"settings": QUICK.changed(context_length=70)}, {"templates": SHORT.changed(content="{emotion}" + " a" * 70)}],
)
def test_a_prompt_that_is_too_long_leaves_nothing(long, tmp_path):
    for refusing in (fit, check):
        with pytest.raises(ValueError, match="66"):
            refusing(tmp_path / "long", **long)
    assert not (tmp_path / "long").exists()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"settings": QUICK.changed(seed=1)}, "settings.seed"),
        ({"settings": QUICK.changed(num_contexts=4)}, "settings.num_contexts"),
        ({"names": ["sad", "glad"]}, "fitted_with.class_names"),
        ({"templates": SHORT.changed(content="a {emotion}")}, "templates.content"),
        ({"encoder": "roberta"}, "fingerprints.encoder"),
    ],
)
def test_a_folder_with_another_fit_is_refused(changes, wanted, tmp_path):
    fit(tmp_path)
    if "encoder" in changes:
        changes = {"encoder": encoders.encoder(changes["encoder"])}
    for refusing in (fit, check):
        with pytest.raises(ValueError, match=wanted):
            refusing(tmp_path, **changes)


def test_contexts_of_unknown_origin_are_refused(tmp_path):
    fit(tmp_path)
    (tmp_path / RECORD_FILE).unlink()
    for refusing in (fit, check):
        with pytest.raises(ValueError, match=tmp_path.name):
            refusing(tmp_path)


@pytest.mark.parametrize(
    ("contexts", "wanted"),
    [
        (torch.full((2, 2, 24), math.nan), "2 of 2"),
        (torch.zeros(2, 24), r"\(2, 24\)"),
        (torch.zeros(4, 2, 24), r"\[4, 2, 24\]"),
        (torch.zeros(2, 1, 24), r"\[2, 1, 24\]"),
    ],
)
def test_contexts_that_are_not_what_their_record_says_are_refused(contexts, wanted, tmp_path):
    fit(tmp_path)
    write_contexts(tmp_path, contexts)
    for refusing in (fit, check):
        with pytest.raises(ValueError, match=wanted):
            refusing(tmp_path)


@pytest.mark.parametrize("name", [CONTEXTS_FILE, RECORD_FILE])
def test_damaged_files_are_found_before_the_fit(name, tmp_path):
    fit(tmp_path)
    (tmp_path / name).write_bytes(b"{")
    with pytest.raises(ValueError, match=name):
        check(tmp_path)


def test_a_folder_in_which_a_fit_can_begin_or_go_on_is_left_as_it_is(tmp_path, monkeypatch):
    check(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    bank = fit(tmp_path / "old")
    write_contexts(tmp_path / "old", bank.contexts[:2])
    before = {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()}
    monkeypatch.setattr(acpt, "_fit_group", None)
    check(tmp_path / "old")
    assert {path.name: path.read_bytes() for path in (tmp_path / "old").iterdir()} == before


def test_a_single_class_is_refused(tmp_path):
    for refusing in (fit, check):
        with pytest.raises(ValueError, match=r"\['sad'\]"):
            refusing(tmp_path / "one", names=["sad"])
    assert not (tmp_path / "one").exists()
