"""The temperature is chosen on validation clips, by the mean UAR; everything repeats."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import soundfile

from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from tests import tiny
from tests.trainer.clep_dg.encoders import SHORT


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import choose_content_temperature


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    rows = []
    for number, clip in enumerate(tiny.clips(*[0.2] * 9)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, clip, 16000)
        split = "test" if number == 8 else "validation"
        rows.append({"path": path.name, "emotion": ["sad", "happy"][number % 2], "split": split, "speaker": number})
    pd.DataFrame(rows).to_csv(tmp_path / "clips.csv", index=False)
    (tmp_path / "8.wav").write_bytes(b"")  # a test clip, which nothing may read
    corpus = {"name": "mine", "manifest": str(tmp_path / "clips.csv"), "language": "en", "licence": "mine"}
    return ExperimentSettings(
        encoder=str(tiny.checkpoint(tmp_path / "encoder")), corpora=[corpus], output="unused", templates=SHORT,
        acpt={"num_contexts": 2, "steps": 2}, classifier={"epochs": 1}, seeds=[0, 1], conditions=["clean", "noise-0db"],
    )  # fmt: skip


def test_validation_clips_choose(settings, tmp_path):
    changed = choose_content_temperature.on_validation(settings)
    assert [corpus.split for corpus in changed.corpora] == ["validation"]
    one, again = (pd.DataFrame(choose_content_temperature.swept(changed, tmp_path / name)) for name in ("a", "b"))
    assert one.equals(again) and len(one) == 5 * 2 * 2
    assert list(dict.fromkeys(one["temperature"])) == ["none", "logit_scale", 0.2, 0.07, 0.02]
    table = choose_content_temperature.summary(one)
    assert list(table.columns) == ["clean", "noise-0db", "mean", "classes kept"]
    own = one[one["temperature"] == 0.2]
    assert table.loc[0.2, "mean"] == pytest.approx(own["uar"].mean())
    assert table.loc[0.2, "clean"] == pytest.approx(own[own["condition"] == "clean"]["uar"].mean())


def test_corpora_without_a_validation_split_are_refused(settings):
    known = settings.changed(corpora=[{"name": "tess", "data_root": "tess"}])
    with pytest.raises(ValueError, match="'tess'"):
        choose_content_temperature.on_validation(known)
    with pytest.raises(ValueError, match="mine"):
        choose_content_temperature.on_validation(settings.changed(encoder={"mine": "a"}))
