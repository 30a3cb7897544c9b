"""What a run records of its data and its start, and that the corpora stay recorded in every model made from it."""

import json

import pytest
from datasets import Dataset, concatenate_datasets
from huggingface_hub import constants
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModel, ClapConfig, ClapModel, TrainerState

from modeling_smoothclap import SMOOTHCLAP_TINY, SmoothCLAPModel
from smoothclap_trainer.hub.provenance import (
    UNRECORDED,
    ProvenanceCallback,
    corpora_of_encoder,
    corpora_of_rows,
    corpora_of_start,
    describe_data,
    describe_origin,
)
from tests import tiny
from tests.hub.here import hub_here


def test_data_are_described_by_split_and_corpus():
    rows = Dataset.from_dict(
        {
            "corpus": ["queen", "queen", None],
            "speaker": ["a", "a", "b"],
            "duration": [30.0, 60.0, 6.0],
            "language": ["en", "de", "en"],
            "licence": ["free", "free", None],
        }
    )
    assert describe_data({"train": rows, "validation": [1, 2], "test": Dataset.from_dict({"id": ["1", "2"]})}) == {
        "train": {
            "queen": {"clips": 2, "minutes": 1.5, "speakers": 1, "language": ["de", "en"], "licence": "free"},
            "unnamed": {"clips": 1, "minutes": 0.1, "speakers": 1, "language": "en"},
        },
        "test": {"unnamed": {"clips": 2}},
    }


def test_of_a_corpus_that_says_nothing_nothing_is_counted():
    said = Dataset.from_dict({"corpus": ["a", "a"], "speaker": ["x", None], "duration": [60.0, None]})
    rows = concatenate_datasets([said, Dataset.from_dict({"corpus": ["b"]})])
    assert describe_data({"train": rows}) == {"train": {"a": {"clips": 2, "speakers": 1}, "b": {"clips": 1}}}


def test_the_origin_of_a_new_model_is_its_encoders(tmp_path, monkeypatch):
    commit = "0123456789abcdef0123456789abcdef01234567"
    downloaded = tmp_path / "models--someone--speech"
    (downloaded / "refs").mkdir(parents=True)
    (downloaded / "refs" / "main").write_text(commit)
    (downloaded / "snapshots" / commit).mkdir(parents=True)
    (downloaded / "snapshots" / commit / "config.json").write_text("{}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    config = tiny.config()
    config.audio_config._name_or_path = "someone/speech"
    config.text_config._name_or_path = str(tmp_path)
    with hub_here(monkeypatch) as server:
        assert describe_origin(config, ["someone/emotions"]) == {
            "audio_encoder": {"name": "someone/speech", "hub": True, "revision": commit},
            "text_encoder": {"name": tmp_path.name, "hub": False, "revision": None},
            "datasets": ["someone/emotions"],
        }
        assert server.requests == []  # what the Hub has by now may be newer


def test_the_origin_of_one_that_went_on_is_a_checkpoint():
    config = tiny.config()
    config._name_or_path = "user/model"
    config.audio_config._name_or_path = "someone/speech"
    assert describe_origin(config, []) == {
        "model": {"name": "user/model", "hub": True, "revision": None},
        "datasets": [],
    }


def test_a_folder_that_has_gone_has_no_revision():
    config = tiny.config()
    config._name_or_path = "/gone/since/then"
    assert describe_origin(config, [])["model"]["revision"] is None


# Corpora that a model was trained on

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


def test_a_new_model_starts_with_what_its_encoders_were_trained_on():
    config = tiny.config(audio_config=tiny.audio_config(training_corpora=["iemocap"]))
    config.text_config._name_or_path = EMOTION_ENCODER
    assert corpora_of_start(config) == {"iemocap", "msp-podcast"}


def test_a_checkpoint_starts_with_its_record_or_without_one(tmp_path):
    tiny.model().save_pretrained(tmp_path)
    assert corpora_of_start(AutoConfig.from_pretrained(tmp_path)) == {UNRECORDED}
    tiny.model(training_corpora=[]).save_pretrained(tmp_path)
    assert corpora_of_start(AutoConfig.from_pretrained(tmp_path)) == set()
    assert corpora_of_start(AutoConfig.from_pretrained(SMOOTHCLAP_TINY)) == {
        "drascula",
        "expressive-synthetic-en",
        "queen",
    }


def begin(model, corpora):
    ProvenanceCallback(lambda: set(corpora)).on_train_begin(None, TrainerState(), None, model=model)


def test_clips_without_a_corpus_are_reported_when_training_begins(logs):
    begin(tiny.model(), ["queen"])
    assert logs.text == ""
    begin(tiny.model(), [UNRECORDED, "queen"])
    assert "`corpus`" in logs.text


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
