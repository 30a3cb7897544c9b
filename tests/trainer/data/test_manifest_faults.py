"""How faults are told."""

import pickle

import pytest

from smoothclap_trainer.data.manifest_reading import SHOWN, Fault, ManifestError


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (Fault(17, "emotion", "unknown"), "row 17, column 'emotion': unknown"),
        (Fault(0, None, "5 cells"), "row 0: 5 cells"),
        (Fault(None, "path", "twice"), "column 'path': twice"),
        (Fault(None, None, "no rows"), "no rows"),
        (Fault(3, "id", "empty", "dev"), "row 3 of split 'dev', column 'id': empty"),
        (Fault(None, "id", "empty", "dev"), "split 'dev', column 'id': empty"),
    ],
)
def test_places_by_hand(fault, text):
    assert str(fault) == text


def test_the_message_shows_the_first_faults_and_keeps_all():
    faults = [Fault(number, "id", "empty") for number in range(SHOWN + 2)]
    error = ManifestError("clips.csv", faults, "row = line")
    lines = str(error).split("\n  ")
    assert lines[0] == "manifest 'clips.csv' has 52 faults (row = line):"
    assert lines[1:-1] == [str(fault) for fault in faults[:SHOWN]]
    assert lines[-1] == "... and 2 more, all in `.faults`"
    assert error.faults == tuple(faults)
    assert isinstance(error, ValueError)


def test_one_fault_and_no_counting():
    assert str(ManifestError("x", [Fault(None, None, "gone")])) == "manifest 'x' has 1 fault:\n  gone"


def test_the_error_travels_between_processes():
    error = ManifestError("clips.csv", [Fault(1, "id", "empty", "dev")], "row = line")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.faults) == (str(error), error.faults)
