"""Embeddings of texts, what is measured on them, and each method's vectors: by hand."""

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
    WRITTEN_CONTEXTS,
    ZERO_SHOT,
    Contexts,
    as_training_set,
    content_features,
    joint_features,
    prompt_similarity,
    text_stages,
    texts_right,
)
from smoothclap_trainer.clep_dg.prompts import written_contexts
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


def in_contexts(encoder, contexts):
    """Embeddings of all classes in each context, (K, N, width)."""
    return torch.stack([embedded(encoder, [f"{name} in a <ctx> room" for name in NAMES], each) for each in contexts])


# Embeddings and measures


@pytest.mark.parametrize("kind", ["bert", "roberta", "clap"])
def test_joint_features_are_every_class_in_every_context(kind):
    encoder = encoders.encoder(kind)
    bank = untrained_bank(encoder, SHORT, ACPT)
    encoder.model.train()
    joint = joint_features(encoder, bank, NAMES)
    assert joint.shape == (3, 3, 16) and not joint.requires_grad and encoder.model.training
    encoder.model.eval()
    torch.testing.assert_close(joint, in_contexts(encoder, bank.contexts), atol=1e-6, rtol=0)


def test_content_features_are_the_classes_alone():
    encoder = encoders.encoder()
    expected = embedded(encoder, NAMES)
    encoder.model.train()
    assert torch.equal(content_features(encoder, SHORT, NAMES), expected)
    assert encoder.model.training


def test_a_training_set_pairs_each_feature_with_its_class():
    joint = torch.arange(3.0).expand(2, 3).unsqueeze(-1) + torch.tensor([0.0, 10.0])[:, None, None]
    features, labels = as_training_set(joint)
    assert features[:, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_contexts_of_another_encoder_are_refused():
    bank = untrained_bank(encoders.encoder(), SHORT, ACPT)
    with pytest.raises(ValueError, match="text tower"):
        joint_features(encoders.encoder("roberta"), bank, NAMES)


def test_similarity_is_the_mean_over_pairs_of_any_length_and_sign():
    features = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])  # 0, 1/sqrt(2), 1/sqrt(2)
    assert prompt_similarity(features) == pytest.approx(2**0.5 / 3)
    assert prompt_similarity(torch.ones(2, 5)) == pytest.approx(1)
    assert prompt_similarity(torch.ones(1, 5)) is None


def test_texts_are_right_where_the_vector_of_their_own_class_is_nearest():
    content = torch.eye(3)
    swapped = content[[1, 0, 2]]  # the third alone is where it was
    assert texts_right(torch.stack([content, 5 * content]), 9 * content) == 1
    assert texts_right(torch.stack([content, swapped]), content) == pytest.approx(4 / 6)


# Methods


@pytest.mark.parametrize("kind", ["bert", "clap"])
def test_all_methods_by_hand(kind, tmp_path):
    encoder = encoders.encoder(kind)
    found = stages(tmp_path / "kept", encoder).weights
    content = embedded(encoder, NAMES)
    contexts = {
        method: fit_contexts(encoder, SHORT, NAMES, ACPT.changed(**changes), tmp_path / method.name).contexts
        for method, changes in (
            (CLEP_DG, {}),
            (WITHOUT_STYLE, {"style_loss": False}),
            (WITHOUT_CONTENT, {"content_loss": False}),
        )
    } | {RANDOM_CONTEXTS: untrained_bank(encoder, SHORT, ACPT).contexts}
    ids = torch.arange(3).repeat(3)
    expected = {
        ZERO_SHOT: content,
        ENSEMBLE: F.normalize(in_contexts(encoder, contexts[CLEP_DG]).mean(dim=0), dim=-1),
        CONTEXT_FREE: train_classifier(content.repeat(3, 1), ids, CLASSIFIER),
    }
    written = torch.stack(
        [
            embedded(encoder, [context.replace("{content}", name) for name in NAMES])
            for context in written_contexts("en")
        ]
    )
    ids_of_written = torch.arange(3).repeat(40)
    expected[WRITTEN_CONTEXTS] = train_classifier(written.flatten(0, 1), ids_of_written, CLASSIFIER)
    for method, vectors in contexts.items():
        expected[method] = train_classifier(in_contexts(encoder, vectors).flatten(0, 1), ids, CLASSIFIER)
    assert list(found) == [method.name for method in METHODS] and set(expected) == set(METHODS)
    for method, value in expected.items():
        torch.testing.assert_close(found[method.name], value, atol=1e-6, rtol=0, msg=method.name)
    ways = list(found.values())
    assert all((one - other).abs().max() > 1e-5 for n, one in enumerate(ways) for other in ways[:n])


def test_contexts_are_kept_by_kind_and_not_fitted_again_even_if_moved(tmp_path, monkeypatch):
    encoder = encoders.encoder()
    first = stages(tmp_path / "here", encoder)
    (tmp_path / "here").rename(tmp_path / "there")
    monkeypatch.setattr("smoothclap_trainer.clep_dg.acpt._fit_group", None)
    again = stages(tmp_path / "there", encoders.encoder())
    assert all(torch.equal(again.weights[method.name], first.weights[method.name]) for method in METHODS)
    assert again.measures == first.measures
    kinds = {"both-losses": (True, True), "content-loss-only": (False, True), "style-loss-only": (True, False)}
    assert {path.name for path in (tmp_path / "there").iterdir()} == set(kinds)
    for kind, losses in kinds.items():
        used = AcousticContextBank.from_pretrained(tmp_path / "there" / kind, encoder).fitted_with["settings"]
        assert (used["style_loss"], used["content_loss"]) == losses


def test_what_is_measured_without_audio(tmp_path):
    encoder = encoders.encoder()
    found = stages(tmp_path, encoder)
    content = embedded(encoder, NAMES)
    assert list(found.measures) == [method.name for method in METHODS]
    for method in METHODS:
        measured = found.measures[method.name]
        texts = found.joint[method.contexts].flatten(0, 1)
        ids = torch.arange(3).repeat(len(texts) // 3)
        right = (texts @ found.weights[method.name].T).argmax(dim=1) == ids
        assert measured.texts_right == pytest.approx(right.float().mean())
        if method.contexts == Contexts.NONE:
            assert measured.similarity is measured.emotions_kept is measured.contexts_sha256 is None
            continue
        if method.contexts == Contexts.WRITTEN:
            assert measured.similarity is measured.contexts_sha256 is None and len(texts) == 3 * 40
            kept = (texts @ content.T).argmax(dim=1) == ids
            assert measured.emotions_kept == pytest.approx(kept.float().mean())
            continue
        file = tmp_path / method.contexts / "contexts.safetensors"
        if method.contexts == Contexts.UNTRAINED:
            bank = untrained_bank(encoder, SHORT, ACPT)
            assert measured.contexts_sha256 is None
        else:
            bank = AcousticContextBank.from_pretrained(file.parent, encoder)
            assert measured.contexts_sha256 == file_sha256(file)
        one, two, three = (embedded(encoder, ["a <ctx> room"], context)[0] for context in bank.contexts)
        cosines = [abs(float(a @ b)) for a, b in ((one, two), (one, three), (two, three))]
        assert measured.similarity == pytest.approx(sum(cosines) / 3, abs=1e-5)
        kept = (in_contexts(encoder, bank.contexts).flatten(0, 1) @ content.T).argmax(dim=1) == ids
        assert measured.emotions_kept == pytest.approx(kept.float().mean())


def test_the_language_of_hand_written_contexts_is_chosen(tmp_path):
    encoder = encoders.encoder()
    found = text_stages(encoder, SHORT, NAMES, ACPT, CLASSIFIER, tmp_path, "de").joint[Contexts.WRITTEN]
    prompts = [f"{name}, aufgenommen am Telefon auf einer lauten Straße" for name in NAMES]
    torch.testing.assert_close(found[1], embedded(encoder, prompts), atol=1e-6, rtol=0)


def test_only_where_something_is_random_do_seeds_matter(tmp_path):
    encoder = encoders.encoder()
    one, other = (stages(tmp_path / str(seed), encoder, seed).weights for seed in (0, 1))
    for method in METHODS:
        assert torch.equal(one[method.name], other[method.name]) is not method.is_random, method.name
