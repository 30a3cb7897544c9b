"""Manifests of one's own, from file to checked splits."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset, DatasetDict

from smoothclap_trainer.data import manifest_reading
from smoothclap_trainer.data.clips import read_clip
from smoothclap_trainer.data.manifest import SCHEMA, load_manifest, unread_columns
from smoothclap_trainer.data.manifest_reading import ManifestError
from tests.examples.recipes.archive_makers import encoded, tone


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


def places(error):
    return [(fault.row, fault.column) for fault in error.faults]


def faults(source, *arguments, **options):
    with pytest.raises(ManifestError) as caught:
        load_manifest(source, *arguments, **options)
    return places(caught.value)


def table(folder, **columns):
    """A CSV manifest of `wav/0.wav`, `wav/1.wav` ... with further columns."""
    count = len(next(iter(columns.values())))
    rows = {"id": range(count), "path": [f"wav/{index % 4}.wav" for index in range(count)]} | columns
    pd.DataFrame(rows).to_csv(folder / "x.csv", index=False)
    return folder / "x.csv"


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
    first = {
        "id": "wav/0.wav",
        "path": str(folder / "wav/0.wav"),
        "label": "angry",
        "emotion": "angry",
        "speaker": "1",
        "gender": "female",
        "arousal": 1.5,
        "session": 1.0,
        "note": "01",
    }
    second = {"id": "wav/1.wav", "path": str(folder / "wav/1.wav"), "gender": "male", "session": 2.0, "note": "2"}
    second |= {"label": None, "emotion": None, "arousal": None}
    assert splits["train"].to_list() == [first, first | second]
    assert list(splits["train"][0]) == list(first)
    assert splits["validation"]["id"][:] == ["wav/2.wav"]
    assert splits["test"]["session"][:] == [None]


def test_acoustic_conditions_are_known_ones(tmp_path):
    manifest = tmp_path / "clips.csv"
    soundfile.write(tmp_path / "a.wav", tone(0.1, 16000), 16000)
    manifest.write_text("id,path,acoustic_condition\n1,a.wav, Telephone\n2,a.wav,\n3,a.wav,noise-0db\n")
    assert load_manifest(manifest)["train"]["acoustic_condition"][:] == ["telephone", None, "noise-0db"]
    manifest.write_text("id,path,acoustic_condition\n1,a.wav,telefone\n")
    with pytest.raises(ValueError, match=r"'telefone'.*telephone"):
        load_manifest(manifest)


def test_the_guide_explains_every_column():
    guide = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    assert [name for name in SCHEMA if f"`{name}`" not in guide] == []


def test_columns_of_other_names(folder, logs):
    other = TABLE.rename(columns={"path": "FileName", "emotion": "EmoClass", "arousal": "EmoAct", "speaker": "label"})
    other.assign(arousal="x").drop(columns="split").to_csv(folder / "x.csv", index=False)
    names = {"path": "FileName", "id": "FileName", "emotion": "EmoClass", "arousal": "EmoAct", "speaker": "label"}
    splits = load_manifest(folder / "x.csv", columns=names)
    row = splits["train"][3]
    assert list(splits) == ["train"]
    assert (row["id"], row["emotion"], row["label"], row["arousal"]) == ("wav/3.wav", "sad", "sad", 4.0)
    assert row["speaker"] == "3"
    assert "['arousal']" in logs.text  # the source's own is left out


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
    rows = {
        None: {"caption"},
        2: {"emotion"},
        3: {"valence", "duration", "id", "gender", "path"},
        4: {"valence", "speaker", "path"},
        5: {None},
        6: {"duration", "split", "id"},
    }
    assert [row for row, _ in found] == [row for row, columns in rows.items() for _ in columns]
    assert set(found) == {(row, column) for row, columns in rows.items() for column in columns}
    with pytest.raises(ValueError, match=r"(?s)14 faults.*row 2, column 'emotion': .*'hapy'"):
        load_manifest(folder / "x.csv", columns={"caption": "text"})


def test_faults_in_splits_of_the_source_say_which(folder):
    one = Dataset.from_dict({"path": ["wav/0.wav", "wav/1.wav"], "speaker": ["ann", "bob"], "valence": [1.0, None]})
    two = Dataset.from_dict({"path": ["wav/2.wav", "wav/0.wav"], "speaker": ["eve", "bob"], "valence": [np.nan, 2.0]})
    DatasetDict({"test": one, "train": two}).save_to_disk(str(folder / "saved"))
    with pytest.raises(ManifestError) as caught:
        load_manifest(folder / "saved", audio_root=folder)
    assert places(caught.value) == [(0, "valence"), (1, "id"), (1, "speaker"), (1, "path")]
    assert {fault.part for fault in caught.value.faults} == {"train"}
    for fault, row in zip(caught.value.faults[1:], (0, 1, 0), strict=True):
        assert f"row {row} of split 'test'" in fault.problem


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("train|Training |dev|VAL|valid|devel|test|testing", "train|train|dev|dev|dev|dev|test|test"),
        ("train|eval", "train|dev"),
        ("train|eval|test", "train|dev|test"),
        ("train|evaluation|dev", "train|test|dev"),
    ],
)
def test_names_of_splits(folder, written, read):
    splits = load_manifest(_splits(folder, written))
    found = {int(row_id): name for name, rows in splits.items() for row_id in rows["id"]}
    assert [found[index] for index in range(len(found))] == read.replace("dev", "validation").split("|")


def _splits(folder, names):
    """A manifest with a file of its own for each row, because a file is in one split only."""
    rows = []
    for index, name in enumerate(names.split("|")):
        (folder / f"{index}.wav").touch()
        rows.append({"id": index, "path": f"{index}.wav", "split": name})
    pd.DataFrame(rows).to_csv(folder / "splits.csv", index=False)
    return folder / "splits.csv"


def test_unknown_splits(folder):
    found = faults(_splits(folder, "train||held out|dev|test|eval|held out"))
    assert found == [(3, "split"), (4, "split"), (7, "split")]  # that of row 8 is that of row 4


def test_a_speaker_of_a_corpus_is_in_one_split(folder):
    for index in range(10):
        (folder / f"{index}.wav").touch()
    rows = pd.DataFrame(
        {
            "path": [f"{index}.wav" for index in range(10)],
            "speaker": ["ann", "ann", "bob", "bob", None, None, "bob", "eve", "eve", "ann"],
            "corpus": ["one", "two", "one", "one", "one", "one", "one", None, None, "one"],
            "split": ["train", "test", "train", "test", "train", "test", "test", "test", "test", "train"],
        }
    )
    rows.to_csv(folder / "x.csv", index=False)
    assert faults(folder / "x.csv") == [(5, "speaker")]  # Ann of corpus two is another person; Bob is reported once
    rows = rows[:3].assign(speaker="ann", split=["train", "test", "dev"]).drop(columns="corpus")
    rows.to_csv(folder / "x.csv", index=False)
    assert faults(folder / "x.csv") == [(3, "speaker"), (4, "speaker")]


def test_a_file_is_in_one_split_by_any_spelling(folder):
    (folder / "x.csv").write_text("id,path,split\na,wav/0.wav,train\nb,./wav/0.wav,test\nc,wav/../wav/0.wav,dev\n")
    assert faults(folder / "x.csv") == [(3, "path"), (4, "path")]


def test_spellings_of_an_emotion_are_one_class(folder):
    rows = load_manifest(table(folder, emotion=["Happy", "happiness", "No_Agreement", "other"]))["train"]
    assert rows["emotion"][:] == ["happy", "happy", "no agreement", "other"]
    assert rows["label"][:] == ["happy", "happy", None, None]
    rows = load_manifest(table(folder, emotion=["Happy", "sad", "sad"], label=["Happy", "other", None]))["train"]
    assert rows["label"][:] == ["Happy", "other", None]  # a label of its own stays as written


def hub(monkeypatch, **splits):
    monkeypatch.setattr(manifest_reading, "load_dataset", lambda name, revision: DatasetDict(splits))
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
    with pytest.raises(ManifestError, match=r"'wav/0\.wav'.*audio_root"):  # relative, but to which folder?
        hub(monkeypatch, train=Dataset.from_dict({"path": ["wav/0.wav"]}))


def test_rows_have_a_file_or_bytes(folder):
    data = encoded(tone(0.5, 16000), 16000, "WAV")
    rows = pd.DataFrame({"path": ["wav/0.wav", None], "audio": [None, data]})
    rows.to_parquet(folder / "x.parquet")
    splits = load_manifest(folder / "x.parquet")
    assert splits["train"]["id"][:] == ["wav/0.wav", "train/1"]
    assert splits["train"]["audio"][:] == [None, data]
    assert [len(read_clip(row, 16000)) for row in splits["train"]] == [8000, 8000]
    rows.assign(id=["a", "b"], path="wav/1.wav").to_parquet(folder / "y.parquet")
    assert faults(folder / "y.parquet") == [(1, "path")]
    rows.assign(id=["a", "b"], audio=[None, None], path=["wav/0.wav", None]).to_parquet(folder / "z.parquet")
    assert (1, "path") in faults(folder / "z.parquet")


@pytest.mark.parametrize("value", ["wav/0.wav", [0.1, 0.2], {"array": [0.1]}])
def test_audio_of_other_kinds(folder, value):
    pd.DataFrame({"audio": [value]}).to_parquet(folder / "x.parquet")
    assert (None, "audio") in faults(folder / "x.parquet")


def test_paths_start_at_the_audio_root(folder):
    (folder / "x.csv").write_text("path\n0.wav\n")
    assert load_manifest(folder / "x.csv", audio_root=folder / "wav")["train"]["path"][:] == [str(folder / "wav/0.wav")]
    assert faults(folder / "x.csv") == [(2, "path")]
    with pytest.raises(ValueError, match="gone"):
        load_manifest(folder / "x.csv", audio_root=folder / "gone")


@pytest.mark.parametrize("text", ["path,id\n", "", "file\nwav/0.wav\n"])
def test_tables_without_clips(folder, text):
    (folder / "x.csv").write_text(text)
    assert faults(folder / "x.csv") == [(None, None)]


def test_further_columns_of_text_that_are_numbers(folder):
    (folder / "x.csv").write_text("path,a,b,c,d,e\nwav/0.wav,1,-0.5,007,1,\nwav/1.wav,,1e3,8,x,\n")
    rows = load_manifest(folder / "x.csv")["train"]
    assert rows.column_names == ["id", "path", "a", "b", "c", "d", "e"]
    assert rows["a"][:] == [1.0, None]
    assert rows["b"][:] == [-0.5, 1000.0]
    assert rows["c"][:] == ["007", "8"]
    assert rows["d"][:] == ["1", "x"]
    assert rows["e"][:] == [None, None]


@pytest.mark.parametrize(("wrong", "right"), [("Split", "split"), ("emotions", "emotion"), ("lang", "language")])
def test_a_column_that_looks_like_one_of_ours_is_not_ignored(folder, wrong, right):
    (folder / "x.csv").write_text(f"path,{wrong},emotion_intensity\nwav/0.wav,train,3\n")
    with pytest.raises(ManifestError, match=re.escape(f"{{{right}: {wrong}}}")) as caught:
        load_manifest(folder / "x.csv")
    assert places(caught.value) == [(None, wrong)]


def segments(folder, rows, **columns):
    """A CSV manifest with segments of `wav/0.wav`, which is 0.5 s long."""
    lines = [",".join(["path", "start", "end", *columns]), *(f"wav/0.wav,{row}" for row in rows)]
    (folder / "segments.csv").write_text("\n".join(lines))
    return folder / "segments.csv"


def test_segments_of_one_file(folder):
    spans = ["0,0.2", "0.2,0.45", "0.3,", ",0.1", ",", "0 days 00:00:00.25,0 days 00:00:00.500"]
    rows = load_manifest(segments(folder, spans))["train"]
    assert rows["start"][:] == [0.0, 0.2, 0.3, None, None, 0.25]
    assert rows["end"][:] == [0.2, 0.45, None, 0.1, None, 0.5]
    ids = ["#t=0.0,0.2", "#t=0.2,0.45", "#t=0.3,", "#t=0.0,0.1", "", "#t=0.25,0.5"]
    assert rows["id"][:] == [f"wav/0.wav{name}" for name in ids]
    assert set(rows["path"]) == {str(folder / "wav/0.wav")}


def test_a_start_under_another_name_is_not_passed_over(folder):
    path = segments(folder, ["0.1,0.2"])
    path.write_text(path.read_text().replace("start", "begin"))
    with pytest.raises(ManifestError, match="start: begin"):
        load_manifest(path)
    assert load_manifest(path, columns={"start": "begin"})["train"]["start"][:] == [0.1]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_segmented_tables_of_audformat(folder, kind):
    table = pd.DataFrame(
        {
            "file": ["wav/0.wav", "wav/0.wav", "wav/1.wav"],
            "start": pd.to_timedelta([0, 0.25, 0], unit="s"),
            "end": pd.to_timedelta([0.25, 0.5, None], unit="s"),
        }
    )
    path = folder / f"db.segments.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.set_index(list(table)).assign(x=1).to_parquet(path)
    rows = load_manifest(path, columns={"path": "file"})["train"]
    assert (rows["start"][:], rows["end"][:]) == ([0.0, 0.25, 0.0], [0.25, 0.5, None])
    assert rows["id"][2] == "wav/1.wav"


def test_impossible_segments(folder):
    spans = ["-0.1,0.2", "0.3,0.2", "0.2,0.2", "0.1,0.7", "0.7,", "half,0.2", "0.1,nan", "0.1,0.45"]
    found = faults(segments(folder, spans))
    assert found == [(2, "start"), (3, "end"), (4, "end"), (5, "end"), (6, "start"), (7, "start"), (8, "end")]
    assert faults(segments(folder, ["0.1,0.3,10"], duration=0)) == [(2, "duration")]  # that of another recording
    load_manifest(segments(folder, ["0.1,0.3,0.2", "0.2,,0.3"], duration=0))


def test_names_are_stripped_and_composed(folder):
    columns = {
        "label": ["happy", "happy ", " happy", "sad"],
        "speaker": ["Ju\u0308rgen", "Jürgen", "s1", "s1 "],
        "corpus": ["x ", "x", "x", " x"],
        "split": ["train ", "train", "train", " train"],
    }
    rows = load_manifest(table(folder, **columns))["train"]
    assert rows["label"][:] == ["happy", "happy", "happy", "sad"]
    assert rows["speaker"][:] == ["Jürgen", "Jürgen", "s1", "s1"]
    assert rows["corpus"][:] == ["x"] * 4
    assert faults(table(folder, speaker=["s1", "s1 "], split=["train", "test"])) == [(3, "speaker")]


def test_an_unknown_label_is_one_fault_that_names_the_cure(folder):
    calm = table(folder, EmoClass=["calm down", "calm down", "happy", "calm down"])
    with pytest.raises(ManifestError, match=re.escape("{label: EmoClass}")) as caught:
        load_manifest(calm, columns={"emotion": "EmoClass"})
    assert places(caught.value) == [(2, "emotion")]
    assert "row 3, 5" in caught.value.faults[0].problem
    with pytest.raises(ManifestError) as caught:
        load_manifest(table(folder, emotion=["x", "y", "x", "y"]))
    assert places(caught.value) == [(2, "emotion"), (3, "emotion")]
    assert str(caught.value).count("'surprised'") == 1  # the known ones are listed once


def test_paths_of_windows(folder):
    (folder / "x.csv").write_text("path\nwav\\0.wav\nwav\\1.wav\n")
    with pytest.raises(ManifestError, match="backslash") as caught:
        load_manifest(folder / "x.csv")
    assert places(caught.value) == [(2, "path")]


def test_times_under_other_names_are_reported(folder, logs):
    load_manifest(table(folder, StartTime=["00:16:16,059"]))
    assert "StartTime" in logs.text


def test_a_mistyped_folder_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("smoothclap_trainer.data.manifest_reading.load_dataset", None)
    with pytest.raises(ValueError, match="data/clps"):
        load_manifest("data/clps")


def test_columns_that_nothing_reads_are_listed(folder, caplog, logs):
    source = table(folder, fold=["train", "test"], emo=["sad", "happy"], code=[0, 1], loudness=[0.5, 1.0])
    with caplog.at_level("INFO", logger="smoothclap_trainer"):
        splits = load_manifest(source)
    assert unread_columns(splits["train"]) == ["fold", "emo", "code"]
    assert "['fold', 'emo', 'code']" in logs.text
    named = load_manifest(source, columns={"split": "fold", "label": "emo"})
    assert unread_columns(named["train"]) == ["code"]
    assert unread_columns(load_manifest(table(folder, label=["a", "b"]))["train"]) == []


def test_a_name_that_resembles_the_missing_path_is_not_to_be_changed_to_another(folder):
    for content, name in (("pth,label\nwav/0.wav,a\n", "pth"), ("path,emotions\nwav/0.wav,sad\n", "`my_emotions`")):
        (folder / "x.csv").write_text(content)
        with pytest.raises(ManifestError, match=name) as caught:
            load_manifest(folder / "x.csv")
        assert ("`my_" in str(caught.value)) == name.startswith("`my_")
