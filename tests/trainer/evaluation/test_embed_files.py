import threading

import numpy as np
import pytest
import soundfile as sf

from smoothclap_trainer.evaluation import embed_files as module
from smoothclap_trainer.evaluation.embed_files import embed_files


class Encoder:
    """Embeds a clip as its mean and its length, and notes what it was given."""

    name, sampling_rate = "counting", 8000

    def __init__(self):
        self.batches = []

    def embed_clips(self, clips):
        self.batches.append([len(clip) for clip in clips])
        return np.array([[clip.mean(), len(clip)] for clip in clips], dtype=np.float32)


@pytest.fixture
def files(tmp_path):
    """Five clips, each of its own level and length."""
    paths = []
    for index, samples in enumerate((1600, 4000, 800, 3200, 2400)):
        paths.append(tmp_path / f"{index}.wav")
        sf.write(paths[-1], np.full(samples, (index + 1) / 10), 8000, subtype="FLOAT")
    return paths


@pytest.mark.parametrize(("batch_size", "num_workers"), [(1, 1), (2, 3), (32, 2)])
def test_each_file_once_longest_first_and_results_in_order(files, batch_size, num_workers):
    encoder = Encoder()
    asked = [files[0], files[3], str(files[0]), files[2], files[1], files[4]]
    embeds = embed_files(encoder, asked, batch_size, num_workers)
    expected = [[0.1, 1600], [0.4, 3200], [0.1, 1600], [0.3, 800], [0.2, 4000], [0.5, 2400]]
    np.testing.assert_allclose(embeds, expected, rtol=1e-6)
    assert embeds.dtype == np.float32
    lengths = [4000, 3200, 2400, 1600, 800]
    assert encoder.batches == [lengths[start : start + batch_size] for start in range(0, 5, batch_size)]


def test_files_are_read_at_the_encoders_rate(tmp_path):
    path = tmp_path / "fast.wav"
    sf.write(path, np.full(4800, 0.5), 48000, subtype="FLOAT")
    assert embed_files(Encoder(), [path])[0, 1] == 800


def test_only_a_few_clips_are_in_memory(tmp_path, files, monkeypatch):
    read, lock, furthest = [0], threading.Lock(), []
    real = module.read_clip

    def counted(row, rate):
        with lock:
            read[0] += 1
        return real(row, rate)

    class Slow(Encoder):
        def embed_clips(self, clips):
            furthest.append(read[0] - sum(map(len, self.batches)))
            return super().embed_clips(clips)

    monkeypatch.setattr(module, "read_clip", counted)
    paths = []
    for index in range(60):
        paths.append(tmp_path / f"more-{index}.wav")
        sf.write(paths[-1], np.zeros(800), 8000)
    embed_files(Slow(), paths, batch_size=4, num_workers=2)
    assert read == [60] and max(furthest) <= 4 + 2 * 4  # a batch, and what the two threads may read ahead


def test_all_bad_clips_are_named_and_none_is_dropped(files, tmp_path):
    broken, missing, empty = tmp_path / "broken.wav", tmp_path / "missing.wav", tmp_path / "empty.wav"
    broken.write_bytes(b"no audio at all")
    sf.write(empty, np.zeros(0), 8000)
    encoder = Encoder()
    with pytest.raises(ValueError, match=r"3 of 6 clips cannot be read; mend or remove them:") as error:
        embed_files(encoder, [files[0], broken, files[1], empty, missing, files[2]], batch_size=2)
    told = str(error.value).splitlines()[1:]
    assert [line.split("'")[1] for line in told] == [str(broken), str(empty), str(missing)]
    assert encoder.batches == []  # what has no readable header comes first, so nothing is embedded in vain


def test_many_bad_clips_are_counted(tmp_path):
    with pytest.raises(ValueError, match=r"^25 of 25 clips(?s:.+)there is no such file\n  and 5 more$") as error:
        embed_files(Encoder(), [tmp_path / f"{index}.wav" for index in range(25)])
    assert len(str(error.value).splitlines()) == 1 + 20 + 1


def test_what_cannot_be_asked(files):
    with pytest.raises(ValueError, match="There are no clips to embed"):
        embed_files(Encoder(), [])
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        embed_files(Encoder(), files, batch_size=0)
    with pytest.raises(ValueError, match="num_workers and batch must be at least 1, got 0"):
        embed_files(Encoder(), files, num_workers=0)
