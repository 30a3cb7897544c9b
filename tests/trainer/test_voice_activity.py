"""Speech is told from noise and silence, block by block as in one."""

import sys

import numpy as np
import pytest
import soundfile
import torch

from modeling_smoothclap import DEMO_CLIPS
from smoothclap_trainer.voice_activity import voice_segments


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """A voice from 2 to 5 s and another from 7 s on, in weak noise."""
    low, high = (soundfile.read(clip, dtype="float32")[0] for clip in DEMO_CLIPS)
    quiet = (1e-4 * np.random.default_rng(0).standard_normal(32000)).astype(np.float32)
    path = tmp_path_factory.mktemp("voices") / "talk.flac"
    soundfile.write(path, np.concatenate([quiet, low, quiet, high, quiet]), 16000)
    return path, [(2, 2 + len(low) / 16000), (4 + len(low) / 16000, 4 + (len(low) + len(high)) / 16000)]


def test_voices_are_found_where_they_are(recording):
    path, spoken = recording
    threads = torch.get_num_threads()
    found = voice_segments(path)
    assert torch.get_num_threads() == threads
    for start, end in spoken:
        heard = [each for each in found if each.end > start and each.start < end]
        assert heard and abs(heard[0].start - start) < 0.5 and abs(heard[-1].end - end) < 0.5
    assert all(any(start - 0.3 < each.start and each.end < end + 0.3 for start, end in spoken) for each in found)


def test_blocks_hear_what_one_hears(recording):
    whole, blocks = voice_segments(recording[0]), voice_segments(recording[0], block=3.5)
    for first, second in ((whole, blocks), (blocks, whole)):  # a cut within speech may move an end by a little
        assert all(any(abs(a.start - b.start) < 0.3 for b in second) for a in first)


def test_where_nobody_speaks(tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32000), 16000)
    with pytest.raises(ValueError, match=r"quiet\.wav"):
        voice_segments(tmp_path / "quiet.wav")
    with pytest.raises(ValueError, match=r"missing\.wav"):
        voice_segments(tmp_path / "missing.wav")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    with pytest.raises(ImportError):
        voice_segments(DEMO_CLIPS[0])
