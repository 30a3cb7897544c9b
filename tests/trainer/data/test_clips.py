"""The clips of manifest rows."""

import io

import numpy as np
import pytest
import soundfile
from datasets import Audio, Dataset

from smoothclap_trainer.data.clips import clip_columns, decode_clip_of, read_clip
from tests.examples.recipes.archive_makers import tone


def wav(samples, rate=16000, subtype="PCM_16"):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype=subtype)
    return buffer.getvalue()


def test_a_path_goes_before_audio_and_bytes_before_their_name(tmp_path):
    soundfile.write(tmp_path / "low.wav", np.full(1000, 0.25), 16000, subtype="FLOAT")
    high = wav(np.full(1000, 0.5), subtype="FLOAT")
    for row, value in (
        ({"path": str(tmp_path / "low.wav"), "audio": high}, 0.25),
        ({"path": None, "audio": high}, 0.5),
        ({"path": "", "audio": {"bytes": high, "path": "low.wav"}}, 0.5),
        ({"audio": {"bytes": None, "path": str(tmp_path / "low.wav")}}, 0.25),
    ):
        assert set(read_clip(row, 16000)) == {np.float32(value)}
        assert set(decode_clip_of(row)[0]) == {np.float32(value)}


def test_only_what_reading_needs_is_taken_and_audio_stays_encoded():
    rows = Dataset.from_dict({"audio": [wav(tone(0.1, 16000))], "id": ["a"], "pitch": [1.0]})
    taken = clip_columns(rows.cast_column("audio", Audio()))
    assert taken.column_names == ["id", "audio"]
    assert taken[0]["audio"]["bytes"] == rows[0]["audio"]
    assert len(read_clip(taken[0], 16000)) == 1600
    with pytest.raises(ValueError, match="'x'"):
        clip_columns(Dataset.from_dict({"x": [1]}))
