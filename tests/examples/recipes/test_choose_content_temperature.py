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


def test_corpora_without_validation_clips_are_skipped_and_named(settings, tmp_path, capsys):
    mine = settings.corpora[0]
    unsplit = tmp_path / "unsplit.csv"
    pd.read_csv(mine.manifest).drop(columns="split").to_csv(unsplit, index=False)
    empty = [mine.changed(name="nowhere", where={"speaker": "8"}), mine.changed(name="unsplit", manifest=str(unsplit))]
    kept = choose_content_temperature.on_validation(settings.changed(corpora=[empty[0], mine, empty[1]]))
    said = capsys.readouterr().out
    assert [corpus.name for corpus in kept.corpora] == ["mine"]
    assert "nowhere" in said and "unsplit" in said and "mine" not in said
    with pytest.raises(ValueError, match="validation"):
        choose_content_temperature.on_validation(settings.changed(corpora=empty))
    with pytest.raises(ValueError, match="feeling"):  # a mistake, not a lack of clips
        choose_content_temperature.on_validation(settings.changed(corpora=[mine.changed(label_column="feeling")]))


def test_doubtful_clips_are_counted(settings, tmp_path, capsys):
    soundfile.write(tmp_path / "0.wav", [0.0] * 3200, 16000)
    changed = choose_content_temperature.on_validation(settings).changed(conditions=["clean"])
    next(choose_content_temperature.swept(changed, tmp_path / "a"))
    assert "1 silent" in capsys.readouterr().out


def test_corpora_without_a_validation_split_are_refused(settings):
    known = settings.changed(corpora=[{"name": "tess", "data_root": "tess"}])
    with pytest.raises(ValueError, match="'tess'"):
        choose_content_temperature.on_validation(known)
    with pytest.raises(ValueError, match="mine"):
        choose_content_temperature.on_validation(settings.changed(encoder={"mine": "a"}))
