"""Texts pooled by the first token or by the mean: against the formula, alone and padded, and as encoders say it."""

import json

import pytest
import torch
from transformers import AutoModel

from modeling_smoothclap import SmoothCLAPConfig, SmoothCLAPModel
from smoothclap_trainer.clep_dg.prompts import PromptEncoder
from smoothclap_trainer.losses.targets import tag_features
from smoothclap_trainer.settings import ModelSettings
from smoothclap_trainer.train import make_model
from tests import tiny
from tests.hub.here import hub_here
from tests.hub.repositories import Repository, StoredFile


TEXTS = ["a low voice", "a", "eine leise, traurige Stimme"]


def mean_by_hand(model, texts):
    """The mean of each text's own tokens, one text at a time."""
    rows = [model.text_model(**tiny.tokenizer()(text, return_tensors="pt")).last_hidden_state[0] for text in texts]
    return torch.stack([row.sum(dim=0) / len(row) for row in rows])


def tokens(texts=TEXTS):
    return dict(tiny.tokenizer()(texts, padding=True, return_token_type_ids=False, return_tensors="pt"))


@torch.no_grad()
@pytest.mark.parametrize("text", tiny.TEXT_FAMILIES)
def test_a_padded_text_has_the_mean_of_its_own_tokens(text):
    model = tiny.model(text=text, text_pooling="mean")
    expected = torch.nn.functional.normalize(model.text_projection(mean_by_hand(model, TEXTS)), dim=-1)
    torch.testing.assert_close(model.get_text_features(**tokens()).pooler_output, expected, atol=1e-5, rtol=0)
    of_first_tokens = tiny.model(text=text).get_text_features(**tokens()).pooler_output
    assert (of_first_tokens - expected).abs().max() > 1e-2


@torch.no_grad()
def test_tags_and_prompts_are_pooled_in_the_same_way():
    model = tiny.model(text_pooling="mean")
    padded = tokens()
    tags = tag_features(model, padded["input_ids"], padded["attention_mask"])
    torch.testing.assert_close(tags, mean_by_hand(model, TEXTS), atol=1e-5, rtol=0)
    prompts = PromptEncoder(model, tiny.tokenizer())
    found = prompts.embed(prompts.tokenize(TEXTS))
    torch.testing.assert_close(found, model.get_text_features(**padded).pooler_output, atol=1e-5, rtol=0)


def test_contexts_of_a_model_fit_no_other_pooling():
    fingerprints = [
        PromptEncoder(tiny.model(text_pooling=pooling), tiny.tokenizer()).fingerprints for pooling in ("cls", "mean")
    ]
    assert fingerprints[0]["encoder"] != fingerprints[1]["encoder"]


def test_it_is_saved_and_loaded_and_another_word_is_refused(tmp_path):
    tiny.model(text_pooling="mean").save_pretrained(tmp_path)
    assert AutoModel.from_pretrained(tmp_path).config.text_pooling == "mean"
    content = json.loads((tmp_path / "config.json").read_text())
    del content["text_pooling"]  # as before there was a choice
    assert SmoothCLAPConfig(**content).text_pooling == "cls"
    for wrong in ("max", None, 1):
        with pytest.raises(ValueError, match="text_pooling"):
            SmoothCLAPConfig(text_pooling=wrong)


# What encoders say of themselves


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """Folders of an audio encoder and of a text encoder that says nothing."""
    folders = tmp_path_factory.mktemp("audio"), tmp_path_factory.mktemp("text")
    for folder, config in zip(folders, (tiny.audio_config(), tiny.text_config()), strict=True):
        AutoModel.from_config(config).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folders[1])
    return folders


def pooled(encoders, said, **config):
    """The pooling of a model made of encoders of which the text encoder says something."""
    file = encoders[1] / "1_Pooling" / "config.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(said if isinstance(said, str) else json.dumps(said))
    return SmoothCLAPModel.from_audio_text_pretrained(*map(str, encoders), **config).config.text_pooling


LEGACY = {"word_embedding_dimension": 24, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False}
LEGACY |= {"pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False, "include_prompt": True}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (LEGACY | {"pooling_mode_mean_tokens": True}, "mean"),
        (LEGACY | {"pooling_mode_cls_token": True}, "cls"),
        ({"embedding_dimension": 24, "pooling_mode": "mean"}, "mean"),
        ({"embedding_dimension": 24, "pooling_mode": ["cls"]}, "cls"),
    ],
)
def test_an_encoders_own_file_decides_and_an_explicit_setting_wins(said, expected, encoders, logs):
    assert pooled(encoders, said) == expected
    assert any(repr(expected) in record.message and str(encoders[1]) in record.message for record in logs.records)
    other = {"mean": "cls", "cls": "mean"}[expected]
    assert pooled(encoders, said, text_pooling=other) == other


def test_training_asks_the_encoder_too_unless_it_is_told(encoders):
    pooled(encoders, {"pooling_mode": "mean"})
    settings = dict(zip(("audio_encoder", "text_encoder"), map(str, encoders), strict=True))
    for asked, expected in ((None, "mean"), ("cls", "cls")):
        model, _ = make_model(ModelSettings(**settings, text_pooling=asked))
        assert model.config.text_pooling == expected


@pytest.mark.parametrize(
    "said",
    [
        *("{", "[]"),
        LEGACY | {"pooling_mode_mean_sqrt_len_tokens": True},
        LEGACY | {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
        {"pooling_mode": "lasttoken"},
    ],
)
def test_a_pooling_that_cannot_be_done_or_read_is_refused(said, encoders):
    with pytest.raises(ValueError, match="text_pooling"):
        pooled(encoders, said)
    assert pooled(encoders, said, text_pooling="mean") == "mean"


def test_an_encoder_on_the_hub_is_asked_and_one_that_cannot_be_is_warned_of(encoders, monkeypatch, logs, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    files = {path.name: StoredFile(path.read_bytes()) for path in encoders[1].iterdir() if path.is_file()}
    said = StoredFile(json.dumps(LEGACY | {"pooling_mode_mean_tokens": True}).encode())
    with hub_here(monkeypatch) as server:
        for name, more in {"ann/sentences": {"1_Pooling/config.json": said}, "ann/words": {}}.items():
            server.repositories[name] = Repository("ann", private=False)
            server.repositories[name].commit("main", files | more, "an encoder")
            model = SmoothCLAPModel.from_audio_text_pretrained(str(encoders[0]), name)
            assert model.config.text_pooling == ("mean" if more else "cls")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("ann/sentences", "ann/words"):  # the answer is kept
        model = SmoothCLAPModel.from_audio_text_pretrained(str(encoders[0]), name)
        assert model.config.text_pooling == ("mean" if name == "ann/sentences" else "cls")
    for path in tmp_path.glob("**/.no_exist/**/1_Pooling/config.json"):
        path.unlink()
    logs.clear()
    assert SmoothCLAPModel.from_audio_text_pretrained(str(encoders[0]), "ann/words").config.text_pooling == "cls"
    assert any("'ann/words'" in record.message and "not known" in record.message for record in logs.records)
