"""Emotion labels by rule, on functionals drawn at random."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from speech.arousal import STRENGTH, by_speaker
from speech.emotion import CONFIDENCE, LIMIT, add_emotion

from smoothclap_trainer.data.functionals import functional_names


EMOTIONS = ("angry", "happy", "sad")


def rows(seed: int, count: int = 150, offset: float = 5.0) -> pd.DataFrame:
    """Two speakers apart by `offset`; each emotion raises four functionals of its own."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(count, len(functional_names())))
    emotion = np.arange(count) % len(EMOTIONS)
    for number in range(len(EMOTIONS)):
        values[emotion == number, 4 * number : 4 * number + 4] += 3
    speaker = np.where(np.arange(count) < count / 2, "a", "b")
    values[speaker == "a"] += offset
    table = pd.DataFrame(values, columns=functional_names())
    return table.assign(speaker=speaker, emotion=np.array(EMOTIONS)[emotion])


def test_labels_are_those_of_scikit_learns_regression_where_it_is_sure():
    synthetic, real = rows(0), rows(1, offset=-9.0)
    found, record = add_emotion(real.drop(columns="emotion"), synthetic)
    oracle = LogisticRegression(C=STRENGTH, class_weight="balanced", tol=1e-8, max_iter=10000)
    oracle.fit(by_speaker(synthetic).clip(-LIMIT, LIMIT), synthetic["emotion"])
    sure = oracle.predict_proba(by_speaker(real).clip(-LIMIT, LIMIT))
    expected = np.where(sure.max(axis=1) >= CONFIDENCE, oracle.classes_[sure.argmax(axis=1)], None)
    assert found["emotion"].tolist() == expected.tolist()
    assert None in expected.tolist()
    labelled = found["emotion"].notna()
    assert (found["emotion"] == real["emotion"])[labelled].mean() > 0.95
    assert record["clips"] == found["emotion"].value_counts().to_dict()


def test_one_emotion_teaches_nothing():
    with pytest.raises(ValueError, match="happy"):
        add_emotion(rows(1), rows(0).query("emotion == 'happy'"))


def test_the_script_labels_a_dataset_and_records_it(tmp_path, capsys):
    from label_emotions import LabelArguments, main
    from speech.dataset import load_splits, save_splits

    for name, table in (("speech", rows(1).drop(columns="emotion")), ("synthetic", rows(0))):
        filled = {"corpus": name, "language": "en", "package": "p", "package_version": "1", "licence": "l"}
        ids = [f"{name}/{number}" for number in range(len(table))]
        table = table.assign(id=ids, path=[f"{each}.flac" for each in ids], sha256=ids, duration=1.0, transcript=None)
        folder = tmp_path / name
        for path in table["path"]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        save_splits({"train": table.assign(**filled)}, folder)
    (tmp_path / "speech" / "provenance.json").write_text('[{"name": "speech", "split": "train"}]')
    main(LabelArguments(str(tmp_path / "speech"), str(tmp_path / "synthetic")))
    labels = load_splits(tmp_path / "speech")["train"]["emotion"][:]
    assert set(labels) == {*EMOTIONS, None}
    (record,) = json.loads((tmp_path / "speech" / "provenance.json").read_text())
    assert sum(record["emotion"]["clips"].values()) == len(labels) - labels.count(None)
    assert "nobody rated" in capsys.readouterr().out
