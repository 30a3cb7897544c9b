"""Clips with labels: shared classes by hand, thirds by numpy, and what is left out is counted."""

import re

import numpy as np
import pandas as pd
import pytest

from smoothclap_trainer.clep_dg.corpora import read_corpora, read_labelled
from smoothclap_trainer.clep_dg.settings import CorpusSettings
from smoothclap_trainer.evaluation.corpora import read_task
from smoothclap_trainer.evaluation.protocols import PROTOCOLS
from tests.corpus_trees import build_tree


ROWS = [
    ("b.wav", "happy", "1", "test", "1", 4.0),
    ("a.wav", "sad", "2", "test", "2", 1.0),
    ("c.wav", "sad", None, "test", "2", 5.0),
    ("d.wav", "other", "2", "test", "1", 2.0),
    ("e.wav", None, "2", "test", "1", None),
    ("f.wav", "angry", "4", "train", "1", 3.0),
    ("g.wav", "bored", "3", "test", "1", 6.0),
]


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    """Seven clips in a CSV file."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "datasets-cache")
    table = pd.DataFrame(ROWS, columns=["path", "emotion", "speaker", "split", "session", "level"])
    for path in table["path"]:
        (tmp_path / path).write_text(path)
    table.to_csv(tmp_path / "clips.csv", index=False)
    return tmp_path / "clips.csv"


def own(manifest, name="mine", **changes):
    return CorpusSettings(name=name, manifest=str(manifest), **{"language": "en", "licence": "mine alone"} | changes)


def refuses(settings, value):
    with pytest.raises(ValueError, match=re.escape(value)):
        read_labelled(settings)


# Manifests


def test_labels_of_a_manifest_are_classes_and_the_rest_is_counted(manifest):
    corpus = read_labelled(own(manifest))
    assert corpus.classes == ("bored", "happy", "sad")
    rows = corpus.rows
    assert {"id", "path", "label", "speaker"} <= set(rows.columns)
    assert rows["id"].tolist() == ["a.wav", "b.wav", "c.wav", "g.wav"]
    assert rows["label"].tolist() == ["sad", "happy", "sad", "bored"]
    assert [each if isinstance(each, str) else None for each in rows["speaker"]] == ["2", "1", None, "3"]
    assert rows["path"].tolist() == [str(manifest.parent / name) for name in rows["id"]]
    assert rows.attrs["left_out"] == {"another split": 1, "no class": 2}
    assert (corpus.title, corpus.language, corpus.licence) == ("mine", "en", "mine alone")


def test_labels_are_mapped_and_clips_chosen(manifest):
    labels = {"happy": "pleasant", "bored": "unpleasant", "other": "unpleasant", "angry": "unpleasant"}
    corpus = read_labelled(own(manifest, labels=labels, where={"session": "1"}, split="all", synthetic=True))
    assert corpus.classes == ("pleasant", "unpleasant")
    assert dict(zip(corpus.rows["id"], corpus.rows["label"], strict=True)) == {
        "b.wav": "pleasant", "d.wav": "unpleasant", "f.wav": "unpleasant", "g.wav": "unpleasant",
    }  # fmt: skip
    assert corpus.rows.attrs["left_out"] == {"not session 1": 2, "no class": 1}
    assert corpus.title == "mine (SYNTHETIC)"
    assert read_labelled(own(manifest, note="Nobody listened.")).source.endswith(" Nobody listened.")
    some = read_labelled(own(manifest, labels={"happy": "x"}, where={"session": ["1", "2"]}))
    assert some.rows["id"].tolist() == ["b.wav"]
    assert some.rows.attrs["left_out"] == {
        "another split": 1, "no class": 2, "label 'bored'": 1, "label 'sad'": 2,
    }  # fmt: skip


def test_thirds_of_a_functional_are_numpys(manifest):
    corpus = read_labelled(own(manifest, thirds_of="level", labels={"low": "soft", "high": "loud"}, split="all"))
    values = np.array([row[-1] for row in ROWS if row[-1] is not None])
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    expected = {row[0]: "loud" if row[-1] >= high else "soft" for row in ROWS
                if row[-1] is not None and (row[-1] >= high or row[-1] <= low)}  # fmt: skip
    assert dict(zip(corpus.rows["id"], corpus.rows["label"], strict=True)) == expected
    assert expected == {"a.wav": "soft", "d.wav": "soft", "c.wav": "loud", "g.wav": "loud"}
    assert corpus.classes == ("soft", "loud")
    assert corpus.rows.attrs["left_out"] == {"in the middle third of level, or without a value": 3}
    chosen = read_labelled(own(manifest, thirds_of="level", where={"session": "2"}))  # thirds are of the chosen clips
    assert dict(zip(chosen.rows["id"], chosen.rows["label"], strict=True)) == {"a.wav": "low", "c.wav": "high"}


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"label_column": "mood", "where": {"room": "1"}}, "['mood', 'room']"),
        ({"labels": {"hapy": "happy"}}, "['hapy']"),
        ({"where": {"session": "9"}}, "['9']"),
        ({"where": {"session": "9"}, "labels": {"sad": "sad"}}, "'session'"),
        ({"where": {"path": "d.wav", "session": "1"}}, "['d.wav"),
        ({"where": {"emotion": "other"}}, "1 clips"),
        ({"where": {"emotion": "other"}, "labels": {"sad": "sad"}}, "1 clips"),
        ({"thirds_of": "emotion"}, "'emotion'"),
        ({"thirds_of": "level", "where": {"emotion": "bored"}}, "1 different values"),
    ],
)
def test_what_cannot_be_labelled(changes, value, manifest):
    refuses(own(manifest, **changes), value)


def test_clips_are_those_of_the_manifest_and_of_this_corpus(manifest):
    """The reader is that of one's own tasks; here are its settings, and the name under which a fault is reported."""
    table = pd.read_csv(manifest).rename(columns={"emotion": "EmoClass"})
    table.assign(corpus=["IEMOCAP", "iemocap v1", None, *["other"] * 3, "IEMOCAP"]).to_csv(manifest, index=False)
    columns = {"emotion": "EmoClass"}
    corpus = read_labelled(own(manifest, "iemocap", columns=columns))
    assert len(corpus.rows) == 4 and corpus.name == "iemocap"
    refuses(own(manifest, "my-set", columns=columns), "['iemocap v1', 'IEMOCAP']")
    refuses(own(manifest, "my-set"), "'my-set' cannot be used: the manifest has no columns ['emotion']")


def test_a_functional_that_is_mostly_one_value_has_no_thirds(manifest):
    table = pd.read_csv(manifest)
    table["level"] = [1, 1, 1, 1, 1, 1, 2]
    table.to_csv(manifest, index=False)
    refuses(own(manifest, thirds_of="level"), "one value, 1")


# Known corpora and the classes that they share


def test_a_known_corpus_is_that_of_its_protocol(tmp_path):
    root = build_tree("emodb", tmp_path, takes=1)
    corpus = read_labelled(CorpusSettings(name="emodb", data_root=str(root)))
    expected = read_task(PROTOCOLS["emodb-7"], root)
    assert corpus.classes == PROTOCOLS["emodb-7"].classes
    pd.testing.assert_frame_equal(corpus.rows[["id", "path", "label", "speaker"]],
                                  expected[["id", "path", "label", "speaker"]])  # fmt: skip
    assert corpus.rows.attrs["left_out"] == expected.attrs["left_out"]
    assert (corpus.title, corpus.language) == ("EmoDB", "de")
    root = build_tree("fau-aibo", tmp_path, takes=1)
    two = CorpusSettings(name="fau-aibo", data_root=str(root), protocol="fau-aibo-2")
    assert read_labelled(two).classes == ("non-negative", "negative")


def test_five_corpora_share_four_emotions(tmp_path):
    names = ["ravdess", "crema-d", "tess", "iemocap", "emodb"]
    roots = [build_tree(name, tmp_path, takes=1, seed=seed) for seed, name in enumerate(names)]
    settings = [CorpusSettings(name=name, data_root=str(root)) for name, root in zip(names, roots, strict=True)]
    corpora = read_corpora(settings)
    assert [corpus.name for corpus in corpora] == names
    for corpus in corpora:
        assert corpus.classes == ("neutral", "happy", "sad", "angry")
        assert set(corpus.rows["label"]) == set(corpus.classes)
        single = read_labelled(next(each for each in settings if each.name == corpus.name)).rows
        lost = single["label"].value_counts().drop(list(corpus.classes))
        assert len(corpus.rows) == len(single) - lost.sum()
        for name, count in lost.items():
            assert corpus.rows.attrs["left_out"][f"class {name!r}, which not all corpora have"] == count


def test_corpora_that_share_less_than_two_classes_are_refused(manifest, tmp_path):
    both = [own(manifest), own(manifest, "other", labels={"sad": "sad", "angry": "cross"}, split="all")]
    with pytest.raises(ValueError, match=r"\['sad'\](.|\n)*mine: bored, happy, sad\n  other: sad, cross"):
        read_corpora(both)
    both[1] = own(manifest, "other", labels={"sad": "low"})
    with pytest.raises(ValueError, match=r"\[\]"):
        read_corpora(both)


def test_corpora_that_share_files_are_refused(manifest, tmp_path):
    (tmp_path / "other").symlink_to(tmp_path, target_is_directory=True)  # the same files by other paths
    names = {"happy": "up", "sad": "down", "bored": "mine alone"}
    first = own(manifest, labels=names, where={"path": [str(tmp_path / f"{name}.wav") for name in "abg"]})
    other = own(
        tmp_path / "other" / "clips.csv", "other", labels={"happy": "up", "sad": "down", "angry": "no"}, split="all"
    )
    with pytest.raises(ValueError, match="'mine' and 'other': 2"):
        read_corpora([first, other])


def test_corpora_that_hold_copies_of_files_are_refused(manifest, tmp_path):
    (tmp_path / "one.wav").write_text("a.wav")
    (tmp_path / "two.wav").write_text("b.was")
    (tmp_path / "copies.csv").write_text("path,emotion,split\none.wav,sad,test\ntwo.wav,happy,test\n")
    with pytest.raises(ValueError, match="'mine' and 'other': 1"):
        read_corpora([own(manifest), own(tmp_path / "copies.csv", "other")])


def test_clips_of_classes_that_are_not_tested_may_be_shared(manifest, tmp_path):
    """Each has a class that the other lacks; the clips that they share are of these."""
    (tmp_path / "h.wav").touch()
    (tmp_path / "i.wav").touch()
    rows = [("h.wav", "happy", "test"), ("i.wav", "sad", "test"), ("g.wav", "dull", "test")]
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(tmp_path / "more.csv", index=False)
    corpora = read_corpora([own(manifest), own(tmp_path / "more.csv", "other", label_column="label")])
    assert [corpus.rows["id"].tolist() for corpus in corpora] == [["a.wav", "b.wav", "c.wav"], ["h.wav", "i.wav"]]
