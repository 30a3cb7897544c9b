"""The corpora's facts, and what a wrong folder is told."""

from dataclasses import replace

import pytest

from smoothclap_trainer.evaluation.corpora import ABSENT, EMOTION_CORPORA, read_corpus
from smoothclap_trainer.evaluation.corpus_names import ZeroShotStatus, zero_shot_status
from smoothclap_trainer.templating import zero_shot_reason
from tests.corpus_trees import BUILDERS, build_tree


TESS = EMOTION_CORPORA["tess"]


def test_the_corpora():
    assert list(EMOTION_CORPORA) == list(BUILDERS)
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


def test_other_numbers_of_clips_than_the_corpus_has_are_reported(tree, logs):
    folder = tree("tess")
    assert read_corpus(replace(TESS, clips=14), folder, {"sad"}).attrs["left_out"] == {}
    assert read_corpus(replace(TESS, clips=None), folder, {"sad"}).attrs["left_out"] == {}
    assert logs.text == ""
    assert read_corpus(TESS, folder, {"sad"}).attrs["left_out"] == {ABSENT: 2800 - 14}
    assert "2800" in logs.text
    assert read_corpus(replace(TESS, clips=13), folder, {"sad"}).attrs["left_out"] == {}
    assert " 13 clips" in logs.text


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    build_tree("alc", tmp_path, takes=1)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(read_corpus(EMOTION_CORPORA["alc"], "~/alc", {"AL", "NAL"})) == 6


def test_a_wrong_folder_is_told_what_was_expected_and_found(tmp_path):
    for name in ("g", "f", "e", "d", "c", "b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="gone"):
        read_corpus(TESS, tmp_path / "gone", {"sad"})
    with pytest.raises(ValueError) as caught:
        read_corpus(TESS, tmp_path, {"sad"})
    told = str(caught.value)
    for part in (str(tmp_path), TESS.layout, "a, b, c, d, e and 2 more", TESS.ask, TESS.licence):
        assert part in told


SEEN, UNSEEN, UNKNOWN = ZeroShotStatus.NOT_ZERO_SHOT, ZeroShotStatus.ZERO_SHOT, ZeroShotStatus.UNKNOWN


@pytest.mark.parametrize(
    ("recorded", "corpus", "status"),
    [
        (["queen", "drascula"], "iemocap", UNSEEN),
        (["MSP-Podcast v1.11"], "msp-podcast", SEEN),
        (["FAU Aibo", "fau_aibo ohm"], "fau-aibo", SEEN),
        (["podcast of MSP"], "msp-podcast", UNSEEN),
        (["USC-IEMOCAP", "the_IEMOCAP"], "iemocap", SEEN),
        (["Falcon"], "alc", UNSEEN),
        (["unrecorded", "CREMA-D"], "crema-d", SEEN),
        (["queen", "Unrecorded"], "crema-d", UNKNOWN),
        (["unrecorded"], "crema-d", UNKNOWN),
        (None, "tess", UNKNOWN),
        ([], "tess", UNKNOWN),
    ],
)
def test_whether_a_corpus_was_seen(recorded, corpus, status):
    found = zero_shot_status(recorded, corpus)
    assert found.status is status
    why = zero_shot_reason(found, recorded, corpus)
    assert corpus in why and all(name in why for name in found.seen)
    if not found.seen:
        assert all((name in why) is (name.lower() != "unrecorded") for name in recorded or ())
