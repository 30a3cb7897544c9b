"""Manifests of one's own, from file to checked splits."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, DatasetDict, Value

from smoothclap_trainer.data import manifest_reading as manifest_source
from smoothclap_trainer.data.captions import row_levels
from smoothclap_trainer.data.captions.thresholds import Thresholds
from smoothclap_trainer.data.clips import check_clips, read_clip
from smoothclap_trainer.data.manifest import load_manifest, save_splits
from smoothclap_trainer.data.manifest_reading import Fault, ManifestError
from tests.examples.recipes.archive_makers import encoded, tone

from .test_manifest import rows_of


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")


@pytest.fixture
def folder(tmp_path):
    """Four clips, `wav/0.wav` to `wav/3.wav`."""
    (tmp_path / "wav").mkdir()
    for index in range(4):
        soundfile.write(tmp_path / "wav" / f"{index}.wav", tone(0.5, 16000, 110 + index), 16000)
    return tmp_path


def faults(source, *arguments, **options):
    with pytest.raises(ManifestError) as caught:
        load_manifest(source, *arguments, **options)
    return [(fault.row, fault.column, fault.problem) for fault in caught.value.faults]


TABLE = pd.DataFrame(
    {
        "path": [f"wav/{index}.wav" for index in range(4)],
        "emotion": ["Anger", None, "happy", "sad"],
        "gender": ["f", "m", None, "female"],
        "speaker": ["1", "1", "2", "3"],
        "split": ["train", "train", "dev", "test"],
        "arousal": [1.5, None, 3.0, 4.0],
        "session": [1.0, 2.0, 3.0, None],
        "note": ["01", "2", "3", None],
    }
)


def write(folder, kind):
    path = folder / f"clips.{kind}"
    if kind == "parquet":
        TABLE.to_parquet(path)
    elif kind == "jsonl":
        records = TABLE.astype(object).where(TABLE.notna(), None).to_dict("records")
        path.write_text("\n".join(json.dumps(record) for record in records))
    elif kind == "saved":
        Dataset.from_pandas(TABLE).save_to_disk(str(path))
    else:
        TABLE.to_csv(path, sep="," if kind == "csv" else "\t", index=False)
    return path


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet", "saved"])
def test_every_container_gives_the_same_rows(folder, kind):
    root = folder if kind == "saved" else None  # else the manifest's own folder
    splits = load_manifest(write(folder, kind), audio_root=root)
    assert list(splits) == ["train", "validation", "test"]
    assert splits["train"].to_list() == [
        {
            "id": "wav/0.wav",
            "path": str(folder / "wav/0.wav"),
            "label": "angry",
            "emotion": "angry",
            "speaker": "1",
            "gender": "female",
            "arousal": 1.5,
            "session": 1.0,
            "note": "01",
        },
        {
            "id": "wav/1.wav",
            "path": str(folder / "wav/1.wav"),
            "label": None,
            "emotion": None,
            "speaker": "1",
            "gender": "male",
            "arousal": None,
            "session": 2.0,
            "note": "2",
        },
    ]
    assert splits["validation"]["id"][:] == ["wav/2.wav"]
    assert splits["test"]["session"][:] == [None]


def test_columns_of_other_names(folder, logs):
    table = TABLE.rename(columns={"path": "FileName", "emotion": "EmoClass", "arousal": "EmoAct", "speaker": "label"})
    table.assign(arousal="x").drop(columns="split").to_csv(folder / "x.csv", index=False)
    names = {"path": "FileName", "id": "FileName", "emotion": "EmoClass", "arousal": "EmoAct", "speaker": "label"}
    splits = load_manifest(folder / "x.csv", columns=names)
    row = splits["train"][3]
    assert list(splits) == ["train"]
    assert (row["id"], row["emotion"], row["label"], row["arousal"]) == ("wav/3.wav", "sad", "sad", 4.0)
    assert row["speaker"] == "3"
    assert "own columns ['arousal'] are left out" in logs.text


def test_all_faults_at_once_in_the_order_of_the_rows(folder):
    (folder / "x.csv").write_text(
        "id,path,emotion,gender,speaker,split,valence,duration\n"
        "a,wav/0.wav,hapy,f,ann,train,1,2.5\n"
        "a,gone.wav,happy,q,bob,train,high,0\n"
        "b,,happy,f,ann,dev,nan,1\n"
        "c,wav/1.wav,sad\n"
        ",wav/2.wav,sad,f,eve,held,1,-1\n"
    )
    found = faults(folder / "x.csv", columns={"caption": "text"})
    assert [(row, column) for row, column, _ in found] == [
        (None, "caption"),
        (2, "emotion"),
        (3, "valence"),
        (3, "duration"),
        (3, "id"),
        (3, "gender"),
        (3, "path"),
        (4, "valence"),
        (4, "speaker"),
        (4, "path"),
        (5, None),
        (6, "duration"),
        (6, "split"),
        (6, "id"),
    ]
    with pytest.raises(ValueError, match=r"14 faults \(row = line of the file, the header being line 1\)") as caught:
        load_manifest(folder / "x.csv", columns={"caption": "text"})
    assert "\n  row 2, column 'emotion': unknown emotion 'hapy'; known are " in str(caught.value)
    assert "the source has no column 'text'; it has ['id', 'path'" in str(caught.value)


def test_faults_in_splits_of_the_source_say_which(folder):
    one = Dataset.from_dict({"path": ["wav/0.wav", "wav/1.wav"], "speaker": ["ann", "bob"], "valence": [1.0, None]})
    two = Dataset.from_dict({"path": ["wav/2.wav", "wav/0.wav"], "speaker": ["eve", "bob"], "valence": [np.nan, 2.0]})
    DatasetDict({"test": one, "train": two}).save_to_disk(str(folder / "saved"))
    with pytest.raises(ManifestError) as caught:
        load_manifest(folder / "saved", audio_root=folder)
    assert caught.value.faults == (
        Fault(0, "valence", "nan is not a finite number", "train"),
        Fault(1, "id", "'wav/0.wav' is also the id of row 0 of split 'test'", "train"),
        Fault(
            1,
            "speaker",
            "'bob' is in 'train' and, row 1 of split 'test', in 'test'; keep each speaker in one split",
            "train",
        ),
        Fault(
            1,
            "path",
            f"{str(folder / 'wav/0.wav')!r} is in 'train' and, row 0 of split 'test', in 'test'; keep each clip in one "
            "split",
            "train",
        ),
    )


def test_spellings_of_an_emotion_are_one_class(folder):
    (folder / "x.csv").write_text(
        "path,emotion\nwav/0.wav,Happy\nwav/1.wav,happiness\nwav/2.wav,No_Agreement\nwav/3.wav,other\n"
    )
    rows = load_manifest(folder / "x.csv")["train"]
    assert rows["emotion"][:] == ["happy", "happy", "no agreement", "other"]
    assert rows["label"][:] == ["happy", "happy", None, None]


def test_a_label_of_its_own_stays_as_written(folder):
    (folder / "x.csv").write_text(
        "path,emotion,label\nwav/0.wav,Happy,Happy\nwav/1.wav,sad,other\nwav/2.wav,sad,\n"
    )  # fmt: skip
    rows = load_manifest(folder / "x.csv")["train"]
    assert rows["label"][:] == ["Happy", "other", None]
    assert rows["emotion"][:] == ["happy", "sad", "sad"]


def test_a_file_in_two_splits_is_a_fault_by_any_spelling(folder):
    (folder / "x.csv").write_text(
        "id,path,split\na,wav/0.wav,train\nb,./wav/0.wav,test\nc,wav/../wav/0.wav,dev\n"
    )  # fmt: skip
    assert [(row, column) for row, column, _ in faults(folder / "x.csv")] == [(3, "path"), (4, "path")]


def test_our_own_folders_load(tmp_path):
    save_splits({"train": rows_of(tmp_path, "train", "a"), "test": rows_of(tmp_path, "test", "b")}, tmp_path)
    splits = load_manifest(tmp_path)
    assert list(splits) == ["train", "test"]
    assert splits["test"]["path"][:] == [str(tmp_path / f"audio/test-{index}.flac") for index in range(2)]
    assert splits["train"][1]["id"] == "train/1"
    assert splits["train"].features["pitch"] == Value("float32")


def hub(monkeypatch, **splits):
    monkeypatch.setattr(manifest_source, "load_dataset", lambda name: DatasetDict(splits))
    return load_manifest("someone/speech")


def test_a_data_set_of_the_hub_with_bytes_and_classes(monkeypatch):
    data = encoded(tone(0.5, 16000), 16000, "FLAC")
    columns = {"audio": [{"bytes": data, "path": "x.flac"}] * 2, "emotion": [1, None], "speaker": [12, None]}
    rows = Dataset.from_dict(columns).cast_column("audio", Audio())
    rows = rows.cast_column("emotion", ClassLabel(names=["happy", "sad"]))
    splits = hub(monkeypatch, train=rows, valid=rows.select([]))
    assert splits["train"].column_names == ["id", "label", "emotion", "speaker", "audio"]
    assert splits["train"]["id"][:] == ["train/0", "train/1"]
    assert splits["train"]["emotion"][:] == ["sad", None]
    assert splits["train"]["speaker"][:] == ["12", None]
    assert splits["train"][1]["audio"] == {"bytes": data, "path": "x.flac"}
    assert len(read_clip(splits["train"][0], 16000)) == 8000


def test_audio_that_is_only_a_path_becomes_the_path(monkeypatch, folder):
    path = str(folder / "wav/0.wav")
    rows = Dataset.from_dict({"audio": [{"bytes": None, "path": path}]}).cast_column("audio", Audio())
    assert hub(monkeypatch, train=rows)["train"].to_list() == [{"id": path, "path": path}]
    relative = Dataset.from_dict({"path": ["wav/0.wav"]})
    with pytest.raises(ManifestError, match=r"'wav/0\.wav' is relative, to what is not known; give `audio_root`"):
        hub(monkeypatch, train=relative)


def test_rows_may_have_a_file_or_bytes(folder):
    data = encoded(tone(0.5, 16000), 16000, "WAV")
    rows = pd.DataFrame({"path": ["wav/0.wav", None], "audio": [None, data]})
    rows.to_parquet(folder / "x.parquet")
    splits = load_manifest(folder / "x.parquet")
    assert splits["train"]["id"][:] == ["wav/0.wav", "train/1"]
    assert splits["train"]["audio"][:] == [None, data]
    assert [len(read_clip(row, 16000)) for row in splits["train"]] == [8000, 8000]
    rows.assign(path="wav/0.wav").to_parquet(folder / "y.parquet")
    assert (1, "path", "there are audio bytes besides the path 'wav/0.wav'; give one of the two") in faults(
        folder / "y.parquet"
    )


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("wav/0.wav", r"it is (large_)?string, not .*; if it is the file's name, pass columns={'path': 'audio'}"),
        ([0.1, 0.2], r"it is list<.*>, not the bytes of audio files"),
        ({"array": [0.1]}, r"it is struct<array: list<.*>>, not the bytes of audio files"),
    ],
)
def test_audio_of_other_kinds(folder, value, problem):
    pd.DataFrame({"audio": [value]}).to_parquet(folder / "x.parquet")
    told = [told for _, column, told in faults(folder / "x.parquet") if column == "audio"]
    assert len(told) == 1
    assert re.fullmatch(problem, told[0])


def test_a_bare_list_of_files_is_enough(folder):
    (folder / "x.csv").write_text("path\nwav/0.wav\nwav/1.wav\nwav/2.wav\n")
    rows = check_clips(load_manifest(folder / "x.csv")["train"], "raise")
    assert rows.column_names == ["id", "path", "duration"]
    thresholds = Thresholds(low={"duration": 1.0}, high={"duration": 2.0}, num_rows=3)
    assert row_levels(rows[0], thresholds) == {"duration": "low"}


def test_paths_start_at_the_audio_root(folder):
    (folder / "x.csv").write_text("path\n0.wav\n")
    assert load_manifest(folder / "x.csv", audio_root=folder / "wav")["train"]["path"][:] == [str(folder / "wav/0.wav")]
    assert faults(folder / "x.csv") == [(2, "path", f"there is no file '{folder / '0.wav'}'")]
    with pytest.raises(ValueError, match=r"audio_root '.*gone' is no folder"):
        load_manifest(folder / "x.csv", audio_root=folder / "gone")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path,id\n", "there are no rows"),
        ("", "there are no rows"),
        ("file\nwav/0.wav\n", "there is neither `path` nor `audio`, but ['file']; say with `columns` which it is"),
    ],
)
def test_tables_without_clips(folder, text, problem):
    (folder / "x.csv").write_text(text)
    assert faults(folder / "x.csv") == [(None, None, problem)]


def test_further_columns_of_text_that_are_numbers(folder):
    (folder / "x.csv").write_text(
        "path,a,b,c,d,e\nwav/0.wav,1,-0.5,007,1,\nwav/1.wav,,1e3,8,x,\n"
    )  # fmt: skip
    rows = load_manifest(folder / "x.csv")["train"]
    assert rows.column_names == ["id", "path", "a", "b", "c", "d", "e"]
    assert rows["a"][:] == [1.0, None]
    assert rows["b"][:] == [-0.5, 1000.0]
    assert rows["c"][:] == ["007", "8"]
    assert rows["d"][:] == ["1", "x"]
    assert rows["e"][:] == [None, None]


@pytest.mark.parametrize(("wrong", "right"), [("Split", "split"), ("emotions", "emotion"), ("lang", "language")])
def test_a_column_that_looks_like_one_of_ours_is_not_ignored(tmp_path, wrong, right):
    manifest = tmp_path / "clips.csv"
    manifest.write_text(f"path,{wrong},emotion_intensity\nmissing.wav,train,3\n")
    with pytest.raises(
        ValueError, match=rf"column '{wrong}': it is not read: if it is `{right}`.*{{{right}: {wrong}}}"
    ):
        load_manifest(manifest)


def test_semicolons_are_suspected(tmp_path):
    manifest = tmp_path / "clips.csv"
    manifest.write_text("path;emotion\na.wav;sad\n")
    with pytest.raises(ValueError, match="not by semicolons"):
        load_manifest(manifest)
