"""Each method's vectors, and what is said of the contexts, against what they are said to be."""

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
    text_stages,
)
from smoothclap_trainer.files import file_sha256
from tests.trainer.clep_dg import encoders
from tests.trainer.clep_dg.encoders import NAMES, SHORT


ACPT = ACPTSettings(num_contexts=3, steps=3, learning_rate=0.5)
CLASSIFIER = ClassifierSettings(epochs=4, batch_size=4)


def stages(folder, encoder, seed=0):
    acpt, classifier = ACPT.changed(seed=seed), CLASSIFIER.changed(seed=seed)
    return text_stages(encoder, SHORT, NAMES, acpt, classifier, folder)


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
    found = stages(tmp_path / "kept", encoder).weights
    content = embedded(encoder, NAMES)
    fitted = {
        method: fit_contexts(encoder, SHORT, NAMES, ACPT.changed(**changes), tmp_path / method.name).contexts
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
    assert list(found) == [method.name for method in METHODS] and set(expected) == set(METHODS)
    for method, value in expected.items():
        torch.testing.assert_close(found[method.name], value, atol=1e-6, rtol=0, msg=method.name)
    ways = list(found.values())
    assert all((one - other).abs().max() > 1e-5 for n, one in enumerate(ways) for other in ways[:n])


def test_contexts_are_kept_by_kind_and_not_fitted_again(tmp_path):
    encoder = encoders.encoder()
    first = stages(tmp_path, encoder)
    kinds = {path.name for path in tmp_path.iterdir()}
    assert kinds == {"both-losses", "content-loss-only", "style-loss-only"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/contexts.safetensors")}
    again = stages(tmp_path, encoder)
    assert all(torch.equal(again.weights[method.name], first.weights[method.name]) for method in METHODS)
    assert again.measures == first.measures
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/contexts.safetensors")}
    for kind, losses in (("both-losses", (True, True)), ("content-loss-only", (False, True)),
                         ("style-loss-only", (True, False))):  # fmt: skip
        used = AcousticContextBank.from_pretrained(tmp_path / kind, encoder).fitted_with["settings"]
        assert (used["style_loss"], used["content_loss"]) == losses


def test_a_bank_that_was_moved_gives_the_same_classifier(tmp_path):
    encoder = encoders.encoder()
    first = stages(tmp_path / "here", encoder).weights[CLEP_DG.name]
    (tmp_path / "here").rename(tmp_path / "there")
    moved = stages(tmp_path / "there", encoders.encoder()).weights[CLEP_DG.name]
    torch.testing.assert_close(moved, first, atol=1e-6, rtol=0)


def test_what_is_measured_without_audio(tmp_path):
    encoder = encoders.encoder()
    found = stages(tmp_path, encoder)
    content = embedded(encoder, NAMES)
    assert list(found.measures) == [method.name for method in METHODS]
    for method in METHODS:
        measured = found.measures[method.name]
        texts, ids = found.joint[method.contexts].flatten(0, 1), torch.arange(3).repeat(3)
        right = (texts @ found.weights[method.name].T).argmax(dim=1) == ids
        assert measured["texts_right"] == pytest.approx(right.float().mean())
        if method.contexts == "none":
            assert {measured[name] for name in ("similarity", "emotions_kept", "contexts_sha256")} == {None}
            continue
        file = tmp_path / method.contexts / "contexts.safetensors"
        assert measured["contexts_sha256"] == (file_sha256(file) if file.is_file() else None)
        bank = (
            AcousticContextBank.from_pretrained(file.parent, encoder)
            if file.is_file()
            else untrained_bank(encoder, SHORT, ACPT)
        )
        one, two, three = (embedded(encoder, ["a <ctx> room"], context)[0] for context in bank.contexts)
        cosines = [abs(float(a @ b)) for a, b in ((one, two), (one, three), (two, three))]
        assert measured["similarity"] == pytest.approx(sum(cosines) / 3, abs=1e-5)
        joint = torch.cat([embedded(encoder, [f"{name} in a <ctx> room" for name in NAMES], context)
                           for context in bank.contexts])  # fmt: skip
        kept = (joint @ content.T).argmax(dim=1) == ids
        assert measured["emotions_kept"] == pytest.approx(kept.float().mean())


def test_only_where_something_is_random_do_seeds_matter(tmp_path):
    encoder = encoders.encoder()
    one, other = (stages(tmp_path / str(seed), encoder, seed).weights for seed in (0, 1))
    for method in METHODS:
        assert torch.equal(one[method.name], other[method.name]) is not method.is_random, method.name
