"""One corpus of an experiment: what its name may be, and which fields are for manifests only."""

import pytest

from smoothclap_trainer.clep_dg.settings import CorpusSettings


@pytest.mark.parametrize("name", ["", " ", ".", "..", "../../escaped", "a/b", "a\\b"])
def test_a_corpus_is_named_like_a_folder(name):
    with pytest.raises(ValueError, match="is no corpus name: it names folders, so it is not blank, ") as caught:
        CorpusSettings(name, manifest="x", language="en", licence="mine")
    assert str(caught.value).startswith(repr(name))
    assert CorpusSettings("my corpus.v1", manifest="x", language="en", licence="mine").name == "my corpus.v1"


def test_columns_and_audio_root_are_for_manifests():
    with pytest.raises(ValueError, match=r"^\['columns', 'audio_root'\] are for manifests; those of 'tess' are known$"):
        CorpusSettings("tess", data_root="x", columns={"path": "file"}, audio_root="wav")
    CorpusSettings("tess", data_root="x", columns={})
