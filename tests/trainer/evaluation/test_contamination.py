import pytest

from smoothclap_trainer.evaluation.corpora import NOT_ZERO_SHOT, UNKNOWN, ZERO_SHOT, zero_shot_status


@pytest.mark.parametrize(
    ("recorded", "corpus", "status", "why"),
    [
        (["queen", "drascula"], "iemocap", ZERO_SHOT, "the corpora that the checkpoint records (queen, drascula), iem"),
        (
            ["MSP-Podcast v1.11"],
            "msp-podcast",
            NOT_ZERO_SHOT,
            "was trained on msp-podcast: it records 'MSP-Podcast v1.11'.",
        ),
        (["FAU Aibo", "fau_aibo ohm"], "fau-aibo", NOT_ZERO_SHOT, "it records 'FAU Aibo', 'fau_aibo ohm'."),
        (["podcast of MSP"], "msp-podcast", ZERO_SHOT, "was never seen"),  # begins otherwise
        (["USC-IEMOCAP", "the_IEMOCAP"], "iemocap", NOT_ZERO_SHOT, "it records 'USC-IEMOCAP', 'the_IEMOCAP'."),
        (["Falcon"], "alc", ZERO_SHOT, "was never seen"),  # within a word
        (["unrecorded", "CREMA-D"], "crema-d", NOT_ZERO_SHOT, "it records 'CREMA-D'."),
        (["queen", "Unrecorded"], "crema-d", UNKNOWN, "Some of the checkpoint's training beyond queen is not recorded"),
        (["unrecorded"], "crema-d", UNKNOWN, "Some of the checkpoint's training is not recorded, so crema-d may"),
        (None, "tess", UNKNOWN, "does not record which corpora it was trained on, so tess may be among them."),
        ([], "tess", UNKNOWN, "does not record"),
    ],
)
def test_status(recorded, corpus, status, why):
    found, said = zero_shot_status(recorded, corpus)
    assert found == status
    assert why in said and said.endswith(".")
