"""Tasks by name, those of one's own as YAML, and the folders of corpora."""

import re
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest
import yaml
from datasets import DatasetDict

from smoothclap_trainer.config import SettingsError
from smoothclap_trainer.data.captions import LANGUAGES
from smoothclap_trainer.data.manifest import load_manifest
from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.tasks import (
    OwnTask,
    corpus_roots,
    load_tasks,
    read_own_task,
)
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
    assert str(mine / "tess") in told and "mine.yaml" in told
    assert told.count(str(mine / "fau-aibo")) == 2  # each of the two tasks has labels of its own
    (mine / "alc").mkdir()
    with pytest.raises(ValueError) as caught:
        load_tasks(["alc-2", "tess-7"], [f"alc={mine / 'alc'}", f"tess={mine / 'gone'}"])
    told = str(caught.value)
    assert repr(str(mine / "gone")) in told and "tess=FOLDER" in told and "alc=FOLDER" not in told


def test_a_task_on_the_test_speakers_of_a_corpus(mine):
    build_tree("tess", mine, takes=1)
    (mine / "corpus.yaml").write_text("corpus: tess\ndata_root: tess\nspeakers: {train: [OA], test: [YA]}\n")
    said = yaml.safe_load((mine / "mine.yaml").read_text())
    said |= {"manifest": "corpus.yaml", "corpus": "tess", "where": {"emotion": ["happy", "sad"]}}
    (mine / "mine.yaml").write_text(yaml.safe_dump(said))
    (task,) = load_tasks(["mine.yaml"])
    assert task.rows["speaker"].tolist() == ["YA", "YA"] and sorted(task.rows["label"]) == ["happy", "sad"]
    (mine / "mine.yaml").write_text(yaml.safe_dump(said | {"split": "validation"}))
    with pytest.raises(ValueError, match="'validation'"):
        load_tasks(["mine.yaml"])


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


def test_files_of_corpora_and_data_sets_on_the_hub(here):
    on_hub = f"mteb/crema-d@{'0' * 40}"
    (here / "tess.yaml").write_text("corpus: tess\ndata_root: here\n")
    (here / "here").mkdir()
    roots = corpus_roots(["tess", "crema-d"], [str(here), f"crema-d={on_hub}"])
    assert roots == {"tess": here / "tess.yaml", "crema-d": Path(on_hub)}
    assert corpus_roots(["tess"], ["tess.yaml"]) == {"tess": Path("tess.yaml")}
    (here / "tess").mkdir()
    assert corpus_roots(["tess"], [str(here)]) == {"tess": here / "tess"}  # a folder comes first, as ever
    # Without a commit it is a folder that is missing.
    with pytest.raises(ValueError, match=r"(?s)mteb/crema-d'.*crema-d=USER/NAME@COMMIT"):
        corpus_roots(["crema-d"], ["crema-d=mteb/crema-d"])
    (here / "here").rmdir()
    with pytest.raises(ValueError, match=r"(?s)'here'.*tess=FOLDER"):
        corpus_roots(["tess"], ["tess.yaml"])


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
        (["tess"], ["tess=a", "tess=b"], "'tess' .*'a' .*'b'"),
    ],
)
def test_data_roots_with_faults(here, corpora, data_roots, problem):
    with pytest.raises(ValueError, match=problem):
        corpus_roots(corpora, data_roots)


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
        "averaged": False,
        "by_speaker": False,
        "confounded_by": None,
        "shuffles": 0,
    }


def test_clips_without_a_class_serve_to_standardise_scores(folder):
    table = pd.read_csv("clips.csv", dtype=str).set_index("path")
    table.loc["f.wav", ["emotion", "speaker", "split"]] = ["", "1", "test"]
    table.reset_index().to_csv("clips.csv", index=False)
    task = read_own_task(write(folder, by_speaker=True, confounded_by="session", where={"speaker": ["1", "2"]}))
    assert task.rows[["id", "confound"]].values.tolist() == [["a.wav", "2"], ["b.wav", "1"]]
    assert task.heard["id"].tolist() == ["a.wav", "b.wav", "d.wav", "e.wav", "f.wav"]
    assert read_own_task(write(folder, where={"speaker": ["1", "2"]})).heard["id"].tolist() == ["a.wav", "b.wav"]


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


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("name", ["", "a/b", "..", 3, None]),
        ("language", ["en_US", "", ["en"]]),
        ("words", ["happy", {"happy": ""}, {"happy": ["joy"]}]),
        ("split", ["testing", 1]),
        ("where", ["language", {"language": 1}, {"language": [1]}]),
        ("template", ["so", "{} {}", ""]),
        ("other_words", ["happy", [{"happy": 1}]]),
        ("other_templates", ["so", ["{}", "so"]]),
        ("synthetic", ["maybe", 1]),
    ],
)
def test_fields_refuse_bad_values(name, values):
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
    ("changes", "values"),
    [
        ({"split": "all"}, ["{'angry': 1}"]),
        ({"words": {"happy": "joy", "sad": "sorrow", "bored": "boredom"}}, ["['bored']", "['happy', 'sad']"]),
        ({"split": "validation"}, ["'validation'", "['train', 'test']"]),
        ({"where": {"tongue": "en"}, "label_column": "mood"}, ["['mood', 'tongue']", "`label_column`"]),
        ({"where": {"session": 3}}, ["'session'", "['3']", "the 5 clips", "['1', '2']"]),
        ({"grouped_by": "speaker"}, ["1 clips", "'speaker'"]),
        ({"by_speaker": True}, ["1 clips have no speaker", "'1'"]),
        ({"by_speaker": True, "grouped_by": "session"}, ["`grouped_by`"]),
        ({"confounded_by": "speaker"}, ["1 clips", "'speaker'"]),
        ({"confounded_by": "language"}, ["'en'", "'language'"]),
        ({"confounded_by": "emotion"}, ["`confounded_by`", "'emotion'"]),
        ({"audio_root": "gone"}, ["audio_root 'gone'"]),
        ({"other_words": [{"happy": "a", "sad": "b", "calm": "c"}]}, ["['happy', 'sad', 'calm']"]),
        ({"manifest": "data/clips.csv"}, ["no such file", "current folder"]),
    ],
)
def test_faults_of_the_clips(folder, changes, values):
    told = problem(write(folder, **changes))
    assert all(value in told for value in values)
    assert ("current folder" in told) == ("manifest" in changes)


def test_a_manifest_without_splits_is_used_as_a_whole(folder):
    table = pd.read_csv("clips.csv", dtype=str)
    table.drop(columns="split").to_csv("clips.csv", index=False)
    assert "`split: all`" in problem(write(folder))
    words = SETTINGS["words"] | {"angry": "anger"}
    assert len(read_own_task(write(folder, split="all", words=words)).rows) == 4
    table.drop(columns="split").assign(part="train").to_csv("clips.csv", index=False)
    assert "`split: all`" not in problem(write(folder, columns={"split": "part"}))
    rows = load_manifest("clips.csv")["train"]
    DatasetDict({"train": rows}).save_to_disk("saved")
    assert "`split: all`" not in problem(write(folder, manifest="saved"))
    rows.save_to_disk("whole")
    assert "`split: all`" in problem(write(folder, manifest="whole"))


def test_only_the_base_name_of_a_manifest_is_kept(folder):
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "clips.csv").rename(folder / "deep" / "er" / "clips.csv")
    for manifest in ("deep/er/clips.csv", str(folder / "deep" / "er" / "clips.csv")):
        described = asdict(read_own_task(write(folder, manifest=manifest, audio_root=str(folder))).protocol)
        assert described["source"] == "The user's own task over clips.csv; all of it is the user's choice."
        assert str(folder) not in str(described)
    of_the_hub = OwnTask(**SETTINGS | {"manifest": "user/clips"})
    assert of_the_hub.protocol().source.startswith("The user's own task over user/clips;")


OTHERS = [{"happy": "a", "sad": "b"}, {"sad": "d", "happy": "c"}]


@pytest.mark.parametrize(
    ("other_words", "more"),
    [
        (OTHERS, []),
        ([{"happy": "a"}], []),
        ([*OTHERS, {"sad": "e", "glad": "f"}], ["['sad', 'glad']"]),
        ([{"happy": "a", "sad": "a"}], ["'a'"]),
    ],
)
def test_a_label_without_a_text_is_reported_and_not_what_follows_from_it(folder, other_words, more):
    lines = problem(write(folder, words={"happy": "joy"}, other_words=other_words)).splitlines()[1:]
    assert len(lines) == len(more) + 1
    assert all(value in line for value, line in zip([*more, "{'sad': 2}"], lines, strict=True))


def test_a_part_of_a_file_is_a_clip(folder):
    pd.read_csv("clips.csv").assign(start=0.0, end=0.1).to_csv("clips.csv", index=False)
    rows = read_own_task(write(folder)).rows
    assert rows[["start", "end"]].to_numpy().tolist() == [[0.0, 0.1]] * len(rows)


def test_the_manifests_corpora_are_the_tasks(folder):
    table = pd.read_csv("clips.csv", dtype=str)
    table.assign(corpus=["My-Corpus v2", "", *["my corpus"] * 3, "other"]).to_csv("clips.csv", index=False)
    assert len(read_own_task(write(folder)).rows) == 3  # those of the other split do not matter
    told = problem(write(folder, corpus="mine"))
    assert "['My-Corpus v2', 'my corpus']" in told and "'mine'" in told


def test_clips_must_be_files(folder):
    rows = {"audio": [b"RIFF", b"RIFF"], "emotion": ["happy", "sad"], "split": ["test", "test"]}
    pd.DataFrame(rows).to_parquet("clips.parquet")
    assert "['path']" in problem(write(folder, manifest="clips.parquet"))
    pd.DataFrame(rows | {"path": ["a.wav", None], "audio": [None, b"RIFF"]}).to_parquet("clips.parquet")
    assert "1 clips are bytes" in problem(write(folder, manifest="clips.parquet"))


@pytest.mark.parametrize(
    ("name", "wordings"), [("own_task", LANGUAGES["en"].wordings), ("own_task_de", LANGUAGES["de"].wordings)]
)
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
