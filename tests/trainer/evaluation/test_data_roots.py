"""Data roots as the command line gives them."""

from pathlib import Path

import pytest

from smoothclap_trainer.evaluation.data_roots import corpus_roots


def test_named_folders(tmp_path):
    assert corpus_roots(["tess", "alc"], ["alc=/a=b", "tess=~/t"]) == {
        "alc": Path("/a=b"),
        "tess": Path("~/t").expanduser(),
    }
    assert corpus_roots([], []) == {}


def test_one_folder_that_holds_them_all(tmp_path):
    (tmp_path / "tess").mkdir()
    (tmp_path / "alc").mkdir()
    expected = {"tess": tmp_path / "tess", "alc": tmp_path / "alc"}
    assert corpus_roots(["tess", "alc"], [str(tmp_path)]) == expected
    assert corpus_roots(["tess", "alc"], [str(tmp_path), "alc=x"]) == expected | {"alc": Path("x")}


def test_one_folder_that_is_the_corpus(tmp_path):
    assert corpus_roots(["tess"], [str(tmp_path)]) == {"tess": tmp_path}
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


@pytest.mark.parametrize(
    ("corpora", "data_roots", "problem"),
    [
        (["tess"], ["tess=a", "alc=b"], r"no task needs the data roots \['alc'\]"),
        (["tess"], ["tess=a", "b"], r"no task needs the data roots \['b'\]"),
        ([], ["b"], r"no task needs the data roots \['b'\]"),
        (["tess", "alc"], ["a", "teß=b"], r"of the data roots \['a', 'teß=b'\] only one can be plain"),
        (["tess"], ["tess=a", "tess=b"], "the corpus 'tess' has two folders, 'a' and 'b'; give one"),
    ],
)
def test_data_roots_with_faults(corpora, data_roots, problem):
    with pytest.raises(ValueError, match=problem):
        corpus_roots(corpora, data_roots)
