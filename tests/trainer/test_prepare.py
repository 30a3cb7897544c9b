import sys

import pandas as pd
import pytest
from datasets import Dataset, DatasetDict

from smoothclap_trainer.config import DataSettings, ModelSettings
from smoothclap_trainer.data import acoustic_effects
from smoothclap_trainer.data.functionals import PITCH_COLUMN
from smoothclap_trainer.lora import LoraSettings
from smoothclap_trainer.prepare import _joined, _without_gaps, load_clips, make_model


def rows(problems, pitches):
    ids = [f"clip-{index}" for index in range(len(problems))]
    return Dataset.from_dict({"id": ids, "problem": problems, PITCH_COLUMN: pitches})


def test_clips_without_functionals_follow_the_policy(tmp_path, logs):
    some = rows([None, "silent", None], [20.0, None, 0.0])
    report = tmp_path / "report.csv"
    for policy in ("raise", "trust"):
        with pytest.raises(ValueError, match=r"2 of 3 clips.*clip-1: silent; clip-2: no voiced sound.*'skip'"):
            _without_gaps(some, policy, report)
    assert not report.exists()
    assert _without_gaps(some, "skip", report)["id"] == ["clip-0"]
    assert pd.read_csv(report)["problem"].tolist() == ["silent", "no voiced sound"]
    assert "Leaving out 2 of 3 clips" in logs.text


def test_nothing_left_is_an_error_and_nothing_wrong_is_none(tmp_path):
    with pytest.raises(ValueError, match="None of 1 clips"):
        _without_gaps(rows(["silent"], [1.0]), "skip", tmp_path / "report.csv")
    good = rows([None, None], [20.0, 30.0])
    assert _without_gaps(good, "raise", tmp_path / "report.csv") is good


def test_manifests_are_joined_by_split_and_may_have_other_columns():
    first = DatasetDict(train=Dataset.from_dict({"id": ["a"], "label": ["sad"]}))
    second = DatasetDict(train=Dataset.from_dict({"id": ["b"]}), test=Dataset.from_dict({"id": ["c"]}))
    joined = _joined([first, second])
    assert joined["train"].to_dict() == {"id": ["a", "b"], "label": ["sad", None]}
    assert joined["test"]["id"] == ["c"]
    with pytest.raises(ValueError, match="The id 'a' comes in two"):
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
