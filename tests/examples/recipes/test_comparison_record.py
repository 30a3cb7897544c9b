import json
from pathlib import Path

import pandas as pd
import pytest
from comparison.record import check_folder, fingerprint, made_with


def rows(**columns) -> pd.DataFrame:
    given = {"id": ["a", "b"], "sha256": ["1", "2"], "path": ["x/a.flac", "x/b.flac"], "label": ["sad", None]}
    return pd.DataFrame(given | {"jitter": [0.1, 0.2], "licence": "none"} | columns)


@pytest.fixture
def encoder(tmp_path) -> Path:
    folder = tmp_path / "tower"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def changed(encoder: Path, before: dict[str, str], **sets: pd.DataFrame) -> list[str]:
    after = fingerprint({"audio_encoder": str(encoder)}, **{name: rows() for name in SETS} | sets)
    assert list(after) == list(before)
    return [name for name in after if after[name] != before[name]]


SETS = ("train", "expressive", "speech")


@pytest.mark.parametrize("name", SETS)
def test_what_may_change_a_figure_changes_the_fingerprint_of_its_set(encoder, name):
    before = fingerprint({"audio_encoder": str(encoder)}, rows(), rows(), rows())
    assert changed(encoder, before) == []
    for other in (
        rows(sha256=["1", "3"]),
        rows(id=["a", "c"]),
        rows(label=["sad", "happy"]),
        rows(jitter=[0.1, 0.2 + 1e-15]),
        rows(arousal=[1, 2]),
        rows().iloc[:1],
        rows().iloc[::-1],
    ):
        assert changed(encoder, before, **{name: other}) == [name]
    for same in (rows(path=["y/a.flac", "y/b.flac"]), rows(licence="some"), rows().set_index(pd.Index([7, 9]))):
        assert changed(encoder, before, **{name: same}) == []


def test_start_encoders_count_by_their_files(encoder):
    before = fingerprint({"audio_encoder": str(encoder)}, rows(), rows(), rows())
    assert list(before) == [*SETS, "audio_encoder"]
    (encoder / "notes.md").write_text("no matter")
    assert changed(encoder, before) == []
    (encoder / "model.safetensors").write_bytes(b"others")
    assert changed(encoder, before) == ["audio_encoder"]
    (encoder / "model.safetensors").write_bytes(b"weights")
    (encoder / "config.json").rename(encoder / "other.json")
    assert changed(encoder, before) == ["audio_encoder"]


def test_each_field_that_names_a_folder_has_its_hash_and_a_hub_id_has_none(encoder):
    config = {"model": str(encoder), "audio_encoder": None, "text_encoder": "some/hub-id", "learning_rate": 1}
    assert list(fingerprint(config, rows(), rows(), rows())) == [*SETS, "model"]


def test_what_cannot_be_told_apart_is_said(tmp_path):
    with pytest.raises(ValueError, match="'sha256'"):
        fingerprint({}, rows(), rows(), rows().drop(columns="sha256"))
    with pytest.raises(ValueError):
        fingerprint({"text_encoder": str(tmp_path)}, rows(), rows(), rows())


def test_a_record_is_plain_json():
    record = made_with({"dataset": ("x",), "since": Path("y")}, {"beta": 0.1}, 3, {"train": "0a"})
    assert record == json.loads(json.dumps(record))
    assert record == {
        "config": {"dataset": ["x"], "since": "y"},
        "settings": {"beta": 0.1},
        "seed": 3,
        "data": {"train": "0a"},
    }


def test_all_that_differs_is_named(tmp_path):
    folder, model = tmp_path / "run", tmp_path / "run" / "model"
    here = made_with({"a": 1, "b": [2], "c": {"d": 3}}, {"beta": 0.1}, 0, {"train": "0a", "speech": "0b"})
    check_folder(folder, here, model)  # there is nothing yet
    model.mkdir(parents=True)
    (folder / "made_with.json").write_text(json.dumps(here))
    check_folder(folder, here, model)
    there = made_with({"a": 1, "b": [9], "c": {"d": 4}}, {}, 1, {"train": "0a"})
    (folder / "made_with.json").write_text(json.dumps(there))
    with pytest.raises(ValueError) as caught:
        check_folder(folder, here, model)
    assert str(caught.value) == (
        f"'{folder}' holds a run with other settings or data: config.b is [9] there and [2] now; "
        "config.c is {'d': 4} there and {'d': 3} now; seed is 1 there and 0 now; "
        "settings.beta is None there and 0.1 now; data.speech. "
        "Choose another output folder, or delete this one."
    )


def test_a_record_from_before_fingerprints_is_another(tmp_path):
    here = made_with({"a": 1}, {}, 0, {"train": "0a"})
    (tmp_path / "made_with.json").write_text(json.dumps({name: here[name] for name in ("config", "settings", "seed")}))
    with pytest.raises(ValueError, match=r"data\.train"):
        check_folder(tmp_path, here, tmp_path / "model")
