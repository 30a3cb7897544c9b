"""Known corpora from folders, the Hub and YAML files: the same clips, labels and speakers, or a refusal."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from smoothclap_trainer.config import SettingsError
from smoothclap_trainer.data.hub_clips import HubClip
from smoothclap_trainer.evaluation import corpus_sources
from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA, read_corpus
from smoothclap_trainer.evaluation.corpus_readers import FileNames
from smoothclap_trainer.evaluation.corpus_sources import CorpusSource


ON_HUB = f"ann/clips@{'0' * 40}"
CREMA_D = {code: number for number, code in enumerate(("ANG", "DIS", "FEA", "HAP", "NEU", "SAD"))}
NAMES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
RAVDESS = {f"{number:02}": name for number, name in enumerate(NAMES, 1)}


def reader_of(corpus: str) -> FileNames:
    return EMOTION_CORPORA[corpus].readers[0]


@pytest.fixture
def on_hub(tree, monkeypatch):
    """Stand a corpus in for what the Hub has; `cells` makes the other columns of label and speaker."""

    def put(corpus, cells=lambda label, speaker: {}, names=True):
        paths = sorted(
            path for path in tree(corpus).rglob("*.wav") if isinstance(reader_of(corpus).parse(path.stem), tuple)
        )
        clips = [
            HubClip(str(path), path.name if names else None, cells(*reader_of(corpus).parse(path.stem)))
            for path in paths
        ]
        monkeypatch.setattr(corpus_sources, "hub_clips", lambda data: clips)
        return clips

    return put


def source(corpus, **more):
    return CorpusSource(corpus=corpus, data_root=ON_HUB, **more)


@pytest.mark.parametrize("corpus", ["crema-d", "ravdess", "emodb", "tess"])
def test_names_of_files_tell_on_the_hub_what_they_tell_in_a_folder(corpus, on_hub, tree):
    on_hub(corpus)
    folder = CorpusSource(corpus=corpus, data_root=str(tree(corpus))).read(reader_of(corpus))
    pd.testing.assert_frame_equal(source(corpus).read(reader_of(corpus)), folder)


def test_labels_in_a_column_must_agree_with_names(on_hub):
    clips = on_hub("crema-d", lambda label, speaker: {"label": str(CREMA_D[label])})
    columns = {"label": "label"}
    right = {str(number): code for code, number in CREMA_D.items()}
    for labels in ({}, right):
        assert len(source("crema-d", columns=columns, labels=labels).read(reader_of("crema-d"))) == len(clips)
    with pytest.raises(ValueError, match="FEA"):
        source("crema-d", columns=columns, labels=right | {"2": "HAP"}).read(reader_of("crema-d"))
    clips[-1].cells["label"] = str((int(clips[-1].cells["label"]) + 1) % 6)
    with pytest.raises(ValueError, match=clips[-1].name):
        source("crema-d", columns=columns).read(reader_of("crema-d"))


@pytest.mark.parametrize(
    ("labels", "write"),
    [
        ({}, lambda code: code),  # the corpus's own
        ({}, lambda code: RAVDESS[code]),  # English, as classes of `datasets` are called
        ({}, lambda code: RAVDESS[code].title()),
        ({str(int(code) - 1): code for code in RAVDESS}, lambda code: str(int(code) - 1)),  # numbers
    ],
)
def test_without_names_columns_tell_label_and_speaker(on_hub, tree, labels, write):
    on_hub("ravdess", lambda label, speaker: {"labels": write(label), "actor": speaker.lstrip("0")}, names=False)
    rows = source("ravdess", columns={"label": "labels", "speaker": "actor"}, labels=labels).read(reader_of("ravdess"))
    folder = reader_of("ravdess").read(tree("ravdess"))
    both = rows.merge(folder, on="path", suffixes=("", "_by_name"))
    assert len(both) == len(rows) == len(folder) and rows["id"].str.startswith("ravdess/").all()
    assert (both["label"] == both["label_by_name"]).all() and (both["speaker"] == both["speaker_by_name"]).all()


def test_names_may_be_in_a_column(on_hub, tree):
    clips = on_hub("emodb")
    for clip in clips:
        clip.cells["file"] = f"folder/{clip.name}"
    clips[:] = [clip._replace(name=None) for clip in clips]
    rows = source("emodb", columns={"name": "file"}).read(reader_of("emodb"))
    pd.testing.assert_frame_equal(rows, reader_of("emodb").read(tree("emodb")))


@pytest.mark.parametrize("columns", [{}, {"label": "label"}, {"speaker": "who"}])
def test_nobody_is_guessed_where_no_name_tells_who_speaks(on_hub, columns):
    on_hub("emodb", lambda label, speaker: {"label": label, "who": speaker}, names=False)
    with pytest.raises(ValueError, match="'who'"):
        source("emodb", columns=columns).read(reader_of("emodb"))


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [("label", "7", "'7'"), ("label", None, "None"), ("who", "99", "'99'"), ("who", None, "None")],
)
def test_values_that_stand_for_nothing_are_refused(on_hub, column, value, named):
    clips = on_hub("emodb", lambda label, speaker: {"label": label, "who": speaker}, names=False)
    clips[3].cells[column] = value
    with pytest.raises(ValueError, match=named):
        source("emodb", columns={"label": "label", "speaker": "who"}).read(reader_of("emodb"))


def test_a_speaker_without_a_clip_is_named(on_hub):
    clips = on_hub("emodb")
    clips[:] = [clip for clip in clips if not clip.name.startswith("08")]
    with pytest.raises(ValueError, match="08"):
        source("emodb").read(reader_of("emodb"))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"columns": {"label": "mood"}}, "'mood'"),
        ({"columns": {"label": "label"}, "labels": {"0": "ANGRY"}}, "'ANGRY'"),
    ],
)
def test_columns_and_labels_must_be_there(on_hub, more, named):
    on_hub("crema-d", lambda label, speaker: {"label": label})
    with pytest.raises(ValueError, match=named):
        source("crema-d", **more).read(reader_of("crema-d"))


def test_only_a_commit_and_a_corpus_with_names_come_from_the_hub(on_hub):
    on_hub("emodb")
    with pytest.raises(ValueError, match="main"):
        CorpusSource(corpus="emodb", data_root="ann/clips@main").read(reader_of("emodb"))
    with pytest.raises(ValueError, match="IEMOCAP"):
        read_corpus(EMOTION_CORPORA["iemocap"], ON_HUB, {"neu"})


def test_too_few_clips_on_the_hub_are_counted_as_in_a_folder(on_hub, logs):
    clips = on_hub("emodb")
    corpus = replace(EMOTION_CORPORA["emodb"], clips=len(clips) + 3)
    assert list(read_corpus(corpus, ON_HUB, {"W"}).attrs["left_out"].values()) == [3]
    assert ON_HUB in logs.text


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"columns": {"label": "x"}}, "columns"),
        ({"labels": {"0": "W"}}, "labels"),
        ({"data_root": ON_HUB, "labels": {"0": "W"}}, "labels"),
        ({"columns": {"audio": "x"}}, "columns.audio"),
        ({"speakers": {"training": ["03"]}}, "speakers"),
        ({"data_root": ON_HUB, "split": "train"}, "split"),
    ],
)
def test_faults_of_a_file_are_named(said, place):
    with pytest.raises(SettingsError) as caught:
        CorpusSource.from_mapping({"corpus": "emodb", "data_root": "folder"} | said)
    assert [path for path, _ in caught.value.faults if path.startswith(place)]


def test_a_file_is_of_its_corpus(tmp_path: Path, tree):
    file = tmp_path / "emodb.yaml"
    file.write_text(f"corpus: emodb\ndata_root: {tree('emodb')}\n")
    assert len(read_corpus(EMOTION_CORPORA["emodb"], file, {"W"})) == len(reader_of("emodb").read(tree("emodb")))
    with pytest.raises(ValueError, match="tess"):
        read_corpus(EMOTION_CORPORA["tess"], file, {"sad"})
