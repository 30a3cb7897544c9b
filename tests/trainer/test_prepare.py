import sys

import pytest
from datasets import Dataset, DatasetDict

from smoothclap_trainer.data import acoustic_effects
from smoothclap_trainer.prepare import _joined, load_clips, make_model
from smoothclap_trainer.settings import DataSettings, LoraSettings, ModelSettings


def test_manifests_are_joined_by_split_and_may_have_other_columns():
    first = DatasetDict(train=Dataset.from_dict({"id": ["a"], "label": ["sad"]}))
    second = DatasetDict(train=Dataset.from_dict({"id": ["b"]}), test=Dataset.from_dict({"id": ["c"]}))
    joined = _joined([first, second])
    assert joined["train"].to_dict() == {"id": ["a", "b"], "label": ["sad", None]}
    assert joined["test"]["id"] == ["c"]
    with pytest.raises(ValueError, match="'a'"):
        _joined([first, first])


def test_what_is_no_checkpoint_of_a_dual_encoder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="cannot be loaded"):
        make_model(ModelSettings(model=str(tmp_path)), LoraSettings(), None)


def test_what_acoustic_conditions_need_is_missed_before_anything_is_loaded(tmp_path, monkeypatch):
    """The manifest, which is not there, is not even looked for."""
    acoustic_effects._impulse_response.cache_clear()
    monkeypatch.setitem(sys.modules, "pyroomacoustics", None)
    settings = DataSettings(dataset=["none.csv"], acoustic_conditions=["clean", "room-small"])
    with pytest.raises(ImportError, match=r"pip install 'smoothclap\[acoustics\]'"):
        load_clips(settings, None, tmp_path / "work")
    assert not (tmp_path / "work").exists()
