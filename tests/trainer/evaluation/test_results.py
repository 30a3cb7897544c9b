import json

import numpy as np
import pandas as pd
import pytest

from smoothclap_trainer.evaluation.results import (
    describe_data,
    file_hashes,
    ready_for_json,
    versions,
    write_results,
)


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
    return describe_data(frame, ("happy", "sad", "calm"), file_hashes(frame["path"]), doubtful or {})


def test_what_was_judged(rows):
    found = described(rows())
    digest = found.pop("sha256")
    assert found == {
        "clips": 3,
        "per_class": {"happy": 1, "sad": 2, "calm": 0},
        "speakers": 1,
        "left_out": {"label frustrated": 7},
        "doubtful": {},
    }
    assert list(found["per_class"]) == ["happy", "sad", "calm"]
    json.dumps(found)
    assert len(digest) == 64
    assert described(rows("elsewhere"))["sha256"] == digest  # where the files lie does not matter
    changes = [
        {"contents": ("one", "two", "two")},
        {"labels": ("sad", "sad", "sad")},
        {"ids": ("a", "b", "d")},
        {"ids": ("b", "a", "c")},
    ]
    assert len({digest, *(described(rows(**change))["sha256"] for change in changes)}) == 5


def test_doubtful_clips_are_counted(rows):
    frame = rows()
    doubtful = dict(zip(frame["path"], ("silent", "too short", "silent"), strict=True)) | {"another task's": "silent"}
    found = described(frame, doubtful)
    assert list(found["doubtful"].items()) == [("too short", 1), ("silent", 2)]
    assert list(found) == ["clips", "per_class", "speakers", "left_out", "doubtful", "sha256"]
    assert found["clips"] == 3 and found["sha256"] == described(frame)["sha256"]


def test_unknown_speakers_and_nothing_left_out(rows):
    frame = rows().assign(speaker=None)
    frame.attrs = {}
    assert described(frame)["speakers"] is None and described(frame)["left_out"] == {}


def test_each_file_is_hashed_once(rows, monkeypatch):
    from smoothclap_trainer.evaluation import results

    hashed = []
    monkeypatch.setattr(results, "file_sha256", lambda path: hashed.append(path) or "0")
    paths = list(rows()["path"])
    assert file_hashes(paths * 2) == dict.fromkeys(paths, "0")
    assert sorted(hashed) == sorted(paths)


def test_versions():
    assert list(versions()) == ["smoothclap", "transformers", "torch", "numpy", "python"]
    assert versions()["numpy"] == np.__version__


def test_rounding_and_plain_types():
    given = {
        "b": np.float32(0.1),
        "a": [np.int64(3), True, None, "x", -1e-9, 1 / 3],
        1: np.array([[1.0, np.inf], [np.nan, 2.0]]),
    }
    ready = ready_for_json(given)
    assert json.dumps(ready) == '{"b": 0.1, "a": [3, true, null, "x", 0.0, 0.333333], "1": [[1.0, null], [null, 2.0]]}'
    assert type(ready["a"][0]) is int


def test_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "results.json"
    write_results({"title": "Fröhlich", "a": {"z": 1, "b": 2}}, path)
    assert path.read_text(encoding="utf-8") == (
        '{\n  "title": "Fröhlich",\n  "a": {\n    "z": 1,\n    "b": 2\n  }\n}\n'
    )
    for bad in ({"uar": float("nan")}, {"uar": np.float32(1)}):
        with pytest.raises((ValueError, TypeError)):
            write_results(bad, path)
    assert "Fröhlich" in path.read_text(encoding="utf-8")
    assert [each.name for each in path.parent.iterdir()] == ["results.json"]
