"""Whoever trains a model writes into it what it heard, and what was heard before stays written."""

import json

import pytest
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModel, ClapConfig, ClapModel

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel
from smoothclap_trainer.hub.provenance import (
    UNRECORDED,
    CorporaCallback,
    corpora_of_encoder,
    corpora_of_rows,
    corpora_of_start,
)
from tests import tiny


EMOTION_ENCODER = "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"


def of(*corpora):
    return Dataset.from_dict({"id": [str(index) for index in range(len(corpora))], "corpus": list(corpora)})


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (of("queen", "drascula", "queen"), {"queen", "drascula"}),
        (of("queen", None, ""), {"queen", UNRECORDED}),
        (Dataset.from_dict({"id": ["1"]}), {UNRECORDED}),
        ({"one": of("a"), "other": of("b")}, {"a", "b"}),
        ([{"corpus": "a"}], {UNRECORDED}),  # some other kind of data set, which nothing is asked of
        (None, set()),
    ],
)
def test_rows_name_their_corpora(rows, expected):
    assert corpora_of_rows(rows) == expected


@pytest.mark.parametrize(
    "name",
    [
        EMOTION_ENCODER,
        f"/models/{EMOTION_ENCODER.split('/')[1]}",
        f"/cache/models--{EMOTION_ENCODER.replace('/', '--')}/snapshots/0123",
    ],
)
def test_the_papers_audio_encoder_is_known_wherever_it_lies(name):
    config = tiny.audio_config()
    config._name_or_path = name
    assert corpora_of_encoder(config) == {"msp-podcast"}


def test_other_encoders_add_what_they_record_themselves():
    assert corpora_of_encoder(tiny.audio_config()) == set()
    assert corpora_of_encoder(tiny.audio_config(training_corpora=["iemocap"])) == {"iemocap"}


def test_a_new_model_starts_with_what_its_encoders_heard():
    config = tiny.config(audio_config=tiny.audio_config(training_corpora=["iemocap"]))
    config.text_config._name_or_path = EMOTION_ENCODER
    assert corpora_of_start(config) == {"iemocap", "msp-podcast"}


def test_a_checkpoint_starts_with_its_record_or_without_one(tmp_path):
    tiny.model().save_pretrained(tmp_path)
    assert corpora_of_start(AutoConfig.from_pretrained(tmp_path)) == {UNRECORDED}
    tiny.model(training_corpora=[]).save_pretrained(tmp_path)
    assert corpora_of_start(AutoConfig.from_pretrained(tmp_path)) == set()
    assert corpora_of_start(AutoConfig.from_pretrained(SMOOTHCLAP_TINY)) == {"drascula", "queen"}


def begin(model, heard):
    CorporaCallback(lambda: set(heard)).on_train_begin(None, None, None, model=model)


def test_the_record_survives_saving_loading_and_training_on(tmp_path):
    model = tiny.model()
    begin(model, ["queen", "drascula"])
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert loaded.config.training_corpora == ["drascula", "queen"]
    begin(loaded, ["iemocap"])
    begin(loaded, ["iemocap"])  # resumed
    assert loaded.config.training_corpora == ["drascula", "iemocap", "queen"]


def test_any_dual_encoder_and_adapters_carry_it(tmp_path):
    clap = ClapModel(
        ClapConfig(
            text_config={"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2},
            audio_config={"hidden_size": 8, "depths": [1], "num_attention_heads": [2], "patch_embeds_hidden_size": 4},
        )
    )
    begin(clap, ["crema-d"])
    clap.config.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).training_corpora == ["crema-d"]

    adapted = get_peft_model(tiny.model(), LoraConfig(target_modules=["q_proj"]))
    begin(adapted, ["crema-d"])
    assert adapted.get_base_model().config.training_corpora == ["crema-d"]


def test_configurations_of_before_the_record_load(tmp_path):
    tiny.model().save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved.pop("training_corpora") is None
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert SmoothCLAPModel.from_pretrained(tmp_path).config.training_corpora is None
