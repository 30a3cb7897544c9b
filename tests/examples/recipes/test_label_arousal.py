"""Silver arousal as a manifest, and the experiments with CLEP-DG on real speech, on look-alike data."""

import sys
from pathlib import Path

import pandas as pd
import pytest

from smoothclap_trainer.clep_dg.corpora import read_corpora
from smoothclap_trainer.clep_dg.settings import ExperimentSettings
from smoothclap_trainer.config import read_yaml


sys.path.insert(0, str(Path(__file__).parents[3] / "examples" / "recipes"))

import label_arousal
from speech.corpora import CORPORA
from speech.dataset import save_splits


CONFIGS = Path(__file__).parents[3] / "examples" / "configs"
LEVELS = {"high": "high", "low": "low", "": None}
PITCH = "F0semitoneFrom27.5Hz_sma3nz_amean"


@pytest.fixture
def clips(tmp_path, monkeypatch):
    """What `build_speech_dataset.py` makes, a clip of each corpus and level; the last level is unclear."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    graded = pd.Series(label_arousal.read_labels(label_arousal.LABELS))
    lines = {level: graded.index[graded == level][0] for level in ("high", "low")} | {"": "nobody/graded-this"}
    rows = []
    for corpus, level in [(corpus, level) for corpus in ("fillets-cs", "fillets-nl", "hedgewars") for level in LEVELS]:
        ident = f"{corpus}/{lines[level] if corpus != 'hedgewars' else level or 'neither'}"
        rows.append({"id": ident, "path": f"audio/{ident}.flac", "corpus": corpus, "speaker": f"{corpus}:a"})
        rows[-1] |= {"arousal_intent": LEVELS[level] if corpus == "hedgewars" else None, PITCH: 30.0 + len(rows)}
        rows[-1] |= {"licence": CORPORA[corpus].licence, "language": CORPORA[corpus].language}
    table = pd.DataFrame(rows).assign(package="p", package_version="1", duration=1.0, transcript=None)
    table = table.assign(sha256=table["id"])
    for folder in (Path("build/speech"), Path("build/speech-600")):
        for path, text in zip(table["path"], table["id"], strict=True):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        save_splits({"test": table}, folder)
    return table


def test_the_manifest_has_the_clips_that_are_high_or_low(clips):
    label_arousal.main(label_arousal.LabelArguments())
    found = pd.read_csv("build/arousal.csv")
    assert found["arousal_intent"].tolist() == ["high", "low"] * 3
    assert found["id"].tolist() == [name for number, name in enumerate(clips["id"]) if number % 3 < 2]
    assert all((Path("build") / path).is_file() for path in found["path"]) and set(found["split"]) == {"test"}


def test_without_the_dataset_it_says_what_to_build(tmp_path):
    with pytest.raises(SystemExit, match="build_speech_dataset"):
        label_arousal.main(label_arousal.LabelArguments(speech=tmp_path))


@pytest.mark.parametrize(("name", "languages"), [("arousal", ["nl", "cs", "mul"]), ("attributes", ["nl", "cs"])])
def test_the_corpora_of_the_experiment_are_read(name, languages, clips):
    label_arousal.main(label_arousal.LabelArguments())
    settings = read_yaml(CONFIGS / f"clep_dg_{name}.yaml", ExperimentSettings)
    corpora = read_corpora(settings.corpora)
    assert [corpus.language for corpus in corpora] == languages
    assert all(corpus.licence == CORPORA[corpus.name].licence for corpus in corpora)
    assert {tuple(sorted(corpus.rows["label"])) for corpus in corpora} == {("high", "low")}
    assert list(settings.called(corpora[0].classes)) == ["high", "low"]
