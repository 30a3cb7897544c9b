"""The configuration: the paper's values by default, and nothing lost on the way to disk and back."""

import json
import math

import pytest
from transformers import AutoConfig, BertConfig, Wav2Vec2Config

from modeling_smoothclap import SmoothCLAPConfig
from tests import tiny


def test_defaults_are_the_papers_architecture():
    config = SmoothCLAPConfig()
    audio = config.audio_config
    # wav2vec2-large-robust-12-ft-emotion-msp-dim: the large architecture, pruned to 12 layers
    assert audio.model_type == "wav2vec2"
    assert (audio.num_hidden_layers, audio.hidden_size) == (12, 1024)
    assert (audio.num_attention_heads, audio.intermediate_size) == (16, 4096)
    assert (audio.feat_extract_norm, audio.conv_bias, audio.do_stable_layer_norm) == ("layer", True, True)
    assert list(audio.conv_kernel) == [10, 3, 3, 3, 3, 2, 2]
    assert list(audio.conv_stride) == [5, 2, 2, 2, 2, 2, 2]
    # bert-base-uncased
    text = config.text_config
    assert text.model_type == "bert"
    assert (text.num_hidden_layers, text.hidden_size, text.num_attention_heads) == (12, 768, 12)
    assert (text.intermediate_size, text.vocab_size, text.max_position_embeddings) == (3072, 30522, 512)
    # the heads and the scale
    assert config.projection_dim == 768
    assert config.projection_dropout == 0.5
    assert math.exp(config.logit_scale_init_value) == pytest.approx(1 / 0.07)


def test_the_default_audio_tower_has_no_training_noise():
    audio = SmoothCLAPConfig().audio_config
    assert audio.layerdrop == 0.0
    assert audio.apply_spec_augment is False


def test_default_sub_configs_are_not_shared_between_configs():
    first, second = SmoothCLAPConfig(), SmoothCLAPConfig()
    first.audio_config.hidden_size = 8
    assert second.audio_config.hidden_size == 1024


def test_sub_configs_may_be_objects():
    audio, text = tiny.audio_config("hubert"), tiny.text_config("mpnet")
    config = SmoothCLAPConfig(audio_config=audio, text_config=text)
    assert config.audio_config is audio
    assert config.text_config is text


@pytest.mark.parametrize("audio", tiny.AUDIO_FAMILIES)
def test_sub_configs_may_be_dicts(audio):
    given = tiny.audio_config(audio).to_dict()
    config = SmoothCLAPConfig(audio_config=given, text_config={"model_type": "distilbert", "dim": 24})
    assert type(config.audio_config) is type(tiny.audio_config(audio))
    assert config.audio_config.hidden_size == 32
    assert config.text_config.dim == 24
    assert given["model_type"] == audio, "the caller's dict was changed"


@pytest.mark.parametrize(("name", "family"), [("audio_config", "wav2vec2"), ("text_config", "bert")])
def test_a_dict_without_model_type_is_refused(name, family):
    with pytest.raises(ValueError, match=f"`{name}` is a dict without `model_type`.*{family}"):
        SmoothCLAPConfig(**{name: {"hidden_size": 32}})


def test_an_unknown_model_type_is_refused():
    with pytest.raises(ValueError, match="no-such-family"):
        SmoothCLAPConfig(audio_config={"model_type": "no-such-family"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("projection_dim", value) for value in ("wide", 0, -1, 1.5, True, None, 2**70)),
        *(("projection_dropout", value) for value in (-0.1, 1.1, math.nan, "half")),
        *(("logit_scale_init_value", value) for value in (math.nan, math.inf, 100, None)),
        *(("training_corpora", value) for value in ("msp-podcast", [1])),
        *(("num_labels", value) for value in (0, -1, 2**70, "two")),
        ("problem_type", "clustering"),
        ("id2label", 5),
        ("audio_config", 5),
        ("audio_config", {"model_type": "wav2vec2", "hidden_size": "wide"}),
        ("audio_config", {"model_type": "wav2vec2", "num_labels": 2**70}),
        ("text_config", {"model_type": ["bert"]}),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_its_name(name, value):
    with pytest.raises(ValueError, match=name if name != "id2label" else "id2label|items"):
        SmoothCLAPConfig(**{name: value})


def test_a_value_that_makes_no_sense_is_refused_later_too():
    config = tiny.config()
    with pytest.raises(ValueError, match="`projection_dim` is 0"):
        config.projection_dim = 0


@pytest.mark.parametrize("audio", tiny.AUDIO_FAMILIES)
@pytest.mark.parametrize("text", tiny.TEXT_FAMILIES)
def test_round_trip_through_a_directory(tmp_path, audio, text):
    config = tiny.config(audio, text, projection_dropout=0.25, logit_scale_init_value=1.5)
    config.save_pretrained(tmp_path)
    loaded = SmoothCLAPConfig.from_pretrained(tmp_path)
    assert loaded.to_dict() == config.to_dict()
    assert (loaded.audio_config.model_type, loaded.text_config.model_type) == (audio, text)
    assert (loaded.projection_dim, loaded.projection_dropout, loaded.logit_scale_init_value) == (16, 0.25, 1.5)


def test_json_file_names_both_families(tmp_path):
    tiny.config("whisper", "mpnet").to_json_file(tmp_path / "config.json")
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["model_type"] == "smoothclap"
    assert saved["audio_config"]["model_type"] == "whisper"
    assert saved["text_config"]["model_type"] == "mpnet"
    assert SmoothCLAPConfig.from_json_file(tmp_path / "config.json").projection_dim == 16


def test_auto_config_knows_the_model_type(tmp_path):
    tiny.config().save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is SmoothCLAPConfig
    assert type(AutoConfig.for_model("smoothclap")) is SmoothCLAPConfig


def test_a_whole_config_can_be_built_from_its_dict():
    config = SmoothCLAPConfig(audio_config=Wav2Vec2Config(hidden_size=48), text_config=BertConfig(hidden_size=36))
    rebuilt = SmoothCLAPConfig(**config.to_dict())
    assert rebuilt.audio_config.hidden_size == 48
    assert rebuilt.text_config.hidden_size == 36


def test_the_record_of_corpora_is_a_list_of_names_and_goes_along(tmp_path):
    assert SmoothCLAPConfig().training_corpora is None
    tiny.config(training_corpora=["msp-podcast"]).save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).training_corpora == ["msp-podcast"]


def test_a_saved_configuration_names_no_folder_of_this_machine(tmp_path):
    tiny.audio_config().save_pretrained(tmp_path / "speech")
    config = tiny.config(audio_config=AutoConfig.from_pretrained(tmp_path / "speech"))
    config.text_config._name_or_path = "user/text"
    config.save_pretrained(tmp_path / "model")
    saved = (tmp_path / "model" / "config.json").read_text()
    assert str(tmp_path) not in saved and '"speech"' in saved and '"user/text"' in saved
    assert config.audio_config._name_or_path == str(tmp_path / "speech")
