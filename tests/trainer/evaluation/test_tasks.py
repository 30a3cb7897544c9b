"""Tasks by name, several at once, and the folders of their corpora."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.tasks import corpus_roots, load_tasks
from tests.corpus_trees import build_tree


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The current folder, with a task of one's own, `mine.yaml`, over two clips."""
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame({"path": ["a.wav", "b.wav"], "emotion": ["happy", "sad"], "split": "test"})
    table.to_csv("clips.csv", index=False)
    for path in table["path"]:
        (tmp_path / path).touch()
    settings = {"name": "mine", "title": "Mine", "corpus": "my-corpus", "manifest": "clips.csv", "language": "en"}
    settings |= {"licence": "mine alone", "words": {"happy": "joy", "sad": "sorrow"}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def test_tasks_by_name_and_of_ones_own(mine):
    build_tree("tess", mine, takes=1)
    build_tree("fau-aibo", mine / "elsewhere", takes=1)
    roots = [str(mine), f"fau-aibo={mine / 'elsewhere/fau-aibo'}"]
    tasks = load_tasks(["fau-aibo-5", "mine.yaml", "tess-7", "fau-aibo-2"], roots)
    assert [task.protocol.name for task in tasks] == ["fau-aibo-5", "mine", "tess-7", "fau-aibo-2"]
    assert [len(task.rows) for task in tasks] == [25, 2, 14, 25]
    assert [task.licence for task in tasks][1:3] == ["mine alone", "CC BY-NC-ND 4.0"]
    assert tasks[0].rows["path"].tolist() == tasks[3].rows["path"].tolist()


def test_all_that_is_wrong_with_corpora_and_tasks_is_told_at_once(mine):
    (mine / "tess").mkdir()
    (mine / "fau-aibo").mkdir()
    (mine / "a.wav").unlink()
    with pytest.raises(ValueError) as caught:
        load_tasks(["tess-7", "mine.yaml", "fau-aibo-2", "fau-aibo-5"], [str(mine)])
    told = str(caught.value)
    assert f"TESS cannot be read from {str(mine / 'tess')!r}: no .wav file" in told
    assert "mine.yaml' cannot be used:" in told
    assert told.count("FAU Aibo cannot be read from") == 2  # each of the two tasks has labels of its own
    (mine / "alc").mkdir()
    with pytest.raises(ValueError) as caught:
        load_tasks(["alc-2", "tess-7"], [f"alc={mine / 'alc'}", f"tess={mine / 'gone'}"])
    assert str(caught.value).startswith(
        f"there is no folder {str(mine / 'gone')!r}; give those of these corpora:\n  tess="
    )


@pytest.mark.parametrize(
    ("names", "values"),
    [
        (["tess", "tess-7", "x"], ["['tess', 'x']", "'tess-7'?"]),
        (["ravdes-8"], ["'ravdes-8'", "'ravdess-8'?"]),
        (["IEMOCAP"], ["'IEMOCAP'", "'iemocap-4'?"]),
        (["fau-aibo"], ["'fau-aibo-2' or 'fau-aibo-5'?"]),
        ([], ["[]"]),
        (["mine.yaml", "./mine.yaml"], ["'mine'"]),
        (["tess-7"], ["tess=FOLDER"]),
    ],
)
def test_task_names_with_faults(mine, names, values):
    with pytest.raises(ValueError) as caught:
        load_tasks(names)
    assert all(value in str(caught.value) for value in values)


def test_loaded_tasks_are_taken_as_they_are(mine):
    (task,) = load_tasks([mine / "mine.yaml"])
    assert load_tasks([task])[0] is task


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_named_folders(here, monkeypatch):
    monkeypatch.setenv("HOME", str(here / "home"))
    for name in ("a=b", "home/t"):
        (here / name).mkdir(parents=True)
    assert corpus_roots(["tess", "alc"], [f"alc={here}/a=b", "tess=~/t"]) == {
        "alc": here / "a=b",
        "tess": here / "home/t",
    }
    assert corpus_roots([], []) == {}


def test_one_folder_that_holds_them_all(here):
    (here / "tess").mkdir()
    (here / "alc").mkdir()
    (here / "x").mkdir()
    expected = {"tess": here / "tess", "alc": here / "alc"}
    assert corpus_roots(["tess", "alc"], [str(here)]) == expected
    assert corpus_roots(["tess", "alc"], [str(here), "alc=x"]) == expected | {"alc": Path("x")}
    assert corpus_roots(["tess", "alc"], ["."])["tess"] == Path("tess")


def test_one_folder_that_is_the_corpus(here):
    assert corpus_roots(["tess"], [str(here)]) == {"tess": here}
    (here / "a=b").mkdir()
    assert corpus_roots(["tess"], ["a=b"]) == {"tess": Path("a=b")}
    (here / "tess").mkdir()
    assert corpus_roots(["tess"], [str(here)]) == {"tess": here / "tess"}


def test_folders_that_are_missing_are_reported_with_where_to_ask(here):
    (here / "here").mkdir()
    with pytest.raises(ValueError) as caught:
        corpus_roots(["tess", "sld", "alc", "emodb"], ["tess=gone", "alc=here", "sld=gone too"])
    told = str(caught.value)
    for corpus in ("tess", "sld", "emodb"):
        assert f"{corpus}=FOLDER" in told and EMOTION_CORPORA[corpus].ask in told
        assert EMOTION_CORPORA[corpus].licence in told
    assert "'gone', 'gone too'" in told and "alc=FOLDER" not in told
    (here / "tess").mkdir()
    with pytest.raises(ValueError, match=r"sld=FOLDER") as caught:
        corpus_roots(["tess", "sld"], [str(here)])
    assert "tess=" not in str(caught.value)


def test_a_corpus_whose_name_is_almost_right(here):
    for written, guess in (("ravdes", "did you mean 'ravdess'"), ("RAVDESS", "did you mean 'ravdess'"), ("", "emodb")):
        with pytest.raises(ValueError, match=guess):
            corpus_roots(["ravdess"], [f"{written}=wav"])
    (here / "ravdes=wav").mkdir()
    assert corpus_roots(["ravdess"], ["ravdes=wav"]) == {"ravdess": Path("ravdes=wav")}


@pytest.mark.parametrize(
    ("corpora", "data_roots", "problem"),
    [
        (["tess"], ["tess=a", "alc=b"], "alc"),
        (["tess"], ["tess=a", "b"], r"\['b'\]"),
        ([], ["b"], r"\['b'\]"),
        (["tess", "alc"], ["a", "b"], r"\['a', 'b'\]"),
        (["tess"], ["tess=a", "tess=b"], "'tess' has two folders, 'a' and 'b'"),
    ],
)
def test_data_roots_with_faults(here, corpora, data_roots, problem):
    with pytest.raises(ValueError, match=problem):
        corpus_roots(corpora, data_roots)
