"""The corpora's facts, and what a wrong folder is told."""

from dataclasses import replace

import pytest

from smoothclap_trainer.evaluation.corpora import ABSENT, EMOTION_CORPORA, read_corpus
from tests.corpus_trees import BUILDERS, build_tree


TESS = EMOTION_CORPORA["tess"]


def test_the_corpora():
    assert list(EMOTION_CORPORA) == list(BUILDERS)
    assert {name: corpus.language for name, corpus in EMOTION_CORPORA.items()} == {
        "iemocap": "en",
        "ravdess": "en",
        "crema-d": "en",
        "tess": "en",
        "fau-aibo": "de",
        "alc": "de",
        "sld": "de",
        "msp-podcast": "en",
        "emodb": "de",
    }
    # 24 actors of 60 clips; 2 actresses of 7 emotions in 200 words; challenge papers; papers of the corpora.
    assert {name: corpus.clips for name, corpus in EMOTION_CORPORA.items()} == {
        "iemocap": 10039,
        "ravdess": 24 * 60,
        "crema-d": 7442,
        "tess": 2 * 7 * 200,
        "fau-aibo": 5792 + 2465,
        "alc": 3000,
        "sld": 228,
        "msp-podcast": None,
        "emodb": 535,
    }


def test_licences_that_are_published():
    licences = {name: corpus.licence for name, corpus in EMOTION_CORPORA.items()}
    assert licences["ravdess"] == "CC BY-NC-SA 4.0"
    assert licences["crema-d"] == "ODbL 1.0"
    assert licences["tess"] == "CC BY-NC-ND 4.0"


@pytest.mark.parametrize("name", BUILDERS)
def test_published_layouts_are_read(tmp_path, name, logs):
    tree = build_tree(name, tmp_path, takes=1)
    for reader in EMOTION_CORPORA[name].readers:
        rows = read_corpus(EMOTION_CORPORA[name], tree, reader.labels)
        assert set(rows["label"]) == set(reader.labels) - {"dis", "fea", "oth", "sur"}  # the tree of IEMOCAP has none
        assert rows["id"].is_monotonic_increasing
        assert rows["id"].is_unique
    assert (f"should have {EMOTION_CORPORA[name].clips} clips, but" in logs.text) == (name != "msp-podcast")


def test_other_numbers_of_clips_than_the_corpus_has_are_told(tmp_path, logs):
    tree = build_tree("tess", tmp_path, takes=1)
    assert read_corpus(replace(TESS, clips=14), tree, {"sad"}).attrs["left_out"] == {}
    assert read_corpus(replace(TESS, clips=None), tree, {"sad"}).attrs["left_out"] == {}
    assert logs.text == ""
    assert read_corpus(TESS, tree, {"sad"}).attrs["left_out"] == {ABSENT: 2800 - 14}
    assert "TESS should have 2800 clips, but" in logs.text
    assert read_corpus(replace(TESS, clips=13), tree, {"sad"}).attrs["left_out"] == {}
    assert "TESS should have 13 clips, but" in logs.text


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    build_tree("alc", tmp_path, takes=1)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read_corpus(EMOTION_CORPORA["alc"], "~/alc", {"AL", "NAL"})) == 6


def test_a_wrong_folder_is_told_what_was_expected_and_found(tmp_path):
    for name in ("g", "f", "e", "d", "c", "b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError) as caught:
        read_corpus(TESS, tmp_path, {"sad"})
    assert str(caught.value) == (
        f"TESS cannot be read from {str(tmp_path)!r}: no .wav file is named as expected.\n"
        f"Expected there: {TESS.layout}.\n"
        "Found there: a, b, c, d, e and 2 more.\n"
        "The corpus is to be had from https://doi.org/10.5683/SP2/E8H2MF; licence: CC BY-NC-ND 4.0."
    )


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(ValueError, match=r"gone': there is no such folder\.\n(.*\n)Found there: nothing\.\n"):
        read_corpus(TESS, tmp_path / "gone", {"sad"})
    with pytest.raises(ValueError, match="Found there: nothing"):
        read_corpus(TESS, tmp_path, {"sad"})
