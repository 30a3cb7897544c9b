"""Readers of corpora, on small trees in the published layouts: what they read, what they forgive and what not."""

import shutil

import pytest

from smoothclap_trainer.evaluation.corpora import EMOTION_CORPORA
from smoothclap_trainer.evaluation.corpus_readers import EmoEvaluations, FileNames, LabelTable
from tests.corpus_trees import build_tree


NAMES = FileNames(
    pattern=r"(?P<speaker>[ab])(?P<label>joy|rage)(?P<too_loud>!)?", labels=("joy", "rage"), speakers=("A", "B")
)
SESSIONS = EmoEvaluations(labels=("neu", "ang"), sessions=("Session1", "Session2"))
TABLE = LabelTable(
    file="t/labels.csv",
    audio=("wav", "audio"),
    id="file",
    label="class",
    labels=("x", "y"),
    split=("part", "test"),
    speaker=("who", "(?!nobody)(.+)"),
)


def touch(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def write(root, path, text):
    touch(root, path)
    (root / path).write_text(text)
    return root


def cells(rows, *columns):
    return rows[list(columns)].values.tolist()


def test_file_names_tell_labels_and_speakers(tmp_path):
    touch(tmp_path, "deep/er/aJOY.WAV", "brage.wav", "ajoy!.wav", "notes.wav", "._brage.wav", "ajoy.mp3")
    rows = NAMES.read(tmp_path)
    assert cells(rows, "id", "path", "label", "speaker", "group") == [
        ["aJOY", str(tmp_path / "deep/er/aJOY.WAV"), "joy", "A", None],
        ["brage", str(tmp_path / "brage.wav"), "rage", "B", None],
    ]
    assert rows.attrs["left_out"] == {"too loud": 1, "file name of another form": 1}


def test_file_names_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"\.wav"):
        NAMES.read(tmp_path)
    touch(tmp_path, "x.wav", "y.wav")
    with pytest.raises(ValueError, match=r"2\)"):
        NAMES.read(tmp_path)
    touch(tmp_path, "ajoy.wav")
    with pytest.raises(ValueError, match=r"2 speakers.*: B$"):
        NAMES.read(tmp_path)


def test_a_clip_in_two_folders_is_a_fault(tmp_path):
    touch(tmp_path, "ajoy.wav", "again/AJOY.wav", "bjoy.wav")
    with pytest.raises(ValueError, match=r"again/AJOY.wav and .*ajoy"):
        NAMES.read(tmp_path)


def test_long_lists_are_cut(tmp_path):
    reader = FileNames(NAMES.pattern, NAMES.labels, tuple("ABCDEFGHI"))
    with pytest.raises(ValueError, match=r"9 speakers.*: B, C, D, E, F and 3 more"):
        reader.read(touch(tmp_path, "ajoy.wav"))


@pytest.mark.parametrize("inner", ["", "release"])
def test_evaluations_tell_labels_and_who_speaks(tmp_path, inner):
    root = tmp_path / inner
    for session in (1, 2):
        dialogue = f"Ses0{session}F_impro01"
        lines = f"% head\n\n[1.0 - 2.0]\t{dialogue}_M003\tang\t[2.5, 2.5, 2.5]\nC-E2:\tAnger;\t(caf\xe9)\n"
        touch(root, f"Session{session}/sentences/wav/{dialogue}/{dialogue}_M003.wav")
        file = root / f"Session{session}/dialog/EmoEvaluation/{dialogue}.txt"
        file.parent.mkdir(parents=True)
        file.write_bytes(lines.encode("latin-1"))
    rows = SESSIONS.read(tmp_path)
    assert cells(rows, "id", "label", "speaker", "group") == [
        ["Ses01F_impro01_M003", "ang", "Ses01M", "Session1"],
        ["Ses02F_impro01_M003", "ang", "Ses02M", "Session2"],
    ]
    assert rows["path"][1] == str(root / "Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_M003.wav")
    assert rows.attrs["left_out"] == {}


def test_sessions_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match=r"Session1 .*Session2"):
        SESSIONS.read(tmp_path)
    write(tmp_path, "Session1/dialog/EmoEvaluation/Ses01F_a.txt", "[1 - 2]\tSes01F_a_F000\tneu\t[1, 1, 1]\n")
    with pytest.raises(ValueError, match=r"Session2/dialog/EmoEvaluation/Ses\*\.txt"):
        SESSIONS.read(tmp_path)
    with pytest.raises(ValueError, match="Session1/sentences/wav/Ses01F_a/Ses01F_"):
        EmoEvaluations(("neu",), ("Session1",)).read(tmp_path)
    with pytest.raises(ValueError, match=r"ang, sad, .*'neu' of Ses01F_a_F000"):
        EmoEvaluations(("ang", "sad"), ("Session1",)).read(tmp_path)
    touch(tmp_path, "more/Session1/x")
    with pytest.raises(ValueError, match=r"2 .*/more"):
        SESSIONS.read(tmp_path)


@pytest.mark.parametrize("inner", ["", "release"])
@pytest.mark.parametrize("audio", ["wav", "audio"])
def test_a_table_tells_labels_splits_and_speakers(tmp_path, inner, audio):
    root = tmp_path / inner
    write(root, "t/labels.csv", "\ufefffile,class,part,who\nb,y,test,nobody\na.wav,x,test,7\nc,q,train,8\n")
    touch(root, f"{audio}/a.wav", f"{audio}/b.wav")
    rows = TABLE.read(tmp_path)
    folder = root / audio
    assert cells(rows, "id", "path", "label", "speaker", "group") == [
        ["a", str(folder / "a.wav"), "x", "7", None],
        ["b", str(folder / "b.wav"), "y", None, None],
    ]
    assert rows.attrs["left_out"] == {"another split": 1}


def test_a_table_need_not_know_speakers(tmp_path):
    write(tmp_path, "t/labels.csv", "file,class,part\na,x,test\n")
    rows = TABLE.read(touch(tmp_path, "wav/a.wav"))
    assert rows["speaker"].tolist() == [None]
    assert rows.attrs["left_out"] == {}


@pytest.mark.parametrize(
    ("text", "files", "problem"),
    [
        ("file,part\na,test\n", ["wav/a.wav"], r"t/labels.csv .*\['class'\].*\['file', 'part'\]"),
        ("file,class,part\na,x,dev\n", ["wav/a.wav"], "t/labels.csv .*'part' .*'test'"),
        ("file,class,part\na,x,test\n", [], "wav .*audio"),
        ("file,class,part\na,x,test\nb,x,test\n", ["wav/a.wav"], r"2 .*/wav/b.wav$"),
        ("file,class,part\na,z,test\n", ["wav/a.wav"], "1 .*'z' "),
        ("file,class,part\na,x,test\na.wav,y,test\n", ["wav/a.wav"], r"1 .*a\.wav"),
    ],
)
def test_tables_with_faults(tmp_path, text, files, problem):
    write(tmp_path, "t/labels.csv", text)
    with pytest.raises(ValueError, match=problem):
        TABLE.read(touch(tmp_path, *files))


def test_no_table_at_all(tmp_path):
    with pytest.raises(ValueError, match=r"t/labels\.csv"):
        TABLE.read(tmp_path)


def read(corpus, root):
    return EMOTION_CORPORA[corpus].readers[0].read(root)


def test_ravdess_unpacks_in_two_ways_and_songs_are_left_out(tree):
    folder = tree("ravdess")
    whole = read("ravdess", folder)
    speech = read("ravdess", folder / "Audio_Speech_Actors_01-24")
    assert whole["id"].tolist() == speech["id"].tolist()
    assert len(whole) == 24
    assert (whole.attrs["left_out"], speech.attrs["left_out"]) == ({"song": 1}, {})
    assert cells(whole, "id", "label", "speaker")[0] == ["03-01-01-01-01-01-01", "01", "01"]
    with pytest.raises(ValueError, match=r"24 speakers.*: 01, 03, 04, 05, 06 and 18 more"):
        read("ravdess", folder / "Audio_Speech_Actors_01-24/Actor_02")


def test_tess_is_flat_or_in_folders(tmp_path):
    tree = build_tree("tess", tmp_path, takes=2)
    rows = read("tess", tree)
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in tree.rglob("*.wav"):
        shutil.copy(path, flat / path.name.upper())
    same = read("tess", flat)
    assert len(rows) == 28
    assert sorted(cells(same, "label", "speaker")) == sorted(cells(rows, "label", "speaker"))
    misnamed = rows[rows["id"] == "OA_bite_neutral"]
    assert cells(misnamed, "label", "speaker") == [["neutral", "OA"]]


def test_both_labellings_of_aibo_are_read(tree):
    two, five = (reader.read(tree("fau-aibo")) for reader in EMOTION_CORPORA["fau-aibo"].readers)
    assert two["id"].tolist() == five["id"].tolist()
    assert two["label"].tolist()[:5] == ["NEG", "NEG", "IDL", "IDL", "IDL"]
    assert five["label"].tolist()[:5] == ["A", "E", "N", "P", "R"]
    assert sorted(set(two["speaker"])) == ["Mont_01", "Mont_02", "Mont_03", "Mont_04", "Mont_05"]
    assert two.attrs["left_out"] == {"another split": 10}


def test_unknown_speakers_of_msp_podcast_are_none(tree):
    rows = read("msp-podcast", tree("msp-podcast"))
    assert len(rows) == 30
    assert set(rows["speaker"]) == {"12", "345", None}
