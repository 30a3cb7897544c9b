"""Each method's vectors against what they are said to be."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from smoothclap_trainer.clep_dg.acpt import ACPTSettings, fit_contexts, untrained_bank
from smoothclap_trainer.clep_dg.classifier import ClassifierSettings, train_classifier
from smoothclap_trainer.clep_dg.context_bank import AcousticContextBank
from smoothclap_trainer.clep_dg.methods import (
    CLEP_DG,
    CONTEXT_FREE,
    ENSEMBLE,
    METHODS,
    RANDOM_CONTEXTS,
    WITHOUT_CONTENT,
    WITHOUT_STYLE,
    ZERO_SHOT,
    class_weights,
)
from tests.trainer.clep_dg import encoders
from tests.trainer.clep_dg.encoders import NAMES, SHORT


ACPT = ACPTSettings(num_contexts=3, steps=3, learning_rate=0.5)
CLASSIFIER = ClassifierSettings(epochs=4, batch_size=4)


def weights(method, folder, encoder, acpt=ACPT):
    return class_weights(method, encoder, SHORT, NAMES, acpt, CLASSIFIER, folder)


def embedded(encoder, prompts, context=None):
    tokens = encoder.tokenize(prompts)
    with torch.no_grad():
        return encoder.embed(tokens, None if context is None else context.expand(len(prompts), -1, -1))


def trained(encoder, contexts):
    joint = [embedded(encoder, [f"{name} in a <ctx> room" for name in NAMES], context) for context in contexts]
    return train_classifier(torch.cat(joint), torch.arange(3).repeat(len(contexts)), CLASSIFIER)


@pytest.mark.parametrize("kind", ["bert", "clap"])
def test_all_methods_by_hand(kind, tmp_path):
    encoder = encoders.encoder(kind)
    found = {method: weights(method, tmp_path / "kept", encoder) for method in METHODS}
    content = embedded(encoder, NAMES)
    fitted = {
        method: fit_contexts(encoder, SHORT, NAMES, replace(ACPT, **changes), tmp_path / method.name).contexts
        for method, changes in (
            (CLEP_DG, {}),
            (WITHOUT_STYLE, {"style_loss": False}),
            (WITHOUT_CONTENT, {"content_loss": False}),
        )
    }
    joint = [embedded(encoder, [f"{name} in a <ctx> room" for name in NAMES], each) for each in fitted[CLEP_DG]]
    expected = {
        ZERO_SHOT: content,
        ENSEMBLE: F.normalize(torch.stack(joint).mean(dim=0), dim=-1),
        CONTEXT_FREE: train_classifier(content.repeat(3, 1), torch.arange(3).repeat(3), CLASSIFIER),
        RANDOM_CONTEXTS: trained(encoder, untrained_bank(encoder, SHORT, ACPT).contexts),
    } | {method: trained(encoder, contexts) for method, contexts in fitted.items()}
    assert set(expected) == set(found) == set(METHODS)
    for method, value in expected.items():
        torch.testing.assert_close(found[method], value, atol=1e-6, rtol=0, msg=method.name)
    ways = [found[method] for method in METHODS]
    assert all((one - other).abs().max() > 1e-5 for n, one in enumerate(ways) for other in ways[:n])


def test_contexts_are_kept_by_kind_and_not_fitted_again(tmp_path):
    encoder = encoders.encoder()
    first = {method: weights(method, tmp_path, encoder) for method in METHODS}
    kinds = {path.name for path in tmp_path.iterdir()}
    assert kinds == {"both-losses", "content-loss-only", "style-loss-only"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/contexts.safetensors")}
    assert all(torch.equal(weights(method, tmp_path, encoder), first[method]) for method in METHODS)
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/contexts.safetensors")}
    for kind, losses in (("both-losses", (True, True)), ("content-loss-only", (False, True)),
                         ("style-loss-only", (True, False))):  # fmt: skip
        used = AcousticContextBank.from_pretrained(tmp_path / kind, encoder).fitted_with["settings"]
        assert (used["style_loss"], used["content_loss"]) == losses


def test_a_bank_that_was_moved_gives_the_same_classifier(tmp_path):
    encoder = encoders.encoder()
    first = weights(CLEP_DG, tmp_path / "here", encoder)
    (tmp_path / "here").rename(tmp_path / "there")
    moved = weights(CLEP_DG, tmp_path / "there", encoders.encoder())
    torch.testing.assert_close(moved, first, atol=1e-6, rtol=0)


def test_only_where_something_is_random_do_seeds_matter(tmp_path):
    encoder = encoders.encoder()
    for method in METHODS:
        one, other = (
            class_weights(method, encoder, SHORT, NAMES, replace(ACPT, seed=seed), replace(CLASSIFIER, seed=seed),
                          tmp_path / str(seed))
            for seed in (0, 1)
        )  # fmt: skip
        assert torch.equal(one, other) is not method.is_random, method.name


def test_names_are_unique_and_clep_dg_comes_last():
    assert len({method.name for method in METHODS}) == len({method.title for method in METHODS}) == 7
    assert METHODS[-1] is CLEP_DG
