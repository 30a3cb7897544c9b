"""Data roots as the command line gives them."""

from pathlib import Path

import pytest

from smoothclap_trainer.evaluation.tasks import corpus_roots


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_named_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("a=b", "home/t"):
        (tmp_path / name).mkdir(parents=True)
    assert corpus_roots(["tess", "alc"], [f"alc={tmp_path}/a=b", "tess=~/t"]) == {
        "alc": tmp_path / "a=b",
        "tess": tmp_path / "home/t",
    }
    assert corpus_roots([], []) == {}


def test_one_folder_that_holds_them_all(tmp_path):
    (tmp_path / "tess").mkdir()
    (tmp_path / "alc").mkdir()
    (tmp_path / "x").mkdir()
    expected = {"tess": tmp_path / "tess", "alc": tmp_path / "alc"}
    assert corpus_roots(["tess", "alc"], [str(tmp_path)]) == expected
    assert corpus_roots(["tess", "alc"], [str(tmp_path), "alc=x"]) == expected | {"alc": Path("x")}
    assert corpus_roots(["tess", "alc"], ["."])["tess"] == Path("tess")


def test_one_folder_that_is_the_corpus(tmp_path):
    assert corpus_roots(["tess"], [str(tmp_path)]) == {"tess": tmp_path}
    (tmp_path / "a=b").mkdir()
    assert corpus_roots(["tess"], ["a=b"]) == {"tess": Path("a=b")}
    (tmp_path / "tess").mkdir()
    assert corpus_roots(["tess"], [str(tmp_path)]) == {"tess": tmp_path / "tess"}


def test_corpora_without_a_folder_are_told_where_to_ask(tmp_path):
    with pytest.raises(ValueError) as caught:
        corpus_roots(["tess", "sld"], [])
    assert str(caught.value) == (
        "these corpora have no data root; give one for each:\n"
        "  tess=FOLDER, from https://doi.org/10.5683/SP2/E8H2MF; licence: CC BY-NC-ND 4.0\n"
        "  sld=FOLDER, from the organisers of the Interspeech 2012 Speaker Trait Challenge; licence: agreement with "
        "its owners"
    )
    (tmp_path / "tess").mkdir()
    with pytest.raises(
        ValueError, match=r"has no folder for these corpora; give one for each:\n  sld=FOLDER"
    ) as caught:
        corpus_roots(["tess", "sld"], [str(tmp_path)])
    assert "tess=" not in str(caught.value)


def test_folders_that_are_not_there_are_told_with_those_not_given(tmp_path):
    (tmp_path / "here").mkdir()
    with pytest.raises(ValueError) as caught:
        corpus_roots(["tess", "sld", "alc", "emodb"], ["tess=gone", "alc=here", "sld=gone too"])
    lines = str(caught.value).splitlines()
    assert lines[0] == "these corpora have no data root; give one for each:"
    assert lines[1].startswith("  emodb=FOLDER, from http://emodb.bilderbar.info; licence: ")
    assert lines[2] == "there is no folder 'gone', 'gone too'; give those of these corpora:"
    assert [line.split("=")[0] for line in lines[3:]] == ["  tess", "  sld"]
    with pytest.raises(ValueError, match=r"^there is no folder 'gone'; give one for each:\n  tess=F.+\n  sld=F"):
        corpus_roots(["tess", "sld"], ["gone"])
    with pytest.raises(ValueError, match=r"^there is no folder 'gone'; give those of these corpora:\n  tess=FOLDER"):
        corpus_roots(["tess"], ["gone"])


def test_a_corpus_whose_name_is_almost_right(tmp_path):
    names = "['iemocap', 'ravdess', 'crema-d', 'tess', 'fau-aibo', 'alc', 'sld', 'msp-podcast', 'emodb']"
    for written in ("ravdes", "RAVDESS"):
        with pytest.raises(ValueError) as caught:
            corpus_roots(["ravdess"], [f"{written}=wav"])
        told = f"unknown corpus {written!r} in the data root '{written}=wav' (did you mean 'ravdess'?)"
        assert str(caught.value) == f"{told}; the corpora are {names}"
    with pytest.raises(ValueError) as caught:
        corpus_roots(["ravdess"], ["=wav"])
    assert str(caught.value) == f"unknown corpus '' in the data root '=wav'; the corpora are {names}"
    (tmp_path / "ravdes=wav").mkdir()
    assert corpus_roots(["ravdess"], ["ravdes=wav"]) == {"ravdess": Path("ravdes=wav")}


@pytest.mark.parametrize(
    ("corpora", "data_roots", "problem"),
    [
        (["tess"], ["tess=a", "alc=b"], r"no task needs the data roots \['alc'\]"),
        (["tess"], ["tess=a", "b"], r"no task needs the data roots \['b'\]"),
        ([], ["b"], r"no task needs the data roots \['b'\]"),
        (["tess", "alc"], ["a", "b"], r"of the data roots \['a', 'b'\] only one can be plain"),
        (["tess"], ["tess=a", "tess=b"], "the corpus 'tess' has two folders, 'a' and 'b'; give one"),
    ],
)
def test_data_roots_with_faults(corpora, data_roots, problem):
    with pytest.raises(ValueError, match=problem):
        corpus_roots(corpora, data_roots)
