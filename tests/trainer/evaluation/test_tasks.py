"""Loading tasks by name, and several at once."""

import pandas as pd
import pytest
import yaml

from smoothclap_trainer.evaluation.tasks import load_tasks
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
    assert "the task 'mine.yaml' cannot be used:" in told
    assert told.count("FAU Aibo cannot be read from") == 2  # each of the two tasks has labels of its own
    (mine / "alc").mkdir()
    with pytest.raises(ValueError) as caught:
        load_tasks(["alc-2", "tess-7"], [f"alc={mine / 'alc'}", f"tess={mine / 'gone'}"])
    assert str(caught.value).startswith(
        f"there is no folder {str(mine / 'gone')!r}; give those of these corpora:\n  tess="
    )


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("ravdess", "did you mean 'ravdess-8'?"),
        ("ravdes-8", "did you mean 'ravdess-8'?"),
        ("IEMOCAP", "did you mean 'iemocap-4'?"),
        ("fau-aibo", "did you mean 'fau-aibo-2' or 'fau-aibo-5'?"),
    ],
)
def test_a_name_that_is_almost_right(name, guess):
    with pytest.raises(ValueError) as caught:
        load_tasks(["tess-7", name], [])
    assert str(caught.value).startswith(
        f"unknown tasks [{name!r}] ({guess}); give YAML files of your own, or some of ["
    )


def test_task_names_with_faults(mine):
    told = r"unknown tasks \['tess', 'x'\] \(did you mean 'tess-7'\?\); give YAML files .* \['iemocap-4', 'ravdess"
    with pytest.raises(ValueError, match=told):
        load_tasks(["tess", "tess-7", "x"], [])
    with pytest.raises(ValueError, match=r"unknown tasks \[\]; give"):
        load_tasks([], [])
    with pytest.raises(ValueError, match=r"the tasks \['mine'\] come more than once"):
        load_tasks([str(mine / "mine.yaml"), "mine.yaml"], [])
    with pytest.raises(ValueError, match="these corpora have no data root"):
        load_tasks(["tess-7"], [])
