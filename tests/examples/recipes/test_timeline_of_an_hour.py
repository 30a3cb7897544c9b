"""A recording of two voices with known changes, and where they are found."""

import numpy as np
import pandas as pd
import pytest
import soundfile
from timeline_of_an_hour import PITCH, found_changes, main, two_voices

from modeling_smoothclap import DEMO_CLIPS


def test_changes_are_between_windows_that_differ():
    table = pd.DataFrame({"start": [0, 2, 4, 6, 8], "end": [4, 6, 8, 10, 12], "best": ["a", "a", None, "b", "a"]})
    assert found_changes(table).tolist() == [6, 9]  # silence is left out


def test_two_voices_are_those_with_most_clips_the_lower_first():
    rows = pd.DataFrame({"speaker": list("xxyyyz"), PITCH: [30, 30, 20, 20, 20, 1.0]})
    low, high = two_voices(rows)
    assert set(low["speaker"]) == {"y"} and set(high["speaker"]) == {"x"}
    with pytest.raises(ValueError, match="two speakers"):
        two_voices(rows[rows["speaker"] == "x"])


def test_the_changes_of_two_real_voices_are_found(tmp_path, monkeypatch, capsys):
    rows = []
    for speaker, (clip, pitch) in enumerate(zip(DEMO_CLIPS, (20, 35), strict=True)):
        samples, rate = soundfile.read(clip)
        for number in range(2):
            path = tmp_path / f"{speaker}-{number}.wav"
            soundfile.write(path, samples[number:], rate)
            rows.append({"path": path.name, "speaker": str(speaker), "corpus": "c", "split": "test", PITCH: pitch})
    pd.DataFrame(rows).to_csv(tmp_path / "clips.csv", index=False)
    options = ["--corpus", "c", "--minutes", "3", "--output", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", ["", str(tmp_path / "clips.csv"), *options])
    main()
    cells = dict(line.strip("| ").split(" | ") for line in (tmp_path / "out" / "hour.md").read_text().splitlines()[2:])
    assert int(cells["changes found"]) >= int(cells["changes of voice"]) > 0
    assert float(cells["the same, largest"]) < 8 and (tmp_path / "out" / "hour.png").stat().st_size > 10_000
    assert np.isfinite(float(cells["largest memory of the process, GiB"]))
    capsys.readouterr()
