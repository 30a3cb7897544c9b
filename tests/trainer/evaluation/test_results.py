import json
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from modeling_smoothclap import SMOOTHCLAP_TINY, __version__
from smoothclap_trainer.evaluation.corpus_names import ZeroShotStatus
from smoothclap_trainer.evaluation.results import (
    AgainstChance,
    EvaluationResults,
    Metric,
    describe_clips,
    file_hashes,
    ready_for_json,
    versions,
)
from tests.trainer.evaluation.made_up_results import made_up_results


def test_versions_are_known_without_an_installation(monkeypatch):
    def version(name):
        if name == "smoothclap":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr("smoothclap_trainer.evaluation.results.version", version)
    assert versions()["smoothclap"] == __version__ and versions()["torch"] == "1.0"


@pytest.fixture
def rows(tmp_path):
    def made(folder="here", contents=("one", "two", "one"), labels=("sad", "happy", "sad"), ids=("a", "b", "c")):
        (tmp_path / folder).mkdir(exist_ok=True)
        paths = [tmp_path / folder / f"{index}.wav" for index in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.write_text(content)
        frame = pd.DataFrame({"id": ids, "path": [str(path) for path in paths], "label": labels})
        frame["speaker"] = ["x", None, "x"]
        frame.attrs["left_out"] = {"label frustrated": np.int64(7)}
        return frame

    return made


def described(frame, doubtful=None):
    return describe_clips(frame, ("happy", "sad", "calm"), file_hashes(frame["path"]), doubtful or {})


def test_what_was_judged(rows):
    found = asdict(described(rows()))
    digest = found.pop("sha256")
    assert found == {
        "clips": 3,
        "per_class": {"happy": 1, "sad": 2, "calm": 0},
        "speakers": 1,
        "left_out": {"label frustrated": 7},
        "doubtful": {},
        "doubtful_clips": {},
    }
    assert list(found["per_class"]) == ["happy", "sad", "calm"]
    json.dumps(found)
    assert len(digest) == 64
    assert described(rows("elsewhere")).sha256 == digest  # where the files lie does not matter
    changes = [
        {"contents": ("one", "two", "two")},
        {"labels": ("sad", "sad", "sad")},
        {"ids": ("a", "b", "d")},
        {"ids": ("b", "a", "c")},
    ]
    assert len({digest, *(described(rows(**change)).sha256 for change in changes)}) == 5


def test_doubtful_clips_are_counted(rows):
    frame = rows()
    doubtful = dict(zip(frame["path"], ("silent", "too short", "silent"), strict=True)) | {"another task's": "silent"}
    found = described(frame, doubtful)
    assert list(found.doubtful.items()) == [("too short", 1), ("silent", 2)]
    assert found.doubtful_clips == dict(zip(frame["id"], ("silent", "too short", "silent"), strict=True))
    assert found.clips == 3 and found.sha256 == described(frame).sha256


def test_unknown_speakers_and_nothing_left_out(rows):
    frame = rows().assign(speaker=None)
    frame.attrs = {}
    assert described(frame).speakers is None and described(frame).left_out == {}


def test_rounding_and_plain_types():
    given = {
        "b": np.float32(0.1),
        "a": [np.int64(3), True, None, "x", -1e-9, 1 / 3],
        1: np.array([[1.0, np.inf], [np.nan, 2.0]]),
    }
    ready = ready_for_json(given)
    assert json.dumps(ready) == '{"b": 0.1, "a": [3, true, null, "x", 0.0, 0.333333], "1": [[1.0, null], [null, 2.0]]}'
    assert type(ready["a"][0]) is int


@pytest.mark.parametrize(
    ("low", "high", "place"),
    [
        (0.26, 0.4, AgainstChance.ABOVE),
        (0.25, 0.4, AgainstChance.AT),
        (0.1, 0.25, AgainstChance.AT),
        (0.1, 0.24, AgainstChance.BELOW),
        (None, None, AgainstChance.NO_INTERVAL),
    ],
)
def test_a_metric_is_at_chance_if_its_interval_contains_chance(low, high, place):
    assert Metric(0.25, low, high).against(0.25) is place


COMMITTED = Path(SMOOTHCLAP_TINY) / "zero_shot.json"


def test_a_file_is_read_and_written_as_it_was(tmp_path):
    found = EvaluationResults.load(COMMITTED)
    statuses = [task.results[0].zero_shot.status for task in found.tasks]
    assert statuses == [ZeroShotStatus.NOT_ZERO_SHOT, ZeroShotStatus.ZERO_SHOT, ZeroShotStatus.ZERO_SHOT]
    assert found.tasks[0].results[0].uar == found.tasks[0].results[0].metrics["uar"]
    found.save(tmp_path / "new" / "results.json")
    written, before = (json.loads(path.read_text()) for path in (tmp_path / "new" / "results.json", COMMITTED))
    for content in (written, before):
        for each in (result for task in content["tasks"] for result in task["results"]):
            each["zero_shot"] = each["zero_shot"]["status"]  # words are made when they are shown
            each["interval"] = [each["interval"][name] for name in ("level", "unit", "units", "samples")]
    assert json.dumps(written) == json.dumps(before)


def test_results_survive_their_file(tmp_path):
    results = made_up_results()
    results.save(tmp_path / "results.json")
    again = EvaluationResults.load(tmp_path / "results.json")
    assert again == results and not again.answers
    assert "doubtful" not in results.to_json()["tasks"][0]["data"]  # nobody checked
    assert results.rounded().answers is results.answers


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda content: [], "None"),
        (lambda content: content | {"format": 2}, "2"),
        (lambda content: {"format": 1}, "models"),
        (lambda content: content | {"models": [{}]}, r"models\.0\.name"),
    ],
)
def test_other_files_are_refused(change, where):
    with pytest.raises(ValueError, match=where):
        EvaluationResults.from_json(change(json.loads(COMMITTED.read_text())))


def test_results_of_one_model():
    results = made_up_results()
    assert [(task.protocol.name, found.model) for task, found in results.of_model("/a/b")] == [
        ("sessions-4", "/a/b"),
        ("Made up/2", "/a/b"),
    ]
    with pytest.raises(ValueError, match="'c'"):
        results.of_model("c")
    shared = replace(results.tasks[1], protocol=replace(results.tasks[1].protocol, title="Sessions 4"))
    titles = replace(results, tasks=(results.tasks[0], shared)).titles
    assert list(titles.values()) == ["Sessions 4 `sessions-4`", "Sessions 4 `Made up/2`"]
