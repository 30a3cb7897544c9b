import threading

import numpy as np
import pytest
import soundfile as sf

from smoothclap_trainer.data.clips import read_clip
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


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 48000])
def test_clips_are_heard_as_they_are_read_elsewhere(tmp_path, rate):
    class Keeping(Encoder):
        def embed_clips(self, clips):
            self.heard = clips
            return super().embed_clips(clips)

    path, encoder = tmp_path / "stereo.wav", Keeping()
    sf.write(path, np.random.default_rng(0).uniform(-1, 1, (rate // 3 + 7, 2)), rate, subtype="FLOAT")
    embed_files(encoder, [path])
    expected = read_clip({"path": path}, 8000)
    np.testing.assert_array_equal(encoder.heard[0], expected)
    assert encoder.heard[0].dtype == np.float32 and encoder.heard[0].flags.c_contiguous


def test_doubtful_clips_are_embedded_and_told(files, tmp_path):
    silent, short, high = (str(tmp_path / f"{name}.wav") for name in ("silent", "short", "high"))
    sf.write(silent, np.zeros(4800), 48000)
    buzz = np.sign(np.sin(np.arange(9600)))
    sf.write(short, buzz[:2800], 48000)  # 58 ms
    sf.write(high, 0.5 * np.sin(2 * np.pi * 15000 * np.arange(9600) / 48000), 48000)  # unheard at 8 kHz
    doubtful = {}
    embeds = embed_files(Encoder(), [files[0], silent, high, short], batch_size=2, doubtful=doubtful)
    assert embeds[:, 1].tolist() == [1600, 800, 1600, 467]
    assert doubtful == {
        str(files[0]): "silent",  # a constant offset is no sound
        silent: "silent",
        short: "too short",
    }  # each at the file's own rate


def test_only_a_few_clips_are_in_memory(tmp_path, files, monkeypatch):
    read, lock, furthest = [0], threading.Lock(), []
    real = module.decode_clip_of

    def counted(row):
        with lock:
            read[0] += 1
        return real(row)

    class Slow(Encoder):
        def embed_clips(self, clips):
            furthest.append(read[0] - sum(map(len, self.batches)))
            return super().embed_clips(clips)

    monkeypatch.setattr(module, "decode_clip_of", counted)
    paths = []
    for index in range(60):
        paths.append(tmp_path / f"more-{index}.wav")
        sf.write(paths[-1], np.zeros(800), 8000)
    embed_files(Slow(), paths, batch_size=4, num_workers=2)
    assert read == [60] and max(furthest) <= 4 + 2 * 4  # a batch, and what the two threads may read ahead


def test_all_bad_clips_are_named_and_none_is_dropped(files, tmp_path):
    broken, missing, empty, nan = (tmp_path / f"{name}.wav" for name in ("broken", "missing", "empty", "nan"))
    broken.write_bytes(b"no audio at all")
    sf.write(empty, np.zeros(0), 8000)
    sf.write(nan, np.full(8000, np.nan), 8000, subtype="FLOAT")
    encoder = Encoder()
    with pytest.raises(ValueError, match=r"4 of 7 clips cannot be read; mend or remove them:") as error:
        embed_files(encoder, [files[0], broken, files[1], empty, nan, missing, files[2]], batch_size=2)
    told = str(error.value).splitlines()[1:]
    assert [line.split("'")[1] for line in told] == [str(broken), str(empty), str(missing), str(nan)]
    assert "holds no samples" in told[1] and "not finite" in told[3]
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
