"""What is written down of a run."""

from datasets import Dataset, concatenate_datasets
from huggingface_hub import constants

from smoothclap_trainer.hub.provenance import describe_data, describe_origin
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
            "text_encoder": {"name": str(tmp_path), "hub": False, "revision": None},
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


def test_a_model_that_was_made_here_has_no_origin():
    assert describe_origin(tiny.config(), []) == {"datasets": []}
