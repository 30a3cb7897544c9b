"""Tasks of one's own as YAML."""

import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import yaml
from datasets import DatasetDict

from smoothclap_trainer.config import SettingsError
from smoothclap_trainer.data.captions.english import WORDINGS as ENGLISH
from smoothclap_trainer.data.captions.german import WORDINGS as GERMAN
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.evaluation.own_task import OwnTask, read_own_task


CONFIGS = Path(__file__).parents[3] / "examples/configs"
SETTINGS = {
    "name": "mine",
    "title": "My clips",
    "corpus": "my-corpus",
    "manifest": "clips.csv",
    "language": "en",
    "licence": "mine alone",
    "words": {"happy": "joy", "sad": "sorrow"},
}
ROWS = [
    ("b.wav", "Happiness", "1", "test", "en", 1),
    ("a.wav", "sad", "2", "test", "en", 2),
    ("c.wav", "sad", "", "test", "de", 2),
    ("d.wav", "other", "2", "test", "en", 1),
    ("e.wav", "", "2", "test", "en", 1),
    ("f.wav", "angry", "3", "train", "en", 1),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: a manifest of six clips, of which four are of two classes."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    monkeypatch.chdir(tmp_path)
    table = pd.DataFrame(ROWS, columns=["path", "emotion", "speaker", "split", "language", "session"])
    table.to_csv("clips.csv", index=False)
    for path in table["path"]:
        (tmp_path / path).touch()
    return tmp_path


def write(folder, **changes):
    settings = {key: value for key, value in (SETTINGS | changes).items() if value is not None}
    (folder / "mine.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    return str(folder / "mine.yaml")


def problem(path):
    with pytest.raises(ValueError) as caught:
        read_own_task(path)
    return str(caught.value)


def test_a_small_task(folder):
    task = read_own_task(write(folder))
    assert task.rows.values.tolist() == [
        ["a.wav", str(folder / "a.wav"), "sad", "2", None],
        ["b.wav", str(folder / "b.wav"), "happy", "1", None],
        ["c.wav", str(folder / "c.wav"), "sad", None, None],
    ]
    assert task.rows.columns.tolist() == ["id", "path", "label", "speaker", "group"]
    assert task.rows.attrs["left_out"] == {"another split": 1, "no class": 2}
    assert task.licence == "mine alone"
    described = asdict(task.protocol)
    assert described == {
        "name": "mine",
        "title": "My clips",
        "corpus": "my-corpus",
        "language": "en",
        "text_language": "en",
        "words": {"happy": "joy", "sad": "sorrow"},
        "template": "{}",
        "other_words": (),
        "other_templates": (),
        "split": "test",
        "labels": {"happy": "happy", "sad": "sad"},
        "grouped_by": None,
        "published": {},
        "source": "The user's own task over clips.csv; all of it is the user's choice.",
    }


def test_a_task_with_everything(folder):
    (folder / "wav").mkdir()
    for path, *_ in ROWS:
        (folder / path).rename(folder / "wav" / path)
    table = pd.read_csv("clips.csv", dtype=str).rename(columns={"path": "file", "emotion": "class"})
    table.to_csv("clips.csv", index=False)
    path = write(
        folder,
        columns={"path": "file", "emotion": "class"},
        audio_root="wav",
        split="all",
        where={"language": ["en", "fr"], "session": 1},
        label_column="emotion",
        words={"happy": "joy", "angry": "anger", "other": "something"},
        template="full of {}",
        other_words={"other": "else", "angry": "angry", "happy": "happy"},
        other_templates="so {}",
        text_language="de",
        grouped_by="session",
        synthetic=True,
    )
    task = read_own_task(path)
    assert task.rows.values.tolist() == [
        ["b.wav", str(folder / "wav/b.wav"), "happy", "1", "1"],
        ["d.wav", str(folder / "wav/d.wav"), "other", "2", "1"],
        ["f.wav", str(folder / "wav/f.wav"), "angry", "3", "1"],
    ]
    assert task.rows.attrs["left_out"] == {"not language en or fr": 1, "not session 1": 1, "no class": 1}
    protocol = task.protocol
    assert protocol.title == "My clips (SYNTHETIC)"
    assert "synthetic" in protocol.source
    assert protocol.split == "all splits; language en or fr; session 1"
    assert (protocol.text_language, protocol.grouped_by) == ("de", "session")
    assert protocol.texts(protocol.other_words[0], protocol.other_templates[0]) == ["so happy", "so angry", "so else"]


def test_a_title_that_says_synthetic_stays(folder):
    assert read_own_task(write(folder, title="Synthetic clips", synthetic=True)).protocol.title == "Synthetic clips"


def test_a_manifest_without_speakers(folder):
    pd.read_csv("clips.csv", dtype=str).drop(columns="speaker").to_csv("clips.csv", index=False)
    assert read_own_task(write(folder)).rows["speaker"].tolist() == [None, None, None]


BAD_VALUES = {
    "name": ["", "a/b", "..", 3, None],
    "title": ["", " ", ["a"]],
    "corpus": ["", {}],
    "manifest": ["", 3],
    "language": ["en_US", "", ["en"]],
    "licence": ["", 1],
    "words": ["happy", {"happy": ""}, {"happy": ["joy"]}],
    "columns": ["emotion", {"emotion": 1}],
    "audio_root": ["", 1],
    "split": ["testing", 1],
    "where": ["language", {"language": 1}, {"language": [1]}],
    "label_column": ["", 1],
    "template": ["so", "{} {}", ""],
    "other_words": ["happy", [{"happy": 1}]],
    "other_templates": ["so", ["{}", "so"]],
    "text_language": ["German language"],
    "grouped_by": ["", 3.5],
    "synthetic": ["maybe", 1],
}


def test_each_field_refuses_bad_values():
    assert BAD_VALUES.keys() == OwnTask.model_fields.keys()
    for name, values in BAD_VALUES.items():
        for value in values:
            with pytest.raises(SettingsError) as caught:
                OwnTask.from_mapping(SETTINGS | {name: value})
            assert {re.split(r"[.[]", path)[0] for path, _ in caught.value.faults} == {name}, (name, value)


def test_all_faults_of_the_file_come_at_once(folder):
    told = problem(write(folder, templat="{}", zzz=1, synthetic="maybe", template="so", title=None))
    assert told.startswith(repr(str(folder / "mine.yaml")))
    for path, value in (
        ("templat", "'template'"),
        ("zzz", "unknown"),
        ("synthetic", "'maybe'"),
        ("template", "'so'"),
        ("title", "missing"),
    ):
        assert any(line.startswith(f"  `{path}` ") and value in line for line in told.splitlines()), path


def test_faults_of_the_manifest_are_told_with_those_of_the_words(folder):
    (folder / "a.wav").unlink()
    told = problem(write(folder, words={"sad": "low", "happy": "low"}))
    assert "'low'" in told
    assert "row 3, column 'path': there is no file" in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"split": "all"},
            "`words` has no text for these labels and their clips: {'angry': 1}; add it, or filter by `where`",
        ),
        (
            {"words": {"happy": "joy", "sad": "sorrow", "bored": "boredom"}},
            "these classes have no clip: ['bored']; the labels are ['happy', 'sad']",
        ),
        ({"split": "validation"}, "there is no split 'validation'; the manifest has ['train', 'test', 'all']\n"),
        ({"where": {"tongue": "en"}, "label_column": "mood"}, "the manifest has no columns ['mood', 'tongue'], only "),
        (
            {"where": {"session": 3}},
            "`where` keeps no clip: 'session' must be one of ['3'], but the 5 clips it chooses from have ['1', '2'] th",
        ),
        ({"grouped_by": "speaker"}, "1 clips have no 'speaker' to group them by"),
        ({"audio_root": "gone"}, "audio_root 'gone'"),
    ],
)
def test_faults_of_the_clips(folder, changes, told):
    assert told in problem(write(folder, **changes)) + "\n"


def test_a_manifest_without_splits_is_used_as_a_whole(folder):
    table = pd.read_csv("clips.csv", dtype=str)
    table.drop(columns="split").to_csv("clips.csv", index=False)
    told = (
        "there is no split 'test'; the manifest has ['train', 'all']; it has no column `split`, so write `split: all`"
    )
    assert problem(write(folder)).splitlines()[1:] == [f"  {told}"]
    words = SETTINGS["words"] | {"angry": "anger"}
    assert len(read_own_task(write(folder, split="all", words=words)).rows) == 4
    table.drop(columns="split").assign(part="train").to_csv("clips.csv", index=False)
    assert problem(write(folder, columns={"split": "part"})).endswith("the manifest has ['train', 'all']")
    rows = load_manifest("clips.csv")["train"]
    DatasetDict({"train": rows}).save_to_disk("saved")
    assert problem(write(folder, manifest="saved")).endswith("the manifest has ['train', 'all']")
    rows.save_to_disk("whole")
    assert problem(write(folder, manifest="whole")).endswith("so write `split: all`")


def test_only_the_base_name_of_a_manifest_is_kept(folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "clips.csv").rename(folder / "deep" / "er" / "clips.csv")
    for manifest in ("deep/er/clips.csv", str(folder / "deep" / "er" / "clips.csv")):
        described = asdict(read_own_task(write(folder, manifest=manifest, audio_root=str(folder))).protocol)
        assert described["source"] == "The user's own task over clips.csv; all of it is the user's choice."
        assert str(folder) not in str(described)
    of_the_hub = OwnTask(**SETTINGS | {"manifest": "user/clips"})
    assert of_the_hub.protocol().source.startswith("The user's own task over user/clips;")


def test_a_manifest_that_is_not_there_is_told_where_it_was_looked_for(folder):
    told = problem(write(folder, manifest="data/clips.csv"))
    assert "there is no such file or folder" in told
    assert told.endswith(f"\n  `manifest` starts at the current folder, which is {str(folder)!r}")
    assert "current folder" not in problem(write(folder, manifest=str(folder / "gone.csv")))
    assert "current folder" not in problem(write(folder, audio_root="gone"))


OTHERS = [{"happy": "a", "sad": "b"}, {"sad": "d", "happy": "c"}]


@pytest.mark.parametrize(
    ("words", "other_words", "more"),
    [
        ({"happy": "joy"}, OTHERS, []),
        ({"happy": "joy"}, [{"happy": "a"}], []),
        (
            {"happy": "joy"},
            [*OTHERS, {"sad": "e", "glad": "f"}],
            ["`other_words` has ['sad', 'glad'], but the classes are ['happy', 'sad']"],
        ),
        (
            {"happy": "joy"},
            [{"happy": "a", "sad": "a"}],
            ["two classes are both called 'a': no text query tells them apart"],
        ),
    ],
)
def test_a_label_without_a_text_is_told_and_not_what_follows_from_it(folder, words, other_words, more):
    told = "`words` has no text for these labels and their clips: {'sad': 2}; add it, or filter by `where`"
    lines = problem(write(folder, words=words, other_words=other_words)).splitlines()[1:]
    assert lines == [f"  {line}" for line in [*more, told]]


def test_other_words_for_a_class_that_no_clip_has(folder):
    others = [{"happy": "a", "sad": "b", "calm": "c"}]
    lines = problem(write(folder, other_words=others)).splitlines()[1:]
    assert lines == ["  `other_words` has ['happy', 'sad', 'calm'], but the classes are ['happy', 'sad']"]


def test_the_manifests_corpora_are_the_tasks(folder):
    table = pd.read_csv("clips.csv", dtype=str)
    table.assign(corpus=["My-Corpus v2", "", *["my corpus"] * 3, "other"]).to_csv("clips.csv", index=False)
    assert len(read_own_task(write(folder)).rows) == 3  # those of the other split do not matter
    told = problem(write(folder, corpus="mine"))
    assert "clips are of the corpora ['My-Corpus v2', 'my corpus'] by the manifest, not of 'mine': a checkpoint" in told


def test_clips_must_be_files(folder):
    rows = {"audio": [b"RIFF", b"RIFF"], "emotion": ["happy", "sad"], "split": ["test", "test"]}
    pd.DataFrame(rows).to_parquet("clips.parquet")
    told = problem(write(folder, manifest="clips.parquet"))
    assert "the manifest has no columns ['path'], only " in told
    assert "; clips must be files, and `path` says where they are" in told
    pd.DataFrame(rows | {"path": ["a.wav", None], "audio": [None, b"RIFF"]}).to_parquet("clips.parquet")
    assert "1 clips are bytes in the manifest: write them to files" in problem(write(folder, manifest="clips.parquet"))


def test_columns_of_lists_are_no_labels(folder):
    rows = {"path": ["a.wav", "b.wav"], "mood": [["sad"], ["happy"]], "split": ["test", "test"]}
    pd.DataFrame(rows).to_parquet("clips.parquet")
    told = problem(write(folder, manifest="clips.parquet", label_column="mood"))
    assert "the column 'mood' must be text or numbers: a " in told


@pytest.mark.parametrize(("name", "wordings"), [("own_task", ENGLISH), ("own_task_de", GERMAN)])
def test_the_examples(folder, name, wordings):
    text = (CONFIGS / f"{name}.yaml").read_text()
    language = yaml.safe_load(text)["language"]
    emotions = ["neutral", "happy", "angry", "sad", "fearful", "calm", "bored"]
    rows = [
        {"path": f"{tongue}-{emotion}.wav", "emotion": emotion, "language": tongue, "split": "test"}
        for tongue in ("de", "en")
        for emotion in emotions
    ]
    for row in rows:
        (folder / row["path"]).touch()
    pd.DataFrame(rows).to_csv("expressive.csv", index=False)
    (folder / "x.yaml").write_text(text.replace("build/expressive\nsplit", "expressive.csv\nsplit"))
    task = read_own_task("x.yaml")
    protocol = task.protocol
    assert set(task.rows["id"]) == {f"{language}-{emotion}.wav" for emotion in emotions}
    assert "SYNTHETIC" in protocol.title
    assert (protocol.language, protocol.text_language) == (language, language)
    for emotion in emotions:  # a word that the captions of training have too
        assert protocol.words[emotion] in wordings["emotion"][emotion]
